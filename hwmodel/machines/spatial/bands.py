"""Bands: the reaches of two ranks between which an iteration space keeps an interval, and no more.

`low <= m - p <= high` of causal and windowed attention: tiles of either rank ask for an interval of
the other (`reach`). Points of a rank that no kept point has are left out of it.
"""

from hwmodel.einsum.cascade import Band, Cascade
from hwmodel.machines.spatial.reach import Reach
from hwmodel.quantity.errors import CoverageError
from hwmodel.quantity.units import Amount


def reaches(cascade: Cascade) -> dict[tuple[str, str], Reach]:
    """The reaches of all bands, both ways, over the points that are kept at all.

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
        found |= _cropped(cascade, found.pop((b, a)), found.pop((a, b)))
    return found


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
