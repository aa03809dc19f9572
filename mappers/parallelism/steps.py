"""All legal executions of a step of training over devices, by degrees.

Degrees of tp, cp, dp and pp multiply to the number of devices; experts are divided over devices of
one stage, one device an expert; sequence parallelism goes with tp. Where experts are divided, rows
are sent to them once or by all-to-all, and beside another micro-batch's kernels or not, unless that
is said. What else an execution says is given, or searched apart (`trained`). Legal is
what the execution's own rules and those of what may be divided in a model allow
(`hwmodel.spine.shares`), with the layers divided evenly over stages.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import product
from math import prod
from typing import Any

import numpy as np

from hwmodel.einsum.workloads.blocks.network import Network
from hwmodel.einsum.workloads.kept import Kept
from hwmodel.einsum.workloads.training_step import Training
from hwmodel.hardware.hardware import Hardware
from hwmodel.mappers.parallelism.space import divisors
from hwmodel.quantity.errors import InputError
from hwmodel.spine.execution import Execution
from hwmodel.spine.shares import Sizes, refusals
from hwmodel.systems.training.division import graphed
from hwmodel.systems.training.efficiency import Software, named, software
from hwmodel.systems.training.fabric import Fabric
from hwmodel.systems.training.least import WHOLE, Launches
from hwmodel.systems.training.memory import WEIGHT_BYTES, states
from hwmodel.systems.training.passes import operations
from hwmodel.systems.training.stages import HIDDEN

DEGREES = ("tp", "cp", "dp", "pp", "ep", "etp", "sp", "dispatch", "overlap")
"""What says on which devices a step runs, and how these exchange."""
RUN = ("vp", "micro_batch", "recompute")
"""What is searched of how it runs there."""
SENT: Mapping[str, tuple[str, ...]] = {
    "overlap": ("two-batch", "none"),
    "dispatch": ("once", "all-to-all"),
}
"""How rows go to experts, what is mostly the best first."""


@dataclass(frozen=True, eq=False)
class Steps:
    """A network trained on sequences of so many tokens, over so many devices."""

    network: Network
    sequence: int
    given: Mapping[str, Any]
    devices: int
    _asked: dict[tuple[Any, ...], float] = field(default_factory=lambda: {})
    _launches: Launches | None = None

    def __iter__(self) -> Iterator[Execution]:
        """Every legal execution, once; stages have as even numbers of layers as go."""
        sizes = Sizes.of(self.network)
        free = frozenset(DEGREES) - frozenset(SENT)
        fixed = {name: value for name, value in self.given.items() if name not in free}
        for table in self._tables():
            try:
                dense = Execution.of({**fixed, **table})
            except InputError:
                continue
            for ep in divisors(max(1, sizes.experts)):
                if dense.width % ep:
                    continue
                for more in self._sent(ep):
                    # Each degree by itself was checked; rules between them are asked for.
                    how = dense.model_copy(update=more)
                    if not how.reasons() and self._legal(how, sizes):
                        yield how

    def _legal(self, how: Execution, sizes: Sizes) -> bool:
        """Whether the model goes into these parts; asked once whatever its replicas."""
        key = ("legal", how.tp, how.cp, how.pp, how.vp, how.sp, how.ep, how.expert_tp)
        if key not in self._asked:
            found = refusals(how, sizes, engine="megatron", sequence=self.sequence, uneven=True)
            self._asked[key] = not found
        return bool(self._asked[key])

    def too_large(self, how: Execution, work: Training, machine: Hardware) -> bool:
        """Whether states of the parameters alone are more than a device has room for."""
        plain = not work.adapters and work.host is None and work.backwards
        return bool(plain and self.held_bytes(how, work.kept) > self.room(machine))

    def overfull(self, how: Execution, work: Training, machine: Hardware) -> bool:
        """Whether layers' states and inputs are more than devices have room for, however dealt.

        At its first backward pass rank r of p has k_r = min(m, p - r) of m micro-batches or more
        under way, each with the inputs, a bytes, of its layers, whose states are s bytes or more;
        so that of l layers in all the fullest rank holds l / sum over r of 1 / (s + a k_r).
        """
        plain = not work.adapters and work.host is None and work.backwards
        if not plain or how.pipeline not in WHOLE or how.recompute == "reversible":
            return False
        assert how.micro_batches is not None
        tokens = how.micro_batch * self.sequence // how.cp
        size = tokens * self.network.hidden * WEIGHT_BYTES / (how.tp if how.sp else 1)
        key = ("layer", how.tp, how.ep, how.expert_tp, how.dp * how.cp, how.expert_dp, how.zero)
        if key not in self._asked:
            self._asked[key] = min(self._layers_bytes(how, work.kept))
        under_way = np.minimum(how.micro_batches, how.pp - np.arange(how.pp))
        share = float(np.sum(1 / (self._asked[key] + size * under_way)))
        return self.network.depth / share > self.room(machine)

    def _layers_bytes(self, how: Execution, kept: Kept) -> Iterator[float]:
        """States of each kind of layer."""
        ways: dict[str, Any] = {"zero": how.zero, "kept": kept}
        for group in self.network.layers:
            weights = [weight for block in group.blocks for weight in block.weights()]
            experts = sum(float(w.elements(how)) for w in weights if w.part == "experts")
            dense = sum(float(w.elements(how)) for w in weights) - experts
            held = states(dense, how.dp * how.cp, **ways).total_bytes
            yield held + states(experts, how.expert_dp, **ways).total_bytes

    def least_s(self, how: Execution, work: Training, machine: Hardware, joined: Fabric) -> float:
        """Seconds at the least, from operations at the peak and exchanges.

        Every layer's attention is summed over tp once in each pass; rows go to experts and back.
        """
        if work.host is not None:
            return 0.0
        assert how.micro_batches is not None
        names = ("tp", "cp", "sp", "ep", "etp", "dispatch", "overlap", "micro_batch", "zero")
        key = ("paced", *(getattr(how, name) for name in names))
        if key not in self._asked:
            self._asked[key] = self._paced_s(how, work, machine, joined)
        return how.micro_batches * self._asked[key] / how.pp

    def _paced_s(self, how: Execution, work: Training, machine: Hardware, joined: Fabric) -> float:
        """Of a micro-batch in all layers."""
        name = named(how.zero, Sizes.of(self.network).maps)
        on = machine.name, machine.architecture
        runs = software(name, *on, work.format, together=work.async_tp)
        tokens = how.micro_batch * self.sequence // how.cp
        size = float(tokens * self.network.hidden * WEIGHT_BYTES)
        peak = float(machine.rate("matrix", work.precision))
        ways = 2 if work.backwards else 1
        kernels_s = operations(work) * 2 * tokens * self._elements(how) / peak / runs.share
        exposed = 1 / how.tp if runs.together else runs.exposed
        sums_s = ways * exposed * self._attending * self._sum_s(joined, size, how.tp, how.sp)
        sent_s = 0.0
        if how.ep > 1:
            part = size / (how.tp if how.sp or how.expert_tp < how.tp else 1)
            to = (*self._picks, how.ep, how.expert_tp)
            sent_s = 2 * ways * self._mixed * self._sent_s(joined, part, to, how.dispatch)
        hidden = 0.0 if how.overlap == "none" else min(sent_s, HIDDEN * kernels_s)
        return max(kernels_s + sums_s + sent_s - hidden, self._launched_s(how, work, runs))

    def _launched_s(self, how: Execution, work: Training, runs: Software) -> float:
        """In which a host launches the kernels of all layers, where no graph replays them."""
        if graphed(work) or not runs.launch_s or not work.backwards:
            return 0.0
        if self._launches is None:
            object.__setattr__(self, "_launches", Launches.of(work))
        assert self._launches is not None
        return runs.launch_s * self._launches.on(how.ep)

    def room(self, machine: Hardware) -> float:
        """Bytes that a device holds."""
        return float(machine.memory("dram").capacity_bytes)

    def _elements(self, how: Execution) -> float:
        """Elements by which a device multiplies each token in all layers, or fewer."""
        key = ("multiplied", how.tp, how.ep, how.expert_tp)
        if key not in self._asked:
            self._asked[key] = self._multiplied(how)
        return self._asked[key]

    def _multiplied(self, how: Execution) -> float:
        found = 0.0
        for weight, layers in self.network.weights:
            if weight.role not in ("linear", "head"):
                continue
            if weight.part == "experts" and weight.copies > 1:
                one = float(prod(weight.shape)) / how.expert_tp
                found += len(layers) * one * (weight.used or 1) / how.tp
            else:
                found += len(layers) * float(weight.elements(how))
        return found

    @cached_property
    def _attending(self) -> int:
        """Layers whose attention is summed over tp."""
        found = (layers for w, layers in self.network.weights if w.part == "attention" and w.split)
        return len({layer for layers in found for layer in layers})

    @cached_property
    def _routed(self) -> list[tuple[int, int, tuple[int | None, ...]]]:
        """Experts of a token, of how many, and the layers of both."""
        weights = [each for each in self.network.weights if each[0].part == "experts"]
        return [(w.used or w.copies, w.copies, layers) for w, layers in weights if w.copies > 1]

    @cached_property
    def _picks(self) -> tuple[int, int]:
        return min((picks, choices) for picks, choices, _ in self._routed)

    @cached_property
    def _mixed(self) -> int:
        """Layers with experts."""
        return len({layer for *_, layers in self._routed for layer in layers})

    def _sum_s(self, joined: Fabric, size: float, tp: int, sp: bool) -> float:
        ops = ("all_gather", "reduce_scatter") if sp else ("all_reduce",)
        return sum(self._once(joined.seconds, op, size, tp) for op in ops)

    def _sent_s(self, joined: Fabric, size: float, to: tuple[int, ...], dispatch: str) -> float:
        return self._once(partial(joined.routed, dispatch=dispatch), size, *to, extra=dispatch)

    def _once(self, function: Callable[..., float], *given: Any, extra: str = "") -> float:
        """A function of an exchange, asked once for the same."""
        key = (*given, extra)
        if key not in self._asked:
            self._asked[key] = function(*given)
        return self._asked[key]

    def held_bytes(self, how: Execution, kept: Kept) -> float:
        """What the fullest device holds at the least: its mean share of weights, and their states.

        Of weights that are all trained.
        """
        given: dict[str, Any] = {"zero": how.zero, "kept": kept}
        dense, experts = (self._parameters(how, part) / how.pp for part in ("dense", "experts"))
        held = states(dense, how.dp * how.cp, **given)
        return held.total_bytes + states(experts, how.expert_dp, **given).total_bytes

    def _parameters(self, how: Execution, part: str) -> float:
        """Of all layers on a device, of experts or of what is none."""
        key = (part, how.tp, how.ep, how.expert_tp)
        if key not in self._asked:
            self._asked[key] = sum(
                float(weight.elements(how)) * len(layers)
                for weight, layers in self.network.weights
                if (weight.part == "experts") == (part == "experts")
            )
        return self._asked[key]

    def _tables(self) -> Iterator[dict[str, Any]]:
        for tp in divisors(self.devices):
            for cp in divisors(self.devices // tp):
                for dp in divisors(self.devices // (tp * cp)):
                    pp = self.devices // (tp * cp * dp)
                    for sp in (False, True) if tp > 1 else (False,):
                        yield {"tp": tp, "cp": cp, "dp": dp, "pp": pp, "sp": sp}

    def _sent(self, ep: int) -> Iterator[dict[str, Any]]:
        """So many devices share experts, each of which is on one: how rows go, if that is free."""
        if ep == 1:
            yield {}
            return
        free = {name: words for name, words in SENT.items() if name not in self.given}
        for words in product(*free.values()):
            yield {"ep": ep, "etp": 1, **dict(zip(free, words, strict=True))}
