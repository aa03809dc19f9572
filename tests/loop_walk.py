"""A walk of a mapping's loop nest, tile by tile and point by point: what the closed forms must say.

Nothing here is shared with the evaluator. Time is the tuple of turns of the loops in time (and of
branches of splits) so far; a lane is the tuple of turns of the loops over arrays. Tiles are ranges
of ranks, and elements are counted as sets of index tuples. Partial sums are followed through the
number of points that were added to each element before.

A memory that all lanes share holds at each time what any of them asks for: their tiles as one set.
"""

from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from hwmodel.einsum.cascade import Cascade
from hwmodel.spine.mapping import Compute, Keep, Loop, Mapping, Nest, Split

Ranges = dict[str, tuple[int, int]]


@dataclass
class Episode:
    """One tile in one memory, from its entry to its end."""

    node: int
    start: tuple[int, ...]
    lane: tuple[int, ...]
    outer_lane: tuple[int, ...]
    ranges: tuple[tuple[str, tuple[int, int]], ...]
    elements: frozenset[tuple[int, ...]]


Homes = dict[Any, tuple[str, int, Episode]]
"""Innermost home by tensor: level, lanes outside, tile; and every home by (tensor, level)."""


@dataclass
class Walked:
    """Counts by (tensor, outer level, inner level), and the points at the nearest level."""

    fills: dict[Any, int] = field(default_factory=lambda: defaultdict(int))
    copies: dict[Any, int] = field(default_factory=lambda: defaultdict(int))
    drains: dict[Any, int] = field(default_factory=lambda: defaultdict(int))
    partials: dict[Any, int] = field(default_factory=lambda: defaultdict(int))
    returns: dict[Any, int] = field(default_factory=lambda: defaultdict(int))
    returned: dict[Any, int] = field(default_factory=lambda: defaultdict(int))
    touches: dict[Any, int] = field(default_factory=lambda: defaultdict(int))
    points: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    held: dict[str, int] = field(default_factory=lambda: defaultdict(int))


