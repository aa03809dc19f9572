"""Which of the theorems speak of a cascade: its lone products, and its pairs with a free datum."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from hwmodel.bounds.compulsory import plain, stored
from hwmodel.bounds.pairs import Pairs
from hwmodel.bounds.segments import Operand
from hwmodel.bounds.tiling import TileProgram, distinct, form, program
from hwmodel.einsum.attention_shape import attention
from hwmodel.einsum.cascade import Access, Cascade, Einsum
from hwmodel.einsum.counts import footprint, footprint_bytes
from hwmodel.einsum.known import of_form
from hwmodel.einsum.space import extent, region, smaller
from hwmodel.einsum.structure import contraction
from hwmodel.quantity.dtypes import bytes_of
from hwmodel.quantity.units import Amount


@dataclass(frozen=True, eq=False)
class Product:
    """An Einsum with what its tile program needs: operands in the program's order, rank sizes."""

    what: str
    program: TileProgram
    operands: tuple[Operand, ...]
    points: Amount
    sizes: dict[str, Amount]


def products(cascade: Cascade) -> Iterator[Product]:
    """The Einsums that combine two of the cascade's own tensors, of which the program speaks.

    Intermediates are left out: they may be made anew where they are read, and need not be stored.
    """
    for position, found, widths, what in _programs(cascade):
        einsum = cascade.einsums[position]
        operands = tuple(
            Operand(name, width / times, footprint(name, cascade) * width / times)
            for name, width, times in widths
        )
        count = region(einsum, cascade) * einsum.density
        yield Product(what, found, operands, count, _sizes(einsum, found, cascade))


Widths: TypeAlias = tuple[tuple[str, int | float, int], ...]
"""Tensors with their width, and how often the program has them; of an output, the width of what it
is stored as."""


@of_form
def _programs(cascade: Cascade) -> tuple[tuple[int, TileProgram, Widths, str], ...]:
    """Places of those Einsums, their programs, operands, and the theorem's name if it is famous."""
    every: list[tuple[int, TileProgram, Widths, str]] = []
    for position, einsum in enumerate(cascade.einsums):
        padded = any(cascade.tensors[read.tensor].pads for read in einsum.reads)
        if padded or not _certain(einsum):  # points on pads need no element of the image
            continue
        keeps = _kept_as(einsum, cascade)
        names = [name for name in cascade.inputs if any(a.tensor == name for a in einsum.reads)]
        names += [einsum.name] if keeps else []
        accesses = form(einsum, names)
        if len(accesses) < 2:
            continue
        found = program(accesses)
        if found.vertices:
            product = contraction(einsum, cascade) if len(accesses) == 3 else None
            widths = tuple(
                (name, _width(name, einsum, keeps, cascade), found.tensors.count(name))
                for name in found.tensors
            )
            what = "2MNK/sqrt(S) + S (Smith et al. 2019, from an empty memory)" if product else ""
            every.append((position, found, widths, what))
    return tuple(every)


def _certain(einsum: Einsum) -> bool:
    return isinstance(einsum.probability, (int, float)) and einsum.probability == 1


def _kept_as(einsum: Einsum, cascade: Cascade) -> str:
    """The stored tensor that has one element for each of this output's, or none."""
    return _stored_as(cascade, einsum.name)


@of_form
def _stored_as(cascade: Cascade, name: str) -> str:
    if name in stored(cascade):
        return name
    at, einsum = next((i, e) for i, e in enumerate(cascade.einsums) if e.name == name)
    for after in cascade.einsums[at + 1 :]:
        reads = any(access.tensor == name for access in after.reads)
        if reads and set(after.output.ranks) == set(einsum.output.ranks) and not after.reductions:
            name = after.name
    return name if name in stored(cascade) else ""


