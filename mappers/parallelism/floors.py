"""What a division takes at the least: seconds and bytes, from a network's weights alone.

Of attention, MLPs, experts and the head (other blocks count as nothing) a device reads the weights
that it has, of experts those that are touched, and in decode what its sequences keep; it multiplies
each row by every element of a linear layer. With the DRAM's bandwidth b and the best rate r of its
units, a pass through all stages takes at least

    max(bytes / b, operations / r)

and a step what the flow of passes makes of it with stages alike. What the fullest device holds is
no less than the mean; where weights and cache alone are more than the memory leaves for them, the
division does not fit.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from hwmodel.einsum.cascade import Distribution
from hwmodel.einsum.distribution import touched_members
from hwmodel.einsum.division import Division
from hwmodel.einsum.workloads.blocks.attention import Attention
from hwmodel.einsum.workloads.blocks.beside import Beside
from hwmodel.einsum.workloads.blocks.block import Block, Step
from hwmodel.einsum.workloads.blocks.ends import Head
from hwmodel.einsum.workloads.blocks.mixture import Mixture, sends
from hwmodel.einsum.workloads.blocks.mla import Mla
from hwmodel.einsum.workloads.blocks.mlp import Mlp
from hwmodel.einsum.workloads.blocks.plain_mlp import PlainMlp
from hwmodel.einsum.workloads.blocks.weight import Weight
from hwmodel.einsum.workloads.model import Model
from hwmodel.einsum.workloads.phases import passes, passing
from hwmodel.hardware.hardware import Hardware
from hwmodel.quantity.dtypes import bytes_of
from hwmodel.spine.flow import Flow

PLAIN = (Attention, Mla, Mlp, PlainMlp, Head)
"""Blocks that read all of their weights and multiply every row by them; of the head, the last."""

Layers: TypeAlias = tuple[int | None, ...]
"""Numbers of layers; None outside of them."""


@dataclass(frozen=True, eq=False)
class Floors:
    """A model, a step of it, the device, and the share of its memory for weights and cache."""

    model: Model
    step: Step
    machine: Hardware
    share: float

    def __post_init__(self) -> None:
        """What is asked of many divisions is worked out once for each degree."""
        for name in ("_dense", "_experts", "_held", "_cache"):
            object.__setattr__(self, name, lru_cache(maxsize=None)(getattr(self, name)))

    def of(self, ways: Sequence[Division]) -> NDArray[np.float64]:
        """(seconds of the step, device-seconds a token in a full pipeline) at the least, of each.

        Infinite where a device would hold more than it can.
        """
        found = [self.one(each) for each in ways]
        return np.array(found, dtype=np.float64).reshape(len(found), 2)

    def one(self, ways: Division) -> tuple[float, float]:
        """The same of one division."""
        if not self.fits(ways):
            return math.inf, math.inf
        mine = passing(self.step, ways)
        return self.costs(ways, self.pass_s(ways, mine))

    def costs(self, ways: Division, pass_s: float) -> tuple[float, float]:
        """Both costs at the least, of passes that take so long."""
        told = passes(self.step, passing(self.step, ways), ways)
        flow = Flow(ways.pp, told["passes"], 1 / ways.pp, again=told["decoding"])
        busy_s = pass_s * float(told["passes"]) / ways.pp
        return pass_s * float(flow.least), busy_s * ways.devices / float(self.step.tokens)

    def pass_s(self, ways: Division, mine: Step) -> float:
        """Seconds of what passes through all stages together."""
        read, inner, ends = self._dense(ways.tp)
        operations = 2.0 * (inner * float(mine.tokens) + ends * float(mine.sequences))
        if self.step.decoding:
            read += float(mine.sequences) * self._cache(ways.tp, ways.cp)
        more_read, more = self._routed(ways, mine)
        return self._taken_s(read + more_read, operations + more)

    def experts_s(self, ways: Division) -> float:
        """Seconds of a pass that experts alone take."""
        return self._taken_s(*self._routed(ways, passing(self.step, ways)))

    def _taken_s(self, read: float, operations: float) -> float:
        memory = self.machine.memory("dram").bandwidth_bytes_per_s
        return max(read / float(np.min(memory)), operations / self._rate)

    def _routed(self, ways: Division, mine: Step) -> tuple[float, float]:
        """Bytes of the experts that are touched on a device, and operations of their rows."""
        rows, etp = float(mine.tokens), ways.expert_tp
        apart = ways.ep > 1 and sends(ways)
        tokens = math.ceil(rows / ways.tp) * ways.ep * etp if apart else rows
        read = operations = 0.0
        for picks, experts, bytes_, elements in self._experts(ways.ep, etp):
            spread = Distribution(self.step.routing, "x", tokens, picks / ways.ep, self._exponent)
            read += bytes_ * float(touched_members(spread, experts)) / experts
            operations += 2.0 * elements / experts * tokens * picks / ways.ep
        return read, operations

    def fits(self, ways: Division) -> bool:
        """Whether weights and cache may fit the fullest device."""
        capacity = float(np.min(self.machine.memory("dram").capacity_bytes))
        sequences = math.ceil(float(self.step.sequences) / ways.dp)
        cache = sequences * self._cache(ways.tp, ways.cp)
        held = self._held(ways.tp, ways.ep, ways.expert_tp)
        return (held + cache) / ways.pp <= self.share * capacity * (1 + 1e-9)

    def room(self, ways: Division) -> float:
        """Tokens of cache that all replicas have room for, at the most, of sequences so long."""
        capacity = float(np.min(self.machine.memory("dram").capacity_bytes)) * self.share
        left = capacity * ways.pp - self._held(ways.tp, ways.ep, ways.expert_tp)
        kept = self._cache(ways.tp, ways.cp)
        context = float(np.max(self.step.context))
        return math.inf if not kept else max(0.0, left) / kept * context * ways.dp

    @property
    def _exponent(self) -> float:
        return 0.0 if self.step.exponent is None else self.step.exponent

    @property
    def _rate(self) -> float:
        """The best rate of the unit that multiplies matrices."""
        unit = self.machine.units["matrix"]
        return max(float(np.max(rate)) for rate in unit.rate_per_s.values())

    def _blocks(self) -> list[tuple[Block, Layers]]:
        """Blocks one by one, and the layers in which they stand."""
        found: list[tuple[Block, Layers]] = []
        for block, layers in self.model.network.placed:
            parts = (block.first, block.second) if isinstance(block, Beside) else (block,)
            found += [(part, layers) for part in parts]
        return found

    def _bytes(self, weight: Weight, layers: Layers, ways: Division) -> float:
        """Bytes of a weight on a device, in all layers that have it."""
        formats = self.model.precision
        some = layers[:1] * len(layers) if formats.uniform else layers
        stored = (formats.of(weight, layer).weight for layer in some)
        return weight.elements(ways) * sum(float(bytes_of(kind)) for kind in stored)

    def _dense(self, tp: int) -> tuple[float, float, float]:
        """Bytes of weights that every pass reads, elements of layers, and of the head."""
        ways, read, inner, ends = Division(tp=tp), 0.0, 0.0, 0.0
        for block, layers in self._blocks():
            if isinstance(block, Head):
                read += self._bytes(block.table, layers, ways)
                ends += block.table.elements(ways)
            elif isinstance(block, PLAIN):
                for weight in (w for w in block.weights() if w.role == "linear"):
                    read += self._bytes(weight, layers, ways)
                    inner += len(layers) * weight.elements(ways)
        return read, inner, ends

    def _experts(self, ep: int, etp: int) -> list[tuple[int, int, float, float]]:
        """Mixtures: picks, experts on a device, their bytes and elements in all layers."""
        ways = Division(tp=etp, dp=ep, ep=ep, etp=etp)
        found: list[tuple[int, int, float, float]] = []
        for block, layers in self._blocks():
            if isinstance(block, Mixture):
                weights = [w for w in block.weights() if w.copies > 1 and w.role == "linear"]
                bytes_ = sum(self._bytes(weight, layers, ways) for weight in weights)
                elements = float(len(layers) * sum(weight.elements(ways) for weight in weights))
                found.append((block.picks, block.experts // ep, bytes_, elements))
        return found

    def _held(self, tp: int, ep: int, etp: int) -> float:
        """Bytes of all weights that the devices of a pipeline hold together."""
        alike = Division(tp=tp, dp=max(1, ep * etp), ep=ep, etp=etp if ep > 1 else None)
        return float(self.model.shard(alike).weight_bytes)

    def _cache(self, tp: int, cp: int) -> float:
        """Bytes that a sequence keeps on the devices of a pipeline together."""
        tokens = -(-self.step.context // cp)
        return float(self.model.shard(Division(tp=tp)).kv_bytes(1, tokens))
