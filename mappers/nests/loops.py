"""Loop orders and keep positions of one Einsum on two levels, without those that can never be best.

One loop walks each rank, in some order; each tensor is kept behind some of the loops. Of all this a
tensor's traffic and footprint depend on two sets only:

    tiled(t)   its own ranks whose loops stand outside of its Keep: there it holds a tile
    visits(t)  other ranks whose loops stand outside of the innermost loop over one of tiled(t):
               each of their turns brings every tile anew

A choice of sets for all tensors dominates another when every tensor visits no more ranks and tiles
no fewer: it moves no more and needs no more memory, whatever the tile sizes. Along a rank of a
window (`y*s+r`) a smaller tile moves more, for its halo, so there dominance asks for equal sets.
Loops of a single turn are as if they stood outermost; those orders are among the others, so nothing
is lost by counting every loop. A rank that all tensors have is outermost: there every tensor tiles
it and none visits it for another's sake.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations, product
from typing import TypeAlias

import numpy as np

from hwmodel.quantity.errors import CoverageError

LARGEST = 7
"""Most ranks of one Einsum: orders are enumerated."""

Footing: TypeAlias = tuple[frozenset[str], frozenset[str]]
"""(tiled, visits) of one tensor."""
Sets: TypeAlias = tuple[int, int]
"""The same as bits."""


@dataclass(frozen=True)
class Pattern:
    """Which ranks each tensor has, and which of them meet another rank in a window."""

    ranks: tuple[str, ...]
    tensors: tuple[frozenset[str], ...]
    windows: tuple[frozenset[str], ...]


@dataclass(frozen=True)
class Structure:
    """One choice of sets, with an order of the loops and Keep positions that bring it about.

    `positions` is, for each tensor, how many loops of the order stand outside of its Keep.
    """

    footings: tuple[Footing, ...]
    order: tuple[str, ...]
    positions: tuple[int, ...]


@lru_cache(maxsize=256)
def structures(pattern: Pattern) -> tuple[Structure, ...]:
    """The structures that no other dominates; raises `CoverageError` beyond `LARGEST` ranks."""
    if len(pattern.ranks) > LARGEST:
        raise CoverageError(
            f"an Einsum over {len(pattern.ranks)} ranks ({', '.join(pattern.ranks)}): expected at"
            f" most {LARGEST}; join ranks that every tensor has, or give one of them extent 1"
        )
    bits = {rank: 1 << at for at, rank in enumerate(pattern.ranks)}
    owns = [_mask(own, bits) for own in pattern.tensors]
    windows = [_mask(window, bits) for window in pattern.windows]
    shared = tuple(r for r in pattern.ranks if all(r in own for own in pattern.tensors))
    shared = tuple(r for r in shared if not any(r in window for window in pattern.windows))
    found: dict[tuple[Sets, ...], tuple[tuple[str, ...], tuple[int, ...]]] = {}
    for inner in permutations(rank for rank in pattern.ranks if rank not in shared):
        order = (*shared, *inner)
        masks = tuple(bits[rank] for rank in order)
        choices = [_positions(masks, o, w) for o, w in zip(owns, windows, strict=True)]
        for chosen in product(*choices):
            sets = tuple(each for each, _ in chosen)
            if sets not in found:
                found[sets] = order, tuple(at for _, at in chosen)
    names = {bit: rank for rank, bit in bits.items()}
    return tuple(
        Structure(tuple((_names(t, names), _names(v, names)) for t, v in sets), *found[sets])
        for sets in _undominated(tuple(found), windows)
    )


def _mask(ranks: frozenset[str], bits: Mapping[str, int]) -> int:
    return sum(bits[rank] for rank in ranks)


def _names(mask: int, names: Mapping[int, str]) -> frozenset[str]:
    return frozenset(rank for bit, rank in names.items() if mask & bit)


def _positions(order: tuple[int, ...], own: int, window: int) -> list[tuple[Sets, int]]:
    """Positions of one tensor in one order that no other position of it dominates."""
    every: dict[Sets, int] = {(0, 0): 0}
    tiled = visits = passed = 0
    for at, rank in enumerate(order):
        if rank & own:
            tiled, visits = tiled | rank, visits | passed
            every[tiled, visits] = at + 1
        else:
            passed |= rank
    return [
        ((t, v), at)
        for (t, v), at in every.items()
        if not any(
            (a, b) != (t, v) and not b & ~v and not t & ~a and not (a ^ t) & window
            for a, b in every
        )
    ]


def _undominated(found: tuple[tuple[Sets, ...], ...], windows: list[int]) -> list[tuple[Sets, ...]]:
    """The Pareto front under dominance of every tensor, few visits first."""
    ordered = sorted(found, key=lambda sets: sum(v.bit_count() - t.bit_count() for t, v in sets))
    rows = np.array(ordered, dtype=np.int64)
    tiled, visits, window = rows[:, :, 0], rows[:, :, 1], np.array(windows)
    kept: list[int] = []
    for at in range(len(ordered)):
        beaten = (
            (visits[kept] & ~visits[at] == 0)
            & (tiled[at] & ~tiled[kept] == 0)
            & ((tiled[kept] ^ tiled[at]) & window == 0)
        )
        if not beaten.all(axis=1).any():
            kept.append(at)
    return [ordered[at] for at in kept]
