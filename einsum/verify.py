"""The well-formedness of a cascade: one table of rules, and one function that applies it.

Each rule yields a message for each of its violations; a message says what was expected, what was
found and where. `notation.parse` applies the rules by itself; cascades built by hand are checked by
`verify(cascade)`.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import cast

import numpy as np

from hwmodel.einsum.cascade import (
    Access,
    Apply,
    Cascade,
    Einsum,
    Expression,
    Extent,
    Index,
    gathered,
)
from hwmodel.einsum.known import of_form
from hwmodel.einsum.operators import LOOKED_UP, OPERATORS
from hwmodel.quantity.dtypes import DTYPES
from hwmodel.quantity.errors import InputError
from hwmodel.quantity.reading import SKEWED_MEMBERS
from hwmodel.quantity.units import Amount

MOST_BITS = 960
"""Of the number of points of one Einsum: 2**64 below the largest float64."""


@dataclass(frozen=True)
class Rule:
    """A name, the sentence that holds in every well-formed cascade, and the search for breaches."""

    name: str
    holds: str
    breaches: Callable[[Cascade], Iterator[str]]


def verify(cascade: Cascade, rules: Iterable[Rule] | None = None) -> None:
    """Raise `InputError` with the first breach of each kind and how many there are in all."""
    found = [
        f"[{rule.name}] {breach}"
        for rule in (RULES if rules is None else rules)
        for breach in rule.breaches(cascade)
    ]
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise InputError(f"cascade {cascade.name!r}: {found[0]}{more}")


def verify_sizes(cascade: Cascade) -> None:
    """`verify` with what the numbers decide; whole sizes of free ranks are seen at a glance."""
    if _is_free(cascade):
        sizes = [rank.size for rank in cascade.ranks.values()]
        if all([type(size) is int and size > 0 for size in sizes]):
            most = math.prod(cast(list[int], sizes))
            if most.bit_length() <= MOST_BITS:
                return
    verify(cascade, SIZE_RULES)


@of_form
def _is_free(cascade: Cascade) -> bool:
    """Whether every rank stands for itself, and every Einsum computes all points of its space."""
    ranks, einsums = cascade.ranks.values(), cascade.einsums
    shares = [share for einsum in einsums for share in (einsum.density, einsum.probability)]
    return (
        all(rank.parent is None and rank.distribution is None for rank in ranks)
        and not any(einsum.bands for einsum in einsums)
        and all(isinstance(share, float) and share == 1.0 for share in shares)
        and not _irregular(cascade)
    )


def _accesses(cascade: Cascade) -> Iterator[tuple[Einsum, Access]]:
    for einsum in cascade.einsums:
        for access in (einsum.output, *einsum.reads):
            yield einsum, access


def _nodes(expression: Expression) -> Iterator[Expression]:
    yield expression
    if isinstance(expression, Apply):
        for argument in expression.arguments:
            yield from _nodes(argument)


def ahead(einsum: Einsum) -> tuple[tuple[str, int], ...]:
    """(rank, steps) along which the output is written ahead: `RM[m1+1, p]` gives (("m1", 1),)."""
    single = (index for index in einsum.output.indices if len(index.terms) == 1)
    return tuple((index.terms[0][0], index.offset) for index in single if index.offset > 0)


def _recurrent(cascade: Cascade) -> dict[str, tuple[tuple[str, int], ...]]:
    """Tensors read by an Einsum and written ahead, with the ranks."""
    read = {access.tensor for einsum in cascade.einsums for access in einsum.reads}
    found = ((einsum.name, ahead(einsum)) for einsum in cascade.einsums if einsum.name in read)
    return {name: ranks for name, ranks in found if ranks}


# Structure


def _ranks_are_declared(cascade: Cascade) -> Iterator[str]:
    used = {
        *(rank for tensor in cascade.tensors.values() for rank in tensor.ranks),
        *(rank for _, access in _accesses(cascade) for rank in access.ranks),
        *(i.at for _, access in _accesses(cascade) for i in access.indices if i.at is not None),
        *(rank.parent for rank in cascade.ranks.values() if rank.parent is not None),
    }
    for rank in sorted(used - set(cascade.ranks)):
        yield f"rank {rank} is used, and not declared"
    for name, rank in cascade.ranks.items():
        if rank.name != name:
            yield f"rank {rank.name} is declared under the name {name}"


def _tensors_are_declared(cascade: Cascade) -> Iterator[str]:
    for einsum, access in _accesses(cascade):
        tensor = cascade.tensors.get(access.tensor)
        if tensor is None:
            yield f"Einsum {einsum.name}: tensor {access.tensor} is not declared"
        elif len(tensor.ranks) != len(access.indices):
            yield (
                f"Einsum {einsum.name}: tensor {access.tensor} has {len(tensor.ranks)} axes, found"
                f" {len(access.indices)} indices"
            )


def _formats_are_known(cascade: Cascade) -> Iterator[str]:
    for tensor in cascade.tensors.values():
        if tensor.dtype not in DTYPES:
            yield f"tensor {tensor.name}: unknown dtype {tensor.dtype!r}"
        if tensor.role not in ("activation", "weight", "cache"):
            yield (
                f"tensor {tensor.name}: expected role activation, weight or cache, found"
                f" {tensor.role!r}"
            )


def _operators_fit(cascade: Cascade) -> Iterator[str]:
    for einsum in cascade.einsums:
        for node in _nodes(einsum.expression):
            if isinstance(node, Extent) and node.rank.upper() in cascade.tensors:
                yield (
                    f"Einsum {einsum.name}: the extent of {node.rank} cannot be told from tensor"
                    f" {node.rank.upper()}; rename one"
                )
            if not isinstance(node, Apply):
                continue
            row = OPERATORS.get(node.operator)
            if row is None or not row.map or row.arity != len(node.arguments):
                wanted = (
                    "a map operator" if row is None or not row.map else f"{row.arity} arguments"
                )
                yield (
                    f"Einsum {einsum.name}: {node.operator} on {len(node.arguments)} values,"
                    f" expected {wanted}"
                )
            elif node.operator in LOOKED_UP and not _gathers(node, einsum):
                yield (
                    f"Einsum {einsum.name}: {node.operator} expects a table whose first index is a"
                    " rank that nothing else uses"
                )


def _gathers(node: Apply, einsum: Einsum) -> bool:
    table = node.arguments[0]
    if not isinstance(table, Access) or not table.indices or table.indices[0].rank is None:
        return False
    rank = table.indices[0].rank
    others = [access for access in (einsum.output, *einsum.reads) if access is not table]
    return not any(rank in access.ranks for access in others if access != table)


def _reductions_are_the_missing_ranks(cascade: Cascade) -> Iterator[str]:
    for einsum in cascade.einsums:
        missing = sorted(set(einsum.ranks) - set(einsum.output.ranks))
        reduced = sorted(rank for rank, _ in einsum.reductions)
        if missing != reduced:
            yield (
                f"Einsum {einsum.name}: expected reductions over {missing} (the ranks that the"
                f" output lacks), found {reduced}"
            )
        for rank, operator in einsum.reductions:
            row = OPERATORS.get(operator)
            if row is None or row.identity is None:
                yield f"Einsum {einsum.name}: {operator!r} cannot reduce rank {rank}"


def _outputs_are_written_once(cascade: Cascade) -> Iterator[str]:
    names = [einsum.name for einsum in cascade.einsums]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"tensor {name} is made by {names.count(name)} Einsums, expected one"
    for name in cascade.outputs:
        if name not in names:
            yield f"output {name} is made by no Einsum"
    for einsum in cascade.einsums:
        if set(gathered(einsum.expression)) & set(einsum.output.ranks):
            yield f"Einsum {einsum.name}: its output keeps a rank that it gathers"


def _order_is_executable(cascade: Cascade) -> Iterator[str]:
    recurrent = _recurrent(cascade)
    made = {einsum.name for einsum in cascade.einsums}
    done: set[str] = set()
    for einsum in cascade.einsums:
        for name in dict.fromkeys(access.tensor for access in einsum.reads):
            if name in made - done and name not in recurrent:
                what = "itself" if name == einsum.name else f"{name}, which is made later"
                yield f"Einsum {einsum.name} reads {what}, and {name} is not recurrent along a rank"
        done.add(einsum.name)


def _recurrences_start(cascade: Cascade) -> Iterator[str]:
    recurrent = _recurrent(cascade)
    started = {initial.output.tensor for initial in cascade.initials}
    for name in recurrent:
        if name not in started:
            yield f"tensor {name} is recurrent, expected an initial value such as `; {name}[0] = 0`"
    for name in sorted(started - set(recurrent)):
        yield f"tensor {name} has an initial value, and is not recurrent along a rank"
    ranks = {rank for found in recurrent.values() for rank, _ in found}
    for rank in cascade.ranks.values():
        if rank.iterative != (rank.name in ranks):
            yield f"rank {rank.name}: iterative={rank.iterative}, expected {rank.name in ranks}"


def _bands_are_over_own_ranks(cascade: Cascade) -> Iterator[str]:
    for einsum in cascade.einsums:
        parents = {cascade.ranks[r].parent for r in einsum.ranks if r in cascade.ranks}
        for band in einsum.bands:
            for rank, factor in band.terms:
                if rank not in einsum.ranks and rank not in parents:
                    yield f"Einsum {einsum.name}: a band is over rank {rank}, no loop of it"
                if factor == 0:
                    yield f"Einsum {einsum.name}: a band has a factor of 0 on rank {rank}"


def _partitions_are_whole(cascade: Cascade) -> Iterator[str]:
    parts: dict[str, list[int]] = {}
    for rank in cascade.ranks.values():
        if rank.parent is not None:
            parts.setdefault(rank.parent, []).append(rank.part)
    for parent, places in parts.items():
        if sorted(places) != list(range(len(places))):
            yield f"rank {parent}: expected parts 0 to {len(places) - 1}, found {sorted(places)}"
        if parent in cascade.ranks and cascade.ranks[parent].parent is not None:
            yield f"rank {parent} is a part itself; expected one partition with all its parts"


# Sizes


def _points_can_be_counted(cascade: Cascade) -> Iterator[str]:
    """Counts are products of extents with small factors; far beyond this they are no floats."""
    sizes = {name: rank.size for name, rank in cascade.ranks.items()}
    shapes = {np.shape(size) for size in sizes.values()} - {()}
    if len(shapes) > 1:
        try:
            np.broadcast_shapes(*shapes)
        except ValueError:
            yield f"expected sizes that broadcast together, found shapes {sorted(shapes)}"
            return
    largest = {name: _whole(size) for name, size in sizes.items()}
    if math.prod(largest.values()).bit_length() <= MOST_BITS:
        return
    for einsum in cascade.einsums:
        most = math.prod(largest[rank] for rank in einsum.ranks if rank in sizes)
        if most.bit_length() > MOST_BITS:
            yield (
                f"{einsum.name}: expected at most 2**{MOST_BITS} points, found"
                f" 2**{most.bit_length() - 1} or more"
            )


def _whole(size: Amount) -> int:
    """The largest of some sizes, as an int; what is none counts as 1, other rules name it."""
    if isinstance(size, int):
        return max(size, 1)
    largest = float(np.max(size))
    return int(largest) if 1 <= largest < math.inf else 1


def _sizes_are_positive(cascade: Cascade) -> Iterator[str]:
    for rank in cascade.ranks.values():
        size = rank.size
        if type(size) is int and size > 0:
            continue
        if not np.all(np.greater(size, 0)) or not np.all(np.isfinite(size)):
            yield f"rank {rank.name}: expected a size above 0, found {size}"
        elif rank.distribution is None and not np.all(np.equal(np.mod(size, 1), 0)):
            yield f"rank {rank.name}: expected a whole number, found {size}"


def _parts_cover_their_parent(cascade: Cascade) -> Iterator[str]:
    products: dict[str, Amount] = {}
    for rank in cascade.ranks.values():
        if rank.parent is not None:
            products[rank.parent] = products.get(rank.parent, 1) * rank.size
    for parent, product in products.items():
        if parent in cascade.ranks and not np.all(product >= cascade.ranks[parent].size):
            yield (
                f"rank {parent}: its parts cover {product} points, expected at least"
                f" {cascade.ranks[parent].size}"
            )


def _fractions_are_fractions(cascade: Cascade) -> Iterator[str]:
    for einsum in cascade.einsums:
        for what, value in (("density", einsum.density), ("probability", einsum.probability)):
            if isinstance(value, float) and 0 < value <= 1:
                continue
            if not np.all((np.greater(value, 0)) & (np.less_equal(value, 1))):
                yield f"Einsum {einsum.name}: expected a {what} above 0 and up to 1, found {value}"


def _bands_have_limits(cascade: Cascade) -> Iterator[str]:
    for einsum in cascade.einsums:
        for band in einsum.bands:
            if band.low is None and band.high is None:
                yield f"Einsum {einsum.name}: a band has neither a low nor a high limit"


def _distributions_can_be(cascade: Cascade) -> Iterator[str]:
    for rank in cascade.ranks.values():
        spread = rank.distribution
        if spread is None:
            continue
        if spread.over not in cascade.ranks:
            yield f"rank {rank.name}: its distribution is over {spread.over}, which is no rank"
        elif (
            spread.kind in ("zipf", "power")
            and np.max(cascade.ranks[spread.over].size) > SKEWED_MEMBERS
        ):
            yield (
                f"rank {rank.name}: expected at most {SKEWED_MEMBERS:,} members of {spread.over},"
                f" whose chances differ, found {np.max(cascade.ranks[spread.over].size):.6g}"
            )
        elif spread.kind == "hot" and not np.all(
            (np.asarray(spread.exponent) >= 0) & (np.asarray(spread.exponent) <= 1)
        ):
            yield f"rank {rank.name}: expected a share of 0 to 1, found {spread.exponent}"
        elif not np.all(np.less_equal(spread.picks, cascade.ranks[spread.over].size)):
            yield (
                f"rank {rank.name}: a draw picks {spread.picks} distinct members of"
                f" {spread.over}, which has {cascade.ranks[spread.over].size}"
            )


def _indices_stay_inside(cascade: Cascade) -> Iterator[str]:
    for einsum, tensor, number, index, axis, slack in _irregular(cascade):
        size = cascade.ranks[axis].size
        last, first = _reach(index, cascade)
        most = size - 1 + slack
        inside = np.less_equal(last, most) & np.greater_equal(first, 0)
        if not (inside if isinstance(inside, np.bool_) else np.all(inside)):
            yield (
                f"Einsum {einsum}: index {number} of {tensor} runs from"
                f" {first} to {last}, expected 0 to {most} (rank {axis})"
            )


@of_form
def _irregular(cascade: Cascade) -> tuple[tuple[str, str, int, Index, str, int], ...]:
    """(Einsum, tensor, position, index, axis, slack) wherever an index is not the axis's own rank.

    A tensor that is written ahead reaches beyond its axis by the slack.
    """
    ahead_of = _recurrent(cascade).items()
    slack = {(name, rank): steps for name, ranks in ahead_of for rank, steps in ranks}
    return tuple(
        (e.name, a.tensor, number, index, axis, slack.get((a.tensor, axis), 0))
        for e, a in _accesses(cascade)
        for number, (index, axis) in enumerate(
            zip(a.indices, cascade.tensors[a.tensor].ranks, strict=True), start=1
        )
        if index.rank != axis
    )


def _reach(index: Index, cascade: Cascade) -> tuple[Amount, Amount]:
    """Greatest and least value of an index."""
    last: Amount = index.offset if index.at is None else index.offset + cascade.ranks[index.at].size
    first: Amount = last
    for rank, factor in index.terms:
        reach = factor * (cascade.ranks[rank].size - 1)
        last, first = (last + reach, first) if factor > 0 else (last, first + reach)
    return last, first


STRUCTURE_RULES = (
    Rule("ranks", "every rank is declared", _ranks_are_declared),
    Rule("tensors", "every tensor is declared, one index per axis", _tensors_are_declared),
    Rule("formats", "dtypes and roles are known", _formats_are_known),
    Rule("operators", "operators exist and get their arguments", _operators_fit),
    Rule("reductions", "exactly the missing ranks are reduced", _reductions_are_the_missing_ranks),
    Rule("outputs", "each tensor is made once", _outputs_are_written_once),
    Rule("order", "an Einsum reads what is made before it", _order_is_executable),
    Rule("recurrence", "recurrent tensors have initial values", _recurrences_start),
    Rule("bands", "bands are over the Einsum's own ranks", _bands_are_over_own_ranks),
    Rule("partitions", "parts are numbered 0, 1, ...", _partitions_are_whole),
)
"""What text alone decides."""
SIZE_RULES = (
    Rule("sizes", "sizes are whole and positive", _sizes_are_positive),
    Rule("points", "points can be counted", _points_can_be_counted),
    Rule("cover", "parts cover their parent", _parts_cover_their_parent),
    Rule("fractions", "density and probability are in (0, 1]", _fractions_are_fractions),
    Rule("limits", "bands have a limit", _bands_have_limits),
    Rule("distributions", "draws can be made", _distributions_can_be),
    Rule("indices", "indices stay inside their axes", _indices_stay_inside),
)
"""What the numbers decide."""
RULES = STRUCTURE_RULES + SIZE_RULES
