"""Boxes: an Einsum over the tile that loops around leave it, walked by a nest of its own.

A loop over a rank in a band, or of what reads windows, leaves another number of points of what it
asks for in each of its turns. Further inwards no more is asked: the points of a turn are a box,
with all of an interval for each point of the tile that asked for it, as arrays walk them (what a
mask leaves out of a box is computed, and dropped). So inside of a `Box` every turn counts by
itself, as a nest over the box alone: memories inside start with nothing, and elements idle where
the last turn is smaller. Boxes of equal extents are counted once.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from math import prod
from types import MappingProxyType
from typing import Any

import numpy as np

from hwmodel.einsum.cascade import Cascade, Einsum
from hwmodel.machines.spatial.counts import Counts, Touch, Transfer
from hwmodel.machines.spatial.legal import Path
from hwmodel.machines.spatial.near import Near
from hwmodel.machines.spatial.positions import FOREVER, positions
from hwmodel.machines.spatial.reach import Reach
from hwmodel.quantity.units import Amount

Extents = tuple[tuple[str, int], ...]
"""Points of some ranks."""
Boxes = Counter[tuple[Extents, bool]]
"""How often a box comes; whether its sums begin there, or go on."""


def alone(einsum: Einsum, cascade: Cascade) -> Cascade:
    """A cascade of one of the Einsums; what it reads are inputs, what it makes is the output."""
    names = dict.fromkeys(access.tensor for access in (einsum.output, *einsum.reads))
    tensors = {name: cascade.tensors[name] for name in names}
    return replace(
        cascade,
        name=f"{cascade.name}.{einsum.name}",
        tensors=MappingProxyType(tensors),
        einsums=(einsum,),
        initials=tuple(i for i in cascade.initials if i.output.tensor == einsum.name),
        outputs=(einsum.name,),
        origin=None,
    )


def boxed(einsum: Einsum, cascade: Cascade, extents: Mapping[str, int]) -> Cascade:
    """One Einsum over a box: no mask is left in it."""
    ranks = {
        name: replace(rank, size=extents.get(name, rank.size))
        for name, rank in cascade.ranks.items()
    }
    return replace(alone(replace(einsum, bands=()), cascade), ranks=MappingProxyType(ranks))


def boxes(
    einsum: Einsum, stored: Collection[str], path: Path, sizes: Mapping[str, int], near: Near
) -> Boxes:
    """Boxes of an Einsum in the turns of the loops around.

    Over ranks that are not among the `stored` ones of what it makes, sums go on in later turns.
    """
    groups: list[Boxes] = []
    left = list(einsum.ranks)
    for rank in einsum.ranks:
        reach = near.asking.bands.get(rank)
        if rank in left and reach is not None and reach.to in left:
            one, other = (rank, reach.to) if rank in stored else (reach.to, rank)
            there, back = near.asking.bands[one], near.asking.bands[other]
            groups.append(_banded(there, back, _tile(one, path), _tile(other, path), stored))
            left = [r for r in left if r not in (one, other)]
    for at, loop in enumerate(path.loops):
        if loop.rank in einsum.ranks:
            continue
        ask = near.asking.asks.get((loop.rank, einsum.name))
        if ask is not None and ask.rank in left:
            kept = near.kept(loop.rank, path)
            points = ask.points(loop.tile, kept, fresh=einsum.name in kept)
            each = Counter(int(n) for n in points if n)
            groups.append(Counter({(((ask.rank, n),), True): times for n, times in each.items()}))
            left.remove(ask.rank)
        elif path.steps(loop.rank)[0][0] == at:
            turns = positions(sizes[loop.rank], path.steps(loop.rank), FOREVER, FOREVER)
            groups.append(Counter({((), True): sum(n for n, _, _ in turns)}))
    groups += [_plain(rank, path, sizes, rank in stored) for rank in left]
    total: Boxes = Counter()
    for each in product(*(group.items() for group in groups)):
        extents = tuple(sorted(pair for (some, _), _ in each for pair in some))
        total[extents, all(first for (_, first), _ in each)] += prod(n for _, n in each)
    return total


def _plain(rank: str, path: Path, sizes: Mapping[str, int], stored: bool) -> Boxes:
    """Boxes of a rank by itself; the first turn of one that is summed over is a full one."""
    found: Boxes = Counter()
    for at, (n, extent, _) in enumerate(positions(sizes[rank], path.steps(rank), FOREVER, FOREVER)):
        begins = n if stored else int(at == 0)
        found[((rank, extent),), True] += begins
        found[((rank, extent),), False] += n - begins
    return +found


def _tile(rank: str, path: Path) -> int | None:
    """The tile of the loop over a rank; None without one."""
    return next((loop.tile for loop in path.loops if loop.rank == rank), None)


def _banded(
    reach: Reach, back: Reach, tile: int | None, other: int | None, stored: Collection[str]
) -> Boxes:
    """Boxes of two ranks in a band, of each turn of the one by turns of the other."""
    begin, end = reach.turns(tile or reach.points)
    low, high = reach.over((begin, end))
    first, last = back.turns(other or back.points)
    low, high = np.maximum(low[:, None], first), np.minimum(high[:, None], last)
    back_low, back_high = back.over((low, np.maximum(high, low)))
    wide = np.minimum(back_high, end[:, None]) - np.maximum(back_low, begin[:, None])
    asked = (high > low) & (wide > 0)
    begins = asked if reach.to in stored else asked & (np.cumsum(asked, axis=1) == 1)
    each = zip(wide[asked], (high - low)[asked], begins[asked], strict=True)
    rows = Counter((int(a), int(b), bool(starts)) for a, b, starts in each)
    return Counter(
        {(((reach.of, a), (reach.to, b)), starts): n for (a, b, starts), n in rows.items()}
    )


def summed(each: Sequence[tuple[int, Counts, bool]]) -> Counts:
    """Counts of one nest over several boxes, each so many times; sums begin there, or go on."""
    counts = [found if first else _going_on(found) for _, found, first in each]
    times = [n for n, _, _ in each]

    def total(values: Iterable[Amount]) -> int:
        return sum(n * int(float(value)) for n, value in zip(times, values, strict=True))

    transfers: list[Transfer] = []
    moved = ("fills", "copies", "drains", "partials", "returns", "returned")
    for row in zip(*(found.transfers for found in counts), strict=True):
        sums: dict[str, Any] = {n: total(getattr(one, n) for one in row) for n in moved}
        most = {name: max(getattr(one, name) for one in row) for name in ("tile", "first")}
        transfers.append(replace(row[0], **sums, **most))
    touches: list[Touch] = []
    for row in zip(*(found.touches for found in counts), strict=True):
        points, first = (total(getattr(one, n) for one in row) for n in ("points", "first"))
        touches.append(replace(row[0], points=points, first=first))
    keys = {key for found in counts for key in found.operations}
    widest = max(counts, key=lambda found: sum(found.footprint_bytes.values()))
    return Counts(
        tuple(transfers),
        tuple(touches),
        {key: total(found.operations.get(key, 0) for found in counts) for key in keys},
        total(found.steps for found in counts),
        max(found.elements for found in counts),
        widest.footprint_bytes,
    )


def _going_on(counts: Counts) -> Counts:
    """Of a box whose sums were begun in another: whatever is drained was brought first."""
    transfers = tuple(
        replace(one, returns=one.drains, returned=one.partials) for one in counts.transfers
    )
    touches = tuple(replace(one, first=0) for one in counts.touches)
    return replace(counts, transfers=transfers, touches=touches)
