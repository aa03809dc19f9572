"""Kernels that keep on chip what several Einsums pass on, found by ranks and operators.

    D[i, j] = sum(d) X[i, d] * C[j, d];  A[i] = argmin(j) D[i, j]   a product, the least of each row
    products by [f, x] there and by [f, x] back, maps between them  a convolution by transforms
    Y[r, g, c] elementwise;  S[g] = sum(r, c) ..., several          gradients and their sums

Squared distances are such a product once they are multiplied out, by which a library without the
fused kernel computes them too. Where a library has none of these schedules the Einsums are calls of
their own.
"""

from collections.abc import Container
from dataclasses import dataclass

from hwmodel.einsum.cascade import Access, Apply, Cascade, Einsum
from hwmodel.einsum.counts import footprint_bytes, operation_counts
from hwmodel.einsum.known import of_form
from hwmodel.einsum.notation import parse
from hwmodel.einsum.space import extent
from hwmodel.einsum.structure import as_product, plain
from hwmodel.einsum.workloads.fft_convolution import factors_of
from hwmodel.machines.gpu.libraries.library import Found
from hwmodel.machines.gpu.schedules.grouped_gradients import GradientProblem
from hwmodel.machines.gpu.schedules.monarch import MonarchProblem
from hwmodel.machines.gpu.schedules.nearest import NearestProblem
from hwmodel.quantity.dtypes import bytes_of
from hwmodel.quantity.units import Amount

ORDERS = (2, 3)
"""Products of a transform."""
COMPLEX = 4
"""Real products of a complex one."""


def fused(cascade: Cascade, schedules: Container[str]) -> list[Found]:
    """The one kernel of a cascade among those of `schedules`; none of another."""
    if "nearest" in schedules and (found := nearest(cascade)):
        return [found]
    if "monarch" in schedules and (found := transform(cascade)):
        return [found]
    if "gradients" in schedules and (found := gradients(cascade)):
        return [found]
    return []


@dataclass(frozen=True)
class Pair:
    """A sum over products or squared differences of two tensors, and what is kept of it."""

    a: Access
    b: Access
    rows: tuple[str, ...]
    others: tuple[str, ...]
    length: tuple[str, ...]
    squared: bool


@of_form
def _pair(cascade: Cascade) -> Pair | None:
    """Two Einsums: all pairs of rows, then the least or most over one side, which alone is kept."""
    if len(cascade.einsums) != 2:
        return None
    made, kept = cascade.einsums
    whole = isinstance(kept.expression, Access) and kept.expression.tensor == made.name
    one = {operator for _, operator in kept.reductions} & {"argmin", "argmax", "min", "max"}
    if not whole or len(one) != 1 or made.name in cascade.outputs:
        return None
    operands = _operands(made)
    if operands is None:
        return None
    (a, b), squared = operands
    others = tuple(rank for rank, _ in kept.reductions)
    length = tuple(rank for rank, _ in made.reductions)
    if not set(others) <= set(b.ranks):
        a, b = b, a
    rows = tuple(rank for rank in kept.output.ranks)
    apart = set(a.ranks) == {*rows, *length} and set(b.ranks) == {*others, *length}
    return Pair(a, b, rows, others, length, squared) if apart and length else None


def _operands(einsum: Einsum) -> tuple[tuple[Access, Access], bool] | None:
    """(both operands, whether their difference is squared) of a sum over pairs."""
    product = as_product(einsum.output, einsum.expression, einsum.reductions)
    if product is not None:
        return (product.a, product.b), False
    square = einsum.expression
    if any(operator != "add" for _, operator in einsum.reductions):
        return None
    if not isinstance(square, Apply) or square.operator != "square":
        return None
    (inside,) = square.arguments
    if not isinstance(inside, Apply) or inside.operator != "subtract":
        return None
    a, b = inside.arguments
    if isinstance(a, Access) and isinstance(b, Access) and plain(a) and plain(b):
        return (a, b), True
    return None


