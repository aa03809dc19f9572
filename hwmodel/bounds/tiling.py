"""The tile program: how much of an Einsum's space a set of touched elements can span.

An Einsum visits points of a lattice, one coordinate a rank, and each access projects them onto a
tensor. For exponents s_t of the accesses and u_r of the ranks, all >= 0, with

    u_r + sum of s_t over accesses t that contain r  >=  1      for every rank r,             (1)

any set V of points, each of which needs all its operands at once, satisfies

    |V|  <=  product over r of N_r**u_r  x  product over t of |projection_t(V)|**s_t          (2)

(Loomis and Whitney 1949; Finner 1992; as the dual of the tile program: Christ, Demmel, Knight,
Scanlon, Yelick 2013, arXiv 1308.0068; the u_r correct for ranks smaller than a tile would be: Dinh
and Demmel 2020, arXiv 2003.00119, here as projections onto one rank, which have at most N_r
elements). The exponents are linear in (1), so the best are found among the vertices of that
polyhedron, in exact rationals. The primal of the same program, max of sum x_r with the sum of x_r
over each access <= 1 and x_r <= log_S N_r, has the tile sides S**x_r that attain the exponent.

*Windows.* `I[c, y*s + r]` is no projection. Two exact steps and one relaxation bring it into (2):
a stride splits r = s*q + i, which makes the index (y + q, i), two axes of the tensor; then V is cut
into slices of fixed q. In a slice the index is y but for a shift, hence a projection, and (2) holds
without q. Hölder's inequality (Finner's theorem again) sums the slices if q keeps (1) with only
those accesses that have it as an axis of their own. Either y or q may be the fixed one, and all
choices are tried. The relaxation loses nothing where the window is small against the tile (the
"small filter" of Demmel and Dinh 2018, arXiv 1802.06905); any affine index may be cut so.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from itertools import combinations, product

import numpy as np

from hwmodel.einsum.cascade import Access, Cascade, Einsum, gathered
from hwmodel.quantity.errors import CoverageError

Terms = tuple[tuple[str, int], ...]
Form = tuple[tuple[str, tuple[Terms, ...]], ...]
"""Accesses as (tensor, terms of each index)."""
Split = tuple[str, str, int]
"""(rank, its coarse part, the stride): the fine part keeps the rank's name."""


@dataclass(frozen=True)
class Exponents:
    """One vertex of (1): s of each access, u of each rank whose u is not 0."""

    accesses: tuple[Fraction, ...]
    ranks: tuple[tuple[str, Fraction], ...]

    @cached_property
    def total(self) -> Fraction:
        """Sum of s: a memory of S elements spans S**total points where no rank is small."""
        return sum(self.accesses, start=Fraction(0))

    @cached_property
    def rounded(self) -> tuple[float, tuple[float, ...], tuple[tuple[str, float], ...]]:
        """The total, s and u in floating point."""
        ranks = tuple((rank, float(u)) for rank, u in self.ranks)
        return float(self.total), tuple(map(float, self.accesses)), ranks


@dataclass(frozen=True)
class TileProgram:
    """The program of one Einsum: its accesses, its best vertices, its split ranks."""

    tensors: tuple[str, ...]
    vertices: tuple[Exponents, ...]
    splits: tuple[Split, ...]


def tile_program(einsum: Einsum, cascade: Cascade) -> TileProgram:
    """The tile program of an Einsum whose accesses are projections or windows.

    Raises `CoverageError`, naming tensor and index, for other maps: an index over three ranks or
    more, a rank in two sums of one access, a position looked up in data.
    """
    looked_up = set(gathered(einsum.expression))
    for access in distinct(einsum):
        sums = [index.terms for index in access.indices if len(index.terms) > 1]
        mixed = [rank for terms in sums for rank, _ in terms]
        data = looked_up.intersection(access.ranks)
        if data or len(set(mixed)) < len(mixed) or any(len(terms) > 2 for terms in sums):
            text = ", ".join(
                " + ".join(f"{by}*{rank}" if by != 1 else rank for rank, by in terms)
                for terms in sums
            )
            raise CoverageError(
                f"cascade {cascade.name!r}, Einsum {einsum.name}: tensor {access.tensor}: the tile"
                " program covers indices of one rank, and sums of two such as y*2+r; found"
                f" {'a position looked up in data' if data else text}; `bound_of` still bounds it"
            )
    return program(form(einsum, [access.tensor for access in distinct(einsum)]))


