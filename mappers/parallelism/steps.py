"""All legal executions of a step of training over devices, by degrees.

Degrees of tp, cp, dp and pp multiply to the number of devices; experts are divided over devices of
one stage, one device an expert; sequence parallelism goes with tp. Where experts are divided, rows
are sent to them once or by all-to-all, and beside another micro-batch's kernels or not, unless that
is said. What else an execution says (micro-batches, ZeRO, recompute, schedule) is given. Legal is
what the execution's own rules and those of what may be divided in a model allow
(`hwmodel.spine.shares`), with the layers divided evenly over stages.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import product
from math import prod
from typing import Any

from hwmodel.einsum.workloads.blocks.network import Network
from hwmodel.einsum.workloads.training_step import Training
from hwmodel.hardware.hardware import Hardware
from hwmodel.mappers.parallelism.space import divisors
from hwmodel.quantity.errors import InputError
from hwmodel.spine.execution import Execution
from hwmodel.spine.shares import Sizes, refusals
from hwmodel.systems.training.efficiency import software
from hwmodel.systems.training.fabric import Fabric
from hwmodel.systems.training.memory import WEIGHT_BYTES, states
from hwmodel.systems.training.passes import operations
from hwmodel.systems.training.stages import HIDDEN

DEGREES = ("tp", "cp", "dp", "pp", "ep", "etp", "sp", "dispatch", "overlap")
FIXED = ("gpipe", "1f1b", "interleaved")
"""Schedules whose order no pass's length decides: shorter passes end no later."""
SENT: Mapping[str, tuple[str, ...]] = {
    "overlap": ("two-batch", "none"),
    "dispatch": ("once", "all-to-all"),
}
"""How rows go to experts: the best first, whose cost is a bound on that of the others.

Sent once a row is on no more links than a copy for each expert is, and what lies beside kernels is
waited for no longer than what does not.
"""


def bounded_by(how: Execution) -> Execution:
    """The execution of the same degrees that takes no longer, whatever the device."""
    if how.ep == 1 or (how.pp > 1 and how.pipeline not in FIXED):
        return how
    return how.but(**{name: words[0] for name, words in SENT.items()})


@dataclass(frozen=True, eq=False)
class Steps:
    """A network trained on sequences of so many tokens, over so many devices."""

    network: Network
    sequence: int
    given: Mapping[str, Any]
    devices: int
    _asked: dict[tuple[Any, ...], float] = field(default_factory=lambda: {})

    def __iter__(self) -> Iterator[Execution]:
        """Every legal execution, once."""
        sizes = Sizes.of(self.network)
        fixed = {name: value for name, value in self.given.items() if name not in DEGREES}
        for table in self._tables(max(1, sizes.experts)):
            try:
                how = Execution.of({**fixed, **table})
            except InputError:
                continue
            if not refusals(how, sizes, engine="megatron", sequence=self.sequence):
                yield how

    def floor_s(self, how: Execution, work: Training, machine: Hardware, joined: Fabric) -> float:
        """Seconds at the least, from operations at the peak and exchanges; infinite: does not fit.

        Every layer's attention is summed over tp once in each pass; rows go to experts and back.
        """
        plain = not work.adapters and work.host is None and work.backwards
        if plain and self.held_bytes(how, work.optimizer) > self._room(machine):
            return math.inf
        runs = software(how.zero, machine.name, machine.architecture, work.format)
        tokens = how.micro_batch * self.sequence // how.cp
        size = float(tokens * self.network.hidden * WEIGHT_BYTES)
        peak = float(machine.rate("matrix", work.precision))
        ways = 2 if work.backwards else 1
        kernels_s = operations(work) * 2 * tokens * self._elements(how) / peak / runs.share
        sums_s = ways * runs.exposed * self._attending * self._sum_s(joined, size, how.tp, how.sp)
        sent_s = 0.0
        if how.ep > 1:
            part = size / (how.tp if how.sp or how.expert_tp < how.tp else 1)
            to = (*self._picks, how.ep, how.expert_tp)
            sent_s = 2 * ways * self._mixed * self._sent_s(joined, part, to, how.dispatch)
        hidden = 0.0 if how.overlap == "none" else min(sent_s, HIDDEN * kernels_s)
        if work.host is not None:
            return 0.0
        assert how.micro_batches is not None
        return how.micro_batches * (kernels_s + sums_s + sent_s - hidden) / how.pp

    def _room(self, machine: Hardware) -> float:
        return float(machine.memory("dram").capacity_bytes)

    def _elements(self, how: Execution) -> float:
        """Elements by which a device multiplies each token in all layers, or fewer."""
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

    def held_bytes(self, how: Execution, optimizer: str) -> float:
        """What the fullest device holds at the least: its mean share of weights, and their states.

        Of weights that are all trained.
        """
        weights = self.network.weights
        kinds = {"dense": 0.0, "experts": 0.0}
        for weight, layers in weights:
            kind = "experts" if weight.part == "experts" else "dense"
            kinds[kind] += float(weight.elements(how)) * len(layers) / how.pp
        given: dict[str, Any] = {"zero": how.zero, "optimizer": optimizer}
        dense = states(kinds["dense"], how.dp * how.cp, **given)
        return dense.total_bytes + states(kinds["experts"], how.expert_dp, **given).total_bytes

    def _tables(self, experts: int) -> Iterator[dict[str, Any]]:
        for tp in divisors(self.devices):
            for cp in divisors(self.devices // tp):
                for dp in divisors(self.devices // (tp * cp)):
                    pp = self.devices // (tp * cp * dp)
                    degrees = {"tp": tp, "cp": cp, "dp": dp, "pp": pp}
                    for ep in divisors(experts):
                        apart = {} if ep == 1 else {"ep": ep, "etp": 1}
                        for sp in (False, True) if tp > 1 else (False,):
                            for sent in self._sent(ep):
                                yield {**degrees, **apart, "sp": sp, **sent}

    def _sent(self, ep: int) -> Iterator[dict[str, Any]]:
        """How rows go to experts, as far as that is not said."""
        free = {name: words for name, words in SENT.items() if ep > 1 and name not in self.given}
        for words in product(*free.values()):
            yield dict(zip(free, words, strict=True))
