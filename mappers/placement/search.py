"""Good expert placements: exact best responses layer by layer, kicked out of local optima.

With the other layers fixed, the best placement of one layer is a transportation problem, solved
exactly as a linear assignment of experts to device slots. `settle` repeats it until no layer can
improve; `search` then disturbs the best placement so far and settles again, for ever, yielding each
better one. A largest-load term is not linear, so that exchanges of two experts follow where it
counts.
"""

from collections.abc import Iterable, Iterator
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from hwmodel.experts.statistics import Counts
from hwmodel.mappers.placement.problem import Assignment, Problem, assign, is_feasible, value
from hwmodel.quantity.errors import SolverError

Devices: TypeAlias = NDArray[np.int64]
"""Device of each expert of one layer, `(experts,)`."""

KICK_SWAPS = 6
"""Most exchanges of one disturbance."""


def attraction(posed: Problem, assignment: Assignment, layer: int) -> Counts:
    """Link cost of a layer's experts by device, the other layers fixed, `(experts, devices)`."""
    found = np.zeros((posed.experts, posed.devices))
    for a, b, counts in posed.pairs:
        if a == layer:
            found += _by_device(counts, assignment[b], posed.devices) @ posed.cost.T
        elif b == layer:
            found += _by_device(counts.T, assignment[a], posed.devices) @ posed.cost
    return found


def best_response(posed: Problem, cost: Counts, layer: int) -> Devices:
    """Cheapest placement of a layer for a cost `(experts, devices)`, all constraints kept."""
    slots = np.repeat(np.arange(posed.devices), posed.most)
    table = np.where(posed.allowed[layer], cost, np.inf)[:, slots]
    empty = slots.size - posed.experts
    if empty:  # rows of nobody, kept from the slots that a device must fill
        must = np.tile(np.arange(posed.most) < posed.least, posed.devices)
        table = np.vstack(
            [table, np.broadcast_to(np.where(must, np.inf, 0.0), (empty, slots.size))]
        )
    try:
        return slots[assign(table)[: posed.experts]]
    except ValueError:
        raise SolverError(
            f"placement, layer position {layer}: pinned and forbidden devices leave no way to"
            f" place {posed.experts} experts, {posed.least} to {posed.most} on each device"
        ) from None


def settle(posed: Problem, start: Assignment, dirty: Iterable[int] | None = None) -> Assignment:
    """Best responses of all layers that may improve, until none does."""
    placed = start.copy()
    waiting = list(range(posed.layers)) if dirty is None else list(dirty)
    while waiting:
        layer = waiting.pop(0)
        cost = attraction(posed, placed, layer)
        row = best_response(posed, cost, layer)
        here = np.arange(posed.experts)
        gain = cost[here, placed[layer]].sum() - cost[here, row].sum()
        old = placed[layer].copy()
        if gain > 1e-9 * max(1.0, abs(cost[here, old].sum())):
            before = value(posed, placed) if posed.load_cost else 0.0
            placed[layer] = row
            if posed.load_cost and value(posed, placed) >= before:
                placed[layer] = old
        if posed.load_cost:
            _exchange(posed, placed, layer)
        if (placed[layer] != old).any():
            waiting += sorted(posed.neighbours(layer) - set(waiting))
    return placed


def starts(posed: Problem, random: np.random.Generator) -> Iterator[Assignment]:
    """Placements to begin from: consecutive experts, affine experts, then random ones for ever."""
    parts = np.array_split(np.arange(posed.experts), posed.devices)
    row = np.concatenate([np.full(len(part), d) for d, part in enumerate(parts)])
    plain = np.tile(row, (posed.layers, 1))
    yield plain if is_feasible(posed, plain) else _feasible(posed, plain)
    yield _affine(posed, random)
    while True:
        yield _feasible(posed, np.stack([random.permutation(row) for _ in range(posed.layers)]))


def search(posed: Problem, random: np.random.Generator) -> Iterator[Assignment]:
    """Better and better placements, for ever; the same one again where a try brought nothing."""
    begin = starts(posed, random)
    best = next(begin)
    yield best
    worth = value(posed, best)
    for number in range(12):
        start = next(begin)
        if (got := value(posed, start)) < worth:  # kept, should the settling be interrupted
            best, worth = start, got
            yield best
        tried = settle(posed, start)
        if (got := value(posed, tried)) < worth:
            best, worth = tried, got
        yield best
        if number == 1 and posed.layers * posed.experts > 4096:
            break  # one settling takes seconds there: disturb the best at once
    current, level = best, worth
    while True:
        disturbed, dirty = _kick(posed, current, random)
        tried = settle(posed, disturbed, dirty)
        got = value(posed, tried)
        if got <= level:
            current, level = tried, got
        if got < worth:
            best, worth = tried, got
        yield best


def _by_device(counts: Counts, row: Devices, devices: int) -> Counts:
    """Columns of counts added up by the device of each column's expert, `(experts, devices)`."""
    member = np.zeros((row.size, devices))
    member[np.arange(row.size), row] = 1.0
    return counts @ member


def _feasible(posed: Problem, wanted: Assignment) -> Assignment:
    """The nearest placement that keeps the constraints, expert by expert."""
    rows = [
        best_response(posed, 1.0 - np.eye(posed.devices)[row], layer)
        for layer, row in enumerate(wanted)
    ]
    return np.stack(rows)