def distinct(einsum: Einsum) -> tuple[Access, ...]:
    """The output and the reads, each access once."""
    return tuple(dict.fromkeys((einsum.output, *einsum.reads)))


def form(einsum: Einsum, tensors: Iterable[str]) -> Form:
    """The accesses of these tensors by their indices' terms; what is looked up in data is left out.

    Leaving an access out leaves (2) valid: its s is 0.
    """
    looked_up, wanted = set(gathered(einsum.expression)), set(tensors)
    return tuple(
        (access.tensor, tuple(index.terms for index in access.indices if index.terms))
        for access in distinct(einsum)
        if access.tensor in wanted and not looked_up.intersection(access.ranks)
    )


@lru_cache(maxsize=1024)
def program(accesses: Form) -> TileProgram:
    """The vertices of (1) over all ways to cut the windows, without those that others beat."""
    accesses, splits = _split(accesses)
    every = [terms for _, indices in accesses for terms in indices]
    ranks = tuple(dict.fromkeys(rank for terms in every for rank, _ in terms))
    sums: list[Terms] = [terms for terms in dict.fromkeys(every) if len(terms) > 1]
    found: list[Exponents] = []
    for mains in product(*([rank for rank, _ in terms] for terms in sums)):
        main: dict[Terms, str] = dict(zip(sums, mains, strict=True))
        fixed = {rank for terms in sums for rank, _ in terms if rank != main[terms]}
        axis: dict[Terms, set[str]] = {terms: {main[terms]} - fixed for terms in sums}
        cover: tuple[frozenset[str], ...] = tuple(
            frozenset(r for t in indices for r in axis.get(t, {rank for rank, _ in t}))
            for _, indices in accesses
        )
        found += _vertices(cover, ranks)
    names = tuple(tensor for tensor, _ in accesses)
    return TileProgram(names, tuple(_best(found)), splits)


def _split(accesses: Form) -> tuple[Form, tuple[Split, ...]]:
    """Windows y*stride + r with a stride above 1 as y + q and an axis r of their own."""
    splits: list[Split] = []
    sums = [t for t in {t for _, indices in accesses for t in indices} if len(t) == 2]
    within = [rank for terms in sums for rank, _ in terms]
    for terms in sorted(sums):
        for (_, stride), (rank, unit) in (terms, terms[::-1]):
            if abs(unit) == 1 and abs(stride) > 1 and within.count(rank) == 1:
                splits.append((rank, f"{rank} / {abs(stride)}", abs(stride)))
    coarse = {rank: name for rank, name, _ in splits}

    def parts(terms: Terms) -> Iterator[Terms]:
        inside = [rank for rank, _ in terms if rank in coarse]
        if not inside:
            yield terms
        elif len(terms) == 1:
            yield terms
            yield ((coarse[inside[0]], 1),)
        else:
            yield tuple((coarse.get(rank, rank), 1) for rank, _ in terms)
            yield ((inside[0], 1),)

    made = tuple(
        (tensor, tuple(part for terms in indices for part in parts(terms)))
        for tensor, indices in accesses
    )
    return made, tuple(splits)


