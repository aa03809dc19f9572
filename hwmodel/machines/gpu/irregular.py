"""Scatters, sums of gathered rows and cumulative sums as kernels, found by their ranks.

Y[x, c] = sum(t) S[x, t, c]               how many t an x has depends on data: a scatter
O[b, c] = sum(l) gather(T[v, c], I[b, l]) rows that are looked up and added: an embedding bag
S[r, i+1] = S[r, i] + X[r, i]             a sum that runs ahead: a scan

Y[r, k] = ranked(X[c, r], P[k])           the largest of a row, or all in order: a sort

Rows that are looked up and not added, O[b, c] = gather(T[v, c], I[b]), are a kernel of rows of
their own form.
"""

from hwmodel.einsum.cascade import Access, Apply, Cascade, Distribution, Einsum
from hwmodel.einsum.counts import footprint_bytes
from hwmodel.einsum.distribution import fullest, touched_members
from hwmodel.einsum.known import of_form
from hwmodel.einsum.space import extent
from hwmodel.einsum.structure import plain
from hwmodel.machines.gpu.libraries.library import Found
from hwmodel.machines.gpu.schedules.torch_scan import CumulativeProblem
from hwmodel.machines.gpu.schedules.torch_scatter import GatherProblem, ScatterProblem
from hwmodel.machines.gpu.schedules.torch_sort import SortProblem
from hwmodel.quantity.dtypes import bytes_of


def irregular(cascade: Cascade, einsum: Einsum) -> Found | None:
    """The kernel of a lone Einsum that is one of these; None of another."""
    kind = irregular_kind(cascade, einsum.name)
    if kind == "scatter":
        return Found(einsum.name, "scatter", _scatter(cascade, einsum), cascade)
    if kind == "gather":
        return Found(einsum.name, "gather", _gather(cascade, einsum), cascade)
    if kind == "sort":
        return Found(einsum.name, "sort", _sort(cascade, einsum), cascade)
    if kind == "cumulative":
        return Found(einsum.name, "cumulative", _cumulative(cascade, einsum), cascade)
    return None


@of_form
def irregular_kind(cascade: Cascade, name: str) -> str:
    """The schedule of an Einsum by its form: "scatter", "gather", "sort", "cumulative", or none."""
    einsum = cascade.einsum(name)
    value, operators = einsum.expression, {operator for _, operator in einsum.reductions}
    if isinstance(value, Access) and operators == {"add"} and plain(value) and plain(einsum.output):
        if _routing(cascade, einsum) is not None:
            return "scatter"
    if isinstance(value, Apply) and value.operator == "gather" and operators == {"add"}:
        return "gather"
    if isinstance(value, Apply) and value.operator == "ranked" and not operators:
        return "sort"
    return "cumulative" if not operators and _ahead(einsum) else ""


@of_form
def taken_places(cascade: Cascade) -> tuple[str, ...]:
    """Ranks of the places of a lone Einsum that takes whole rows out of a table; else none."""
    if len(cascade.einsums) != 1 or cascade.einsums[0].reductions:
        return ()
    (einsum,) = cascade.einsums
    value = einsum.expression
    if not isinstance(value, Apply) or value.operator != "gather":
        return ()
    table, places = value.arguments
    if not isinstance(table, Access) or not isinstance(places, Access):
        return ()
    first, out = len(places.ranks), einsum.output.ranks
    whole = out[:first] == places.ranks and table.ranks[-1:] == out[-1:]
    return tuple(places.ranks) if whole and first < len(out) else ()


def _routing(cascade: Cascade, einsum: Einsum) -> Distribution | None:
    """How the one rank that is summed spreads over a rank of the output."""
    if len(einsum.reductions) != 1:
        return None
    spread = cascade.ranks[einsum.reductions[0][0]].distribution
    alike = spread is not None and spread.kind in ("balanced", "uniform", "hot")
    return spread if spread is not None and alike and spread.over in einsum.output.ranks else None


def _scatter(cascade: Cascade, einsum: Einsum) -> ScatterProblem:
    spread = _routing(cascade, einsum)
    assert spread is not None
    assert isinstance(einsum.expression, Access)
    members = cascade.ranks[spread.over].size
    return ScatterProblem(
        sources=spread.draws * spread.picks,
        cols=extent([rank for rank in einsum.output.ranks if rank != spread.over], cascade),
        targets=members,
        touched=touched_members(spread, members),
        hottest=fullest(spread, members),
        item_bytes=bytes_of(cascade.tensors[einsum.expression.tensor].dtype),
    )


def _gather(cascade: Cascade, einsum: Einsum) -> GatherProblem:
    assert isinstance(einsum.expression, Apply)
    table, places = einsum.expression.arguments
    assert isinstance(table, Access)
    assert isinstance(places, Access)
    beside = [rank for rank in einsum.output.ranks if rank not in places.ranks]
    return GatherProblem(
        outputs=extent([rank for rank in einsum.output.ranks if rank in places.ranks], cascade),
        cols=extent(beside, cascade),
        bag=extent([rank for rank, _ in einsum.reductions], cascade),
        read_bytes=sum(footprint_bytes(name, cascade) for name in cascade.inputs),
        item_bytes=bytes_of(cascade.tensors[table.tensor].dtype),
        table_bytes=extent(table.ranks, cascade) * bytes_of(cascade.tensors[table.tensor].dtype),
    )


def _sort(cascade: Cascade, einsum: Einsum) -> SortProblem:
    assert isinstance(einsum.expression, Apply)
    table, places = einsum.expression.arguments
    assert isinstance(table, Access)
    assert isinstance(places, Access)
    beside = [rank for rank in einsum.output.ranks if rank not in places.ranks]
    return SortProblem(
        rows=extent(beside, cascade),
        cols=extent(table.ranks[:1], cascade),
        kept=extent(places.ranks, cascade),
        item_bytes=int(bytes_of(cascade.tensors[table.tensor].dtype)),
    )


def _ahead(einsum: Einsum) -> str:
    """The rank along which an Einsum adds a number to the sum of those before; "" where none."""
    value = einsum.expression
    if not isinstance(value, Apply) or value.operator != "add":
        return ""
    if not all(isinstance(argument, Access) for argument in value.arguments):
        return ""
    steps = [index for index in einsum.output.indices if index.rank is None]
    if len(steps) != 1 or len(steps[0].terms) != 1 or steps[0].offset != 1:
        return ""
    ranks = set(einsum.output.ranks)
    same = [read for read in einsum.reads if read.tensor == einsum.name]
    whole = len(einsum.reads) == 2 and all(set(read.ranks) == ranks for read in einsum.reads)
    return steps[0].terms[0][0] if whole and len(same) == 1 else ""


def _cumulative(cascade: Cascade, einsum: Einsum) -> CumulativeProblem:
    rank = _ahead(einsum)
    (given,) = (read for read in einsum.reads if read.tensor != einsum.name)
    return CumulativeProblem(
        rows=extent([name for name in einsum.output.ranks if name != rank], cascade),
        cols=cascade.ranks[rank].size,
        item_bytes=bytes_of(cascade.tensors[given.tensor].dtype),
        along=given.ranks[-1] == rank,
    )
