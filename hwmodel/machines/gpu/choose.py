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

from hwmodel.hardware.hardware import Limits
from hwmodel.quantity.errors import CapacityError
from hwmodel.spine.activity import Activity, Rates, fold

Tile = TypeVar("Tile")
Sizes = TypeVar("Sizes")


def choose(
    activity: Callable[[Sizes, Tile, Limits], Activity],
    menu: Sequence[Tile],
    problem: Sizes,
    limits: Limits,
    rates: Rates,
    resolve: Callable[[Tile, Sizes, Limits], Tile] | None = None,
) -> Tile:
    """The tile of `menu` with the least predicted time, for each point of `problem`.

    `resolve` fills in what a tile leaves open (how often K is split, say) once the sizes are known.
    Raises `CapacityError` when the menu is empty.
    """
    if not menu:
        raise CapacityError("no tile of the menu fits this device")
    if len(menu) == 1:
        return menu[0] if resolve is None else resolve(menu[0], problem, limits)
    names = [field.name for field in fields(cast(Any, menu[0]))]
    columns = {
        name: np.array([[getattr(tile, name)] for tile in menu], dtype=np.float64) for name in names
    }
    column = cast(Tile, replace(cast(Any, menu[0]), **columns))
    if resolve is not None:
        column = resolve(column, problem, limits)
    time_s = np.asarray(fold(activity(problem, column, limits), rates).time_s)
    time_s = time_s + np.zeros((len(menu), 1))  # sizes may take a kernel that no tile changes
    best: NDArray[np.intp] = np.argmin(time_s, axis=0)[None]
    picked = {name: _pick(getattr(column, name), best) for name in names}
    return cast(Tile, replace(cast(Any, column), **picked))


def _pick(values: NDArray[np.float64], best: NDArray[np.intp]) -> Any:
    """The chosen row of a column at each point: a plain number for one point, an int if whole."""
    wide = np.broadcast_to(values, (len(values), best.shape[1])) if best.size > 1 else values
    chosen = np.take_along_axis(wide, best, axis=0)[0]
    if chosen.size > 1:
        return chosen
    value = float(chosen[0])
    return int(value) if value.is_integer() else value