def nearest(cascade: Cascade) -> Found | None:
    """A product whose least of each row is all that is kept."""
    form = _pair(cascade)
    if form is None:
        return None
    problem = NearestProblem(
        rows=extent(form.rows, cascade),
        others=extent(form.others, cascade),
        length=extent(form.length, cascade),
        dtype_a=cascade.tensors[form.a.tensor].dtype,
        dtype_b=cascade.tensors[form.b.tensor].dtype,
    )
    return Found(cascade.name, "nearest", problem, cascade)


def multiplied_out(cascade: Cascade) -> Cascade:
    """Squared distances as a product and both lengths; any other cascade as it is."""
    form = _pair(cascade)
    if form is None or not form.squared:
        return cascade
    made, kept = cascade.einsums
    i, j, d = (", ".join(ranks) for ranks in (form.rows, form.others, form.length))
    a, b = (f"{access.tensor}[{', '.join(access.ranks)}]" for access in (form.a, form.b))
    ((_, operator), *_) = kept.reductions
    declared = [
        f"tensor {access.tensor}[{', '.join(access.ranks)}]: weight"
        for access in (form.a, form.b)
        if cascade.tensors[access.tensor].role == "weight"
    ]
    text = f"""
    A_LENGTH[{i}] = sum({d}) {a} * {a}
    B_LENGTH[{j}] = sum({d}) {b} * {b}
    PRODUCT[{i}, {j}] = sum({d}) {a} * {b}
    {made.name}[{i}, {j}] = A_LENGTH[{i}] + B_LENGTH[{j}] - 2 * PRODUCT[{i}, {j}]
    {kept.name}[{i}] = {operator}({j}) {made.name}[{i}, {j}]
    """
    distance = cascade.tensors[made.name].dtype
    kinds = dict.fromkeys(("A_LENGTH", "B_LENGTH", "PRODUCT"), distance)
    return parse(
        "\n".join([*declared, *(line.strip() for line in text.splitlines())]),
        sizes={rank: cascade.ranks[rank].size for rank in (*form.rows, *form.others, *form.length)},
        dtypes={name: tensor.dtype for name, tensor in cascade.tensors.items()} | kinds,
        name=cascade.name,
    )


@dataclass(frozen=True)
class Transform:
    """The ranks of a transform there and back: points, signals, filters; names of the filters."""

    points: tuple[str, ...]
    signals: tuple[str, ...]
    filters: tuple[str, ...]
    spectra: tuple[str, ...]
    dtype: str


