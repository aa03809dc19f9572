"""Floors: what no chain falls below, for all choices of points over the array at once.

A choice of points over the array is a part of the search (`branch.BranchPart`), and there may be
tens of thousands. Two bounds come before that of a part's own tables:

    at_once   arithmetic, and the least that the memories which all elements share must move
    near      and, at each memory of the elements, the least of its first keep alone: what is kept
              there after it works on no more than the first keep's box

Units: joules, seconds, bytes.
"""

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from hwmodel.mappers.nests.answers import Values
from hwmodel.mappers.nests.branch import BranchPart, BranchSearch
from hwmodel.mappers.nests.interleave import Box, Floats, Ints, costs

CHUNK = 1 << 20
"""Boxes that are looked at together, so that memory stays bounded."""


class Floors:
    """Bounds of the parts of one space, by the place of their points over the array."""

    def __init__(self, search: BranchSearch, overs: Sequence[Box]) -> None:
        self.search, self.space, self.count = search, search.space, len(overs)
        over = tuple(np.array(overs).T)
        self.offsets: Ints = np.zeros(self.count, np.int64) + search.grid.index(over)
        self.costs = costs(self.space, over)
        self.copies = [self.space.over(over, t, lacking=True) for t in search.tensors]
        sample = BranchPart(search, overs[0], ())  # all parts share the tables outside of elements
        start = sample.start()
        energy, moved = sample.to_come(start, self.space.shared)
        self.energy: Floats = np.zeros(self.count) + (energy - start.energy) + self.costs.energy_j
        each = [np.zeros(self.count) + size for size in self.costs.moved]
        self.moved: Floats = np.stack(each, axis=1) + (moved - start.moved)

    @cached_property
    def at_once(self) -> Values:
        """Of all parts."""
        return self.search.values(self.energy, self.moved, self.costs.time_s)

    def near(self, parts: Ints) -> Values:
        """Of some parts, the elements' own memories with them."""
        energy, moved = self.energy[parts], self.moved[parts]
        for level in range(self.space.shared + 1, self.space.levels + 1):
            sides = [(None, "energy_j"), *self.search.sides(level)]
            found = self._first(level, [side for _, side in sides], parts)
            for (memory, _), least in zip(sides, found, strict=True):
                if memory is None:
                    energy = energy + least
                else:
                    moved[:, memory] += least
        return self.search.values(energy, moved, self.costs.time_s[parts])

    def _first(self, level: int, sides: Sequence[str], parts: Ints) -> list[Floats]:
        """Least costs at an elements' memory by side, from its first keep alone."""
        search, grid = self.search, self.search.grid
        least = [np.full(len(parts), np.inf) for _ in sides]
        for t in search.tensors:
            divisions = search.inside(self.space.has[t])
            fits = search.held[level - 1][t] <= self.space.capacity_bytes[level - 1]
            step = max(1, CHUNK // len(divisions))
            for begin in range(0, len(parts), step):
                some = parts[begin : begin + step]
                top = grid.boxes - 1 - self.offsets[some]
                may = grid.divides(top[:, None], divisions)
                box = np.where(may, top[:, None] - divisions, 0)
                may &= fits[box]
                for side, best in zip(sides, least, strict=True):
                    costs = np.where(may, self._charged(level, side, some, box), np.inf)
                    own = best[begin : begin + step]
                    np.minimum(own, costs.min(axis=1), out=own)
        return least

    def _charged(self, level: int, side: str, parts: Ints, box: Ints) -> Floats:
        """What keeps of all tensors cost at a level with each box of one element, at the least."""
        search, space = self.search, self.space
        outside, inside = search.weights(level, side)
        alike = level == space.shared + 1 and not space.apart
        one = np.ones((len(space.sizes), 1))
        total = np.zeros(box.shape)
        for t, crossing in enumerate(self.costs.crossings[level - 1]):
            above, below = space.brought(level, t, one, one)
            copies, elements = self._of(self.copies[t], parts), search.elements[t]
            times = search.crossing(level, t)[box]
            if outside:
                held = elements[box + self.offsets[parts][:, None] if alike else box] * above
                share = self._of(crossing.above_bytes, parts) * outside / copies
                total += times * held * share
            if inside:
                share = self._of(crossing.below_bytes, parts) * inside / copies
                total += times * elements[box] * below * share
        return total

    def _of(self, each: object, parts: Ints) -> Floats:
        """A number of some parts, one in each row; those of all parts alike may be one alone."""
        return np.asarray(np.broadcast_to(np.asarray(each, np.float64), self.count)[parts, None])
