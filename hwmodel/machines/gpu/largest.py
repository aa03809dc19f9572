"""The largest numbers of a row, written as maxima that run down, as torch's `topk` finds them.

TOP[r, k+1] = max(c) select(less(X[r, c], TOP[r, k]), X[r, c], -inf) ; TOP[r, 0] = inf

says what is found: each number is the largest below the one before it. A machine that has nothing
better walks a row `k` times; a library reads it a few times however many are kept. On a GPU this is
therefore `Y[r, k] = ranked(X[c, r], P[k])`, in what it takes and in what it takes at the least.
"""

import math
from collections.abc import Mapping

from hwmodel.einsum.cascade import Access, Apply, Cascade, Constant, Index
from hwmodel.einsum.known import at_one_size, known, of_form
from hwmodel.einsum.notation import parse
from hwmodel.machines.gpu.irregular import irregular
from hwmodel.machines.gpu.libraries.library import Found
from hwmodel.machines.gpu.libraries.shipped import Pick


def largest(cascade: Cascade, chosen: Mapping[str, Pick]) -> list[Found]:
    """The selection of a cascade of such maxima where a library has one; none of another."""
    if "sort" not in chosen or not _places(cascade):
        return []
    found = irregular(ordered(cascade), ordered(cascade).einsums[0])
    return [Found(cascade.name, found.schedule, found.problem, found.work)] if found else []


def ordered(cascade: Cascade) -> Cascade:
    """The cascade with such maxima as one `ranked`; the same cascade where there are none.

    Where they stand is found on the way, and no Einsum of its own.
    """
    return _ranked(cascade) if _places(cascade) else cascade


@known(keep=at_one_size)
def _ranked(cascade: Cascade) -> Cascade:
    (place, column), first = _places(cascade), cascade.einsums[0]
    given = first.reads[0]
    rows = [rank for rank in given.ranks if rank != column]
    made = next((e for e in cascade.einsums[1:] if not e.reductions), first).name
    position = next(name for name in ("P", "AT", "PLACE") if name not in (made, given.tensor))
    text = (
        f"{made}[{', '.join((*rows, place))}]"
        f" = ranked({given.tensor}[{', '.join((column, *rows))}], {position}[{place}])"
    )
    formats = {name: cascade.tensors[name].dtype for name in (made, given.tensor)}
    sizes = {rank: cascade.ranks[rank].size for rank in (*rows, column, place)}
    return parse(text, sizes=sizes, dtypes={**formats, position: "int64"}, name=cascade.name)


@of_form
def _places(cascade: Cascade) -> tuple[str, ...]:
    """The rank of the numbers kept and that which they are found in; none of another cascade."""
    first, others = cascade.einsums[0], cascade.einsums[1:]
    steps = [index for index in first.output.indices if index.rank is None]
    started = [(each.output.tensor, each.value) for each in cascade.initials]
    if len(steps) != 1 or started != [(first.name, math.inf)] or len(first.reads) != 3:
        return ()
    if steps[0].offset != 1 or len(steps[0].terms) != 1 or len(first.reductions) != 1:
        return ()
    (place, _), (column, operator) = steps[0].terms[0], first.reductions[0]
    given, before = first.reads[0], Index(steps[0].terms)
    last = Access(first.name, tuple(before if i in steps else i for i in first.output.indices))
    below = Apply("select", (Apply("less", (given, last)), given, Constant(-math.inf)))
    every = sorted(index.rank or "" for index in given.indices)
    ranks = sorted((*(rank for rank in first.output.ranks if rank != place), column))
    if first.expression != below or operator != "max" or every != ranks:
        return ()
    told = Apply("copy", (first.output,)), ()
    found = Apply("equal", (given, first.output)), ((column, "argmax"),)
    alike = all((each.expression, each.reductions) in (told, found) for each in others)
    whole = not any(each.bands for each in cascade.einsums)
    return (place, column) if alike and whole else ()
