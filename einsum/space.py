"""Sizes of iteration spaces and of their projections, as exact closed forms.

The space of an Einsum is the product of its ranks, thinned by bands `low <= m - p <= high`. With
floor sums (Graham, Knuth, Patashnik, *Concrete Mathematics*, 3.5) the number of kept points is

    sum over p of clip(p + high + 1, 0, M) - clip(p + low, 0, M)

and the same with tiles of T in place of points, where only the outer part of a partitioned rank is
a loop: a tile counts when it holds at least one kept point. Scalars give exact Python ints, arrays
float64.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hwmodel.einsum.cascade import Band, Cascade, Einsum, Rank
from hwmodel.einsum.distribution import touched_members
from hwmodel.einsum.known import of_form
from hwmodel.quantity.arithmetic import ceil_div, floor_div
from hwmodel.quantity.errors import CoverageError, InputError
from hwmodel.quantity.units import Amount

LARGEST_WALK = 10_000_000
"""Tiles that a band over two tiled ranks is counted by, one after the other."""


@dataclass(frozen=True)
class Axis:
    """A rank as a band sees it: `size` points in `tiles` tiles of `tile` (1: every point)."""

    size: Amount
    tile: Amount
    tiles: Amount


def extent(ranks: Iterable[str], cascade: Cascade) -> Amount:
    """Points of the product of ranks: parts of a partition together count their parent once."""
    names = tuple(ranks)
    free = free_ranks(cascade, names)
    if free is not None:
        return product_of(free, cascade)
    answer: Amount = 1
    left: list[str] = list(dict.fromkeys(names))
    while left:
        rank = cascade.ranks[left[0]]
        taken, size = [rank.name], rank.size
        if rank.distribution is not None and rank.distribution.over in left:
            taken.append(rank.distribution.over)
            size = rank.distribution.draws * rank.distribution.picks
        elif any(_draws_from(cascade.ranks[name], rank.name) for name in left):
            left.append(left.pop(0))  # counted when its data-dependent rank comes
            continue
        elif rank.parent is not None and rank.parent in cascade.ranks:
            axis, taken = _axis_of(rank.parent, left, cascade)
            size = axis.tiles
        left = [name for name in left if name not in taken]
        answer = answer * size
    return answer


@of_form
def free_ranks(cascade: Cascade, ranks: tuple[str, ...]) -> tuple[str, ...] | None:
    """Ranks, each once, of which a space is the plain product.

    None where one is a part of another, or where any rank of the cascade depends on data.
    """
    chosen = [cascade.ranks[name] for name in dict.fromkeys(ranks)]
    if any(rank.parent is not None and rank.parent in cascade.ranks for rank in chosen):
        return None
    if any(rank.distribution is not None for rank in cascade.ranks.values()):
        return None
    return tuple(rank.name for rank in chosen)


def product_of(ranks: tuple[str, ...], cascade: Cascade) -> Amount:
    """The product of the sizes of ranks."""
    sizes = cascade.ranks
    answer: Amount = 1
    for name in ranks:
        answer = answer * sizes[name].size
    return answer


def region(einsum: Einsum, cascade: Cascade, ranks: Sequence[str] | None = None) -> Amount:
    """Points of the Einsum's space projected onto `ranks` (default: all), bands applied.

    Density and probability are left out. Raises `CoverageError` for bands that have no closed form
    here: over three ranks or more, with other coefficients than 1 and -1, or chained.
    """
    kept = einsum.ranks if ranks is None else tuple(ranks)
    if not einsum.bands:
        return _unbanded(einsum.ranks, cascade, kept)
    bands = _merged(einsum.bands)
    loops, free = _banded(cascade, einsum.name, einsum.ranks, tuple(b[0] for b in bands), kept)
    answer: Amount = 1
    for (_, low, high), of_band in zip(bands, loops, strict=True):
        answer = answer * _in_band(cascade, of_band, low, high, einsum.name)
    return answer * _unbanded(einsum.ranks, cascade, free)


def _in_band(
    cascade: Cascade,
    loops: "tuple[Loops, ...]",
    low: Amount | None,
    high: Amount | None,
    einsum: str,
) -> Amount:
    """Points of one band, worked out once for all Einsums of a cascade that have it."""
    key = None
    if not isinstance(low, np.ndarray) and not isinstance(high, np.ndarray):
        key = (_in_band, loops, low, high)
        if key in cascade.known:
            return cascade.known[key]
    axes = [
        (_axis_of(name, inside, cascade)[0], sign, wanted) for name, sign, inside, wanted in loops
    ]
    found = _band_points(axes, low, high, einsum)
    if key is not None and isinstance(found, int):
        cascade.known[key] = found
    return found


Loops: TypeAlias = tuple[str, int, tuple[str, ...], bool]
"""A rank of a band, its sign, the loops that it is seen through, and whether it is wanted."""


@of_form
def _banded(
    cascade: Cascade,
    einsum: str,
    ranks: tuple[str, ...],
    bands: tuple[tuple[tuple[str, int], ...], ...],
    kept: tuple[str, ...],
) -> tuple[tuple[tuple[Loops, ...], ...], tuple[str, ...]]:
    """The loops of each band over `ranks`, projected onto `kept`; and those of `kept` left over."""
    banded: set[str] = set()
    found: list[tuple[Loops, ...]] = []
    for terms in bands:
        taken: list[str] = []
        loops: list[Loops] = []
        for name, sign in terms:
            _, parts = _axis_of(name, ranks, cascade)
            if not _outermost(
                parts,
                [r.name for r in cascade.ranks.values() if r.parent == name and name not in parts],
                cascade,
            ):
                raise CoverageError(
                    f"Einsum {einsum}: a band over {name} needs its outer parts as loops"
                )
            if banded & set(parts):
                raise CoverageError(
                    f"Einsum {einsum}: bands that share rank {name} with another band have no"
                    " closed form; expected bands over separate pairs of ranks"
                )
            inside = tuple(part for part in parts if part in kept)
            seen = ranks
            if inside and len(inside) < len(parts):
                if not _outermost(inside, parts, cascade):
                    raise CoverageError(
                        f"Einsum {einsum}: a band over {name} seen by its inner part alone;"
                        " expected the outer parts beside it"
                    )
                seen = inside
            taken += parts
            loops.append((name, sign, seen, bool(inside)))
        banded |= set(taken)
        found.append(tuple(loops))
    return tuple(found), tuple(rank for rank in kept if rank not in banded)


def _unbanded(looped: Sequence[str], cascade: Cascade, ranks: tuple[str, ...]) -> Amount:
    """The product of free ranks; a member counts only if the data of those looped over touch it."""
    free = free_ranks(cascade, ranks)
    if free is not None:
        return product_of(free, cascade)
    answer: Amount = 1
    plain = list(ranks)
    for name in looped:
        spread = cascade.ranks[name].distribution
        if spread is not None and spread.over in plain and name not in plain:
            answer = answer * touched_members(spread, cascade.ranks[spread.over].size)
            plain.remove(spread.over)
    return answer * extent(plain, cascade)


def _outermost(parts: Sequence[str], among: Sequence[str], cascade: Cascade) -> bool:
    left = [cascade.ranks[name].part for name in among if name not in parts]
    return all(cascade.ranks[name].part > max(left, default=-1) for name in parts)


def _draws_from(rank: Rank, over: str) -> bool:
    return rank.distribution is not None and rank.distribution.over == over


def _axis_of(name: str, ranks: Sequence[str], cascade: Cascade) -> tuple[Axis, list[str]]:
    """A rank, or the parent of partitioned ranks, among loops `ranks`; and the loops it takes."""
    if name in ranks:
        rank = cascade.ranks[name]
        if rank.distribution is not None:
            raise CoverageError(f"rank {name} depends on data: a band over it has no closed form")
        return Axis(rank.size, 1, rank.size), [name]
    parts = sorted((r for r in cascade.ranks.values() if r.parent == name), key=lambda r: r.part)
    inner = [part for part in parts if part.name not in ranks]
    outer = [part for part in parts if part.name in ranks]
    if not outer:
        raise InputError(f"a band is over rank {name}, which the Einsum does not loop over")
    size = cascade.ranks[name].size
    tile: Amount = 1
    for part in inner:
        tile = tile * part.size
    product: Amount = 1
    for part in outer:
        product = product * part.size
    if outer != parts[len(inner) :]:  # inner parts alone: every tile alike
        return Axis(product, 1, product), [part.name for part in outer]
    tiles = smaller(product, ceil_div(size, tile))
    return Axis(size, tile, tiles), [part.name for part in outer]


def _merged(
    bands: Sequence[Band],
) -> list[tuple[tuple[tuple[str, int], ...], Amount | None, Amount | None]]:
    """Bands over the same terms intersected."""
    merged: dict[tuple[tuple[str, int], ...], tuple[Amount | None, Amount | None]] = {}
    for band in bands:
        low, high = merged.get(band.terms, (None, None))
        merged[band.terms] = _limit(low, band.low, larger), _limit(high, band.high, smaller)
    return [(terms, low, high) for terms, (low, high) in merged.items()]


def _limit(one: Amount | None, other: Amount | None, choose: Any) -> Amount | None:
    return one if other is None else other if one is None else choose(one, other)


def _band_points(
    axes: list[tuple[Axis, int, bool]], low: Amount | None, high: Amount | None, name: str
) -> Amount:
    """Kept points of one band, projected onto those of its axes that are wanted."""
    if any(sign not in (1, -1) for _, sign, _ in axes) or len(axes) > 2:
        raise CoverageError(
            f"Einsum {name}: a band has a closed form over one or two ranks with coefficients 1 and"
            f" -1; found coefficients {[sign for _, sign, _ in axes]}"
        )
    if len(axes) == 1:
        (axis, sign, wanted) = axes[0]
        low, high = (low, high) if sign > 0 else (_negative(high), _negative(low))
        return _pairs(axis, Axis(1, 1, 1), low, high) if wanted else 1
    (one, sign, one_wanted), (other, other_sign, other_wanted) = axes
    if sign < 0:
        sign, other_sign, low, high = -sign, -other_sign, _negative(high), _negative(low)
    if other_sign > 0:  # m + p: count p from its end
        if not _plain(other):
            one, other = other, one
            one_wanted, other_wanted = other_wanted, one_wanted
        if not _plain(other):
            raise CoverageError(f"Einsum {name}: a band on a sum of two tiled ranks")
        low, high = (None if x is None else x - (other.size - 1) for x in (low, high))
    if not _plain(other):
        one, other, low, high = other, one, _negative(high), _negative(low)
        one_wanted, other_wanted = other_wanted, one_wanted
    if one_wanted and other_wanted:
        return (
            _pairs(one, other, low, high) if _plain(other) else _walk(one, other, low, high, name)
        )
    if one_wanted:
        return _touched(one, other.size, low, high)
    return _touched(other, one.size, _negative(high), _negative(low)) if other_wanted else 1


def _plain(axis: Axis) -> bool:
    return isinstance(axis.tile, int) and axis.tile == 1


def _negative(value: Amount | None) -> Amount | None:
    return None if value is None else -value


def _touched(axis: Axis, others: Amount, low: Amount | None, high: Amount | None) -> Amount:
    """Tiles of m with some kept pair (m, p): m from max(0, low) to min(M-1, P-1+high)."""
    first = 0 if low is None else larger(0, low)
    last = axis.size - 1 if high is None else smaller(axis.size - 1, others - 1 + high)
    none = larger(0, first - last)  # above 0 where nothing is kept
    if low is not None and high is not None:
        none = none + larger(0, low - high)
    tiles = floor_div(last, axis.tile) - floor_div(first, axis.tile) + 1
    return _where(none > 0, 0, tiles)


def _pairs(one: Axis, other: Axis, low: Amount | None, high: Amount | None) -> Amount:
    """Pairs (tile of m, p) that hold a point with low <= m - p <= high."""
    rows, tile, tiles = other.size, one.tile, one.tiles
    begun: Amount = rows * tiles
    if high is not None:
        begun = _floor_sum(high + tile, rows - 1 + high + tile, tile, tiles)
    ended: Amount = 0
    if low is not None:
        ended = _floor_sum(low, rows - 1 + low, tile, tiles)
        partial = smaller(tiles * tile - 1, rows - 1 + low) - larger(one.size, low) + 1
        ended = ended + larger(0, partial)
    if low is not None and high is not None:
        return _where(low - high > 0, 0, begun - ended)
    return begun - ended


def _floor_sum(first: Amount, last: Amount, tile: Amount, most: Amount) -> Amount:
    """Sum over i = first..last of min(max(floor(i / tile), 0), most)."""
    begin = larger(first, 0)
    end = larger(smaller(last, tile * most - 1), begin - 1)
    above = larger(0, last - larger(first, tile * most) + 1)
    return _floor_sum_to(end, tile) - _floor_sum_to(begin - 1, tile) + above * most


def _floor_sum_to(last: Amount, tile: Amount) -> Amount:
    """Sum over i = 0..last of floor(i / tile); 0 for last = -1."""
    if isinstance(tile, int) and tile == 1:
        return _triangle(last) + last
    whole = floor_div(last, tile)
    rest = last - whole * tile
    return tile * _triangle(whole) + whole * (rest + 1)


def _triangle(count: Amount) -> Amount:
    """Half of count (count - 1)."""
    twice = count * (count - 1)
    return twice // 2 if isinstance(twice, int) else twice / 2


def _walk(one: Axis, other: Axis, low: Amount | None, high: Amount | None, name: str) -> Amount:
    """Pairs of tiles that hold a kept point, tile by tile of the first rank (scalars only)."""
    numbers = (one.size, one.tile, one.tiles, other.size, other.tile, low, high)
    if any(isinstance(n, np.ndarray) for n in numbers) or one.tiles > LARGEST_WALK:
        raise CoverageError(
            f"Einsum {name}: a band over two tiled ranks is counted for scalar sizes of at most"
            f" {LARGEST_WALK} tiles; expected such sizes, or one of the ranks untiled"
        )
    begin: NDArray[np.float64] = np.arange(float(one.tiles)) * one.tile
    end = np.minimum(begin + one.tile, one.size) - 1
    first = np.maximum(0 if high is None else begin - high, 0)
    last = np.minimum(other.size - 1 if low is None else end - low, other.size - 1)
    kept = (last // other.tile - first // other.tile + 1)[last >= first]
    return int(kept.sum()) if low is None or high is None or low <= high else 0


def smaller(one: Amount, other: Amount) -> Amount:
    """The lesser, elementwise; exact ints stay ints."""
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return np.minimum(one, other)
    return min(one, other)


def larger(one: Amount, other: Amount) -> Amount:
    """The greater, elementwise; exact ints stay ints."""
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return np.maximum(one, other)
    return max(one, other)


def _where(condition: Any, then: Amount, otherwise: Amount) -> Amount:
    if isinstance(condition, (bool, np.bool_)):
        return then if condition else otherwise
    return np.where(condition, then, otherwise)
