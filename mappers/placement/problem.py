"""Expert placement as an optimisation problem: what is minimised, and which placements are allowed.

    value = sum over transitions (i -> j) of count * cost[device of i, device of j]
          + load_cost * sum over layers of the largest device load

Mapspace `balanced`: every device holds `least` to `most` experts of each layer, one copy of each,
only where `allowed`. Layers are positions 0, 1, ... here. With `cost` 1 off the diagonal and
`load_cost` 0 the value is the number of crossings.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from hwmodel.experts.statistics import Counts, Routing
from hwmodel.quantity.errors import CapacityError, InputError

Assignment: TypeAlias = NDArray[np.int64]
"""Device of each expert, `(layers, experts)`."""


@dataclass(frozen=True, eq=False)
class Problem:
    """One placement problem.

    Attributes:
        pairs: (layer, next layer, counts `(experts, experts)`) of each pair with transitions.
        cost: cost of a transition, `(devices, devices)`, zero on the diagonal.
        least: experts of a layer that each device must hold.
        most: experts of a layer that each device can hold.
        allowed: where each expert may stand, `(layers, experts, devices)`.
        loads: choices of each expert, `(layers, experts)`.
        load_cost: cost of one choice on the busiest device of a layer.
    """

    pairs: tuple[tuple[int, int, Counts], ...]
    cost: Counts
    least: int
    most: int
    allowed: NDArray[np.bool_]
    loads: Counts
    load_cost: float = 0.0

    @property
    def layers(self) -> int:
        """Number of layers."""
        return self.allowed.shape[0]

    @property
    def experts(self) -> int:
        """Experts in each layer."""
        return self.allowed.shape[1]

    @property
    def devices(self) -> int:
        """Number of devices."""
        return self.allowed.shape[2]

    @property
    def is_free(self) -> bool:
        """Whether no expert is pinned to or kept from a device."""
        return bool(self.allowed.all())

    @property
    def is_exact(self) -> bool:
        """Whether every device holds the same number of experts of each layer."""
        return self.most * self.devices == self.experts

    @property
    def is_symmetric(self) -> bool:
        """Whether exchanging two devices changes nothing."""
        off = self.cost[~np.eye(self.devices, dtype=bool)]
        return self.is_free and (off.size == 0 or bool((off == off[0]).all()))

    @property
    def is_chain(self) -> bool:
        """Whether transitions run from each layer to the next alone."""
        return [(a, b) for a, b, _ in self.pairs] == [(k, k + 1) for k in range(self.layers - 1)]

    @property
    def counts_whole(self) -> bool:
        """Whether every possible value is a whole number."""
        whole = all((counts == np.floor(counts)).all() for _, _, counts in self.pairs)
        return whole and not self.load_cost and bool((self.cost == np.floor(self.cost)).all())

    def neighbours(self, layer: int) -> set[int]:
        """Layers that share transitions with this one."""
        return {b if a == layer else a for a, b, _ in self.pairs if layer in (a, b)}


def problem(
    routing: Routing,
    devices: int,
    *,
    cost: Counts | None = None,
    load_cost: float = 0.0,
    slack: int = 0,
    most: int | None = None,
    pinned: dict[tuple[int, int], int] | None = None,
    forbidden: dict[tuple[int, int], tuple[int, ...]] | None = None,
) -> Problem:
    """The problem of placing a routing's experts on devices.

    `cost` defaults to 1 for each crossing. A device holds experts / devices of each layer, `slack`
    more or fewer, and `most` at most (what its memory has room for). `pinned` and `forbidden` name
    (layer number, expert) and devices. Raises `InputError` for names that do not exist or an uneven
    division without slack, `CapacityError` where the experts have no room.
    """
    experts, layers = routing.experts, len(routing.layers)
    if devices < 1 or slack < 0:
        raise InputError(
            f"placement: expected one device or more and a slack of 0 or more, found {devices}"
            f" devices and slack {slack}"
        )
    if experts % devices and not slack:
        raise InputError(
            f"placement: {experts} experts do not divide evenly over {devices} devices; allow a"
            " slack of 1 or more, or choose a divisor"
        )
    least = max(0, experts // devices - slack)
    top = min(-(-experts // devices) + slack, experts)  # no device has use for more
    if most is not None:
        top = min(top, most)
        if top * devices < experts:
            raise CapacityError(
                f"placement: {devices} devices have room for {top} experts of each layer,"
                f" {top * devices} in all, and there are {experts}; add memory or devices"
            )
    matrix = 1.0 - np.eye(devices) if cost is None else np.asarray(cost, dtype=np.float64)
    good = matrix.shape == (devices, devices) and bool(np.isfinite(matrix).all())
    if not good or (matrix < 0).any() or np.diag(matrix).any():
        raise InputError(
            f"placement: expected a cost of 0 or more for each pair of {devices} devices and 0 on"
            f" the diagonal, found an array of shape {matrix.shape}"
        )
    allowed = np.ones((layers, experts, devices), dtype=bool)
    for (layer, expert), device in (pinned or {}).items():
        row = _row(routing, layer, expert, (device,), devices)
        allowed[row, expert] &= np.arange(devices) == device
    for (layer, expert), banned in (forbidden or {}).items():
        row = _row(routing, layer, expert, banned, devices)
        allowed[row, expert, list(banned)] = False
    position = {layer: place for place, layer in enumerate(routing.layers)}
    pairs = tuple(
        sorted(
            ((position[a], position[b], w) for (a, b), w in routing.transitions.items()),
            key=lambda pair: pair[:2],
        )
    )
    return Problem(pairs, matrix, least, top, allowed, routing.loads, load_cost)


def value(posed: Problem, assignment: Assignment) -> float:
    """What the problem minimises, for the search to compare by."""
    link = sum(
        float((counts * posed.cost[assignment[a][:, None], assignment[b][None, :]]).sum())
        for a, b, counts in posed.pairs
    )
    return link + posed.load_cost * float(sum(busiest(posed, assignment))) * bool(posed.load_cost)


def busiest(posed: Problem, assignment: Assignment) -> list[float]:
    """Largest device load of each layer."""
    rows = zip(assignment, posed.loads, strict=True)
    return [float(np.bincount(row, load, posed.devices).max()) for row, load in rows]


def assign(cost: Counts) -> NDArray[np.int64]:
    """Column of each row in the cheapest assignment; `ValueError` where there is none."""
    from scipy.optimize import linear_sum_assignment  # late: costly to load

    rows, columns = linear_sum_assignment(cost)
    found: NDArray[np.int64] = columns[np.argsort(rows)]
    return found


def is_feasible(posed: Problem, assignment: Assignment) -> bool:
    """Whether a placement is in the mapspace."""
    held = np.stack([np.bincount(row, minlength=posed.devices) for row in assignment])
    inside = bool(((held >= posed.least) & (held <= posed.most)).all())
    layer, expert = np.ogrid[: posed.layers, : posed.experts]
    return inside and bool(posed.allowed[layer, expert, assignment].all())


def _row(routing: Routing, layer: int, expert: int, devices: tuple[int, ...], count: int) -> int:
    where = f"placement of expert {expert} of layer {layer}"
    if layer not in routing.layers or not 0 <= expert < routing.experts:
        raise InputError(
            f"{where}: expected a layer of {list(routing.layers)} and an expert of 0 to"
            f" {routing.experts - 1}"
        )
    for device in devices:
        if not 0 <= device < count:
            raise InputError(f"{where}: expected a device of 0 to {count - 1}, found {device}")
    return routing.layers.index(layer)
