"""Products of three tensors or more, summed, as chains of products of two: what a library runs.

`Z[m, n] = sum over k of A[m, k] B[k, n] D[m, n]` is a matrix product and then an elementwise one. A
walk of the whole space instead would read every operand anew for each point that it serves. Two
operands at a time are joined, and a rank is summed as soon as nothing else has it:

- first those that together have the fewest ranks; then those whose product has the fewest; then as
  written, from the left.

The order follows from ranks alone, so that a sweep over sizes has one. An Einsum of which one
operand has every rank shares nothing between points, and stays as it is (a weighted sum of rows);
so does one that bands, a density or data thin out.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import combinations, count
from types import MappingProxyType

from hwmodel.einsum.cascade import (
    Access,
    Apply,
    Cascade,
    Constant,
    Einsum,
    Expression,
    Index,
    Stage,
    Tensor,
)
from hwmodel.einsum.known import at_one_size, known, of_form
from hwmodel.einsum.network import Workload
from hwmodel.einsum.structure import Reductions, factors, plain

LEAST_FACTORS = 3


@dataclass(frozen=True)
class _Step:
    """Two operands, by their places in the list so far, and the ranks of their product."""

    left: int
    right: int
    ranks: tuple[str, ...]


def pairwise(cascade: Cascade) -> Cascade:
    """The cascade with every such product as a chain; the same cascade where there is none."""
    return _chained(cascade) if _is_long(cascade) else cascade


@of_form
def _is_long(cascade: Cascade) -> bool:
    """Whether any Einsum is a product of so many tensors."""
    return any(_steps(e.output, e.expression, e.reductions) for e in cascade.einsums)


@known(keep=at_one_size)
def _chained(cascade: Cascade) -> Cascade:
    einsums: list[Einsum] = []
    tensors = dict(cascade.tensors)
    for einsum in cascade.einsums:
        steps = _steps(einsum.output, einsum.expression, einsum.reductions)
        chained = steps and _whole(einsum, cascade)
        einsums += _chain(einsum, steps, tensors) if chained else [einsum]
    if len(einsums) == len(cascade.einsums):
        return cascade
    return replace(cascade, tensors=MappingProxyType(tensors), einsums=tuple(einsums), origin=None)


def chained(workload: Workload) -> tuple[Stage, ...]:
    """The stages of a workload, every cascade `pairwise`."""
    return tuple(replace(each, cascade=pairwise(each.cascade)) for each in workload.stages)


def _whole(einsum: Einsum, cascade: Cascade) -> bool:
    """Whether the Einsum computes every point of its space."""
    sure = all(isinstance(share, (int, float)) and share == 1 for share in _shares(einsum))
    data = any(cascade.ranks[rank].distribution is not None for rank in einsum.ranks)
    return sure and not data and not einsum.bands


def _shares(einsum: Einsum) -> tuple[object, object]:
    return einsum.density, einsum.probability


@lru_cache(maxsize=4096)
def _steps(output: Access, expression: Expression, reductions: Reductions) -> tuple[_Step, ...]:
    """All joins but the last, which makes the output; none where nothing is to be chained."""
    operands = factors(expression) or ()
    summed = len(operands) >= LEAST_FACTORS and reductions
    if not summed or any(operator != "add" for _, operator in reductions):
        return ()
    ranks = [frozenset(operand.ranks) for operand in operands]
    space = frozenset(output.ranks).union(*ranks)
    if not all(plain(access) for access in (output, *operands)) or space in ranks:
        return ()
    found: list[_Step] = []
    left = set(range(len(operands)))
    while len(left) > 2:
        step = min(
            (_joined(pair, ranks, left, output) for pair in combinations(sorted(left), 2)),
            key=lambda each: (len(ranks[each.left] | ranks[each.right]), len(each.ranks)),
        )
        found.append(step)
        left = (left - {step.left, step.right}) | {len(ranks)}
        ranks.append(frozenset(step.ranks))
    return tuple(found)


def _joined(
    pair: tuple[int, int], ranks: list[frozenset[str]], left: set[int], output: Access
) -> _Step:
    others = frozenset(output.ranks).union(*(ranks[at] for at in left - set(pair)))
    kept = (ranks[pair[0]] | ranks[pair[1]]) & others
    return _Step(*pair, tuple(sorted(kept)))


def _chain(
    einsum: Einsum, steps: tuple[_Step, ...], tensors: dict[str, Tensor]
) -> Iterator[Einsum]:
    """The Einsums of a chain; its intermediates, in the format of the output, join `tensors`."""
    operands: list[Access] = list(factors(einsum.expression) or ())
    places = {at: at for at in range(len(operands))}  # place of each operand in the expression
    for number, step in enumerate(steps, 1):
        name = f"{einsum.name}_{number}"
        while name in tensors:
            name += "_"
        tensors[name] = Tensor(name, step.ranks, tensors[einsum.name].dtype)
        made = Access(name, tuple(Index(((rank, 1),)) for rank in step.ranks))
        pair = operands[step.left], operands[step.right]
        both = dict.fromkeys(rank for access in pair for rank in access.ranks)
        gone = tuple((rank, "add") for rank in both if rank not in step.ranks)
        yield Einsum(made, Apply("multiply", pair), gone)
        places[len(operands)] = places.pop(step.left)
        del places[step.right]
        operands.append(made)
    last = _replaced(einsum.expression, {at: operands[n] for n, at in places.items()}, count())
    assert last is not None
    inside = {rank for at in places for rank in operands[at].ranks}
    rest = tuple((rank, operator) for rank, operator in einsum.reductions if rank in inside)
    yield Einsum(einsum.output, last, rest)


def _replaced(
    expression: Expression, kept: Mapping[int, Access], number: Iterator[int]
) -> Expression | None:
    """A product with other tensors at some of its places, and none at the rest."""
    if isinstance(expression, Access):
        return kept.get(next(number))
    if not isinstance(expression, Apply):
        return expression
    first, second = (_replaced(each, kept, number) for each in expression.arguments)
    if first is None and expression.operator == "divide":
        first = Constant(1.0)
    if first is None or second is None:
        return second if first is None else first
    return Apply(expression.operator, (first, second))