@of_form
def _transform(cascade: Cascade) -> Transform | None:
    """Complex products by square weights, each undone later, and elementwise Einsums between."""
    tensors, made = cascade.tensors, {einsum.name for einsum in cascade.einsums}
    steps: dict[tuple[str, str], int] = {}
    weights: set[str] = set()
    for einsum in cascade.einsums:
        if not einsum.reductions:
            continue
        product = as_product(einsum.output, einsum.expression, einsum.reductions)
        if product is None or len(product.k) != 1:
            return None
        matrix = product.a if tensors[product.a.tensor].role == "weight" else product.b
        if tensors[matrix.tensor].role != "weight" or len(matrix.ranks) != 2:
            return None
        new = [rank for rank in matrix.ranks if rank != product.k[0]]
        steps[product.k[0], new[0]] = steps.get((product.k[0], new[0]), 0) + 1
        weights.add(matrix.tensor)
    there = tuple(steps)[: len(steps) // 2]
    undone = all((f, x) in steps for x, f in there) and set(steps.values()) == {COMPLEX}
    if len(there) not in ORDERS or not undone:
        return None
    points, spectrum = (tuple(each) for each in zip(*there, strict=True))
    spectra = tuple(
        name
        for name, tensor in tensors.items()
        if tensor.role == "weight" and name not in weights and set(spectrum) <= set(tensor.ranks)
    )
    given = [tensors[name] for name in cascade.inputs if tensors[name].role != "weight"]
    out = [tensors[name] for name in cascade.outputs]
    if not spectra or not given or any(set(t.ranks) != set(given[0].ranks) for t in given + out):
        return None
    if not made or not set(points) <= set(given[0].ranks):
        return None
    own = {rank for name in spectra for rank in tensors[name].ranks} - set(spectrum)
    beside = [rank for rank in given[0].ranks if rank not in points]
    return Transform(
        points=points,
        signals=tuple(rank for rank in beside if rank not in own),
        filters=tuple(rank for rank in beside if rank in own),
        spectra=spectra,
        dtype=given[0].dtype,
    )


def transform(cascade: Cascade) -> Found | None:
    """A convolution by transforms that are products, of lengths that our kernel takes apart so."""
    form = _transform(cascade)
    if form is None:
        return None
    sizes = tuple(cascade.ranks[rank].size for rank in form.points)
    length = 1
    for size in sizes:
        length = length * size
    if not isinstance(length, int) or sizes != factors_of(length):
        return None
    outer, n1, n2 = sizes if len(sizes) == max(ORDERS) else (1, *sizes)
    weights = [name for name in cascade.inputs if cascade.tensors[name].role == "weight"]
    signals = [name for name in cascade.inputs if name not in weights]
    problem = MonarchProblem(
        batch=extent(form.signals, cascade),
        filters=extent(form.filters, cascade),
        outer=int(outer),
        n1=int(n1),
        n2=int(n2),
        read_bytes=sum(footprint_bytes(name, cascade) for name in signals),
        filter_bytes=sum(footprint_bytes(name, cascade) for name in weights),
        written_bytes=sum(footprint_bytes(name, cascade) for name in cascade.outputs),
        dtype=form.dtype,
        gates=len(signals) - len(cascade.outputs),
    )
    return Found(cascade.name, "monarch", problem, cascade)


@dataclass(frozen=True)
class Gradients:
    """Ranks before the groups', the groups', and after them; how many sums each group has."""

    rows: tuple[str, ...]
    groups: tuple[str, ...]
    width: tuple[str, ...]
    sums: int


@of_form
def _gradients(cascade: Cascade) -> Gradients | None:
    """Elementwise Einsums over one space, of which some are returned and others summed."""
    summed = [einsum for einsum in cascade.einsums if einsum.reductions]
    flat = [einsum for einsum in cascade.einsums if not einsum.reductions]
    over = {frozenset(einsum.reductions) for einsum in summed}
    if len(summed) < 2 or len(over) != 1 or any(rank.iterative for rank in cascade.ranks.values()):
        return None
    (ranks,) = over
    if any(operator != "add" for _, operator in ranks):
        return None
    gone = {rank for rank, _ in ranks}
    names = {einsum.name for einsum in summed}
    whole = [einsum for einsum in flat if einsum.name in cascade.outputs]
    if not whole or not names <= set(cascade.outputs):
        return None
    space = whole[0].output.ranks
    left = [rank for rank in space if rank not in gone]
    alike = all(set(einsum.output.ranks) == set(space) for einsum in flat)
    kept = all(set(einsum.output.ranks) == set(left) for einsum in summed)
    if not alike or not kept or not left or not gone <= set(space):
        return None
    reads = (set(read.ranks) for einsum in cascade.einsums for read in einsum.reads)
    if any(ranks not in (set(space), set(left)) for ranks in reads):
        return None
    at = [position for position, rank in enumerate(space) if rank in left]
    if at != list(range(at[0], at[-1] + 1)):
        return None
    return Gradients(space[: at[0]], tuple(left), space[at[-1] + 1 :], len(summed))


def gradients(cascade: Cascade) -> Found | None:
    """Elementwise results with sums of others over rows and columns of groups."""
    form = _gradients(cascade)
    if form is None:
        return None
    rows, groups, width = (extent(ranks, cascade) for ranks in (form.rows, form.groups, form.width))
    operations: Amount = 0
    for einsum in cascade.einsums:
        operations = operations + sum(operation_counts(einsum, cascade).values())
    given = [cascade.tensors[name] for name in cascade.inputs]
    whole = [tensor.dtype for tensor in given if set(tensor.ranks) > {*form.groups}]
    problem = GradientProblem(
        rows=rows,
        groups=groups,
        width=width,
        sums=form.sums,
        read_bytes=sum(footprint_bytes(name, cascade) for name in cascade.inputs),
        written_bytes=sum(footprint_bytes(name, cascade) for name in cascade.outputs),
        lanes=operations / (rows * groups * width),
        dtype=max(whole, key=bytes_of),
    )
    return Found(cascade.name, "gradients", problem, cascade)
