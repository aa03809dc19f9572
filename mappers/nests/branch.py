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
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from hwmodel.mappers.nests.interleave import (
    Bools,
    Box,
    Costs,
    Floats,
    Grid,
    Ints,
    Space,
    costs,
    spreads,
)

BEAM = 200
"""Chains a layer of the first pass: more find better answers to prune by, and take longer."""
SCOUTS = 16
"""Choices of points over the array that the first pass looks at."""
CHUNK = 1 << 20
"""Chains that are grown at once, so that memory stays bounded."""
CLOSE = 1e-12
"""Values nearer than this, relatively, are equal: joules summed in another order differ so."""
PIVOTS = 16
"""Chains of each group that all others of it are compared with by rule (b)."""


@dataclass(frozen=True)
class Placed:
    """One keep: `points` of each rank that all elements together work on below it."""

    tensor: int
    level: int
    points: Box


@dataclass(frozen=True)
class Values:
    """Joules, seconds, and bytes of the outermost memory: of chains, or what they cannot beat."""

    energy: Floats
    time: Floats
    traffic: Floats

    def __getitem__(self, which: Any) -> "Values":
        return Values(self.energy[which], self.time[which], self.traffic[which])


@dataclass(frozen=True)
class Chain:
    """A whole mapping: `axes` are the points of each rank that go over each axis at once."""

    keeps: tuple[Placed, ...]
    axes: tuple[Box, ...]
    values: Values


@dataclass(frozen=True)
class Found:
    """The best chains, by energy, and how many partial and whole ones were looked at."""

    chains: tuple[Chain, ...]
    candidates: int


@dataclass(frozen=True)
class Objective:
    """Best is the least `order` of (energy, time, traffic); with `front`, all beaten in neither.

    `timed`: whether time decides between more than equals.
    """

    order: Callable[[Values], tuple[Floats, Floats]]
    timed: bool
    front: bool = False

    def hopeless(self, values: Values, best: list[Chain]) -> Bools:
        """Which lower bounds cannot better any of the answers in hand."""
        first, second = self.order(values)
        dropped = np.zeros(first.shape, np.bool_)
        for chain in best:
            least, then = self.order(chain.values)
            both = (first >= least * (1 - CLOSE)) & (second >= then * (1 - CLOSE))
            dropped |= both if self.front else both | (first > least * (1 + CLOSE))
        return dropped


