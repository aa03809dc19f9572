"""Recurrences that keep a state in the cache, as the one kernel that runs them."""

from typing import Any

from hwmodel.einsum.cascade import Cascade, Einsum
from hwmodel.einsum.counts import footprint_bytes, operation_counts
from hwmodel.einsum.known import of_form
from hwmodel.einsum.space import extent
from hwmodel.einsum.structure import as_product, contraction, intermediates
from hwmodel.machines.gpu.libraries.library import Found
from hwmodel.machines.gpu.schedules import scan as scan_schedule
from hwmodel.machines.gpu.units import product_unit, scalar_operations
from hwmodel.quantity.arithmetic import most
from hwmodel.quantity.dtypes import bytes_of
from hwmodel.quantity.units import Amount


def recurrence(cascade: Cascade) -> list[Found]:
    """A fused recurrence: a cascade of several Einsums whose state stays, or is read in products.

    Products of matrices count on the matrix unit, those of a matrix and a vector elsewhere. The
    tensor that runs ahead is the state of a prompt, its states between steps pass the DRAM.
    """
    ahead = {rank.name for rank in cascade.ranks.values() if rank.iterative}
    kept = _kept(cascade)
    if len(cascade.einsums) < 2 or not kept:
        return []
    state = {name: [r for r in cascade.tensors[name].ranks if r not in ahead] for name in kept}
    others = (cascade.tensors[n].ranks for n in cascade.outputs if n not in kept)
    out = next(others, ())
    shared = {rank for ranks in state.values() for rank in ranks}
    columns = [rank for rank in out if rank in shared]
    operations: dict[Any, Amount] = {}
    for einsum in cascade.einsums:
        for key, count in unit_operations(einsum, cascade).items():
            operations[key] = operations.get(key, 0) + count
    steps = [rank for rank in cascade.ranks.values() if rank.iterative]
    inputs = [cascade.tensors[name] for name in cascade.inputs]
    problem = scan_schedule.ScanProblem(
        state=sum(extent(ranks, cascade) for ranks in state.values()),
        steps=most((0, *(rank.size for rank in steps))),
        read_bytes=sum(footprint_bytes(name, cascade) for name in cascade.inputs),
        written_bytes=sum(footprint_bytes(name, cascade) for name in cascade.outputs),
        passed_bytes=_passed(cascade),
        dtype=min((t.dtype for t in inputs), key=bytes_of),
        products=any(unit == "matrix" for unit, *_ in operations),
        operations=operations,
        columns=extent(columns, cascade),
        values=extent(columns[-1:], cascade),
        tokens=extent([rank for rank in out if rank not in shared], cascade),
        solves=len(steps) > 1,
    )
    return [Found(cascade.name, "scan", problem, cascade)]


@of_form
def _kept(cascade: Cascade) -> tuple[str, ...]:
    """The state: what is left in the cache, else sums that run ahead and that products read."""
    left = tuple(name for name in cascade.outputs if cascade.tensors[name].role == "cache")
    if left:
        return left
    read = {
        access.tensor
        for einsum in cascade.einsums
        if as_product(einsum.output, einsum.expression, einsum.reductions) is not None
        for access in einsum.reads
    }
    ahead = read & _recurrent(cascade)
    return tuple(einsum.name for einsum in cascade.einsums if einsum.name in ahead)


def unit_operations(einsum: Einsum, cascade: Cascade) -> dict[Any, Amount]:
    """Operations of an Einsum by unit: a product of two matrices runs on the matrix unit."""
    product, counts = contraction(einsum, cascade), operation_counts(einsum, cascade)
    if product is None or not (product.m_ranks and product.n_ranks):
        return scalar_operations(counts)
    unit, kind = product_unit(product.dtype_a, product.dtype_b)
    return {(unit, "flop", kind): sum(counts.values())}


def _passed(cascade: Cascade) -> Amount:
    """Bytes of the states between the chunks of a prompt that products read: of all chunks.

    A footprint counts one of them, since each overwrites the one before; launches that follow each
    other need them all at once.
    """
    read = {
        access.tensor
        for einsum in cascade.einsums
        if contraction(einsum, cascade) is not None
        for access in einsum.reads
    }
    ahead = {rank.name for rank in cascade.ranks.values() if rank.iterative}
    names = [name for name in intermediates(cascade) if name in read]
    total: Amount = 0
    for name in names:
        chunks = ahead & set(cascade.tensors[name].ranks)
        if chunks and name in _recurrent(cascade):
            total = total + footprint_bytes(name, cascade) * extent(sorted(chunks), cascade)
    return total


@of_form
def _recurrent(cascade: Cascade) -> frozenset[str]:
    """Tensors that are made of themselves, a step before."""
    return frozenset(
        einsum.name for einsum in cascade.einsums if einsum.name in operands(einsum.expression)
    )


def operands(expression: Any) -> list[str]:
    """Names of the tensors that an expression reads."""
    if hasattr(expression, "tensor"):
        return [expression.tensor]
    return [name for part in getattr(expression, "arguments", ()) for name in operands(part)]
