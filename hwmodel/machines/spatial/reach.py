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

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from hwmodel.einsum.cascade import Band, Cascade, Einsum
from hwmodel.machines.spatial.legal import Path
from hwmodel.quantity.errors import CoverageError
from hwmodel.quantity.units import Amount
from hwmodel.spine.mapping import Loop

Ends = NDArray[np.int64]


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

    def spans(self, tile: int) -> tuple[Ends, Ends]:
        """First point and the one behind the last, of each turn of a loop in tiles of `tile`."""
        first = np.arange(0, self.points, tile, dtype=np.int64)
        last = np.minimum(first + tile, self.points) - 1
        begin, end = np.zeros_like(first), np.full_like(first, self.size)
        if self.low is not None:
            begin = np.clip((self.scale * first + self.low) // self.tile, 0, self.size)
        if self.high is not None:
            end = np.clip((self.scale * last + self.high) // self.tile + 1, 0, self.size)
        return begin, np.maximum(begin, end)

    def visited(self, tile: int) -> int:
        """Points of `to` that all turns ask for, each as often as it is asked for."""
        return _sums(self, tile)[0]

    def widest(self, tile: int) -> int:
        """Most points of `to` that one turn asks for."""
        return _sums(self, tile)[1]

    @cached_property
    def pairs(self) -> int:
        """Points of the two ranks together that are kept."""
        return self.visited(1)


@lru_cache(maxsize=65536)
def _sums(reach: Reach, tile: int) -> tuple[int, int]:
    begin, end = reach.spans(tile)
    return int((end - begin).sum()), int((end - begin).max())


@dataclass(frozen=True)
class Near:
    """The reaches of a mapped cascade, as the loops of a path walk them; `where` names it."""

    where: str
    reaches: Mapping[tuple[str, str], Reach]

    def partner(self, rank: str) -> str:
        """The rank that another is in a band with; empty: none."""
        return next((to for of, to in self.reaches if of == rank), "")

    def check(self, loop: Loop, path: Path) -> None:
        """A banded rank is walked by one loop in time, as its intervals are of one tile size."""
        if self.partner(loop.rank) and (loop.array or path.steps(loop.rank)):
            raise CoverageError(
                f"{self.where}: {loop.rank} is in a band with {self.partner(loop.rank)} and walked"
                f" by {'an array' if loop.array else 'two loops'}; expected one loop in time"
            )

    def check_moved(self, tensor: str, ranks: Sequence[str], others: Iterable[str]) -> None:
        """Turns of two loops in a band are not counted for a tensor that has neither rank."""
        walked = set(others)
        for of, to in self.reaches:
            if {of, to} <= walked and not {of, to} & set(ranks):
                raise CoverageError(
                    f"{self.where}: {tensor} is kept inside loops over {of} and {to}, which are in"
                    " a band, and has neither; expected its Keep outside of one of them"
                )

    def check_repeats(self, einsum: Einsum, path: Path) -> None:
        """A loop over a rank that an Einsum lacks would repeat a part of it."""
        for loop in path.loops:
            if loop.rank not in einsum.ranks and self.partner(loop.rank) in einsum.ranks:
                raise CoverageError(
                    f"{self.where}: {einsum.name} lacks {loop.rank}, which is in a band with"
                    f" {self.partner(loop.rank)}; expected no loop over {loop.rank} around it"
                )

    def narrowed(self, extents: Mapping[str, int], path: Path) -> dict[str, int]:
        """Extents of a tile, no wider than what the loops around ask for."""
        found = dict(extents)
        for loop in path.loops:
            reach = self.reaches.get((loop.rank, self.partner(loop.rank)))
            if reach is not None and reach.to in found:
                found[reach.to] = min(found[reach.to], reach.widest(loop.tile))
        return found

    def turns(self, rank: str, ranks: Sequence[str], path: Path, stop: int) -> Fraction | None:
        """Mean turns of a loop over `rank` for a tensor of `ranks`; None where no band says."""
        reach = self.reaches.get((rank, self.partner(rank)))
        if reach is None or reach.to not in ranks:
            return None
        tiles = [tile for depth, tile, _ in path.steps(rank) if depth <= stop]
        return Fraction(reach.visited(tiles[0]), reach.size) if tiles else Fraction(1)

    def together(self, rank: str, ranks: Sequence[str], path: Path) -> tuple[int, int, int]:
        """All points of a banded rank as one class: (1, points, loop that brings others anew).

        Of two ranks in a band, both among `ranks`, the first has the points of both together.
        """
        other = self.partner(rank)
        reach = self.reaches[rank, other]
        last = max((at for at, tile, _ in path.steps(rank) if tile < reach.points), default=-1)
        if other not in ranks:
            turns = [at for at, tile, _ in path.steps(other) if tile < reach.size]
            return 1, reach.points, max([last, *(at - 1 for at in turns)])
        alone = list(ranks).index(rank) > list(ranks).index(other)
        return 1, 1 if alone else reach.pairs, last


def reaches(cascade: Cascade) -> tuple[dict[str, Amount], dict[tuple[str, str], Reach]]:
    """Extents of all ranks, of banded ones from the first kept point to the last; their reaches.

    Raises `CoverageError` for bands that are no interval between two ranks, that not all Einsums
    over both ranks have, or that leave out points of a rank which others need.
    """
    sizes = cascade.sizes()
    found: dict[tuple[str, str], Reach] = {}
    for one, other, low, high in _bands(cascade):
        parts = [r for r in cascade.ranks.values() if r.parent in (one, other)]
        _check(cascade, one, other, low, high)
        split = {rank.parent: rank for rank in parts if rank.part == 1}
        if len(parts) > 2 or len(split) > 1:
            raise CoverageError(
                f"cascade {cascade.name!r}: a band over {one} and {other}, in {len(parts)} parts;"
                " expected one of the two in an outer and an inner part at most"
            )
        inner = {rank.parent: _whole(rank.size, rank.name) for rank in parts if rank.part == 0}
        a, b = (split[r].name if r in split else r for r in (one, other))
        across, down = inner.get(one, 1), inner.get(other, 1)
        # low <= one - other <= high, with one = across a + (0 .. across - 1)
        sized = _whole(sizes[a], a), _whole(sizes[b], b)
        found[b, a] = Reach(
            *(b, a, sized[1], sized[0]),
            low,
            None if high is None else high + down - 1,
            down,
            across,
        )
        found[a, b] = Reach(
            *(a, b, sized[0], sized[1]),
            None if high is None else -high,
            None if low is None else across - 1 - low,
            across,
            down,
        )
        cropped = _cropped(cascade, found.pop((b, a)), found.pop((a, b)))
        found |= cropped
        sizes |= {reach.to: reach.size for reach in cropped.values()}
    return sizes, found


def _bands(cascade: Cascade) -> list[tuple[str, str, int | None, int | None]]:
    """Each pair of banded ranks, a and b, with its `low <= a - b <= high`, once."""
    found: dict[tuple[str, str], tuple[int | None, int | None]] = {}
    for einsum in cascade.einsums:
        for band in einsum.bands:
            names = tuple(name for name, _ in band.terms)
            if [factor for _, factor in band.terms] != [1, -1]:
                raise CoverageError(
                    f"Einsum {einsum.name}: a band over {', '.join(names)}; expected a difference"
                    " of two ranks, such as m - p"
                )
            found[names[0], names[1]] = _merged(cascade, einsum.bands, band.terms)
    ranks = [rank for pair in found for rank in pair]
    twice = next((rank for rank in ranks if ranks.count(rank) > 1), None)
    if twice is not None:
        raise CoverageError(
            f"cascade {cascade.name!r}: rank {twice} is in bands with two others; expected bands"
            " over separate pairs of ranks"
        )
    return [(*pair, *limits) for pair, limits in found.items()]


def _merged(
    cascade: Cascade, bands: tuple[Band, ...], terms: tuple[tuple[str, int], ...]
) -> tuple[int | None, int | None]:
    """All bands over the same difference at once."""
    same = [band for band in bands if band.terms == terms]
    where = f"a band of cascade {cascade.name!r}"
    low = [_whole(band.low, where) for band in same if band.low is not None]
    high = [_whole(band.high, where) for band in same if band.high is not None]
    return max(low, default=None), min(high, default=None)


def _check(cascade: Cascade, one: str, other: str, low: int | None, high: int | None) -> None:
    """All Einsums over both ranks keep the same points, and touch no tensor without either."""
    terms = ((one, 1), (other, -1))
    parts = {rank.name: rank.parent or rank.name for rank in cascade.ranks.values()}
    for einsum in cascade.einsums:
        if not {one, other} <= {parts[rank] for rank in einsum.ranks}:
            continue
        if _merged(cascade, einsum.bands, terms) != (low, high):
            raise CoverageError(
                f"Einsum {einsum.name}: keeps other points of {one} and {other} than others of"
                f" cascade {cascade.name!r}; expected one band of all, {low} <= {one} - {other} <="
                f" {high}"
            )
        for access in (einsum.output, *einsum.reads):
            ranks = cascade.tensors[access.tensor].ranks
            if not {one, other} & {parts[rank] for rank in ranks}:
                raise CoverageError(
                    f"Einsum {einsum.name}: touches {access.tensor}, which has neither of the"
                    f" banded ranks {one} and {other}; expected one of them"
                )


def _cropped(cascade: Cascade, down: Reach, across: Reach) -> dict[tuple[str, str], Reach]:
    """The same reaches over the points that are kept at all."""
    begins: dict[str, tuple[int, int]] = {}
    for reach in (down, across):
        begin, end = reach.spans(1)
        asked = end > begin
        if not asked.any():
            raise CoverageError(f"cascade {cascade.name!r}: its band keeps no point")
        begins[reach.to] = int(begin[asked].min()), int(end[asked].max())
        whole = begins[reach.to] == (0, reach.size)
        others = [e.name for e in cascade.einsums if reach.to in e.ranks and not e.bands]
        if not whole and others:
            raise CoverageError(
                f"cascade {cascade.name!r}: its band leaves out points of {reach.to}, which"
                f" {others[0]} needs; expected a band that keeps some point of each"
            )
    return {
        (reach.of, reach.to): _shifted(reach, begins[reach.of], begins[reach.to])
        for reach in (down, across)
    }


def _shifted(reach: Reach, of: tuple[int, int], to: tuple[int, int]) -> Reach:
    shift = reach.scale * of[0] - reach.tile * to[0]
    return Reach(
        *(reach.of, reach.to, of[1] - of[0], to[1] - to[0]),
        None if reach.low is None else reach.low + shift,
        None if reach.high is None else reach.high + shift,
        reach.scale,
        reach.tile,
    )


def _whole(value: Amount | None, where: str) -> int:
    if not isinstance(value, int):
        raise CoverageError(
            f"{where}: {value!r}; expected one whole number, as a mapping is of one size"
        )
    return value