def _width(name: str, einsum: Einsum, kept: str, cascade: Cascade) -> int | float:
    """Bytes an element; of an output, no more than those of the tensor that it is stored as."""
    width = bytes_of(cascade.tensors[name].dtype)
    return min(width, bytes_of(cascade.tensors[kept].dtype)) if name == einsum.name else width


def _sizes(einsum: Einsum, found: TileProgram, cascade: Cascade) -> dict[str, Amount]:
    """Largest extent of each rank, and of the parts that a stride splits it into."""
    sizes: dict[str, Amount] = {}
    for name in einsum.ranks:
        rank = cascade.ranks[name]
        spread = rank.distribution
        sizes[name] = rank.size if spread is None else spread.draws * spread.picks
    for rank, coarse, stride in found.splits:
        sizes[coarse] = -(-sizes[rank] // stride)
        sizes[rank] = smaller(sizes[rank], stride)
    return sizes


def pairs_of(cascade: Cascade) -> Iterator[Pairs]:
    """Attention as a whole, and every product of two inputs whose result need not be stored."""
    made = _made(cascade)
    fused = _attention_pairs(cascade, made)
    if fused is not None:
        yield fused
        return
    for einsum in cascade.einsums:
        if einsum.name in made and not _kept_as(einsum, cascade) and _certain(einsum):
            found = _free_pairs(einsum, made, cascade)
            if found is not None:
                yield found
                yield from _chained_pairs(einsum, found, made, cascade)


@of_form
def _made(cascade: Cascade) -> set[str]:
    """Tensors that are made and need not be stored."""
    return {einsum.name for einsum in cascade.einsums} - set(stored(cascade))


def _free_pairs(einsum: Einsum, made: set[str], cascade: Cascade) -> Pairs | None:
    sides = distinct(einsum)[1:]
    folded = {rank for rank, _ in einsum.reductions}
    if len(sides) != 2 or any(access.tensor not in cascade.inputs for access in sides):
        return None
    if not all(_simple(access) for access in (einsum.output, *sides)):
        return None
    if not set(einsum.output.ranks) <= {rank for access in sides for rank in access.ranks}:
        return None
    spread = any(cascade.ranks[rank].distribution is not None for rank in folded)
    banded = any(rank in folded for band in einsum.bands for rank, _ in band.terms)
    if spread or banded:
        return None
    summed = all(folded <= set(access.ranks) for access in sides)
    first, second = (
        extent([rank for rank in access.ranks if rank in folded], cascade)
        * bytes_of(cascade.tensors[access.tensor].dtype)
        / (2 if sides[0].tensor == sides[1].tensor else 1)
        for access in sides
    )
    return Pairs(
        what="pairs whose datum may stay on the chip",
        count=region(einsum, cascade, einsum.output.ranks) * einsum.density,
        first_bytes=first,
        second_bytes=second,
        compulsory_bytes=_bytes([access.tensor for access in sides], cascade),
        datum_bytes=min(bytes_of(cascade.tensors[name].dtype) for name in made),
        element_bytes=max(bytes_of(cascade.tensors[access.tensor].dtype) for access in sides),
        terms=extent(sorted(folded), cascade) if summed else 0,
    )


def _chained_pairs(
    scores: Einsum, alone: Pairs, made: set[str], cascade: Cascade
) -> Iterator[Pairs]:
    """Those pairs where a product with a third input takes the datum, or a function of it, in.

    As an attention whose softmax is one step, or is left out.
    """
    derived = {scores.name}
    for einsum in cascade.einsums[cascade.einsums.index(scores) + 1 :]:
        read = distinct(einsum)[1:]
        if not _certain(einsum) or not any(access.tensor in derived for access in read):
            continue
        same = set(einsum.output.ranks) == set(scores.output.ranks)
        if same and not einsum.reductions and einsum.name in made:
            derived.add(einsum.name)
        elif len(read) == 2:
            found = _mixed_pairs(scores, alone, einsum, derived, cascade)
            if found is not None:
                yield found


def _mixed_pairs(
    scores: Einsum, alone: Pairs, mixed: Einsum, derived: set[str], cascade: Cascade
) -> Pairs | None:
    """The pairs of `scores`, whose datum `mixed` multiplies with an input's fibre and sums up."""
    sides = distinct(scores)[1:]
    datum, value = sorted(distinct(mixed)[1:], key=lambda access: access.tensor not in derived)
    kept = _kept_as(mixed, cascade)
    given = {access.tensor for access in sides}
    if not kept or value.tensor not in set(cascade.inputs) - given or len(given) < 2:
        return None
    if not all(_simple(access) for access in (mixed.output, datum, value)):
        return None
    if not (plain(scores) and plain(mixed)) or any(
        cascade.ranks[rank].distribution is not None for rank in mixed.ranks
    ):
        return None
    folded = {rank for rank, _ in scores.reductions}
    pair, into, fibre = set(datum.ranks), set(mixed.output.ranks), set(value.ranks)
    sums = [set(access.ranks) - folded for access in sides]
    if into - pair != fibre - pair or [pair & into, pair & fibre] not in (sums, sums[::-1]):
        return None
    width = bytes_of(cascade.tensors[value.tensor].dtype)
    out = min(bytes_of(cascade.tensors[name].dtype) for name in (mixed.name, kept))
    length = extent([rank for rank in value.ranks if rank not in pair], cascade)
    ours = pair & into == sums[0]
    first, second = alone.first_bytes, alone.second_bytes
    return Pairs(
        what="pairs of two products, data on the chip",
        count=alone.count,
        first_bytes=first if ours else second,
        second_bytes=second if ours else first,
        compulsory_bytes=_bytes([*given, value.tensor, kept], cascade),
        datum_bytes=alone.datum_bytes,
        element_bytes=max(alone.element_bytes, width, out),
        first_out_bytes=length * out,
        second_out_bytes=length * width,
        terms=alone.terms,
    )


def _attention_pairs(cascade: Cascade, made: set[str]) -> Pairs | None:
    shape = attention(cascade)
    if (
        shape is None
        or len({shape.query, shape.key, shape.value}) < 3
        or not all(_certain(einsum) for einsum in cascade.einsums)
    ):
        return None
    at = _reading(cascade, shape.query, shape.key), _reading(cascade, shape.value)
    scores, mixed = (cascade.einsums[position] for position in at)
    tensors = cascade.tensors
    out = min(bytes_of(shape.dtype_out), bytes_of(tensors[mixed.name].dtype))
    given = [bytes_of(tensors[name].dtype) for name in (shape.query, shape.key, shape.value)]
    names = (shape.query, shape.key, shape.value)
    if not set(names) <= set(cascade.inputs) or shape.output not in stored(cascade):
        return None
    return Pairs(
        what="pairs of queries and keys, scores on the chip",
        count=region(scores, cascade, scores.output.ranks) * scores.density,
        first_bytes=shape.head_dim * given[0],
        second_bytes=shape.head_dim * given[1],
        compulsory_bytes=_bytes([*names, shape.output], cascade),
        datum_bytes=min(bytes_of(tensors[name].dtype) for name in made),
        element_bytes=max(*given, out),
        first_out_bytes=shape.value_dim * out,
        second_out_bytes=shape.value_dim * given[2],
        terms=shape.head_dim,
    )


@of_form
def _reading(cascade: Cascade, *names: str) -> int:
    """The place of the first Einsum that reads all of these tensors."""
    read = [{access.tensor for access in einsum.reads} for einsum in cascade.einsums]
    return next(place for place, tensors in enumerate(read) if tensors >= {*names})


def _bytes(names: list[str], cascade: Cascade) -> Amount:
    """Compulsory bytes of some tensors, each once."""
    return sum(footprint_bytes(name, cascade) for name in dict.fromkeys(names))


def _simple(access: Access) -> bool:
    return all(index.rank is not None for index in access.indices)
