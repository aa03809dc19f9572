"""What the loops around a Keep hold and move, at many points at once.

A tensor of N bytes that is kept inside some loops crosses N times the turns of those loops over
ranks that it lacks, where a loop over one of its own ranks or the branches of a row stand between
them and its Keep. Sums that leave before they are complete come back: 2 n - 1 crossings for n. That
is exact for partial tiles, since the tiles of a rank add up to its size.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

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

    def at(self, where: Places) -> "Axis":
        """The same loop at some of the points."""
        return Axis(self.rank, self.tile[where], self.turns[where])


@dataclass(eq=False)
class Traffic:
    """Tiles and traffic of one form's tensors."""

    form: Form

    def __post_init__(self) -> None:
        """Sums that depend on the form alone, once for all."""
        self._touched = cache(self._find_touched)
        self._terms = cache(self._find_terms)

    def _tile(self, name: str, around: Sequence[Axis]) -> Value:
        """Bytes of a tensor's tile inside these loops."""
        held = self.form.tensors[name]
        size: Value = held.width
        looped = {axis.rank: axis for axis in around}
        for rank in held.ranks:
            size = size * (looped[rank].tile if rank in looped else self.form.sizes[rank])
        return size

    def _outer_turns(self, name: str, around: Sequence[Axis]) -> Value:
        """Turns of all loops over ranks that a tensor lacks."""
        ranks = self.form.tensors[name].ranks
        total: Value = 1.0
        for axis in around:
            if axis.rank not in ranks:
                total = total * axis.turns
        return total

    def _turns(self, name: str, around: Sequence[Axis], outer: int, depth: int) -> Value:
        """How often a tensor kept in `depth` loops crosses; `outer` of them stand around a row."""
        ranks = self.form.tensors[name].ranks
        total: Value = 1.0
        for at, axis in enumerate(around[:depth]):
            again = at < outer or any(a.rank in ranks for a in around[at + 1 : depth])
            if axis.rank not in ranks and again:
                total = total * axis.turns
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
            for at in places:
                size = size * around[at].turns
            total = total + size
        return total

    def _find_terms(
        self, dram: frozenset[str], looped: tuple[str, ...], first: int, last: int
    ) -> tuple[tuple[float, tuple[int, ...]], ...]:
        """Sums of bytes by which of the loops around repeat them."""
        found: dict[tuple[int, ...], float] = {(): 0.0}
        for name in self._touched(dram, first, last):
            ranks = self.form.tensors[name].ranks
            places = tuple(at for at, rank in enumerate(looped) if rank not in ranks)
            made = first <= self.form.makers.get(name, -1) <= last
            found[places] = found.get(places, 0.0) + self.form.bytes[name] * (1 + made)
            found[()] -= self.form.bytes[name] * made
        return tuple((size, places) for places, size in found.items() if size)

    def _find_touched(self, dram: frozenset[str], first: int, last: int) -> frozenset[str]:
        """Those of some tensors that the Einsums of a range touch."""
        return frozenset(t for t in dram if any(first <= at <= last for at in self.form.touches[t]))