class Walk:
    def __init__(
        self, cascade: Cascade, mapping: Mapping, levels: list[str], shared: frozenset[str]
    ) -> None:
        self.cascade, self.levels, self.shared = cascade, levels, shared
        self.asked: dict[tuple[int, tuple[int, ...]], list[Episode]] = defaultdict(list)
        self.keeps: list[tuple[Keep, str, int, bool, bool]] = []
        self.numbers: dict[int, int] = {}
        self.held: dict[tuple[int, tuple[int, ...]], Episode] = {}
        self.episodes: list[Episode] = []
        self.added: dict[Any, list[tuple[tuple[int, ...], tuple[int, ...]]]] = defaultdict(list)
        self.seen: set[Any] = set()
        self.found = Walked()
        whole = {name: (0, int(size)) for name, size in cascade.sizes().items()}
        self.nest(mapping.nest, whole, (), (), {})
        self.settle()

    def nest(
        self,
        nest: Nest,
        ranges: Ranges,
        time: tuple[int, ...],
        lane: tuple[int, ...],
        homes: Homes,
    ) -> None:
        node, rest = nest[0], nest[1:]
        if isinstance(node, Loop):
            low, high = ranges[node.rank]
            for turn, begin in enumerate(range(low, high, node.tile)):
                inner = {**ranges, node.rank: (begin, min(begin + node.tile, high))}
                if node.array:
                    self.nest(rest, inner, time, (*lane, turn), homes)
                else:
                    self.nest(rest, inner, (*time, turn), lane, homes)
        elif isinstance(node, Keep):
            episode = self.enter(node, rest, ranges, time, lane, homes)
            name = f"part of {node.tensor}" if node.rank else node.tensor
            home = (node.level, 0 if node.level in self.shared else len(lane), episode)
            known = {**homes, name: home, (name, node.level): home}
            self.nest(rest, ranges, time, lane, known)
        elif isinstance(node, Split):
            for turn, branch in enumerate(node.branches):
                before = set(self.held)
                self.nest(branch, ranges, (*time, turn), lane, homes)
                for key in set(self.held) - before:
                    del self.held[key]  # tiles of a branch end with it
        else:
            assert isinstance(node, Compute)  # no tree that is walked here has boxes
            self.compute(node, ranges, time, lane, homes)

    def axes(self, tensor: str) -> list[Any]:
        for einsum in self.cascade.einsums:
            for access in (einsum.output, *einsum.reads):
                if access.tensor == tensor:
                    return [index for index in access.indices]
        raise AssertionError(tensor)

    def ranks(self, tensor: str) -> list[str]:
        return [rank for index in self.axes(tensor) for rank, _ in index.terms]

    def elements(self, tensor: str, ranges: Ranges) -> frozenset[tuple[int, ...]]:
        values: list[list[int]] = []
        for index in self.axes(tensor):
            names = [rank for rank, _ in index.terms]
            spans = [range(*ranges[rank]) for rank in names]
            factors = [factor for _, factor in index.terms]
            values.append(
                sorted(
                    {sum(f * i for f, i in zip(factors, at, strict=True)) for at in product(*spans)}
                )
            )
        return frozenset(product(*values))

    def enter(
        self,
        keep: Keep,
        rest: Nest,
        ranges: Ranges,
        time: tuple[int, ...],
        lane: tuple[int, ...],
        homes: Homes,
    ) -> Episode:
        if id(keep) not in self.numbers:
            inside = names_in(rest)
            outer, depth = homes[keep.tensor][:2] if keep.tensor in homes else (self.levels[0], 0)
            users = [
                e.name
                for e in self.cascade.einsums
                if keep.tensor in (e.name, *(a.tensor for a in e.reads))
            ]
            made = keep.tensor in inside
            private = made and keep.tensor not in self.cascade.outputs and set(users) <= set(inside)
            self.numbers[id(keep)] = len(self.keeps)
            self.keeps.append((keep, outer, depth, made, private))
        number = self.numbers[id(keep)]
        own = tuple((rank, ranges[rank]) for rank in self.ranks(keep.tensor))
        key = (number, lane)
        old = self.held.get(key)
        if old is not None and old.ranges == own:
            return old
        if keep.level in self.shared:
            episode = Episode(number, time, (), (), own, self.elements(keep.tensor, ranges))
            self.asked[number, time].append(episode)
            return episode
        depth = self.keeps[number][2]
        elements = self.elements(keep.tensor, ranges)
        part = homes.get(f"part of {keep.tensor}", ("", 0, None))[2]
        if keep.rank:
            axis = self.ranks(keep.tensor).index(keep.rank)
            elements = frozenset(e for e in elements if e[axis] < keep.points)
        elif part is not None and self.keeps[part.node][0].level == keep.level:
            elements -= part.elements
        episode = Episode(number, time, lane, lane[:depth], own, elements)
        self.held[key] = episode
        self.episodes.append(episode)
        return episode

    def compute(
        self,
        node: Compute,
        ranges: Ranges,
        time: tuple[int, ...],
        lane: tuple[int, ...],
        homes: Homes,
    ) -> None:
        einsum = self.cascade.einsum(node.einsum)
        tensors = dict.fromkeys((einsum.name, *(a.tensor for a in einsum.reads)))
        self.live(homes)
        for at in product(*(range(*ranges[rank]) for rank in einsum.ranks)):
            point = dict(zip(einsum.ranks, at, strict=True))
            step = tuple(point[rank] - ranges[rank][0] for rank in einsum.ranks)
            self.found.points[einsum.name] += 1
            for tensor in tensors:
                level, depth = homes[tensor][:2] if tensor in homes else (self.levels[0], 0)
                own = tuple(point[rank] for rank in self.ranks(tensor))
                access = (einsum.name, tensor, time, step, lane[:depth], own)
                if access not in self.seen:
                    self.seen.add(access)
                    self.found.touches[einsum.name, tensor, level] += 1
            (element,) = self.elements(einsum.name, {r: (i, i + 1) for r, i in point.items()})
            self.added[einsum.name, element].append((time, lane))

    def live(self, homes: Homes) -> None:
        """Elements held on the path at a leaf: every Keep around it holds its tile."""
        total: dict[str, int] = defaultdict(int)
        for name, (level, _, episode) in homes.items():
            if isinstance(name, tuple) and level not in self.shared:
                twice = self.keeps[episode.node][0].double
                total[level] += len(episode.elements) * (2 if twice else 1)
        for level, size in total.items():
            self.found.held[level] = max(self.found.held[level], size)

    def together(self) -> None:
        """Tiles of shared memories: those of all lanes at one time are one, until another comes."""
        before: dict[int, Any] = {}
        most: dict[int, int] = defaultdict(int)
        for (number, time), tiles in sorted(self.asked.items()):
            elements = frozenset[tuple[int, ...]]().union(*(tile.elements for tile in tiles))
            ranges = tuple(sorted({tile.ranges for tile in tiles}))
            if before.get(number) == ranges:
                continue
            before[number] = ranges
            self.episodes.append(Episode(number, time, (), (), tiles[0].ranges, elements))
            twice = 2 if self.keeps[number][0].double else 1
            most[number] = max(most[number], twice * len(elements))
        for number, size in most.items():
            self.found.held[self.keeps[number][0].level] += size

    def settle(self) -> None:
        """Turn episodes into transfers; array elements that enter at one time share each word."""
        self.together()
        shared: set[Any] = set()
        for episode in self.episodes:
            keep, outer, _, made, private = self.keeps[episode.node]
            if private:
                continue
            name = (keep.tensor, outer, keep.level)
            group = (episode.node, episode.start, episode.outer_lane)
            size = len(episode.elements)
            if not made:
                words = {(group, element) for element in episode.elements}
                self.found.copies[name] += size
                self.found.fills[name] += len(words - shared)
                shared |= words
                continue
            alone = (*group, episode.ranges) not in shared
            shared.add((*group, episode.ranges))
            self.found.partials[name] += size
            self.found.drains[name] += size * alone
            for element in episode.elements:
                added = self.added[keep.tensor, element]
                repeats = len(added) // self.per_element(keep.tensor)
                mine = sorted(t for t, lane in added if lane[: len(episode.lane)] == episode.lane)
                near = sorted(
                    t for t, lane in added if lane[: len(episode.outer_lane)] == episode.outer_lane
                )
                self.found.returned[name] += self.goes_on(mine, episode.start, repeats)
                self.found.returns[name] += alone * self.goes_on(near, episode.start, repeats)

    @staticmethod
    def goes_on(times: list[tuple[int, ...]], start: tuple[int, ...], repeats: int) -> bool:
        """Whether some, but not all, of the points of one sum were added before."""
        return bisect_left(times, start) % (len(times) // repeats) != 0

    def per_element(self, tensor: str) -> int:
        """Points that one element sums before it is complete."""
        einsum = self.cascade.einsum(tensor)
        total = 1
        for rank in einsum.ranks:
            if rank not in self.ranks(tensor):
                total *= int(self.cascade.sizes()[rank])
        return total


def names_in(nest: Nest) -> list[str]:
    found: list[str] = []
    for node in nest:
        if isinstance(node, Compute):
            found.append(node.einsum)
        elif isinstance(node, Split):
            for branch in node.branches:
                found += names_in(branch)
    return found


def walk(
    cascade: Cascade,
    mapping: Mapping,
    levels: list[str],
    shared: frozenset[str] = frozenset(),
) -> Walked:
    """Everything that the nest moves, found by running it; `shared` levels, of nests alone."""
    return Walk(cascade, mapping, levels, shared).found
