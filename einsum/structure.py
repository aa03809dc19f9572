"""Structure of Einsums and cascades, found by ranks and operators and never by names.

A *contraction* is a product of two tensors summed over ranks that both have: batch ranks stand in
both and in the output, m ranks in the first and the output, n ranks in the second and the output,
k ranks in both alone (the tensor-contraction view of GEMM: Springer and Bientinesi, arXiv
1607.00145). A *row operation* maps rows and reduces columns only (softmax, norms, elementwise).
Factors without a tensor in them (`/ sqrt(E)`) do not change a structure.

Recognition reads the form alone and is remembered; sizes, ints or arrays, come last.
"""

from dataclasses import dataclass
from functools import lru_cache

from hwmodel.einsum.cascade import (
    Access,
    Apply,
    Band,
    Cascade,
    Distribution,
    Einsum,
    Expression,
    accesses,
)
from hwmodel.einsum.counts import operation_counts
from hwmodel.einsum.known import of_form
from hwmodel.einsum.passes import passes
from hwmodel.einsum.space import extent
from hwmodel.quantity.units import Amount

Reductions = tuple[tuple[str, str], ...]
Form = tuple[Access, Expression, Reductions]


@dataclass(frozen=True, eq=False)
class Contraction:
    """`out[batch, m, n] = sum over k of a[batch, m, k] * b[batch, n, k]`, sizes as products.

    With `routing`, m depends on data: `m` is then the rows of all `members` together, and batch
    leaves the members out. `bands` are those of the Einsum.
    """

    a: str
    b: str
    out: str
    batch: Amount
    m: Amount
    n: Amount
    k: Amount
    batch_ranks: tuple[str, ...]
    m_ranks: tuple[str, ...]
    n_ranks: tuple[str, ...]
    k_ranks: tuple[str, ...]
    dtype_a: str
    dtype_b: str
    dtype_out: str
    members: Amount = 1
    routing: Distribution | None = None
    bands: tuple[Band, ...] = ()


@dataclass(frozen=True, eq=False)
class RowOperation:
    """Maps over `rows` rows of `cols` columns; only columns are reduced.

    `passes` is how often an input's row is traversed where it does not stay on chip, `operations`
    the counts of the whole cascade.
    """

    rows: Amount
    cols: Amount
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    passes: int
    operations: dict[tuple[str, str], Amount]


@dataclass(frozen=True)
class Product:
    """The form of a contraction: accesses and the ranks in each class."""

    a: Access
    b: Access
    batch: tuple[str, ...]
    m: tuple[str, ...]
    n: tuple[str, ...]
    k: tuple[str, ...]


@lru_cache(maxsize=8192)
def as_product(output: Access, expression: Expression, reductions: Reductions) -> Product | None:
    """The Einsum as a product of two tensors, its ranks by what they do; None for another."""
    operands = factors(expression)
    if operands is None or len(operands) != 2 or not reductions:
        return None
    a, b = operands
    simple = all(plain(access) for access in (output, a, b))
    if not simple or any(operator != "add" for _, operator in reductions):
        return None
    out, left, right = set(output.ranks), set(a.ranks), set(b.ranks)
    product = Product(
        a,
        b,
        batch=tuple(r for r in output.ranks if r in left and r in right),
        m=tuple(r for r in output.ranks if r in left and r not in right),
        n=tuple(r for r in output.ranks if r in right and r not in left),
        k=tuple(rank for rank, _ in reductions),
    )
    summed = set(product.k)
    if not summed <= left & right or not out <= left | right or not (product.m or product.n):
        return None
    return product


@lru_cache(maxsize=8192)
def factors(expression: Expression) -> tuple[Access, ...] | None:
    """The accesses of a product, leaving out factors without any; None for anything else."""
    if not any(True for _ in accesses(expression)):
        return ()
    if isinstance(expression, Access):
        return (expression,)
    if isinstance(expression, Apply) and expression.operator in ("multiply", "divide"):
        left, right = (factors(argument) for argument in expression.arguments)
        if left is None or right is None or (expression.operator == "divide" and right):
            return None
        return left + right
    return None


def plain(access: Access) -> bool:
    """Whether each index is one rank, or a fixed place (a slice of the tensor)."""
    return all(index.rank is not None or not index.terms for index in access.indices)


def contraction(einsum: Einsum, cascade: Cascade) -> Contraction | None:
    """The Einsum as a matrix product (GEMV and batches included), or None."""
    form = as_product(einsum.output, einsum.expression, einsum.reductions)
    if form is None:
        return None
    routing, over = _routing(form.m, form.batch, cascade), ""
    if routing is None:
        routing = _routing(form.n, form.batch, cascade)
        if routing is not None:  # the data-dependent rows belong to a
            form = Product(form.b, form.a, form.batch, form.n, form.m, form.k)
    if routing is not None:
        over = routing.over
    tensors = cascade.tensors
    return Contraction(
        a=form.a.tensor,
        b=form.b.tensor,
        out=einsum.name,
        batch=extent([rank for rank in form.batch if rank != over], cascade),
        m=extent([*form.m, *([over] if over else [])], cascade),
        n=extent(form.n, cascade),
        k=extent(form.k, cascade),
        batch_ranks=form.batch,
        m_ranks=form.m,
        n_ranks=form.n,
        k_ranks=form.k,
        dtype_a=tensors[form.a.tensor].dtype,
        dtype_b=tensors[form.b.tensor].dtype,
        dtype_out=tensors[einsum.name].dtype,
        members=cascade.ranks[over].size if over else 1,
        routing=routing,
        bands=einsum.bands,
    )