OBJECTIVES = {
    "traffic": Objective(lambda v: (v.traffic, v.energy), timed=False),
    "energy": Objective(lambda v: (v.energy, v.time), timed=False),
    "latency": Objective(lambda v: (v.time, v.energy), timed=True),
    "edp": Objective(lambda v: (v.energy * v.time, v.energy), timed=True),
    "front": Objective(lambda v: (v.energy, v.time), timed=True, front=True),
}


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
    parent: Ints
    tensor: Ints

    def take(self, which: Any) -> "Chains":
        """Some of them."""
        return Chains(*(getattr(self, field.name)[which] for field in fields(self)))

    @staticmethod
    def join(parts: list["Chains"]) -> "Chains":
        """All chains of several sets."""
        names = [field.name for field in fields(Chains)]
        return Chains(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


class BranchSearch:
    """What all choices of points over the array share, and the best chains so far."""

    def __init__(self, space: Space, objective: Objective) -> None:
        self.space, self.objective = space, objective
        self.grid = Grid(space.sizes)
        self.tensors = range(len(space.has))
        self.crossed: list[Floats] = []
        self.held: list[Floats] = []
        self.divisions: list[Ints] = []
        for t, has in enumerate(space.has):
            lacking = tuple(not each for each in has)
            words = space.over(space.sizes, t)
            turns = space.over(space.sizes, t, lacking=True) / self.grid.points(lacking)
            self.crossed.append(words * turns)
            self.held.append(space.word_bytes[t] * self.grid.points(has))
            self.divisions.append(self.grid.inside(has))
        self.rooms = [_rooms(size, min(space.word_bytes)) for size in space.capacity_bytes]
        self.after = [
            [self._after(level, t) for t in self.tensors] for level in range(1, space.levels + 1)
        ]
        self.best: list[Chain] = []
        self.candidates = 0

    def run(self) -> Found:
        """The best chains of all choices of points over the array."""
        parts = [BranchPart(self, over, split) for over, split in spreads(self.space).items()]
        bounds = [part.bound() for part in parts]
        joined = Values(
            *(np.concatenate([getattr(v, f.name) for v in bounds]) for f in fields(Values))
        )
        first, second = self.objective.order(joined)
        order = [int(at) for at in np.lexsort((second, first)) if first[at] < math.inf]
        for width, some in ((BEAM, order[:SCOUTS]), (0, order)):
            for at in some:
                if not self.objective.hopeless(bounds[at], self.best)[0]:
                    parts[at].search(width)
                    parts[at].tables.clear()
        chains = sorted(self.best, key=lambda chain: float(chain.values.energy))
        return Found(tuple(chains), self.candidates)

    def offer(self, chain: Chain) -> None:
        """Keep a chain that no kept one equals; let go of those that it beats."""
        beaten = [self.objective.hopeless(each.values, [chain]) for each in self.best]
        left = [each for each, lost in zip(self.best, beaten, strict=True) if not lost]
        self.best = [*left, chain]

    def to_go(self, level: int, weights: tuple[float, ...], window: Ints) -> Floats:
        """Least cost of the keeps of one level that are still to come, other levels left out.

        Indexed by [set of tensors to come, box of the window, room]; each word of tensor t that
        crosses costs weights[t]. Rounding room up to a tabulated amount only lowers the cost.
        """
        shape = (1 << len(self.tensors), len(window), len(self.rooms[level - 1]) + 1)
        table = np.full(shape, math.inf)  # the last column: what does not fit
        table[0, :, :-1] = 0.0
        here = np.arange(len(window))[:, None] * shape[2]
        after = [self.after[level - 1][t][window] + here for t in self.tensors]
        crossed = [self.crossed[t][window, None] * weights[t] for t in self.tensors]
        for coming in range(1, len(table)):
            for t in self.tensors:
                if coming >> t & 1:
                    cost = table[coming ^ (1 << t)].take(after[t])
                    cost += crossed[t]
                    np.minimum(table[coming, :, :-1], cost, out=table[coming, :, :-1])
            lengths = self.grid.exponents[window[-1]] - self.grid.exponents[window[0]] + 1
            folded = table[coming].reshape(*lengths, shape[2])
            for axis, length in enumerate(lengths):
                line = np.moveaxis(folded, axis, 0)
                for at in range(1, length):
                    np.minimum(line[at], line[at - 1], out=line[at])
        return table

    def _after(self, level: int, tensor: int) -> Ints:
        """Which room is left after a keep is placed: [box, room before it]; the last: none."""
        rooms = self.rooms[level - 1]
        left = rooms - self.held[tensor][:, None]
        return np.where(left >= 0, np.searchsorted(rooms, left), len(rooms))


def _rooms(capacity: float, least: float) -> Floats:
    """Amounts of room that lower bounds are tabulated for, ascending from none."""
    halvings = max(0, math.ceil(math.log2(capacity / least)))
    return np.array([0.0, *(capacity / 2**h for h in range(halvings, -1, -1))])


class BranchPart:
    """The search for one choice of points over the array."""

    def __init__(self, search: BranchSearch, over: Box, axes: tuple[Box, ...]) -> None:
        self.search_, self.space, self.over, self.axes = search, search.space, over, axes
        self.costs: Costs = costs(self.space, over)
        self.offset = search.grid.index(over)
        self.rates = np.array(self.space.bandwidth_bytes_per_s)
        self.tables: dict[tuple[int, str], Floats] = {}
        self.counted = ~np.isinf(self.rates) & (search.objective.timed or search.space.idle_w > 0)
        self.counted[0] |= search.objective is OBJECTIVES["traffic"]
        """Memories whose bytes matter before the end."""
        grid = search.grid
        self.window = np.flatnonzero((grid.exponents >= grid.exponents[self.offset]).all(axis=1))
        """Boxes that the array divides; less `offset`, the boxes of one element."""
        self.place = np.zeros(grid.boxes, np.int64)
        self.place[self.window] = np.arange(len(self.window))

    def start(self) -> Chains:
        """The chain of no keeps."""
        space = self.space
        return Chains(
            box=np.array([self.search_.grid.boxes - 1]),
            placed=np.zeros((1, len(space.has)), np.int64),
            used=np.zeros((1, space.levels)),
            energy=np.array([self.costs.energy_j]),
            moved=np.array([self.costs.moved]),
            parent=np.zeros(1, np.int64),
            tensor=np.zeros(1, np.int64),
        )

    def bound(self) -> Values:
        """What no chain falls below; the tables behind it are let go of."""
        least = self.least(self.start())
        self.tables.clear()
        return least

    def table(self, level: int, side: str) -> Floats:
        """The table of least cost to go at a level, on one side of its crossings."""
        if (level, side) not in self.tables:
            weights = [getattr(crossing, side) for crossing in self.costs.crossings[level - 1]]
            window = self.window
            if level > self.space.shared:  # boxes there are of one element
                window = window - self.offset
                for t in self.search_.tensors:
                    weights[t] /= self.space.over(self.over, t, lacking=True)
            self.tables[level, side] = self.search_.to_go(level, tuple(weights), window)
        return self.tables[level, side]

    def least(self, chains: Chains) -> Values:
        """What no completion of these chains falls below."""
        search, space = self.search_, self.space
        energy, moved = chains.energy.copy(), chains.moved.copy()
        box = self.place[chains.box]
        for level in range(1, space.levels + 1):
            coming = ((chains.placed < level) << np.array(search.tensors)).sum(axis=1)
            left = space.capacity_bytes[level - 1] - chains.used[:, level - 1]
            room = np.searchsorted(search.rooms[level - 1], left)
            energy += self.table(level, "energy_j")[coming, box, room]
            for memory, side in ((level - 1, "above_bytes"), (level, "below_bytes")):
                if self.counted[memory]:
                    moved[:, memory] += self.table(level, side)[coming, box, room]
        time = np.maximum(self.costs.time_s, (moved / self.rates).max(axis=1))
        if space.idle_w > 0:
            energy += space.idle_w * time
        return Values(energy, time, moved[:, 0])

    def search(self, width: int) -> None:
        """Offer the best chains; with a width, only of that many chains a layer."""
        layers, objective = [self.start()], self.search_.objective
        for _ in range(self.space.levels * len(self.space.has)):
            grown = [
                found
                for level in range(1, self.space.levels + 1)
                for tensor in self.search_.tensors
                for found in self._grow(layers[-1], tensor, level)
            ]
            if not grown:
                return
            chains = self._undominated(Chains.join(grown))
            if width and len(chains.box) > width:
                first, second = objective.order(self.least(chains))
                chains = chains.take(np.lexsort((second, first))[:width])
            layers.append(chains)
        values = self.least(layers[-1])
        first, second = objective.order(values)
        for at in np.lexsort((second, first)):
            if not objective.hopeless(values[at], self.search_.best):
                self.search_.offer(self._trace(layers, int(at), values[at]))

    def _grow(self, chains: Chains, tensor: int, level: int) -> Iterator[Chains]:
        """All chains with one more keep that can still be best."""
        search, grid = self.search_, self.search_.grid
        divisions = search.divisions[tensor]
        parents = np.flatnonzero(chains.placed[:, tensor] == level - 1)
        lengths = max(1, CHUNK // len(divisions))
        for begin in range(0, len(parents), lengths):
            some = parents[begin : begin + lengths]
            spare = grid.exponents[chains.box[some]] - grid.exponents[self.offset]
            fits = (spare[:, None, :] >= grid.exponents[divisions]).all(axis=2)
            which, division = np.nonzero(fits)
            which, box = some[which], chains.box[some[which]] - divisions[division]
            size = search.held[tensor][box - (self.offset if level > self.space.shared else 0)]
            fits = chains.used[which, level - 1] + size <= self.space.capacity_bytes[level - 1]
            which, box, size = which[fits], box[fits], size[fits]
            search.candidates += len(which)
            if not len(which):
                continue
            grown = chains.take(which)
            grown.box, grown.parent = box, which
            grown.tensor = np.full(len(which), tensor)
            grown.placed[:, tensor] = level
            grown.used[:, level - 1] += size
            words, crossing = search.crossed[tensor][box], self.costs.crossings[level - 1][tensor]
            grown.energy += words * crossing.energy_j
            grown.moved[:, level - 1] += words * crossing.above_bytes
            grown.moved[:, level] += words * crossing.below_bytes
            hopeless = search.objective.hopeless(self.least(grown), search.best)
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
        return Chain(tuple(reversed(keeps)), self.axes, values)

    def _undominated(self, chains: Chains) -> Chains:
        """Rule (b), against a few chains of each group: those it spares cost time, not truth."""
        levels = self.space.levels + 1
        group: Ints = chains.box
        for t in self.search_.tensors:
            group = group * levels + chains.placed[:, t]
        worth = np.column_stack((chains.energy, chains.used, chains.moved[:, self.counted]))
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


def search(space: Space, objective: str) -> Found:
    """The best chains of the mapspace, proven; empty where none fits."""
    return BranchSearch(space, OBJECTIVES[objective]).run()