def _vertices(cover: Sequence[frozenset[str]], ranks: Sequence[str]) -> Iterator[Exponents]:
    """Every s where as many of the planes (sum over r = 1, s_t = 0) meet as there are accesses."""
    of = {rank: tuple(int(rank in covered) for covered in cover) for rank in ranks}
    for s, lacks in _corners(tuple(sorted(set(of.values()))), len(cover)):
        yield Exponents(s, tuple((rank, u) for rank, row in of.items() if (u := lacks[row]) > 0))


Row = tuple[int, ...]
"""Which accesses a rank is in."""


@lru_cache(maxsize=1024)
def _corners(
    rows: tuple[Row, ...], count: int
) -> tuple[tuple[tuple[Fraction, ...], Mapping[Row, Fraction]], ...]:
    """The same whatever the ranks are called: s, and 1 less the sum of a rank's own, by its row."""
    planes = [(row, 1) for row in rows if any(row)]
    planes += [(tuple(int(t == at) for t in range(count)), 0) for at in range(count)]
    found: list[tuple[tuple[Fraction, ...], Mapping[Row, Fraction]]] = []
    for chosen in combinations(planes, count):
        s = _solve(
            [list(map(Fraction, row)) for row, _ in chosen], [Fraction(b) for _, b in chosen]
        )
        if s is None or min(s) < 0:
            continue
        lacks = {
            row: 1 - sum((v for v, held in zip(s, row, strict=True) if held), Fraction(0))
            for row in rows
        }
        found.append((tuple(s), lacks))
    return tuple(found)


def _solve(rows: list[list[Fraction]], right: list[Fraction]) -> list[Fraction] | None:
    """Gauss and Jordan in rationals; None for a singular system."""
    count = len(rows)
    for at in range(count):
        pivot = next((i for i in range(at, count) if rows[i][at]), None)
        if pivot is None:
            return None
        rows[at], rows[pivot] = rows[pivot], rows[at]
        right[at], right[pivot] = right[pivot], right[at]
        for other in range(count):
            if other != at and rows[other][at]:
                factor = rows[other][at] / rows[at][at]
                rows[other] = [a - factor * b for a, b in zip(rows[other], rows[at], strict=True)]
                right[other] -= factor * right[at]
    return [value / rows[at][at] for at, value in enumerate(right)]


def _best(found: list[Exponents]) -> Iterator[Exponents]:
    """Vertices that can say more than compulsory traffic, and that no other beats.

    With a total of 1 or less, (2) speaks of whole tensors, whose bytes are counted exactly.
    """
    useful = list(dict.fromkeys(v for v in found if v.total > 1))
    for vertex in useful:
        mine = dict(vertex.ranks)
        beaten = any(
            (other.total, sum(dict(other.ranks).values())) < (vertex.total, sum(mine.values()))
            and other.total <= vertex.total
            and all(u <= mine.get(rank, 0) for rank, u in other.ranks)
            for other in useful
        )
        if not beaten:
            yield vertex


def tile_sides(einsum: Einsum, cascade: Cascade, elements: float) -> dict[str, float]:
    """Real sides of the tile that attains the exponent, at most `elements` of each tensor.

    The primal program in logarithms: most points, no side above its rank. Raises `CoverageError`
    where an access is no projection.
    """
    from scipy.optimize import linprog  # 0.8 s to import

    program_ = tile_program(einsum, cascade)
    accesses = form(einsum, program_.tensors)
    if any(len(terms) > 1 for _, indices in accesses for terms in indices):
        raise CoverageError(
            f"cascade {cascade.name!r}, Einsum {einsum.name}: expected accesses that are"
            " projections for a tile's sides, found a window"
        )
    ranks = einsum.ranks
    rows = [[float(any(t[0][0] == r for t in indices)) for r in ranks] for _, indices in accesses]
    sides = [(0.0, math.log(float(np.max(cascade.ranks[rank].size)))) for rank in ranks]
    found = linprog([-1.0] * len(ranks), rows, [math.log(elements)] * len(rows), bounds=sides)
    return {rank: math.exp(float(x)) for rank, x in zip(ranks, found.x, strict=True)}
