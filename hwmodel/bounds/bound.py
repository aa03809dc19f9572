"""Lower bounds on the bytes that must cross each boundary of a memory hierarchy.

Two hold for every schedule, fused or not, and the larger is taken:

*Compulsory*: every input that is touched is read once and every output written once, whatever the
order. Intermediates may stay on the chip and count nothing. A matrix of experts counts in
expectation (a tensor along a data-dependent rank: expected distinct members touched).

*Matrix multiplication* (a lone product): a fast memory of S elements needs at least

    Q >= 2 M N K / sqrt(S) - 2 S      elements moved

(Smith, Lowery, Langou, van de Geijn 2019, arXiv 1702.02017, theorem 1: Q >= 2mnk/sqrt(S) - 2S; its
constant is tight). A batch of products obeys it in its sum, since the argument bounds what any
segment of S transfers can compute. Elements are counted at the narrowest tensor's width.

The fast memory of a boundary is all storage above it together: at the DRAM of a GPU that is the L2
and every processor's shared memory and registers, since data may rest in any of them.
"""

from dataclasses import dataclass

import numpy as np

from hwmodel.arithmetic import most
from hwmodel.dtypes import bytes_of
from hwmodel.einsum.cascade import Cascade, Einsum
from hwmodel.einsum.counts import footprint_bytes, points
from hwmodel.einsum.passes import passes
from hwmodel.einsum.stack import Stack
from hwmodel.einsum.structure import contraction
from hwmodel.hardware import Limits
from hwmodel.units import Amount

BOUNDARIES = ("dram", "l3", "l2", "shared")
"""Levels below which a bound is stated, outermost first, where a machine has them."""


@dataclass(frozen=True, eq=False)
class LevelBound:
    """At least `bytes` cross between `level` and the `fast_bytes` of memory above it."""

    level: str
    fast_bytes: Amount
    bytes: Amount
    reason: str


@dataclass(frozen=True, eq=False)
class Bound:
    """Lower bounds of a workload on a machine's memories, and the passes of its cascades."""

    name: str
    levels: tuple[LevelBound, ...]
    compulsory_bytes: Amount
    passes: dict[str, int]

    @property
    def dram_bytes(self) -> Amount:
        """The bound at the outermost boundary."""
        return self.levels[0].bytes


def bound(workload: Cascade | Stack, limits: Limits) -> Bound:
    """Least bytes across every boundary of a machine with these capacities, for any schedule."""
    compulsory = compulsory_bytes(workload)
    product = _lone_product(workload)
    levels: list[LevelBound] = []
    for level in BOUNDARIES:
        if level not in limits.capacity_bytes:
            continue
        fast = fast_bytes(limits, level)  # 0 at the innermost level of a machine
        reason, value = "inputs and outputs once", compulsory
        if product is not None and np.all(np.asarray(fast) > 0):
            moved = matmul_bytes(product[0], fast, product[1])
            if np.any(np.asarray(moved) > compulsory):
                reason = "2MNK/sqrt(S) - 2S (Smith et al. 2019)"
            value = most((compulsory, moved))
        levels.append(LevelBound(level, fast, value, reason))
    return Bound(workload.name, tuple(levels), compulsory, _passes(workload))


def bound_of(cascade: Cascade, fast_bytes: Amount, *, level: str = "memory") -> LevelBound:
    """Least bytes that any schedule moves between `level` and `fast_bytes` of memory before it.

    What every certificate rests on: quick, and free of heavy imports.
    """
    compulsory = compulsory_bytes(cascade)
    reason, value = "inputs and outputs once", compulsory
    product = _lone_product(cascade)
    if product is not None and np.all(np.asarray(fast_bytes) > 0):
        moved = matmul_bytes(product[0], fast_bytes, product[1])
        if np.any(np.asarray(moved) > compulsory):
            reason = "2MNK/sqrt(S) - 2S (Smith et al. 2019)"
        value = most((compulsory, moved))
    return LevelBound(level, fast_bytes, value, reason)


def fast_bytes(limits: Limits, level: str) -> Amount:
    """Bytes of all memories nearer to the processors than `level`."""
    order = [*BOUNDARIES, "l1", "register"]
    above = order[order.index(level) + 1 :]
    return sum(limits.capacity_bytes.get(name, 0) for name in above)


def matmul_bytes(macs: Amount, fast: Amount, element_bytes: Amount) -> Amount:
    """Smith et al. 2019, theorem 1, in bytes; 0 where it says nothing."""
    elements = fast / element_bytes
    return most((0, (2 * macs / np.sqrt(elements) - 2 * elements) * element_bytes))


def compulsory_bytes(workload: Cascade | Stack) -> Amount:
    """Bytes of the inputs that are touched and of the outputs, each once.

    Of a stack: every stage's weights and caches each time it runs, the activations that enter the
    first stage, and the last stage's outputs; activations between stages may stay on the chip.
    """
    if isinstance(workload, Cascade):
        return sum(footprint_bytes(name, workload) for name in _outer(workload))
    total: Amount = 0
    last = len(workload.stages) - 1
    for position, stage in enumerate(workload.stages):
        cascade = stage.cascade
        once = sum(
            footprint_bytes(name, cascade)
            for name in _outer(cascade)
            if cascade.tensors[name].role != "activation"
            or (position == 0 and name in cascade.inputs)
            or (position == last and name in cascade.outputs)
        )
        total = total + stage.times * once
    return total


def _outer(cascade: Cascade) -> tuple[str, ...]:
    """Inputs and outputs of a cascade."""
    outputs = cascade.outputs or _unread(cascade)
    return tuple(dict.fromkeys((*cascade.inputs, *outputs)))


def _unread(cascade: Cascade) -> tuple[str, ...]:
    return (cascade.einsums[-1].name,)


def _lone_product(workload: Cascade | Stack) -> tuple[Amount, Amount] | None:
    """(multiply-accumulates, element bytes) where the workload is one matrix product.

    Maps of its output, such as a bias, may follow: they store one element for each of the product.
    """
    if isinstance(workload, Stack):
        return None
    einsum, *rest = workload.einsums
    product = contraction(einsum, workload)
    if product is None or any(after.reductions or _fewer(after, einsum) for after in rest):
        return None
    stored = workload.einsums[-1].name
    names = (product.a, product.b, stored)
    return points(einsum, workload), min(bytes_of(workload.tensors[n].dtype) for n in names)


def _fewer(after: Einsum, product: Einsum) -> bool:
    """Whether a later Einsum stores anything but one element for each of the product's."""
    return set(after.output.ranks) != set(product.output.ranks)


def _passes(workload: Cascade | Stack) -> dict[str, int]:
    """Most passes over each rank, by tensor: `QK over m`."""
    if isinstance(workload, Stack):
        return {}
    return {f"{tensor} over {rank}": n for (rank, tensor), n in passes(workload).items() if n > 1}
