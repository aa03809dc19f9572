"""The best tile of a menu: every candidate folded at once, the fastest kept, point by point.

A menu is tried as one record whose fields are columns (candidates x 1), so that it broadcasts
against sizes (points). The answer is a record again: plain ints for one point, arrays for many. A
library kernel is modelled as the best of its menu; a tile that does not fit is no candidate.
"""

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from hwmodel.activity import Activity, Rates, fold
from hwmodel.errors import CapacityError
from hwmodel.hardware import Limits

Tile = TypeVar("Tile")
Problem = TypeVar("Problem")


def choose(
    activity: Callable[[Problem, Tile, Limits], Activity],
    menu: Sequence[Tile],
    problem: Problem,
    limits: Limits,
    rates: Rates,
) -> Tile:
    """The tile of `menu` with the least predicted time, for each point of `problem`.

    Raises `CapacityError` when the menu is empty.
    """
    if not menu:
        raise CapacityError("no tile of the menu fits this device")
    if len(menu) == 1:
        return menu[0]
    columns = _columns(menu)
    column = cast(Tile, replace(cast(Any, menu[0]), **columns))
    time_s = np.asarray(fold(activity(problem, column, limits), rates).time_s)
    best: NDArray[np.intp] = np.argmin(time_s, axis=0)
    if best.size == 1 and best.ndim <= 1 and time_s.shape[-1] == 1:
        return menu[int(best.reshape(-1)[0])]
    picked = {name: values[best, 0] for name, values in columns.items()}
    return cast(Tile, replace(cast(Any, column), **picked))


def _columns(menu: Sequence[Any]) -> dict[str, NDArray[np.float64]]:
    """Each field of the candidates as a column of floats."""
    return {
        field.name: np.array([[getattr(tile, field.name)] for tile in menu], dtype=np.float64)
        for field in fields(menu[0])
    }
