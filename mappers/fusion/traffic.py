"""What the loops around a Keep hold and move, at many points at once.

A tensor of N bytes that is kept inside some loops crosses N times the turns of those loops over
ranks that it lacks, where a loop over one of its own ranks or the branches of a row stand between
them and its Keep. Sums that leave before they are complete come back: 2 n - 1 crossings for n. That
is exact for partial tiles, since the tiles of a rank add up to its size.

A loop that asks for intervals of a tensor (over a rank in a band, or of what reads windows) makes
as many turns as a point of the tensor is asked for in, in the mean: the points that all its tiles
ask for over those there are. It moves the tile, too: where it is the innermost loop that does, the
points that two turns in a row ask for stay, and it makes one turn. No tile is wider than what a
turn of the loops around asks for.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.typing import NDArray

from hwmodel.machines.spatial.reach import Ask
from hwmodel.mappers.fusion.form import Form, Numbers

Places = NDArray[np.intp]
Value = Numbers | float
"""A number at every point looked at, or one for all."""


@dataclass(frozen=True)
class Axis:
    """A loop around: its rank, and its tile and turns at every point looked at."""

    rank: str
    tile: Numbers
    turns: Numbers
    kept: frozenset[str] = frozenset()
    """Tensors that keep what they have of a window while the loop goes on."""

    def at(self, where: Places) -> "Axis":
        """The same loop at some of the points."""
        return Axis(self.rank, self.tile[where], self.turns[where], self.kept)


@dataclass(eq=False)
class Traffic:
    """Tiles and traffic of one form's tensors."""

    form: Form
    choices: dict[str, Numbers] = field(default_factory=lambda: {}, kw_only=True)
    """Tiles of each rank that are looked at, ascending."""

    def __post_init__(self) -> None:
        """Sums that depend on the form alone, once for all."""
        self._touched = cache(self._find_touched)
        self._terms = cache(self._find_terms)
        self._asking = cache(self._find_asking)

    def _tile(self, name: str, around: Sequence[Axis]) -> Value:
        """Bytes of a tensor's tile inside these loops."""
        held = self.form.tensors[name]
        size: Value = held.width
        looped = {axis.rank: axis for axis in around}
        asks = self.form.asking.by_tensor.get(name, {})
        asked = {
            asks[axis.rank].rank: self._asked(asks[axis.rank], axis, widest=True)
            for axis in around
            if axis.rank in asks
        }
        for rank in held.ranks:
            extent: Value = looped[rank].tile if rank in looped else self.form.sizes[rank]
            size = size * (np.minimum(extent, asked[rank]) if rank in asked else extent)
        return size

    def _asked(self, ask: Ask, axis: Axis, *, widest: bool = False) -> Numbers:
        """What turns of a loop ask of a tensor, at every point.

        That is the mean number of turns that one of its points is asked for in, or the widest turn.
        """
        tiles, mean, wide = self._asking(ask, axis.rank, axis.kept.intersection(ask.through))
        return (wide if widest else mean)[np.searchsorted(tiles, axis.tile)]

    def _find_asking(
        self, ask: Ask, rank: str, kept: frozenset[str]
    ) -> tuple[Numbers, Numbers, Numbers]:
        """Tiles of a rank, and what each asks for."""
        tiles = np.unique([*self.choices[rank], self.form.sizes[rank]])
        mean = [ask.visited(int(tile), kept) / ask.whole for tile in tiles]
        wide = [float(ask.widest(int(tile), kept)) for tile in tiles]
        return tiles, np.array(mean), np.array(wide)

    def _repeats(self, name: str, axis: Axis) -> Value:
        """Turns of a loop over a rank that a tensor lacks, as the tensor sees them."""
        ask = self.form.asking.asks.get((axis.rank, name))
        return axis.turns if ask is None else self._asked(ask, axis)

    def _outer_turns(self, name: str, around: Sequence[Axis]) -> Value:
        """Turns of all loops over ranks that a tensor lacks."""
        ranks = self.form.tensors[name].ranks
        total: Value = 1.0
        for axis in around:
            if axis.rank not in ranks:
                total = total * self._repeats(name, axis)
        return total

    def _turns(self, name: str, around: Sequence[Axis], outer: int, depth: int) -> Value:
        """How often a tensor kept in `depth` loops crosses; `outer` of them stand around a row."""
        ranks, moving = self.form.tensors[name].ranks, self.form.moving[name]
        total: Value = 1.0
        for at, axis in enumerate(around[:depth]):
            again = at < outer or any(a.rank in moving for a in around[at + 1 : depth])
            if axis.rank not in ranks and again:
                total = total * self._repeats(name, axis)
        return total

    def _moved(self, name: str, turns: Value, first: int, last: int) -> Value:
        """Bytes that cross: what is made is written, and read back for all but the first sums."""
        made = self.form.makers.get(name)
        if made is not None and first <= made <= last:
            return self.form.bytes[name] * (2 * turns - 1)
        return self.form.bytes[name] * turns

    def _floor(self, dram: frozenset[str], around: Sequence[Axis], first: int, last: int) -> Value:
        """At least so many bytes cross for the tensors that a row's subtrees keep themselves."""
        total: Value = 0.0
        for size, places in self._terms(dram, tuple(axis.rank for axis in around), first, last):
            for at, ask in places:
                repeats = around[at].turns if ask is None else self._asked(ask, around[at])
                size = size * repeats
            total = total + size
        return total

    def _find_terms(
        self, dram: frozenset[str], looped: tuple[str, ...], first: int, last: int
    ) -> tuple[tuple[float, tuple[tuple[int, Ask | None], ...]], ...]:
        """Sums of bytes by which of the loops around repeat them, and what these ask for."""
        found: dict[tuple[tuple[int, Ask | None], ...], float] = {(): 0.0}
        for name in self._touched(dram, first, last):
            ranks, asks = self.form.tensors[name].ranks, self.form.asking.by_tensor.get(name, {})
            places = tuple(
                (at, asks.get(rank)) for at, rank in enumerate(looped) if rank not in ranks
            )
            made = first <= self.form.makers.get(name, -1) <= last
            found[places] = found.get(places, 0.0) + self.form.bytes[name] * (1 + made)
            found[()] -= self.form.bytes[name] * made
        return tuple((size, places) for places, size in found.items() if size)

    def _find_touched(self, dram: frozenset[str], first: int, last: int) -> frozenset[str]:
        """Those of some tensors that the Einsums of a range touch."""
        return frozenset(t for t in dram if any(first <= at <= last for at in self.form.touches[t]))
