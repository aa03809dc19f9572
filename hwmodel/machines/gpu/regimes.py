"""Regimes of a kernel family: calls whose errors are alike, with an interval of their own.

One fit serves products that are known within 4 % (copied in bulk) and others within 10 (few rows
that threads copy). One interval of both is too wide for the former and too narrow for
the latter, so that a calibration may hold one for each regime (`Family.intervals`); where it holds
none, the number format's serves, and else the family's.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwmodel.hardware.calibration import Family
from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.schedules.triton_gemm import bulk
from hwmodel.quantity.arithmetic import where
from hwmodel.quantity.dtypes import element_bytes
from hwmodel.quantity.units import Amount


@dataclass(frozen=True)
class Regime:
    """Calls of one kind, by name; `holds` says by (problem, tile, limits) where."""

    name: str
    holds: Callable[[Any, Any, Limits], Any]


def ends(
    family: Family,
    used: tuple[str, ...],
    regimes: Sequence[Regime],
    problem: Any,
    tile: Any,
    limits: Limits,
) -> tuple[Amount, Amount]:
    """(low, high) multiples of the predicted time, by the first regime that holds at each point."""
    low: Amount
    high: Amount
    low, high = family.interval_of(used)
    for regime in reversed(regimes):
        own = family.interval_of(used, regime.name)
        here = regime.holds(problem, tile, limits)
        low, high = where(here, own[0], low), where(here, own[1], high)
    return low, high


def names(
    regimes: Sequence[Regime], problem: Any, tile: Any, limits: Limits, points: int
) -> NDArray[np.str_]:
    """Name of the first regime that holds at each of so many points; empty where none does."""
    found = np.full(points, "", dtype=object)
    for regime in reversed(regimes):
        found[np.broadcast_to(np.asarray(regime.holds(problem, tile, limits)), (points,))] = (
            regime.name
        )
    return found.astype(np.str_)


FEW_ROWS = 64
"""Rows of a product up to which kernels that copy by threads are narrow, or split long sums."""

WIDE_GROUP = 16
"""Query heads of a KV head above which attention of libraries is judged apart."""


def _by_threads(problem: Any, tile: Any, limits: Limits) -> Any:
    return tile.copy_bytes > 0


def _few_by_threads(problem: Any, tile: Any, limits: Limits) -> Any:
    return (tile.copy_bytes > 0) & (problem.M <= FEW_ROWS)


def _any(problem: Any, tile: Any, limits: Limits) -> Any:
    return True


def _by_element(problem: Any, tile: Any, limits: Limits) -> Any:
    return bulk(problem.K, element_bytes(problem.dtype_a)) == 0


def _wide(problem: Any, tile: Any, limits: Limits) -> Any:
    return problem.heads / problem.kv_heads > WIDE_GROUP


PRODUCTS = (
    Regime("few rows copied by threads", _few_by_threads),
    Regime("copied by threads", _by_threads),
    Regime("copied in bulk", _any),
)
"""Of cuBLAS: rows off 16 bytes and fp32 are copied by threads, all others in bulk.

Products of many waves are told better on the boards that were fitted (half of them within 2 %), but
on others and under the power limit no better than the rest, so that they are none of their own.
"""

ATTENTION = (Regime("wide groups", _wide),)

ROWS_OF_OURS = (Regime("by element", _by_element), Regime("described", _any))
"""Our own products: rows off 16 bytes are loaded element by element, others by descriptors."""
