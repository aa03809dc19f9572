"""Branch and bound over the mapspace `interleaved`, whole layers of partial chains at a time.

A partial chain is a sequence of keeps placed so far, outermost first. Each layer places one more
keep in every way that the canonical form leaves (see `interleave`). A chain is
dropped only where that loses nothing:

(a) its cost so far and the least cost to go are no better than an answer in hand. The cost to go is
    a sum over levels of exact minima that regard one level alone, with its room rounded up;
(b) another chain, with the same keeps placed and the same points left, costs no more and holds no
    more: whatever completes the one completes the other.

A first pass keeps a few chains a layer and only looks for good answers to prune by; the second
drops nothing but by (a) and (b), so that what it leaves is the optimum. Both rules are tested
against search without any pruning.
"""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np

from hwmodel.mappers.nests.answers import OBJECTIVES, Answers, Chain, Placed, Values
from hwmodel.mappers.nests.interleave import (
    Bools,
    Box,
    Costs,
    Floats,
    Grid,
    Ints,
    Space,
    costs,
    crossings_of,
    elements_of,
    held_of,
)

CHUNK = 1 << 20
"""Chains that are grown at once, so that memory stays bounded."""
APART = 8
"""How far apart rooms are in tables of elements' own memories, which every part has anew."""
COUNTED = 16
"""Chains of a part that are counted in a row with no better one among them."""
PIVOTS = 16
"""Chains of each group that all others of it are compared with by rule (b)."""


