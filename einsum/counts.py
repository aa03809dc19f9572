"""What an Einsum takes, without any hardware: points, operations by kind, bytes touched.

Conventions. A FLOP is one operation; a contraction over M*N*K points counts M*N*K multiplies and
M*N*K adds (2MNK: the first add into an empty sum counts). A reduction counts one operation per
point that it folds; with several operators, the inner one counts all points, the next those left.
An operation has the widest dtype among the tensors below it in the expression (a floating-point
format before an integer one), which for a contraction is what its operands are stored in, not what
they are accumulated in. Arithmetic on constants and extents alone is free: it is done once.

Scalars give exact Python ints unless a density, a probability or a distribution makes the number an
expectation; arrays give float64.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache, partial, reduce
from math import gcd, prod
from typing import TypeAlias, cast

import numpy as np

from hwmodel.einsum.cascade import (
    Access,
    Apply,
    Cascade,
    Einsum,
    Expression,
    Index,
    accesses,
    gathered,
)
from hwmodel.einsum.distribution import expected_tiles as expected_tiles
from hwmodel.einsum.distribution import touched_members as touched_members
from hwmodel.einsum.known import known, of_form
from hwmodel.einsum.operators import LOOKED_UP, OPERATORS
from hwmodel.einsum.space import extent, free_ranks, larger, product_of, region, smaller
from hwmodel.quantity.dtypes import bytes_of, dtype
from hwmodel.quantity.units import Amount

Places: TypeAlias = tuple[tuple[int, Index], ...]
"""Axes of an access, and the fixed place at which each stands."""


def points(einsum: Einsum, cascade: Cascade) -> Amount:
    """Points of the iteration space, in expectation where it is thinned by chance."""
    return _thinned(einsum, region(einsum, cascade))


def _thinned(einsum: Einsum, count: Amount) -> Amount:
    for factor in (einsum.density, einsum.probability):
        if not isinstance(factor, (int, float)) or factor != 1:
            count = count * factor
    return count


def operation_counts(einsum: Einsum, cascade: Cascade) -> Mapping[tuple[str, str], Amount]:
    """Operations of one run of the Einsum, by (primitive kind, dtype)."""
    key = (operation_counts, id(einsum))
    kept = cascade.known.get(key)
    if kept is not None and kept[0] is einsum:
        return kept[1]
    counts = _operation_counts(einsum, cascade)
    if all([isinstance(count, (int, float)) for count in counts.values()]):
        cascade.known[key] = einsum, counts
    return counts


def _operation_counts(einsum: Einsum, cascade: Cascade) -> dict[tuple[str, str], Amount]:
    every = points(einsum, cascade)
    counts: dict[tuple[str, str], Amount] = {}
    mapped, folds = _operations(cascade, einsum.output, einsum.expression, einsum.reductions)
    for key, times in mapped:
        counts[key] = counts.get(key, 0) + (every if times == 1 else every * times)
    for kept, kinds in folds:
        folded = every if kept is None else _thinned(einsum, region(einsum, cascade, kept))
        for key, times in kinds:
            counts[key] = counts.get(key, 0) + folded * times
    return counts


Kinds: TypeAlias = tuple[tuple[tuple[str, str], int], ...]
"""(primitive kind, dtype), and how often at each point."""


@of_form
def _operations(
    cascade: Cascade,
    output: Access,
    expression: Expression,
    reductions: tuple[tuple[str, str], ...],
) -> tuple[Kinds, tuple[tuple[tuple[str, ...] | None, Kinds], ...]]:
    """Operations of an Einsum: of its map, and of each operator that folds the ranks named.

    The first of these folds every point (None).
    """
    einsum = Einsum(output, expression, reductions)
    mapped = tuple(
        ((kind, _widest(tensors, einsum, cascade)), times)
        for kind, times, tensors in _map_operations(expression)
    )
    kept = list(einsum.ranks)
    previous = ""
    folds: list[tuple[tuple[str, ...] | None, Kinds]] = []
    for rank, name in reversed(reductions):
        if name != previous:
            widest = _widest(_read_tensors(expression), einsum, cascade)
            kinds = tuple(((kind, widest), times) for kind, times in OPERATORS[name].kinds)
            folds.append((tuple(kept) if previous else None, kinds))
        kept.remove(rank)
        previous = name
    return mapped, tuple(folds)


def cascade_counts(cascade: Cascade) -> dict[tuple[str, str], Amount]:
    """Operations of the whole cascade, by (primitive kind, dtype)."""
    total: dict[tuple[str, str], Amount] = {}
    for einsum in cascade.einsums:
        for key, count in operation_counts(einsum, cascade).items():
            total[key] = total.get(key, 0) + count
    return total


def flops(cascade: Cascade) -> Amount:
    """All operations of the cascade, each one FLOP."""
    total: Amount = 0
    for count in cascade_counts(cascade).values():
        total = total + count
    return total


@lru_cache(maxsize=4096)
def _map_operations(expression: Expression) -> tuple[tuple[str, int, tuple[str, ...]], ...]:
    """(kind, times, tensors below) of every operator that touches data."""
    return tuple(_walk(expression))


def _walk(expression: Expression) -> Iterator[tuple[str, int, tuple[str, ...]]]:
    tensors = _read_tensors(expression)
    if isinstance(expression, Apply) and tensors:
        for kind, times in OPERATORS[expression.operator].kinds:
            yield kind, times, tensors
        for argument in expression.arguments:
            yield from _walk(argument)


@lru_cache(maxsize=4096)
def _read_tensors(expression: Expression) -> tuple[str, ...]:
    """Tensors whose values flow into the expression; positions that are looked up do not."""
    if isinstance(expression, Apply) and expression.operator in LOOKED_UP:
        return _read_tensors(expression.arguments[0])
    if isinstance(expression, Apply):
        found = (name for argument in expression.arguments for name in _read_tensors(argument))
        return tuple(dict.fromkeys(found))
    return tuple(access.tensor for access in accesses(expression))


def _widest(tensors: tuple[str, ...], einsum: Einsum, cascade: Cascade) -> str:
    names = [cascade.tensors[t].dtype for t in tensors or (einsum.name,)]
    return _element(max(names, key=_width) if len(names) > 1 else names[0])


@lru_cache(maxsize=64)
def _element(name: str) -> str:
    """The format that arithmetic sees: block scales are not part of it."""
    return dtype(name).base


@lru_cache(maxsize=64)
def _width(dtype: str) -> tuple[bool, float]:
    return not dtype.startswith(("int", "bool")), bytes_of(dtype)


def touched(access: Access, einsum: Einsum, cascade: Cascade) -> Amount:
    """Elements of the tensor that this access reaches over the Einsum's whole space.

    Bands are respected (a causal score tensor is a triangle, keys outside a window are not read),
    and so are members of a data-dependent rank that get no data. An affine axis counts the values
    that it takes, not those between them, and none that are pads. A gather reads one row per
    position, but no more rows than the table has; what is ranked is read whole. An axis at a fixed
    place counts 1. Of a density, whose points are taken to be kept independently of each other, it
    is the expected number: an element of which n points are possible is reached with probability
    1 - (1 - d)^n.
    """
    every = _touched(access, einsum, cascade)
    if isinstance(einsum.density, (int, float)) and einsum.density == 1:
        return every
    possible = region(einsum, cascade) / every
    return every * (1 - np.power(1 - einsum.density, possible))


def _touched(access: Access, einsum: Einsum, cascade: Cascade) -> Amount:
    """The same, of all points."""
    axes = _plain_axes(cascade, access, einsum.expression)
    if axes is not None:
        return region(einsum, cascade, axes)
    skipped = set(gathered(einsum.expression))
    pads = _pads(access, cascade)
    plain: list[str] = []
    count: Amount = 1
    for axis, index in enumerate(access.indices):
        ranks = [rank for rank, _ in index.terms]
        if skipped.intersection(ranks):
            looked_up = [
                rank for rank in _position_ranks(einsum.expression) if rank in einsum.ranks
            ]
            size = cascade.ranks[ranks[0]].size
            whole = ranked(einsum.expression)
            count = count * (size if whole else smaller(size, extent(looked_up, cascade)))
        elif len(ranks) > 1 or axis in pads:
            count = count * _stored(index, pads.get(axis), cascade)
        else:
            plain += ranks
    return count * region(einsum, cascade, list(dict.fromkeys(plain)))


def _pads(access: Access, cascade: Cascade) -> Mapping[int, tuple[str, int, int]]:
    """Of which axes of an access places are pads, by the axis."""
    tensor = cascade.tensors[access.tensor]
    if len(access.indices) < len(tensor.ranks):  # one slice of what is recurrent: it was made
        return {}
    return {tensor.ranks.index(pads[0]): pads for pads in tensor.pads}


def _stored(index: Index, pads: tuple[str, int, int] | None, cascade: Cascade) -> Amount:
    """Distinct places of an axis that an affine index takes, without those that are pads."""
    factors = [abs(factor) for _, factor in index.terms]
    sizes = [cascade.ranks[rank].size for rank, _ in index.terms]
    count = _values(factors, sizes)
    if pads is None:
        return count
    least = most = index.offset
    for (_, factor), size in zip(index.terms, sizes, strict=True):
        least = least + min(factor, 0) * (size - 1)
        most = most + max(factor, 0) * (size - 1)
    rank, low, high = pads
    before, behind = low - least, most - (cascade.ranks[rank].size - high) + 1
    return larger(0, count - _below(before, factors, sizes) - _below(behind, factors, sizes))


def _below(limit: Amount, factors: Sequence[int], sizes: Sequence[Amount]) -> Amount:
    """Distinct values below a limit of a sum of factors times ranks; mirrored, those at its end."""
    if any(isinstance(size, np.ndarray) for size in (limit, *sizes)):
        return np.vectorize(partial(_few, factors), otypes=[float])(limit, *sizes)
    return _few(factors, *cast(Sequence[float], (limit, *sizes)))


def _few(factors: Sequence[int], limit: float, *sizes: float) -> int:
    """The same, counted: no factor's rank is walked further than the limit."""
    if limit <= 0:
        return 0
    near = [min(int(size), -(-int(limit) // f)) for f, size in zip(factors, sizes, strict=True)]
    if limit > MOST_VALUES:
        return min(int(limit), prod(near))
    return (_taken(factors, near) & (1 << int(limit)) - 1).bit_count()


def _values(factors: Sequence[int], sizes: Sequence[Amount]) -> Amount:
    """Distinct values of a sum of factors times ranks: of two ranks in closed form.

    Two points of s*y + d*r meet where they differ by a multiple of (d/g, -s/g), g = gcd(s, d).
    """
    if len(factors) > 2:
        if any(isinstance(size, np.ndarray) for size in sizes):
            return np.vectorize(partial(_sums, factors), otypes=[float])(*sizes)
        return _sums(factors, *cast(Sequence[float], sizes))
    if len(factors) == 1:
        return sizes[0]
    (first, second), (rows, columns) = factors, sizes
    common = gcd(first, second)
    meeting = larger(0, rows - second // common) * larger(0, columns - first // common)
    return rows * columns - meeting


def _sums(factors: Sequence[int], *sizes: float) -> int:
    """The same of any number of ranks, counted.

    Of more values than would lie in 8 MB the span or the points, whichever are fewer: no less.
    """
    span = 1 + sum(factor * (int(size) - 1) for factor, size in zip(factors, sizes, strict=True))
    if span > MOST_VALUES:
        return min(span, prod(int(size) for size in sizes))
    return _taken(factors, sizes).bit_count()


MOST_VALUES = 2**26
"""Bits of 8 MB."""


def _taken(factors: Sequence[int], sizes: Sequence[float]) -> int:
    """A bit for each value that is taken."""
    taken = 1
    for factor, size in zip(factors, sizes, strict=True):
        copies = 1
        while copies < size:
            more = min(copies, int(size) - copies)
            taken, copies = taken | taken << factor * more, copies + more
    return taken


@of_form
def _plain_axes(cascade: Cascade, access: Access, expression: Expression) -> tuple[str, ...] | None:
    """The ranks of an access whose every index is one rank or a fixed place; None of others.

    None of a tensor with pads, either.
    """
    if cascade.tensors[access.tensor].pads:
        return None
    skipped = set(gathered(expression))
    if any(len(i.terms) > 1 or skipped.intersection(r for r, _ in i.terms) for i in access.indices):
        return None
    return access.ranks


def _position_ranks(expression: Expression) -> tuple[str, ...]:
    """Ranks of the positions that an expression looks up."""
    if not isinstance(expression, Apply):
        return ()
    if expression.operator in LOOKED_UP:
        return tuple(r for access in accesses(expression.arguments[1]) for r in access.ranks)
    return tuple(r for argument in expression.arguments for r in _position_ranks(argument))


def ranked(expression: Expression) -> bool:
    """Whether an expression puts numbers in order."""
    if not isinstance(expression, Apply):
        return False
    return expression.operator == "ranked" or any(map(ranked, expression.arguments))


def elements(tensor: str, cascade: Cascade) -> Amount:
    """Elements of the whole tensor, touched or not; one slice of a recurrent tensor; no pads."""
    ranks, pads = stored_ranks(tensor, cascade), cascade.tensors[tensor].pads
    if not pads:
        return extent(ranks, cascade)
    padded = {rank for rank, _, _ in pads}
    count = extent([rank for rank in ranks if rank not in padded], cascade)
    for rank, low, high in pads:
        count = count * larger(0, cascade.ranks[rank].size - low - high)
    return count


def footprint(tensor: str, cascade: Cascade) -> Amount:
    """Elements of the tensor that the cascade reads or writes: the widest of its accesses.

    Accesses at different fixed places of the same axes reach different elements, which add up. A
    tensor that is recurrent along a rank keeps one slice: each step overwrites the one before.
    """
    return _footprint(cascade, tensor)


@known()
def _footprint(cascade: Cascade, tensor: str) -> Amount:
    reached: dict[Places, Amount] = {}
    products = _as_products(cascade, tensor)
    if products is not None:
        for places, ranks in products:
            count = product_of(ranks, cascade)
            reached[places] = larger(reached[places], count) if places in reached else count
    else:
        for position, access in _slices(cascade, tensor):
            count = touched(access, cascade.einsums[position], cascade)
            places = _places(access)
            reached[places] = larger(reached[places], count) if places in reached else count
    apart: dict[tuple[int, ...], Amount] = {}
    for places, count in reached.items():
        axes = tuple(axis for axis, _ in places)
        apart[axes] = apart[axes] + count if axes in apart else count
    return reduce(larger, apart.values()) if apart else elements(tensor, cascade)


def _places(access: Access) -> Places:
    """The axes of an access that stand at a fixed place, and the place."""
    return tuple((axis, index) for axis, index in enumerate(access.indices) if not index.terms)


@of_form
def _as_products(
    cascade: Cascade, tensor: str
) -> tuple[tuple[Places, tuple[str, ...]], ...] | None:
    """Fixed places, and ranks whose product is reached, of each access; None of what is less."""
    found: list[tuple[Places, tuple[str, ...]]] = []
    for position, access in _slices(cascade, tensor):
        einsum = cascade.einsums[position]
        axes = _plain_axes(cascade, access, einsum.expression)
        dense = isinstance(einsum.density, (int, float)) and einsum.density == 1
        free = (
            free_ranks(cascade, axes) if axes is not None and dense and not einsum.bands else None
        )
        if free is None:
            return None
        found.append((_places(access), free))
    return tuple(dict.fromkeys(found))


@of_form
def _slices(cascade: Cascade, tensor: str) -> tuple[tuple[int, Access], ...]:
    """Each access of a tensor, with the place of its Einsum, at the axes that are stored."""
    stored, spans = stored_ranks(tensor, cascade), cascade.tensors[tensor].ranks
    found: list[tuple[int, Access]] = []
    for position, einsum in enumerate(cascade.einsums):
        for access in (einsum.output, *einsum.reads):
            if access.tensor == tensor:
                pairs = zip(access.indices, spans, strict=True)
                found.append((position, Access(tensor, tuple(i for i, r in pairs if r in stored))))
    return tuple(dict.fromkeys(found))


@lru_cache(maxsize=4096)
def _recurrent(output: Access, spans: tuple[str, ...]) -> tuple[str, ...]:
    """The ranks of an output's axes that it is written ahead along."""
    pairs = zip(output.indices, spans, strict=True)
    return tuple(rank for index, rank in pairs if len(index.terms) == 1 and index.offset > 0)


def stored_ranks(tensor: str, cascade: Cascade) -> tuple[str, ...]:
    """The axes of a tensor that are stored; one that is recurrent along a rank keeps a slice."""
    spans = cascade.tensors[tensor].ranks
    for einsum in cascade.einsums:
        if einsum.name == tensor:
            ahead = _recurrent(einsum.output, spans)
            return tuple(r for r in spans if r not in ahead or not cascade.ranks[r].iterative)
    return spans


def footprint_bytes(tensor: str, cascade: Cascade) -> Amount:
    """Bytes of the tensor that the cascade reads or writes (see `footprint`)."""
    return _footprint(cascade, tensor) * bytes_of(cascade.tensors[tensor].dtype)
