"""Networks of butterflies, such as fast Fourier transforms, as a library of transforms runs them.

Stages turn q ranks of two places into q others. A library (cuFFT, which torch.fft calls) has no
kernel a stage: one takes as many stages as its shared memory holds signals, so that each kernel
reads and writes all signals once, as an elementwise one does.

    kernels = 1 up to 2**14 points of two fp32 numbers, 2 beyond; of two of 16 bits 1 up to 2**13,
    2 up to 2**16, 3 beyond

as traced for 2 to 2**22 points on one H200 (2026-11-30, torch 2.11, CUDA 13.0). There kernels of
2**3 to 2**13 points move 2.9 to 4.2 TB/s, as copies of these bytes do, and of 16 bits three
quarters of that; one of two points, whose threads read 8 bytes each, takes 2.5 times as long.
"""

from collections.abc import Mapping

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.counts import operation_counts
from hwmodel.einsum.known import of_form
from hwmodel.einsum.space import extent
from hwmodel.machines.gpu.libraries.library import Found
from hwmodel.machines.gpu.libraries.shipped import Pick
from hwmodel.machines.gpu.schedules.rows import RowProblem
from hwmodel.machines.gpu.units import scalar_operations
from hwmodel.quantity.dtypes import bytes_of
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Operation

OF_A_STAGE = 4
"""Einsums of a stage: both planes, turned by factors and joined."""
REACH: Mapping[int, tuple[int, ...]] = {2: (13, 16), 4: (14,), 8: (13,)}
"""Bytes of a number -> stages up to which one kernel does all, and up to which two do (traced;
64 bits: as many bytes as 32)."""


def transform(cascade: Cascade, chosen: Mapping[str, Pick]) -> list[Found]:
    """The kernels of a network of butterflies where torch runs rows; none of another cascade."""
    turned, rows = butterflies(cascade), chosen.get("rows")
    torch = rows is not None and rows.libraries[0].name == "torch"
    if not torch or not turned or any(cascade.ranks[rank].size != 2 for rank in turned):
        return []
    given = [n for n in cascade.inputs if cascade.tensors[n].role != "weight"]
    plane = cascade.tensors[given[0]]
    width = bytes_of(plane.dtype)
    reach = REACH[min(REACH, key=lambda known: abs(known - width))]
    stages = len(turned) // 2
    kernels = 1 + sum(stages > each for each in reach)
    operations: dict[Operation, Amount] = {}
    for einsum in cascade.einsums:
        for key, count in scalar_operations(operation_counts(einsum, cascade)).items():
            operations[key] = operations.get(key, 0) + count / kernels
    numbers = len(given) * extent(plane.ranks, cascade)
    problem = RowProblem(
        rows=1,
        cols=numbers,
        read_bytes=numbers * width,
        written_bytes=numbers * width,
        operations=operations,
        item_bytes=width,
    )
    return [Found(cascade.name, "rows", problem, cascade, times=kernels)]


@of_form
def butterflies(cascade: Cascade) -> tuple[str, ...]:
    """Ranks that a network of butterflies turns, and those that it makes; else none.

    Two planes come in and two go out, nothing is reduced, and there are four Einsums for each of as
    many ranks that come as go.
    """
    given = [n for n in cascade.inputs if cascade.tensors[n].role != "weight"]
    if len(given) != 2 or len(cascade.outputs) != 2:
        return ()
    come, go = (
        {frozenset(cascade.tensors[n].ranks) for n in names} for names in (given, cascade.outputs)
    )
    if len(come) != 1 or len(go) != 1:
        return ()
    (came,), (gone,) = come, go
    turned, made = sorted(came - gone), sorted(gone - came)
    alike = len(turned) == len(made) > 0 == sum(len(e.reductions) for e in cascade.einsums)
    whole = len(cascade.einsums) == OF_A_STAGE * len(turned)
    return (*turned, *made) if alike and whole else ()