def _routing(
    ranks: tuple[str, ...], batch: tuple[str, ...], cascade: Cascade
) -> Distribution | None:
    for rank in ranks:
        spread = cascade.ranks[rank].distribution
        if spread is not None and spread.over in batch:
            return spread
    return None


def dependencies(cascade: Cascade) -> dict[str, tuple[str, ...]]:
    """For each Einsum, by name, the Einsums whose tensors it reads."""
    made = {einsum.name for einsum in cascade.einsums}
    return {
        einsum.name: tuple(dict.fromkeys(a.tensor for a in einsum.reads if a.tensor in made))
        for einsum in cascade.einsums
    }


def intermediates(cascade: Cascade) -> tuple[str, ...]:
    """Tensors that the cascade makes and reads, and does not return."""
    read = {access.tensor for einsum in cascade.einsums for access in einsum.reads}
    names = (einsum.name for einsum in cascade.einsums)
    return tuple(name for name in names if name in read and name not in cascade.outputs)


def row_operation(cascade: Cascade) -> RowOperation | None:
    """The cascade as one operation on rows, or None where it multiplies matrices or mixes rows.

    Columns are the ranks that any Einsum reduces; without reductions, the last rank of the output.
    Rows are all other ranks, and every Einsum's output has all of them. What reduces a column keeps
    none, but for the outer part of a partitioned one, and reads a tensor that has all rows and
    columns, but for a rank that it runs ahead along: where each operand lacks some (a convolution,
    a min-plus product), points share what they read, as in a matrix product.
    """
    form = _rows_and_columns(cascade)
    if form is None:
        return None
    rows, cols, again = form
    operations: dict[tuple[str, str], Amount] = {}
    for einsum in cascade.einsums:
        for key, count in operation_counts(einsum, cascade).items():
            operations[key] = operations.get(key, 0) + count
    return RowOperation(
        rows=extent(rows, cascade),
        cols=extent(cols, cascade),
        inputs=cascade.inputs,
        outputs=cascade.outputs,
        passes=again,
        operations=operations,
    )


def is_row_operation(cascade: Cascade) -> bool:
    """Whether `row_operation` sees one."""
    return _rows_and_columns(cascade) is not None


@of_form
def _rows_and_columns(cascade: Cascade) -> tuple[tuple[str, ...], tuple[str, ...], int] | None:
    """Ranks of rows and of columns, and how often an input's row is traversed."""
    found = _row_form(forms_of(cascade), _families(cascade))
    if found is None:
        return None
    over = {rank for col in found[1] for rank in (col, cascade.ranks[col].parent)}
    inputs, every = cascade.inputs, passes(cascade).items()
    return *found, max((n for (r, t), n in every if t in inputs and r in over), default=1)


def forms_of(cascade: Cascade) -> tuple[Form, ...]:
    """The Einsums without their sizes."""
    return tuple((e.output, e.expression, e.reductions) for e in cascade.einsums)


def _families(cascade: Cascade) -> tuple[tuple[str, str], ...]:
    ranks = cascade.ranks.values()
    return tuple((rank.name, rank.parent) for rank in ranks if rank.parent is not None)


@lru_cache(maxsize=2048)
def _row_form(
    forms: tuple[Form, ...], families: tuple[tuple[str, str], ...]
) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    if any(as_product(*form) is not None for form in forms):
        return None
    parent = dict(families)
    einsums = [Einsum(*form) for form in forms]
    cols = tuple(dict.fromkeys(rank for einsum in einsums for rank, _ in einsum.reductions))
    if not cols:
        cols = einsums[-1].output.ranks[-1:]
    rows = tuple(dict.fromkeys(r for e in einsums for r in e.ranks if r not in cols))
    indices = (index for einsum in einsums for index in einsum.output.indices)
    ahead = {rank for index in indices if index.offset for rank, _ in index.terms}
    for einsum in einsums:
        reduced = {parent.get(rank, rank) for rank, _ in einsum.reductions}
        left = {parent.get(rank, rank) for rank in einsum.output.ranks if rank in cols}
        if not set(rows) <= set(einsum.output.ranks) or (reduced and left - reduced):
            return None
        space = set(einsum.ranks) - ahead
        if reduced and not any(space <= set(access.ranks) for access in einsum.reads):
            return None
    return rows, cols
