"""Reach: which points of one rank a tile of another asks for, and how many they are in all.

A tile [a, b) of rank q asks for an interval of rank r whose ends are affine in a and b:

    from  floor((scale a + low) / tile)   to   floor((scale (b - 1) + high) / tile)

cut off at the ends of r. So it is in a band `low <= m - p <= high` of an iteration space (scale 1,
both ways; where m is partitioned, r is its outer part and `tile` the size of the inner one).

Tiles of q in turn ask for intervals whose ends never fall. With W_i the interval of turn i,

    visited   sum of |W_i|: points of r that cross where each turn brings its own anew
    widest    largest |W_i|: points of r that one turn holds
    union     points of r that any turn asks for: those that cross where what two turns in a row
              share stays in place

and `visited / union` is the mean number of turns that a point of r is asked for in.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

Ends = NDArray[np.int64]
Spans = tuple[Ends, Ends]
"""First points of intervals, and those behind their last ones, turn by turn."""


@dataclass(frozen=True)
class Reach:
    """What tiles of rank `of` (`points` of it) ask of rank `to` (`size` of it); None: no limit."""

    of: str
    to: str
    points: int
    size: int
    low: int | None
    high: int | None
    scale: int = 1
    tile: int = 1

    def turns(self, tile: int) -> Spans:
        """What each turn of a loop in tiles of `tile` walks."""
        begin = np.arange(0, self.points, tile, dtype=np.int64)
        return begin, np.minimum(begin + tile, self.points)

    def over(self, walked: Spans) -> Spans:
        """What intervals of `of` ask for; empty ones ask for nothing."""
        first, last = walked[0], walked[1] - 1
        begin, end = np.zeros_like(first), np.full_like(first, self.size)
        if self.low is not None:
            begin = np.clip((self.scale * first + self.low) // self.tile, 0, self.size)
        if self.high is not None:
            end = np.clip((self.scale * last + self.high) // self.tile + 1, 0, self.size)
        return begin, np.where(last < first, begin, np.maximum(begin, end))

    def spans(self, tile: int) -> Spans:
        """What each turn of a loop in tiles of `tile` asks for."""
        return self.over(self.turns(tile))

    def visited(self, tile: int) -> int:
        """Points of `to` that all turns ask for, each as often as it is asked for."""
        return sums((self,), (False,), tile)[0]

    def widest(self, tile: int) -> int:
        """Most points of `to` that one turn asks for."""
        return sums((self,), (False,), tile)[1]

    @cached_property
    def pairs(self) -> int:
        """Points of the two ranks together that are kept."""
        return self.visited(1)


@dataclass(frozen=True)
class Ask:
    """What a loop asks of a tensor's `rank`: reaches, one through another.

    `through` are the tensors in between: the loop asks for an interval of the first, of which what
    is computed asks for one of the second. A tensor that keeps what it has (a window that slides,
    a line buffer) computes, and asks for, what is new alone.
    """

    rank: str
    reaches: tuple[Reach, ...]
    through: tuple[str, ...] = ()

    @property
    def whole(self) -> int:
        """Points that any turn asks for."""
        return self.reaches[-1].size

    @property
    def slides(self) -> bool:
        """Whether two turns in a row may ask for the same point where nothing in between does."""
        last = self.reaches[-1]
        return last.of != last.to

    def visited(self, tile: int, kept: frozenset[str]) -> int:
        """Points that all turns ask for, each as often as it is asked for."""
        return sums(self.reaches, self._keeping(kept), tile)[0]

    def widest(self, tile: int, kept: frozenset[str]) -> int:
        """Most points that one turn asks for."""
        return sums(self.reaches, self._keeping(kept), tile)[1]

    def points(self, tile: int, kept: frozenset[str], *, fresh: bool) -> Ends:
        """Points that each turn asks for, or those of them that no turn before did."""
        asked = spans(self.reaches, self._keeping(kept), tile)
        begin, end = _fresh(asked) if fresh else asked
        return end - begin

    def _keeping(self, kept: frozenset[str]) -> tuple[bool, ...]:
        return tuple(name in kept for name in self.through)


@lru_cache(maxsize=65536)
def sums(reaches: tuple[Reach, ...], kept: tuple[bool, ...], tile: int) -> tuple[int, int]:
    """Points that all turns ask for of the last reach, and most of one turn."""
    begin, end = spans(reaches, kept, tile)
    sizes = end - begin
    return int(sizes.sum()), int(sizes.max())


def spans(reaches: tuple[Reach, ...], kept: tuple[bool, ...], tile: int) -> Spans:
    """What each turn asks for of the last reach."""
    asked = reaches[0].spans(tile)
    for reach, keeps in zip(reaches[1:], kept, strict=False):
        asked = reach.over(_fresh(asked) if keeps else asked)
    return asked


def _fresh(asked: Spans) -> Spans:
    """What no turn before asked for."""
    begin, end = asked
    before = np.concatenate((begin[:1], np.maximum.accumulate(end)[:-1]))
    begin = np.maximum(begin, before)
    return begin, np.maximum(begin, end)


@dataclass(frozen=True)
class Asking:
    """Who asks for what in a cascade; nothing where it has neither bands nor windows.

    Attributes:
        sizes: extents of ranks that are other than the cascade says: points that are asked for.
        asks: by (rank of a loop, tensor).
        bands: both ways, of ranks in a band.
        axes: ranks that index a tensor, where one of them is read in windows.
        taps: ranks of windows, which no loop walks.
    """

    sizes: Mapping[str, int] = field(default_factory=lambda: {})
    asks: Mapping[tuple[str, str], Ask] = field(default_factory=lambda: {})
    bands: Mapping[str, Reach] = field(default_factory=lambda: {})
    axes: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: {})
    taps: frozenset[str] = frozenset()

    @cached_property
    def windows(self) -> Mapping[str, frozenset[str]]:
        """Ranks that a loop walks beside its own, since windows of them are asked for."""
        found: dict[str, set[str]] = {}
        for (of, _), ask in self.asks.items():
            if of not in self.bands:
                found.setdefault(of, set()).add(ask.rank)
        return {of: frozenset(ranks) for of, ranks in found.items()}

    @cached_property
    def by_tensor(self) -> Mapping[str, Mapping[str, Ask]]:
        """What each loop asks of each tensor."""
        found: dict[str, dict[str, Ask]] = {}
        for (of, tensor), ask in self.asks.items():
            found.setdefault(tensor, {})[of] = ask
        return found
