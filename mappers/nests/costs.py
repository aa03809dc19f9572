"""Costs: what a loop nest costs on a machine, and the least that any schedule can cost.

Bytes, seconds and joules are worked out by the nest's counts, the named accounting rules and the
machine's rates. The bound that stands beside them holds for any schedule:

    traffic    `bounds.bound_of` between the outermost memory and all memories inside of it
    latency    the larger of operations / rate and that traffic / bandwidth
    energy     operations, that traffic at the outermost memory, every other access that the
               arithmetic makes at the cheapest inner memory, and idle power for that latency
    edp        the product of the last two
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from hwmodel.bounds.bound import LevelBound, bound_of
from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.counts import cascade_counts, elements, points, stored_ranks
from hwmodel.hardware.hardware import Hardware, limits
from hwmodel.machines.spatial.counts import Counts
from hwmodel.machines.spatial.hops import has_network, hop_bytes, waits_s
from hwmodel.machines.spatial.nest import evaluate
from hwmodel.machines.spatial.rates import rates, unit_of
from hwmodel.machines.spatial.rules import Rules, activity
from hwmodel.machines.spatial.sparsity import thin, thinned
from hwmodel.quantity.arithmetic import most
from hwmodel.quantity.dtypes import bytes_of
from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Rates, Work, fold, totals
from hwmodel.spine.mapping import Mapping as LoopNest
from hwmodel.spine.power import energy_j

ONCE = "every element once, in its format, where a tile that it meets holds a value"
OBJECTIVES: Mapping[str, str] = {"traffic": "bytes", "energy": "J", "latency": "s", "edp": "J s"}
"""What a mapper can minimise, and its unit."""


@dataclass(frozen=True, eq=False)
class Costs:
    """What a mapping costs under the rules on a machine.

    `work` holds bytes read and written by level and operations by unit; `busy_s` the seconds that
    each resource needs, of which the longest binds.
    """

    counts: Counts
    traffic_bytes: int | float
    time_s: float
    energy_j: float
    busy_s: Mapping[str, float]
    work: Work

    @property
    def bottleneck(self) -> str:
        """The resource that is needed longest."""
        return max(self.busy_s, key=lambda name: self.busy_s[name])

    def value(self, objective: str) -> int | float:
        """The number that an objective minimises."""
        return _pick(objective, self.traffic_bytes, self.time_s, self.energy_j)


def cost(cascade: Cascade, hardware: Hardware, mapping: LoopNest, rules: Rules) -> Costs:
    """Count a mapping and charge it; raises as `hwmodel.machines.spatial.nest.evaluate` does."""
    left = thinned(cascade, hardware)
    counts = evaluate(cascade, mapping, limits(hardware), check_capacity=left is None)
    if left is not None:
        counts = thin(counts, mapping.nest, left, hardware)
    if has_network(hardware):
        counts = replace(counts, hop_bytes=hop_bytes(counts, hardware))
    if waits_s(hardware):
        counts = replace(counts, ways=len(cascade.einsums))
    done = activity(counts, rules, unit_of(hardware), array=bool(hardware.arrays))
    work = totals(done)
    charged = rates(hardware, work.operations)
    folded = fold(done, charged)
    outermost = next(iter(hardware.memories))
    return Costs(
        counts,
        counts.traffic_bytes(outermost),
        _number(folded.time_s),
        _number(energy_j(done, charged, folded.time_s)),
        {name: _number(seconds) for name, seconds in folded.busy_s.items()},
        work,
    )


def any_schedule(
    cascade: Cascade, hardware: Hardware, objective: str, counts: Counts | None = None
) -> tuple[LevelBound, float, str]:
    """The bound on traffic; the objective's least value for any schedule (see the module), and why.

    Without `counts` of a mapping accesses inside the chip are the least that the arithmetic makes.
    """
    check_objective(objective)
    capacity = limits(hardware).capacity_bytes
    outermost, *inner = capacity
    left = thinned(cascade, hardware)
    least = bound_of(cascade, sum(capacity[level] for level in inner), level=outermost)
    if left is not None:
        least = replace(least, bytes=left.once(outermost), reason=ONCE)
    moved = _number(least.bytes)
    unit, share = unit_of(hardware), 1.0 if left is None else left.operations
    done = {(unit(kind), kind, t): n * share for (kind, t), n in cascade_counts(cascade).items()}
    work = Work(operations=done, read={outermost: moved})
    charged = rates(hardware, done)
    folded = fold(work, charged)
    time_s = _number(folded.time_s)
    busiest = max(folded.busy_s, key=lambda name: _number(folded.busy_s[name]))
    reason = least.reason
    if objective == "latency" and busiest != outermost:
        reason = f"operations at the full rate of {busiest}"
    near = _near_bytes(cascade, counts, bool(hardware.arrays)) if left is None or counts else 0.0
    near_j = _cheapest_j(hardware, charged) * max(0.0, near - moved)
    joules = _number(energy_j(work, charged, time_s)) + near_j
    return least, _pick(objective, moved, time_s, joules), reason


def _cheapest_j(hardware: Hardware, charged: Rates) -> float:
    """Joules of the cheapest access inside of the outermost memory; sharing divides by elements."""
    elements = most(hardware.elements(name) for name in hardware.arrays) or 1
    _, *inner = hardware.memories
    each = [
        _number(charged.byte_j[level]) / (1 if hardware.memories[level].array else elements)
        for level in inner
    ]
    return float(min(each, default=0.0))


def _near_bytes(cascade: Cascade, counts: Counts | None, array: bool) -> float:
    """Least bytes that the arithmetic reads and writes at its nearest memories.

    First sums read nothing; how many are first in an array is the mapping's choice, so all may be.
    """
    if counts is not None:
        touches = counts.touches
        return float(sum((t.points if array else t.accesses) * t.element_bytes for t in touches))
    total = 0.0
    for einsum in cascade.einsums:
        done = _number(points(einsum, cascade))
        for name in {access.tensor for access in (einsum.output, *einsum.reads)}:
            summed = name == einsum.name and set(stored_ranks(name, cascade)) != {*einsum.ranks}
            again = done - _number(elements(name, cascade)) if summed and not array else 0.0
            total += (done + max(0.0, again)) * float(bytes_of(cascade.tensors[name].dtype))
    return total


def check_objective(objective: str) -> str:
    """The objective, if it is one; raises `UnknownNameError`."""
    if objective not in OBJECTIVES:
        raise UnknownNameError("objective", objective, OBJECTIVES)
    return objective


def _pick(objective: str, traffic_bytes: int | float, time_s: float, joules: float) -> int | float:
    table = {"traffic": traffic_bytes, "latency": time_s, "energy": joules}
    return joules * time_s if objective == "edp" else table[objective]


def _number(value: Amount) -> float:
    if isinstance(value, np.ndarray) and value.ndim:
        raise InputError(f"expected one point to map, found an array of {value.size}")
    return float(value)
