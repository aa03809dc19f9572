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
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, TypeAlias

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
from hwmodel.machines.blockwise import kind_of
from hwmodel.quantity.dtypes import bytes_of
from hwmodel.spine.flow import Flow

PLAIN = (Attention, Mla, Mlp, PlainMlp, Head)
"""Blocks that read all of their weights and multiply every row by them; of the head, the last."""

KINDS = ("plain", "whole", "experts")
"""Of blocks, by what they depend on (`hwmodel.machines.blockwise.kind_of`)."""

Layers: TypeAlias = tuple[int | None, ...]
"""Numbers of layers; None outside of them."""


@dataclass(frozen=True, eq=False)
class Floors:
    """A model, a step of it, the device, and the share of its memory for weights and cache."""

    model: Model
    step: Step
    machine: Hardware
    share: float
    _asked: dict[Hashable, tuple[float, float]] = field(default_factory=lambda: {})
    _rests: dict[Hashable, float] = field(default_factory=lambda: {})

    def __post_init__(self) -> None:
        """What is asked of many divisions is worked out once for each degree."""
        for name in ("_dense", "_experts", "_held", "_cache", "_flow"):
            object.__setattr__(self, name, lru_cache(maxsize=None)(getattr(self, name)))

    def of(self, ways: Sequence[Division]) -> NDArray[np.float64]:
        """(seconds of the step, device-seconds a token in a full pipeline) at the least, of each.

        Infinite where a device would hold more than it can.
        """
        found = [self.one(each) for each in ways]
        return np.array(found, dtype=np.float64).reshape(len(found), 2)

    def one(self, ways: Division) -> tuple[float, float]:
        """The same of one division; those that read and multiply alike are looked at once."""
        names = ("tp", "cp", "dp", "pp", "ep", "etp", "redundant", "micro_batch", "overlap")
        key = (*(getattr(ways, name) for name in names), sends(ways))
        if key not in self._asked:
            self._asked[key] = (math.inf, math.inf)
            if self.fits(ways):
                mine = passing(self.step, ways)
                self._asked[key] = self.costs(ways, self.pass_s(ways, mine))
        return self._asked[key]

    def costs(self, ways: Division, pass_s: float) -> tuple[float, float]:
        """Both costs at the least, of passes that take so long."""
        wall, often = self._flow(ways.dp, ways.cp, ways.pp, ways.micro_batch, ways.overlap)
        busy_s = pass_s * often / ways.pp
        return pass_s * wall, busy_s * ways.devices / float(self.step.tokens)

    def _flow(
        self, dp: int, cp: int, pp: int, micro_batch: int | None, overlap: str
    ) -> tuple[float, float]:
        """Seconds of the step over those of a pass, at the least, and how many passes there are."""
        given: dict[str, Any] = {"dp": dp, "cp": cp, "pp": pp, "micro_batch": micro_batch}
        ways = Division.model_construct(**given, overlap=overlap)
        told = passes(self.step, passing(self.step, ways), ways)
        flow = Flow(pp, told["passes"], 1 / pp, again=told["decoding"])
        return float(flow.least), float(told["passes"])

    def pass_s(self, ways: Division, mine: Step) -> float:
        """Seconds of what passes through all stages together."""
        each = [self._counted(kind, ways, mine) for kind in KINDS]
        return self._taken_s(*map(sum, zip(*each, strict=True)))

    def rest_s(self, ways: Division, kinds: Iterable[str]) -> float:
        """Seconds of a pass that blocks of these kinds take by themselves (`kind_of`)."""
        degrees = ways.tp, ways.cp, ways.dp, ways.pp, ways.ep, ways.etp, ways.redundant
        total = 0.0
        for kind in kinds:
            key = kind, *degrees, ways.micro_batch, ways.overlap, sends(ways)
            if key not in self._rests:
                counts = self._counted(kind, ways, passing(self.step, ways))
                self._rests[key] = self._taken_s(*counts)
            total += self._rests[key]
        return total

    def _counted(self, kind: str, ways: Division, mine: Step) -> tuple[float, float]:
        """Bytes that blocks of a kind read, and their operations."""
        read, inner, ends = self._dense(ways.tp)[kind]
        operations = 2.0 * (inner * float(mine.tokens) + ends * float(mine.sequences))
        if kind == "whole" and self.step.decoding:
            read += float(mine.sequences) * self._cache(ways.tp, ways.cp)
        if kind == "experts":
            more_read, more = self._routed(ways, mine)
            read, operations = read + more_read, operations + more
        return read, operations

    def _taken_s(self, read: float, operations: float) -> float:
        return max(read / self._bandwidth, operations / self._rate)

    @cached_property
    def _bandwidth(self) -> float:
        return float(np.min(self.machine.memory("dram").bandwidth_bytes_per_s))

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
        capacity = self._capacity
        sequences = math.ceil(float(self.step.sequences) / ways.dp)
        cache = sequences * self._cache(ways.tp, ways.cp)
        held = self._held(ways.tp, ways.ep, ways.expert_tp)
        return (held + cache) / ways.pp <= self.share * capacity * (1 + 1e-9)

    def room(self, ways: Division) -> float:
        """Tokens of cache that all replicas have room for, at the most, of sequences so long."""
        left = self._capacity * self.share * ways.pp - self._held(ways.tp, ways.ep, ways.expert_tp)
        kept = self._cache(ways.tp, ways.cp)
        context = float(np.max(self.step.context))
        return math.inf if not kept else max(0.0, left) / kept * context * ways.dp

    @cached_property
    def _capacity(self) -> float:
        return float(np.min(self.machine.memory("dram").capacity_bytes))

    @property
    def _exponent(self) -> float:
        return 0.0 if self.step.exponent is None else self.step.exponent

    @cached_property
    def _rate(self) -> float:
        """The best rate of the unit that multiplies matrices."""
        unit = self.machine.units["matrix"]
        return max(float(np.max(rate)) for rate in unit.rate_per_s.values())

    def _blocks(self) -> list[tuple[Block, Layers, str]]:
        """Blocks one by one, the layers in which they stand, and the kind that they count as."""
        found: list[tuple[Block, Layers, str]] = []
        for block, layers in self.model.network.placed:
            parts = (block.first, block.second) if isinstance(block, Beside) else (block,)
            found += [(part, layers, kind_of(block)) for part in parts]
        return found

    def _bytes(self, weight: Weight, layers: Layers, ways: Division) -> float:
        """Bytes of a weight on a device, in all layers that have it."""
        formats = self.model.precision
        some = layers[:1] * len(layers) if formats.uniform else layers
        stored = (formats.of(weight, layer).weight for layer in some)
        return weight.elements(ways) * sum(float(bytes_of(kind)) for kind in stored)

    def _dense(self, tp: int) -> dict[str, tuple[float, float, float]]:
        """Kind -> bytes of weights that every pass reads, elements of layers, and of the head."""
        ways, found = Division(tp=tp), {kind: np.zeros(3) for kind in KINDS}
        for block, layers, kind in self._blocks():
            if isinstance(block, Head):
                table = block.table
                found[kind] += self._bytes(table, layers, ways), 0.0, table.elements(ways)
            elif isinstance(block, PLAIN):
                for weight in (w for w in block.weights() if w.role == "linear"):
                    elements = len(layers) * weight.elements(ways)
                    found[kind] += self._bytes(weight, layers, ways), elements, 0.0
        return {kind: (float(r), float(i), float(e)) for kind, (r, i, e) in found.items()}

    def _experts(self, ep: int, etp: int) -> list[tuple[int, int, float, float]]:
        """Mixtures: picks, experts on a device, their bytes and elements in all layers."""
        ways = Division(tp=etp, dp=ep, ep=ep, etp=etp)
        found: list[tuple[int, int, float, float]] = []
        for block, layers, _ in self._blocks():
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