def _affine(posed: Problem, random: np.random.Generator) -> Assignment:
    """Group the first layer by likeness of what its experts lead to, then layer after layer."""
    placed = np.zeros((posed.layers, posed.experts), dtype=np.int64)
    profile = np.hstack(
        [w if a == 0 else w.T for a, b, w in posed.pairs if 0 in (a, b)] or [posed.loads[:1].T]
    )
    likeness = profile @ profile.T
    np.fill_diagonal(likeness, -np.inf)
    free = np.ones(posed.experts, dtype=bool)
    size = posed.experts // posed.devices
    for device in range(posed.devices - 1):
        seed = int(random.choice(np.flatnonzero(free)))
        group = [seed]
        free[seed] = False
        while len(group) < size:
            pull = np.where(free, likeness[group].sum(axis=0), -np.inf)
            group.append(int(np.argmax(pull)))
            free[group[-1]] = False
        placed[0, group] = device
    placed[0, free] = posed.devices - 1
    placed[0] = _feasible(posed, placed)[0]
    for layer in range(1, posed.layers):
        known = tuple(p for p in posed.pairs if max(p[:2]) == layer)
        part = Problem(known, posed.cost, posed.least, posed.most, posed.allowed, posed.loads)
        placed[layer] = best_response(part, attraction(part, placed, layer), layer)
    return placed


def _kick(
    posed: Problem, current: Assignment, random: np.random.Generator
) -> tuple[Assignment, list[int]]:
    """Exchange a few experts, or deal those of two devices anew in a run of layers."""
    placed = current.copy()
    layers = posed.layers
    if random.random() < 0.5 and posed.devices > 1:
        pair = random.choice(posed.devices, 2, replace=False)
        first = int(random.integers(layers))
        dirty = list(range(first, min(layers, first + int(random.integers(1, 5)))))
        for layer in dirty:
            among = np.flatnonzero(np.isin(placed[layer], pair))
            placed[layer, among] = random.permutation(placed[layer, among])
    else:
        centre = int(random.integers(layers))
        near = [layer for layer in range(centre - 1, centre + 2) if 0 <= layer < layers]
        dirty: list[int] = []
        for _ in range(int(random.integers(2, KICK_SWAPS + 1))):
            layer = int(random.choice(near))
            one, other = random.integers(posed.experts, size=2)
            placed[layer, [one, other]] = placed[layer, [other, one]]
            dirty.append(layer)
        dirty = sorted(set(dirty))
    if not posed.is_free:
        placed[dirty] = _feasible(posed, placed)[dirty]
    around = {n for layer in dirty for n in posed.neighbours(layer)} - set(dirty)
    return placed, sorted(around) + dirty


def _exchange(posed: Problem, placed: Assignment, layer: int) -> None:
    """Exchange experts of the busiest device with others while the value falls, in place."""
    row = placed[layer]
    while True:
        cost = attraction(posed, placed, layer)
        load = np.bincount(row, posed.loads[layer], posed.devices).astype(np.float64)
        top = float(load.max())
        heavy = np.flatnonzero(row == int(np.argmax(load)))
        best, move = -1e-12 * max(1.0, posed.load_cost * top), None
        for one in heavy:
            home = row[one]
            ok = posed.allowed[layer, one, row] & posed.allowed[layer, :, home] & (row != home)
            link = cost[one, row] - cost[one, home] + cost[:, home] - cost[np.arange(row.size), row]
            shift = posed.loads[layer, one] - posed.loads[layer]
            rest = _largest_without(load, home)[row]
            peak = np.maximum(rest, np.maximum(load[home] - shift, load[row] + shift))
            change = np.where(ok, link + posed.load_cost * (peak - top), np.inf)
            if change.min() < best:
                best, move = float(change.min()), (int(one), int(np.argmin(change)))
        if move is None:
            return
        row[[move[0], move[1]]] = row[[move[1], move[0]]]


def _largest_without(load: Counts, home: int) -> Counts:
    """For each device, the largest load of all but it and `home`; 0 where there is none."""
    rest = load.copy()
    rest[home] = 0.0
    order = np.argsort(rest)
    largest = np.full(load.size, rest[order[-1]])
    largest[order[-1]] = rest[order[-2]] if load.size > 1 else 0.0
    return largest


def regroup(moved: Counts, nodes: int) -> Devices:
    """New device numbers, in equal runs on nodes, so that little of `moved` leaves a node.

    `moved` is `(devices, devices)`. Starts from the order given and exchanges two devices of
    different nodes, the best exchange first, until none helps; never worse than the order given.
    """
    devices = moved.shape[0]
    both = moved + moved.T
    np.fill_diagonal(both, 0.0)
    node: Devices = np.arange(devices, dtype=np.int64) // (devices // nodes)
    while True:
        inside = _by_device(both, node, nodes)
        own = inside[np.arange(devices), node]
        gain = inside[:, node] - own[:, None]
        total = gain + gain.T - 2 * both
        total[node[:, None] == node[None, :]] = 0.0
        one, other = np.unravel_index(int(np.argmax(total)), total.shape)
        if total[one, other] <= 1e-9 * max(1.0, float(both.sum())):
            break
        node[[one, other]] = node[[other, one]]
    order = np.empty(devices, dtype=np.int64)
    order[np.argsort(node, kind="stable")] = np.arange(devices)
    return order
