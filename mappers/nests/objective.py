"""An objective as a function of the bytes that each buffer exchanges with the outer memory.

What a nest of one Einsum costs beyond its traffic is the same for every nest: operations, and what
the arithmetic reads and writes in the buffers. With Q_b the bytes between buffer b and the outer
memory, F_b those of b's first tiles, P_b the bytes that the arithmetic touches in b, B the
bandwidths and C the seconds of arithmetic, the rules of `hwmodel.machines.spatial.rules` come to

    overlap          t = max(C, sum Q_b / B_outer, (Q_b + P_b) / B_b for every b)
    ports            t = sum Q_b / min(B_outer, B_b) + max(C, P_b / B_b for every b)
    ports, twice     t = sum F_b / min(B_outer, B_b) + overlap's t of Q_b - F_b in place of Q_b

and joules to a constant, plus Q_b times the joules a byte at both ends, plus idle watts times t.
All of it grows with every Q_b and F_b, which is what the search's prunings need.
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.counts import cascade_counts
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.spatial.rates import rates, unit_of
from hwmodel.machines.spatial.rules import Rules
from hwmodel.quantity.arithmetic import most
from hwmodel.spine.activity import Rates, Work, fold
from hwmodel.spine.power import dynamic_j

Numbers: TypeAlias = NDArray[np.float64]
Value: TypeAlias = Callable[[Sequence[Numbers], Sequence[Numbers]], Numbers]
"""(bytes exchanged by each buffer, bytes of its first tiles) -> what is minimised."""


def charge(
    cascade: Cascade,
    hardware: Hardware,
    buffers: Sequence[str],
    touched_bytes: Sequence[float],
    *,
    objective: str,
    rules: Rules,
    double: bool,
) -> Value:
    """The objective for one Einsum; `touched_bytes` are P_b of each buffer, in order."""
    if objective == "traffic":
        return lambda moved, _: _total(moved)
    unit = unit_of(hardware)
    done = {(unit(kind), kind, t): n for (kind, t), n in cascade_counts(cascade).items()}
    charged = rates(hardware, done)
    arithmetic = Work(operations=done)
    least_s = float(fold(arithmetic, charged).time_s)
    near = dict(zip(buffers, touched_bytes, strict=True))
    constant_j = float(dynamic_j(Work(operations=done, read=near), charged))
    outermost = next(iter(hardware.memories))
    idle_w = float(charged.static_w)

    def time_s(moved: Sequence[Numbers], first: Sequence[Numbers]) -> Numbers:
        exposed = (
            [np.zeros(()) for _ in buffers] if not rules.exposed else first if double else moved
        )
        behind = [q - e for q, e in zip(moved, exposed, strict=True)]
        outer = _bandwidth(charged, outermost)
        ends = [
            (q, min(outer, _bandwidth(charged, b))) for q, b in zip(exposed, buffers, strict=True)
        ]
        inside = [
            (q + near[b]) / _bandwidth(charged, b) for q, b in zip(behind, buffers, strict=True)
        ]
        busy = most([least_s, _total(behind) / outer, *inside])
        return np.asarray(_total([q / rate for q, rate in ends]) + busy)

    def joules(moved: Sequence[Numbers], seconds: Numbers) -> Numbers:
        both = [float(charged.byte_j[outermost]) + float(charged.byte_j[b]) for b in buffers]
        return (
            _total([q * j for q, j in zip(moved, both, strict=True)])
            + constant_j
            + idle_w * seconds
        )

    def value(moved: Sequence[Numbers], first: Sequence[Numbers]) -> Numbers:
        seconds = time_s(moved, first)
        if objective == "latency":
            return seconds
        energy = joules(moved, seconds)
        return energy if objective == "energy" else energy * seconds

    return value


def _bandwidth(charged: Rates, level: str) -> float:
    return float(charged.read[level])


def _total(parts: Sequence[Numbers]) -> Numbers:
    total: Numbers = np.zeros(())
    for part in parts:
        total = total + part
    return total
