"""Traffic that no schedule avoids: inputs and outputs once, and rows that are too long to keep.

*Compulsory*: every input that is touched is read once and every output written once. Intermediates
may stay on the chip and count nothing. A matrix of experts counts in expectation (a tensor along a
data-dependent rank: expected distinct members touched).

*Second passes*: a row operation (softmax, a norm) whose input X is traversed in p passes along a
row of C elements. Let t be the moment when the reduction that ends a pass is complete for one row.
Every element of the row was read before t, and every one is needed again after t: as X itself, or
as a tensor derived from it point by point. At t the S bytes of fast memory hold no more of it than
that, so C d - S bytes of the row are loaded after t, d being the narrowest of those tensors: they
are read again, recomputed from X or spilled. The moments of one row lie one after the other,
and no two rows share elements: rows * (p - 1) * (C d - S) bytes come on top of the compulsory ones.
This holds for the cascade as it is written (an online softmax is another cascade), and is stated
for row operations on one rank, without bands: where a pass contracts X (the keys of attention), one
traversal may serve many reductions, and `pairs` speaks instead.
"""

from hwmodel.einsum.cascade import Cascade, Einsum
from hwmodel.einsum.counts import elements, footprint_bytes
from hwmodel.einsum.known import of_form
from hwmodel.einsum.network import Workload
from hwmodel.einsum.passes import passes
from hwmodel.einsum.structure import is_row_operation
from hwmodel.quantity.arithmetic import most
from hwmodel.quantity.dtypes import bytes_of
from hwmodel.quantity.units import Amount


def compulsory_bytes(workload: Workload) -> Amount:
    """Bytes of the inputs that are touched and of the outputs, each once.

    Of several stages: every stage's weights and caches each time it runs, the activations that
    enter the first, and the last one's outputs; activations between stages may stay on the chip.
    """
    total: Amount = 0
    last = len(workload.stages) - 1
    for position, stage in enumerate(workload.stages):
        cascade = stage.cascade
        once = sum(
            footprint_bytes(name, cascade)
            for name in outer(cascade)
            if cascade.tensors[name].role != "activation"
            or (position == 0 and name in cascade.inputs)
            or (position == last and name in cascade.outputs)
        )
        total = total + stage.times * once
    return total


@of_form
def outer(cascade: Cascade) -> tuple[str, ...]:
    """Inputs and outputs of a cascade."""
    return tuple(dict.fromkeys((*cascade.inputs, *stored(cascade))))


def stored(cascade: Cascade) -> tuple[str, ...]:
    """Outputs of a cascade."""
    return cascade.outputs or (cascade.einsums[-1].name,)


def plain(einsum: Einsum) -> bool:
    """Whether every point of the Einsum's ranks happens, for certain."""
    sure = isinstance(einsum.probability, (int, float)) and einsum.probability == 1
    whole = isinstance(einsum.density, (int, float)) and einsum.density == 1
    return sure and whole and not einsum.bands


def second_passes_bytes(cascade: Cascade, fast_bytes: Amount) -> Amount:
    """Bytes that come on top of the compulsory ones where rows do not fit; 0 for other cascades."""
    reread = _read_again(cascade)
    if reread is None:
        return 0
    length = cascade.ranks[reread[0]].size
    found = [0 * length]
    for name, again, width in reread[1]:
        rows = elements(name, cascade) / length
        found.append(rows * again * most((0, length * width - fast_bytes)))
    return most(found)


@of_form
def _read_again(cascade: Cascade) -> tuple[str, tuple[tuple[str, int, int | float], ...]] | None:
    """The rank that a row operation reduces, and its inputs: how often again, and of what width."""
    reduced = {rank for einsum in cascade.einsums for rank, _ in einsum.reductions}
    if len(reduced) != 1 or not all(plain(einsum) for einsum in cascade.einsums):
        return None
    (rank,) = reduced
    if cascade.ranks[rank].parent is not None or not is_row_operation(cascade):
        return None
    made = [einsum.name for einsum in cascade.einsums]
    found: list[tuple[str, int, int | float]] = []
    for name in cascade.inputs:
        spans = set(cascade.tensors[name].ranks)
        derived = [other for other in made if set(cascade.tensors[other].ranks) >= spans]
        again = passes(cascade).get((rank, name), 1) - 1
        if again and spans >= set(cascade.tensors[made[-1]].ranks):
            width = min(bytes_of(cascade.tensors[other].dtype) for other in (name, *derived))
            found.append((name, again, width))
    return rank, tuple(found)