@dataclass
class Chains:
    """Partial chains of one layer, one an entry of each array."""

    box: Ints
    placed: Ints
    """[chain, tensor]: the innermost level at which the tensor is kept already."""
    used: Floats
    """[chain, level]: bytes held."""
    energy: Floats
    moved: Floats
    """[chain, memory]: bytes read and written."""
    time: Floats
    """Seconds of the arithmetic alone, at the least."""
    parent: Ints
    tensor: Ints
    open: Bools
    """Whether loops in time outside of the array may still stand right above the last keep."""

    def take(self, which: Any) -> "Chains":
        """Some of them."""
        return Chains(*(getattr(self, field.name)[which] for field in fields(self)))

    @staticmethod
    def join(parts: list["Chains"]) -> "Chains":
        """All chains of several sets."""
        names = [field.name for field in fields(Chains)]
        return Chains(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


class BranchSearch:
    """What all choices of points over the array share."""

    def __init__(self, space: Space, answers: Answers) -> None:
        self.space, self.answers = space, answers
        self.objective = answers.objective
        self.grid = Grid(space.walked)
        self.tensors = range(len(space.has))
        self.crossed = {
            private: [crossings_of(space, self.grid, t, private=private) for t in self.tensors]
            for private in (False, True)
        }
        self.elements = [elements_of(space, self.grid, t) for t in self.tensors]
        self.held = [
            [held_of(space, self.grid, t, level) for t in self.tensors]
            for level in range(1, space.levels + 1)
        ]
        self.rates = np.array(space.bandwidth_bytes_per_s)
        self.timed = self.objective.timed or space.idle_w > 0
        self.counted = ~np.isinf(self.rates) & self.timed
        self.counted[0] |= self.objective is OBJECTIVES["traffic"]
        """Memories whose bytes matter before the end."""
        self.insides: dict[tuple[bool, ...], Ints] = {}
        self.rooms = [
            _rooms(size, min(space.word_bytes[level + 1]), 2 if level < space.shared else APART)
            for level, size in enumerate(space.capacity_bytes)
        ]
        self.tables: dict[tuple[int, str], Floats] = {}
        self.after = [
            [self._after(level, t) for t in self.tensors] for level in range(1, space.levels + 1)
        ]

    def inside(self, ranks: tuple[bool, ...]) -> Ints:
        """Indices of the boxes that hold one point of every rank but these."""
        if ranks not in self.insides:
            self.insides[ranks] = self.grid.inside(ranks)
        return self.insides[ranks]

    def crossing(self, level: int, tensor: int) -> Floats:
        """Times that a tensor crosses into a keep at a level, by box."""
        return self.crossed[level > self.space.shared][tensor]

    def to_go(self, level: int, crossed: Sequence[Floats], window: Ints) -> Floats:
        """Least cost of the keeps of one level that are still to come, other levels left out.

        Indexed by [set of tensors to come, box of the window, room]; a keep of tensor t with a box
        costs crossed[t]. Rounding room up to a tabulated amount only lowers the cost.
        """
        shape = (1 << len(self.tensors), len(window), len(self.rooms[level - 1]) + 1)
        table = np.full(shape, math.inf)  # the last column: what does not fit
        table[0, :, :-1] = 0.0
        here = np.arange(len(window))[:, None] * shape[2]
        after = [self.after[level - 1][t][window] + here for t in self.tensors]
        for coming in range(1, len(table)):
            for t in self.tensors:
                if coming >> t & 1:
                    cost = table[coming ^ (1 << t)].take(after[t])
                    cost += crossed[t][:, None]
                    np.minimum(table[coming, :, :-1], cost, out=table[coming, :, :-1])
            lengths = self.grid.exponents[window[-1]] - self.grid.exponents[window[0]] + 1
            _lowered(table[coming], lengths)
        return table

    def sides(self, level: int) -> Iterator[tuple[int, str]]:
        """What a keep at a level moves that matters before the end, and which side of it that is.

        Memories by their number, the array's links behind the last.
        """
        links = [(-1, "steps")] if level == self.space.shared + 1 else []
        for memory, side in ((level - 1, "above_bytes"), (level, "below_bytes"), *links):
            if self.counted[memory]:
                yield memory, side

    def weights(self, level: int, side: str) -> tuple[float, float]:
        """What a byte counts for in the memory above a level, and in its own."""
        if side == "energy_j":
            return self.space.joules(level)
        if side == "steps":
            return self.space.hops(level)
        return (1.0, 0.0) if side == "above_bytes" else (0.0, 1.0)

    def values(self, energy: Floats, moved: Floats, time_s: Floats) -> Values:
        """Of joules, of bytes by memory and of seconds of the arithmetic alone."""
        busy_s = np.zeros_like(moved)  # of a memory that never binds, though what fits not is inf
        np.divide(moved, self.rates, out=busy_s, where=~np.isinf(self.rates))
        seconds = np.maximum(time_s, busy_s.max(axis=1)) + self.space.waits_s
        if self.space.idle_w > 0:
            energy = energy + self.space.idle_w * seconds
        return Values(energy, seconds, moved[:, 0])

    def _after(self, level: int, tensor: int) -> Ints:
        """Which room is left after a keep is placed: [box, room before it]; the last: none."""
        rooms = self.rooms[level - 1]
        left = rooms - self.held[level - 1][tensor][:, None]
        return np.where(left >= 0, np.searchsorted(rooms, left), len(rooms))


def _lowered(table: Floats, lengths: Ints) -> None:
    """Write over each box, along axes of these lengths, the least of it and of what divides it.

    A slice at a time: that is vectorised, as `minimum.accumulate` is not.
    """
    outside = 1
    for length in lengths.tolist():
        lines = table.reshape(outside, length, -1)
        for at in range(1, length):
            np.minimum(lines[:, at], lines[:, at - 1], out=lines[:, at])
        outside *= length


def _rooms(capacity: float, least: float, apart: int) -> Floats:
    """Amounts of room that lower bounds are tabulated for, ascending from none."""
    steps = max(0, math.ceil(math.log(capacity / least, apart)))
    return np.array([0.0, *(capacity / apart**step for step in range(steps, -1, -1))])


class BranchPart:
    """The search for one choice of points over the array."""

    def __init__(self, search: BranchSearch, over: Box, axes: tuple[Box, ...]) -> None:
        self.search_, self.space, self.over, self.axes = search, search.space, over, axes
        self.costs: Costs = costs(self.space, over)
        self.offset = search.grid.index(over)
        self.fixed = self.space.fixed_over(over)
        self.tables: dict[tuple[int, str], Floats] = {}

    @cached_property
    def window(self) -> Ints:
        """Boxes that the array divides; less `offset`, the boxes of one element."""
        grid = self.search_.grid
        return np.flatnonzero(grid.divides(np.arange(grid.boxes), self.offset))

    @cached_property
    def place(self) -> Ints:
        """Where each box stands in the window."""
        place = np.zeros(self.search_.grid.boxes, np.int64)
        place[self.window] = np.arange(len(self.window))
        return place

    @cached_property
    def turns_s(self) -> Floats:
        """Seconds of the arithmetic, by the box that all elements share out among them.

        Each takes its part of a tile, and of the last one, which may be smaller, as long as there
        are points left. Ranks that are walked outside of the array leave it the least of tiles.
        """
        space, steps = self.space, np.ones(self.search_.grid.boxes)
        for rank, (size, over) in enumerate(zip(space.sizes, self.over, strict=True)):
            tiles = self.search_.grid.extents[rank]
            each = float(over) if self.fixed[rank] else np.maximum(tiles, over)
            steps *= size // each * (each / over) + np.minimum(each / over, size % each)
        return np.maximum(steps * space.step_s, space.floor_s)

    @cached_property
    def still(self) -> Bools:
        """Divisions by box that divide fixed ranks alone."""
        factors = enumerate(self.search_.grid.factors)
        moving = [at for at, (rank, _, _) in factors if not self.fixed[rank]]
        return np.asarray(~self.search_.grid.exponents[:, moving].any(axis=1))

    def _elements(self, level: int, tensor: int, box: Ints) -> tuple[Floats, Floats]:
        """Elements of all tiles of a keep, as the memories above and below it see them.

        By the box of one element where each has its own; those of copies are in `Crossing`.
        """
        elements, extents = self.search_.elements[tensor], self.search_.grid.extents
        every = box + (self.offset if level > self.space.shared else 0)
        alike = level == self.space.shared + 1 and not self.space.apart
        above, below = self.space.brought(level, tensor, extents[:, box], extents[:, every])
        return elements[every if alike else box] * above, elements[box] * below

    def _charged(self, level: int, side: str, box: Ints) -> list[Floats]:
        """What a keep of each tensor costs at a level, on one side of it or in joules."""
        outside, inside = self.search_.weights(level, side)
        found: list[Floats] = []
        for t, crossing in enumerate(self.costs.crossings[level - 1]):
            times = self.search_.crossing(level, t)[box]
            if level > self.space.shared:
                times = times / self.space.over(self.over, t, lacking=True)
            above, below = (times * n for n in self._elements(level, t, box))
            above, below = above * crossing.above_bytes, below * crossing.below_bytes
            found.append(above * outside + below * inside)
        return found

    def start(self) -> Chains:
        """The chain of no keeps."""
        space = self.space
        return Chains(
            box=np.array([self.search_.grid.boxes - 1]),
            placed=np.zeros((1, len(space.has)), np.int64),
            used=np.zeros((1, space.levels)),
            energy=np.array([self.costs.energy_j]),
            moved=np.array([self.costs.moved]),
            time=np.array([float(self.costs.time_s)]),
            parent=np.zeros(1, np.int64),
            tensor=np.zeros(1, np.int64),
            open=np.ones(1, np.bool_),
        )

    def bound(self) -> Values:
        """What no chain falls below."""
        return self.least(self.start())

    def table(self, level: int, side: str) -> Floats:
        """The table of least cost to go at a level, on one side of its crossings.

        Of memories that all elements share it is the same for all parts, boxes that the array does
        not divide among them.
        """
        tables, window = self.tables, self.window - self.offset  # boxes of one element
        if level <= self.space.shared:
            tables, window = self.search_.tables, np.arange(self.search_.grid.boxes)
        if (level, side) not in tables:
            charged = self._charged(level, side, window)
            tables[level, side] = self.search_.to_go(level, charged, window)
        return tables[level, side]

    def least(self, chains: Chains) -> Values:
        """What no completion of these chains falls below."""
        return self.search_.values(*self.to_come(chains, self.space.levels), chains.time)

    def to_come(self, chains: Chains, levels: int) -> tuple[Floats, Floats]:
        """Least joules and bytes of chains with what is still to be kept, to some level inwards."""
        search, space = self.search_, self.space
        energy, moved = chains.energy.copy(), chains.moved.copy()
        for level in range(1, levels + 1):
            box = chains.box if level <= space.shared else self.place[chains.box]
            coming = ((chains.placed < level) << np.array(search.tensors)).sum(axis=1)
            left = space.capacity_bytes[level - 1] - chains.used[:, level - 1]
            room = np.searchsorted(search.rooms[level - 1], left)
            energy += self.table(level, "energy_j")[coming, box, room]
            for memory, side in search.sides(level):
                moved[:, memory] += self.table(level, side)[coming, box, room]
        return energy, moved

    def search(self, width: int, deadline_s: float = math.inf) -> bool:
        """Offer the best chains; with a width, only of that many chains a layer.

        False where the time was over before all were looked at.
        """
        layers, objective = [self.start()], self.search_.objective
        for _ in range(self.space.levels * len(self.space.has)):
            grown: list[Chains] = []
            for level in range(1, self.space.levels + 1):
                for tensor in self.search_.tensors:
                    if time.perf_counter() > deadline_s:
                        return False
                    grown += self._grow(layers[-1], tensor, level)
            if not grown:
                return True
            chains = self._undominated(Chains.join(grown))
            if width and len(chains.box) > width:
                first, second = objective.order(self.least(chains))
                chains = chains.take(np.lexsort((second, first))[:width])
            layers.append(chains)
        values = self.least(layers[-1])
        first, second = objective.order(values)
        fruitless = 0
        for at in np.lexsort((second, first)):
            if fruitless == COUNTED:
                break
            if not self.search_.answers.hopeless(values[at], self.space.least)[0]:
                chain = self._trace(layers, int(at), values[at])
                better = self.search_.answers.offer(chain, self.space.least)
                fruitless = 0 if better else fruitless + 1
        return True

    def _grow(self, chains: Chains, tensor: int, level: int) -> Iterator[Chains]:
        """All chains with one more keep that can still be best."""
        ready = chains.placed[:, tensor] == level - 1
        rests = self.space.rests
        if level > self.space.shared and rests is not None and tensor != rests:
            ready &= chains.placed[:, rests] >= level
        for some, ranks in self._divided(chains, tensor):
            parents, divisions = np.flatnonzero(ready & some), self.search_.inside(ranks)
            yield from self._grown(chains, parents, tensor, level, divisions)

    def _divided(self, chains: Chains, tensor: int) -> Iterator[tuple[Any, tuple[bool, ...]]]:
        """Which ranks are divided right above a keep, by sets of chains (see `interleave`)."""
        has, fixed = self.space.has[tensor], self.fixed
        if not any(fixed):
            yield True, has
            return
        inner = chains.placed > self.space.shared
        begun = inner.any(axis=1)
        yield ~begun, has
        yield begun & ~chains.open, tuple(h and not f for h, f in zip(has, fixed, strict=True))
        for kept in np.unique(inner[begun & chains.open], axis=0):
            others = [self.space.has[t] for t in np.flatnonzero(kept)]
            free = [f and not any(own[r] for own in others) for r, f in enumerate(fixed)]
            ranks = tuple((h and not f) or o for h, f, o in zip(has, fixed, free, strict=True))
            yield begun & chains.open & (inner == kept).all(axis=1), ranks

    def _grown(
        self, chains: Chains, parents: Ints, tensor: int, level: int, divisions: Ints
    ) -> Iterator[Chains]:
        """Some chains with one more keep, after one of these divisions."""
        search, grid, (above_j, below_j) = self.search_, self.search_.grid, self.space.joules(level)
        leaving, taken = self.space.hops(level)
        own = self.offset if level > self.space.shared else 0
        lengths = max(1, CHUNK // len(divisions))
        for begin in range(0, len(parents), lengths):
            some = parents[begin : begin + lengths]
            spare = chains.box[some] - self.offset
            fits = grid.divides(spare[:, None], divisions)
            which, division = np.nonzero(fits)
            which, box = some[which], chains.box[some[which]] - divisions[division]
            size = search.held[level - 1][tensor][box - own]
            fits = chains.used[which, level - 1] + size <= self.space.capacity_bytes[level - 1]
            which, box, size = which[fits], box[fits], size[fits]
            search.answers.candidates += len(which)
            if not len(which):
                continue
            grown = chains.take(which)
            grown.box, grown.parent = box, which
            grown.tensor = np.full(len(which), tensor)
            grown.placed[:, tensor] = level
            grown.used[:, level - 1] += size
            if self.space.least and level > self.space.shared:
                began = (chains.placed[which] > self.space.shared).any(axis=1)
                grown.time = np.where(began, grown.time, self.turns_s[box])
            if any(self.fixed):
                began = (chains.placed[which] > self.space.shared).any(axis=1)
                stays = self.still[divisions[division]][fits] & (level > self.space.shared)
                grown.open &= ~began | stays
            times = search.crossing(level, tensor)[box]
            crossing = self.costs.crossings[level - 1][tensor]
            above, below = (times * each for each in self._elements(level, tensor, box - own))
            above, below = above * crossing.above_bytes, below * crossing.below_bytes
            grown.energy += above * above_j + below * below_j
            grown.moved[:, level - 1] += above
            grown.moved[:, level] += below
            grown.moved[:, -1] += above * leaving + below * taken
            hopeless = search.answers.hopeless(self.least(grown), self.space.least)
            if not hopeless.all():
                yield grown.take(~hopeless)

    def _trace(self, layers: list[Chains], at: int, values: Values) -> Chain:
        """A whole chain from its last keep back to its first."""
        keeps: list[Placed] = []
        for chains in reversed(layers[1:]):
            tensor = int(chains.tensor[at])
            points = self.search_.grid.box(chains.box[at])
            keeps.append(Placed(tensor, int(chains.placed[at, tensor]), points))
            at = int(chains.parent[at])
        return Chain(tuple(reversed(keeps)), self.axes, self.space.walked, values)

    def _undominated(self, chains: Chains) -> Chains:
        """Rule (b), against a few chains of each group: those it spares cost time, not truth."""
        levels = self.space.levels + 1
        group: Ints = chains.box
        for t in self.search_.tensors:
            group = group * levels + chains.placed[:, t]
        group = group * 2 + chains.open
        timed = chains.time[:, None] if self.search_.timed else chains.used[:, :0]
        worth = np.column_stack(
            (chains.energy, chains.used, chains.moved[:, self.search_.counted], timed)
        )
        order = np.lexsort((*(worth[:, at] for at in range(worth.shape[1])[::-1]), group))
        group, worth = group[order], worth[order]
        kept: list[Ints] = []
        for _ in range(PIVOTS):
            if not len(order):
                break
            heads = np.ones(len(order), np.bool_)
            heads[1:] = group[1:] != group[:-1]
            kept.append(order[heads])
            left = ~(worth >= worth[heads][np.cumsum(heads) - 1]).all(axis=1)
            order, group, worth = order[left], group[left], worth[left]
        return chains.take(np.concatenate((*kept, order)))
