"""Optimal expert placements where that is quick: assignments, and dynamic programming.

Devices must be interchangeable and the layers a chain. Then only the partition of each layer into
groups matters, and how the groups of one layer match those of the next:

- one expert on a device: each pair of layers is a linear assignment problem of its own;
- few partitions, N! / (q!^D D!): dynamic programming over them along the chain, a transition
  between two partitions being the best matching of their groups.
"""

from itertools import combinations, permutations
from math import factorial

import numpy as np
from numpy.typing import NDArray

from hwmodel.experts.statistics import Counts
from hwmodel.mappers.placement.problem import Assignment, Problem, assign

MOST_ENTRIES = 200_000_000
"""Most work of a pair of layers: partitions squared, by devices squared; a second or two."""
CHUNK_ENTRIES = 8_000_000
"""Part of that which is in memory at once."""


def solve_exactly(posed: Problem) -> Assignment | None:
    """An optimal placement; None where neither method covers the problem."""
    chain = posed.is_chain and posed.is_symmetric and posed.is_exact and not posed.load_cost
    if not chain:
        return None
    if posed.devices == 1:
        return np.zeros((posed.layers, posed.experts), dtype=np.int64)
    if posed.most == 1:
        return _one_each(posed)
    return _by_partitions(posed) if _entries(posed) <= MOST_ENTRIES else None


def _entries(posed: Problem) -> int:
    """Work of `_by_partitions` for a pair of layers."""
    return partitions(posed.experts, posed.devices) ** 2 * posed.devices**2


def partitions(experts: int, devices: int) -> int:
    """How many ways there are to deal experts into equal groups without names."""
    return factorial(experts) // (factorial(experts // devices) ** devices * factorial(devices))


def _one_each(posed: Problem) -> Assignment:
    placed = np.zeros((posed.layers, posed.experts), dtype=np.int64)
    placed[0] = np.arange(posed.experts)
    for layer, _, counts in posed.pairs:
        follows = assign(-counts)
        placed[layer + 1, follows] = placed[layer]
    return placed


def _by_partitions(posed: Problem) -> Assignment:
    """Best placement; kept transitions are maximised, since crossing costs the same everywhere."""
    groups = _all_partitions(posed.experts, posed.devices)
    member = np.zeros((len(groups), posed.devices, posed.experts))
    which, what = np.meshgrid(np.arange(len(groups)), np.arange(posed.experts), indexing="ij")
    member[which, groups, what] = 1.0
    kept = np.zeros(len(groups))
    chunk = max(1, CHUNK_ENTRIES // (len(groups) * posed.devices**2))
    came: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
    for _, _, counts in posed.pairs:
        parts = [
            _step(member, kept, counts, slice(start, start + chunk))
            for start in range(0, len(groups), chunk)
        ]
        kept, source, matching = (np.concatenate(part) for part in zip(*parts, strict=True))
        came.append((source, matching))
    orders = np.array(list(permutations(range(posed.devices))))
    state = int(np.argmax(kept))
    path = [state]
    turns: list[NDArray[np.int64]] = []
    for source, matching in reversed(came):
        turns.append(orders[int(matching[state])])
        state = int(source[state])
        path.append(state)
    placed = np.zeros((posed.layers, posed.experts), dtype=np.int64)
    names = np.arange(posed.devices)  # device of each group of the layer at hand
    placed[0] = groups[path[-1]]
    for layer, (state, turn) in enumerate(zip(path[-2::-1], turns[::-1], strict=True), 1):
        fresh = np.empty_like(names)
        fresh[turn] = names
        names = fresh
        placed[layer] = names[groups[state]]
    return placed


def _step(
    member: Counts, kept: Counts, counts: Counts, part: slice
) -> tuple[Counts, NDArray[np.int64], NDArray[np.int64]]:
    """Most transitions kept up to some partitions of the next layer, whence, and by which order."""
    between = np.einsum("adi,ij,bej->deab", member, counts, member[part], optimize=True)
    devices = member.shape[1]
    best = np.full(between.shape[2:], -np.inf)
    matching = np.zeros(best.shape, dtype=np.int64)
    for number, order in enumerate(permutations(range(devices))):
        stay = between[np.arange(devices), list(order)].sum(axis=0)
        better = stay > best
        best[better], matching[better] = stay[better], number
    best += kept[:, None]
    source = np.argmax(best, axis=0)
    here = np.arange(len(best.T))
    return best[source, here], source, matching[source, here]


def _all_partitions(experts: int, devices: int) -> NDArray[np.int64]:
    """Group of each expert, for every partition into equal groups, `(partitions, experts)`."""
    size = experts // devices
    rows: list[list[int]] = []

    def deal(row: list[int], group: int) -> None:
        free = [expert for expert, name in enumerate(row) if name < 0]
        if not free:
            rows.append(row)
            return
        for others in combinations(free[1:], size - 1):
            dealt = row.copy()
            for expert in (free[0], *others):
                dealt[expert] = group
            deal(dealt, group + 1)

    deal([-1] * experts, 0)
    return np.array(rows)
