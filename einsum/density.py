"""Density: where the nonzeros of a tensor stand, as far as one knows without its values.

A model says two things: the mean share of elements that are no zero, and the share of tiles of
given extents that hold any, which is what leaves a tile out. Tiles lie on a grid from the first
element on. The models are those that Sparseloop names (Wu, Tsai, Parashar, Sze, Emer, MICRO 2022).
With d the share, n elements of a tile and N of the tensor, tiles that hold any are

    uniform       1 - (1 - d)^n                       each element by itself, at random
    exact         1 - C(N - n, dN) / C(N, dN)         dN of them at random (hypergeometric)
    structured    N of each M along a rank: all that hold M - N + 1 or more of one group; a smaller
                  tile of t along it and n / t of other places 1 - (C(M - t, N) / C(M, N))^(n / t)
    along         1 - (1 - d)^t                       all places of an index of one rank, or none
                  (tokens, channels, experts), each by itself; t indices of a tile
    band          |i - j| <= w of two ranks: those that the band meets, counted
    given         a mask of the tensor's shape: counted

In a text a tensor has its density behind its format, `tensor W[k, n]: int8 ~ 2 of 4 k`, `~ 0.3`,
`~ 0.3 exact`, `~ 0.3 along m`, `~ band 3 m k`; in Python `cascade.sparse(W="2 of 4 k", A=mask)`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.quantity.printable import shown

Kind: TypeAlias = Literal["uniform", "exact", "structured", "along", "band", "given"]
Floats: TypeAlias = NDArray[np.float64]
WAYS = "0.3, 0.3 exact, 0.3 along m, 2 of 4 k, band 3 m k"


@dataclass(frozen=True)
class Density:
    """Which elements of a tensor are no zero.

    Attributes:
        kind: the model.
        share: of elements that are no zero; of a band nan, as its ranks' extents say it.
        group: N and M of a structured tensor; half the width of a band.
        ranks: that the groups lie along, whose indices are kept whole, or that the band is of.
        shape: of the mask that was given.
        mask: its elements, a byte each.
    """

    kind: Kind
    share: float
    group: tuple[int, ...] = ()
    ranks: tuple[str, ...] = ()
    shape: tuple[int, ...] = ()
    mask: bytes = b""

    def mean(self, ranks: Sequence[str], sizes: Sequence[int]) -> float:
        """Share of the elements of a tensor of these ranks that are no zero."""
        if self.kind != "band":
            return self.share
        one, other = (sizes[list(ranks).index(rank)] for rank in self.ranks)
        (width,) = self.group
        kept = np.clip(np.arange(one) + width, -1, other - 1)
        begins = np.clip(np.arange(one) - width, 0, other)
        return float(np.maximum(0, kept - begins + 1).sum() / (one * other))

    def filled(self, ranks: Sequence[str], sizes: Sequence[int], extents: Any) -> Floats:
        """Share of tiles that hold an element which is no zero; `extents` are [rank, tile]."""
        tiles = np.minimum(np.asarray(extents, np.float64), np.array(sizes)[:, None])
        each, place = np.unique(np.ceil(tiles), axis=1, return_inverse=True)
        shares = [
            _filled(self, tuple(ranks), tuple(sizes), tuple(map(int, tile))) for tile in each.T
        ]
        return np.array(shares, np.float64)[place.reshape(-1)]

    def __str__(self) -> str:
        """As a text has it."""
        if self.kind == "structured":
            return f"{self.group[0]} of {self.group[1]} {self.ranks[0]}"
        if self.kind == "band":
            return f"band {self.group[0]} {' '.join(self.ranks)}"
        if self.kind == "along":
            return f"{self.share:.12g} along {self.ranks[0]}"
        return f"{self.share:.12g}{' exact' if self.kind == 'exact' else ''}"


def density(value: Any, *, ranks: Sequence[str], where: str) -> Density:
    """A density from a number, words, or a mask of the tensor's shape; raises `InputError`.

    >>> density("2 of 4 k", ranks=("k", "n"), where="W").share
    0.5
    """
    if isinstance(value, Density):
        return value
    if isinstance(value, np.ndarray):
        return _given(cast(Any, value), ranks, where)
    words = str(value).split()
    if len(words) == 4 and words[1] == "of":
        n, m = (int(word) if word.isdecimal() else 0 for word in (words[0], words[2]))
        if 0 < n <= m:
            return Density("structured", n / m, (n, m), (_rank(words[3], ranks, where),))
    if len(words) == 4 and words[0] == "band" and words[1].isdecimal():
        one, other = (_rank(word, ranks, where) for word in words[2:])
        if one != other:
            return Density("band", math.nan, (int(words[1]),), (one, other))
    whole = len(words) == 3 and words[1] == "along"
    if len(words) == 1 or words[1:] == ["exact"] or whole:
        try:
            share = float(words[0])
        except ValueError:
            share = math.nan
        if 0 < share <= 1 and whole:
            return Density("along", share, (), (_rank(words[2], ranks, where),))
        if 0 < share <= 1:
            return Density("exact" if len(words) == 2 else "uniform", share)
    raise InputError(
        f"{where}: density: expected a share above 0 and at most 1, groups, a band or a mask, such"
        f" as {WAYS}, over its ranks ({', '.join(ranks) or 'none'}); found {shown(value)}"
    )


def _rank(word: str, ranks: Sequence[str], where: str) -> str:
    """A rank of the tensor, in small or large letters; raises `UnknownNameError`."""
    alike = [rank for rank in ranks if rank.lower() == word.lower()]
    if word not in ranks and len(alike) != 1:
        raise UnknownNameError(f"rank of {where}", word, ranks)
    return word if word in ranks else alike[0]


def _given(value: Any, ranks: Sequence[str], where: str) -> Density:
    mask: NDArray[np.bool_] = np.asarray(value != 0)
    if mask.ndim != len(ranks) or not mask.any():
        raise InputError(
            f"{where}: density: expected a mask of {len(ranks)} axes ({', '.join(ranks)}) with an"
            f" element that is no zero, found {mask.ndim} axes"
        )
    return Density("given", float(mask.mean()), (), (), mask.shape, mask.tobytes())


@lru_cache(maxsize=1 << 16)
def _filled(
    model: Density, ranks: tuple[str, ...], sizes: tuple[int, ...], tile: tuple[int, ...]
) -> float:
    """Share of tiles of one size that hold an element which is no zero."""
    n, every = math.prod(tile), math.prod(sizes)
    if model.kind == "uniform":
        return 1 - (1 - model.share) ** n
    if model.kind == "along":
        return 1 - (1 - model.share) ** tile[ranks.index(model.ranks[0])]
    if model.kind == "exact":
        return 1 - _left_out(every, n, round(model.share * every))
    if model.kind == "structured":
        many, of = model.group
        along = tile[ranks.index(model.ranks[0])]
        return 1 - _left_out(of, min(along, of), many) ** (n // along)
    if model.kind == "band":
        one, other = (ranks.index(rank) for rank in model.ranks)
        return _met(model.group[0], (sizes[one], sizes[other]), (tile[one], tile[other]))
    held = np.frombuffer(model.mask, np.bool_).reshape(model.shape)
    for axis, points in enumerate(tile):
        held = np.logical_or.reduceat(held, np.arange(0, model.shape[axis], points), axis=axis)
    return float(held.mean())


def _left_out(every: int, taken: int, chosen: int) -> float:
    """Chance that none of the elements taken is among those chosen at random of all."""
    if taken + chosen > every:
        return 0.0
    logarithm = math.lgamma(every - taken + 1) - math.lgamma(every - taken - chosen + 1)
    return math.exp(logarithm - math.lgamma(every + 1) + math.lgamma(every - chosen + 1))


def _met(width: int, sizes: tuple[int, int], tile: tuple[int, int]) -> float:
    """Share of tiles that hold a point with |i - j| <= width."""
    (i, i_end), (j, j_end) = (
        (begin, np.minimum(begin + points, size) - 1)
        for size, points in zip(sizes, tile, strict=True)
        for begin in (np.arange(0, size, points),)
    )
    apart = np.maximum(i[:, None] - j_end[None, :], j[None, :] - i_end[:, None])
    return float((apart <= width).mean())
