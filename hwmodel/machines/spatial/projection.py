"""Projection: which elements of a tensor a tile of the iteration space touches, and how many.

An axis of a tensor is indexed by `sum(coefficient * rank)`. Over a tile with extents `t` of the
ranks, the number of distinct values of an axis is

    one rank            t
    s*y + d*r           t_y t_r - max(0, t_y - d/g) max(0, t_r - s/g),      g = gcd(s, d)

since two points (y, r) meet in one value exactly when they differ by a multiple of (d/g, -s/g), so
each value is a chain of points of which only the first counts. For a convolution, s = stride and
d = dilation; with d = 1 and t_r >= s it is the familiar s (t_y - 1) + t_r, halo included. Elements
outside the tensor (zero padding) count as if they were stored.

A tensor that is recurrent along an iterative rank keeps one slice: that axis is left out.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from hwmodel.einsum.cascade import NOTHING, Access, Cascade, Einsum, gathered
from hwmodel.einsum.counts import stored_ranks
from hwmodel.einsum.windows import window_form
from hwmodel.quantity.arithmetic import most
from hwmodel.quantity.dtypes import bytes_of
from hwmodel.quantity.errors import CoverageError
from hwmodel.quantity.units import Amount

Axis: TypeAlias = tuple[tuple[str, int], ...]
"""(rank, coefficient) pairs of one axis, coefficients positive."""


@dataclass(frozen=True)
class Projection:
    """A tensor as an Einsum touches it: the terms of each axis, and bytes per element."""

    tensor: str
    axes: tuple[Axis, ...]
    element_bytes: int | float

    @property
    def ranks(self) -> tuple[str, ...]:
        """Every rank that moves the tile."""
        return tuple(rank for axis in self.axes for rank, _ in axis)

    @property
    def windows(self) -> tuple[Axis, ...]:
        """Axes on which two ranks meet."""
        return tuple(axis for axis in self.axes if len(axis) > 1)

    def elements(self, extents: Mapping[str, Amount]) -> Amount:
        """Distinct elements that a tile of these extents touches; arrays broadcast."""
        count: Amount = 1
        for axis in self.axes:
            (rank, _), *rest = axis
            points = extents[rank]
            if rest:
                count = count * _window(axis, points, extents[rest[0][0]])
            else:
                count = count * points
        return count


def _window(axis: Axis, outer: Amount, inner: Amount) -> Amount:
    (_, stride), (_, dilation) = axis
    common = math.gcd(stride, dilation)
    repeated = most((0, outer - dilation // common)) * most((0, inner - stride // common))
    return outer * inner - repeated


def projections(
    einsum: Einsum,
    cascade: Cascade,
    *,
    bands: bool = False,
    axes: Mapping[str, tuple[str, ...]] = NOTHING,
) -> dict[str, Projection]:
    """Every tensor that an Einsum touches, its output first.

    `bands`: the caller minds them; `axes`: tensors whose axes have ranks of their own, of which
    windows are asked for.

    Raises `CoverageError` naming the access for what has no closed form here.
    """
    if (einsum.bands and not bands) or _thinned(einsum, cascade):
        raise CoverageError(
            f"Einsum {einsum.name}: expected a full iteration space, found bands, a density or a"
            " probability; map it without them for an upper bound"
        )
    looked_up = sorted(set(gathered(einsum.expression)))
    if looked_up:
        raise CoverageError(
            f"Einsum {einsum.name}: rank {looked_up[0]} is gathered by value; expected affine"
            " indices, whose tiles are known beforehand"
        )
    found: dict[str, Projection] = {}
    for access in (einsum.output, *einsum.reads):
        projection = _projection(access, einsum, cascade, axes.get(access.tensor, ()))
        known = found.setdefault(access.tensor, projection)
        if known.axes != projection.axes:
            raise CoverageError(
                f"Einsum {einsum.name}: reads {access.tensor} at two different places; expected one"
                " access of each tensor, so name the second one differently"
            )
    return found


def _thinned(einsum: Einsum, cascade: Cascade) -> bool:
    """Whether points are left out; an array multiplies the zeros of windows that come in phases."""
    form = window_form(cascade, einsum)
    if form is not None and form.phases:
        return False
    plain = isinstance(einsum.density, (int, float)) and isinstance(
        einsum.probability, (int, float)
    )
    return not plain or (einsum.density, einsum.probability) != (1, 1)


def _projection(
    access: Access, einsum: Einsum, cascade: Cascade, named: tuple[str, ...]
) -> Projection:
    tensor = cascade.tensors[access.tensor]
    if named:
        one = tuple(((rank, 1),) for rank in named)
        return Projection(access.tensor, one, bytes_of(tensor.dtype))
    stored = stored_ranks(access.tensor, cascade)
    axes: list[Axis] = []
    for index, spanned in zip(access.indices, tensor.ranks, strict=True):
        terms = tuple(sorted((rank, abs(factor)) for rank, factor in index.terms if factor))
        if spanned not in stored or not terms:
            continue
        if len(terms) > 2:
            raise CoverageError(
                f"Einsum {einsum.name}: an axis of {access.tensor} sums {len(terms)} ranks;"
                " expected one or two"
            )
        axes.append(terms)
    ranks = [rank for axis in axes for rank, _ in axis]
    twice = [rank for rank in ranks if ranks.count(rank) > 1]
    if twice:
        raise CoverageError(
            f"Einsum {einsum.name}: rank {twice[0]} indexes two axes of {access.tensor}; expected"
            " each rank on one axis"
        )
    return Projection(access.tensor, tuple(axes), bytes_of(tensor.dtype))
