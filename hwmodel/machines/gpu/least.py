"""What each unit of a GPU has to do at the least: the operations of the cascade, and no others.

Nothing is padded, nothing masked, nothing computed twice; at the units' datasheet peaks this is the
roofline's side of computing (`hwmodel.bounds.roofline`).

The vector lanes may take over a share of the exponentials (FlashAttention-4, arXiv 2603.05451).
With e seconds of them on the exp unit, v of other work on the lanes and w to emulate them all
there, the best share (e - v) / (e + w) leaves both units busy for

    e (v + w) / (e + w)      where e > v
"""

from collections.abc import Sequence

from hwmodel.bounds.roofline import peak_s
from hwmodel.einsum.cascade import Cascade, Stage
from hwmodel.einsum.counts import operation_counts, points
from hwmodel.einsum.known import known, of_form
from hwmodel.einsum.pairwise import pairwise
from hwmodel.einsum.structure import contraction
from hwmodel.einsum.windows import window_form
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.gpu.fused import multiplied_out
from hwmodel.machines.gpu.largest import ordered
from hwmodel.machines.gpu.schedules.attention import LANE_FLOP
from hwmodel.machines.gpu.schedules.flash4 import EMULATION
from hwmodel.machines.gpu.units import product_unit, scalar_operations
from hwmodel.quantity.arithmetic import where
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Operation


@known()
def unit_operations(cascade: Cascade) -> dict[Operation, Amount]:
    """Operations of a cascade by the unit of a GPU that does them, two tensors at a time.

    Squared distances are multiplied out, which takes fewer, as all kernels do; the largest of a row
    are ranked, not found one below the other.
    """
    cascade = multiplied_out(pairwise(ordered(cascade)))
    found: dict[Operation, Amount] = {}
    for einsum, key in zip(cascade.einsums, _products(cascade), strict=True):
        if key is None:
            for each, count in scalar_operations(operation_counts(einsum, cascade)).items():
                found[each] = found.get(each, 0) + count
        else:
            found[key] = found.get(key, 0) + 2 * points(einsum, cascade)
    return found


@of_form
def _products(cascade: Cascade) -> tuple[Operation | None, ...]:
    """The operation of each Einsum that is a product of two tensors, or slides; None of others."""
    found: list[Operation | None] = []
    for einsum in cascade.einsums:
        product, sliding = contraction(einsum, cascade), window_form(cascade, einsum)
        if product is not None:
            names = product.a, product.b
        elif sliding is not None:
            names = sliding.image, sliding.kernel
        else:
            found.append(None)
            continue
        unit, dtype = product_unit(*(cascade.tensors[name].dtype for name in names))
        found.append((unit, "flop", dtype))
    return tuple(found)


def busy_s(stages: Sequence[Stage], hardware: Hardware) -> dict[str, Amount]:
    """Seconds that each unit needs for all stages, at its peak."""
    busy = peak_s(((each.times, unit_operations(each.cascade)) for each in stages), hardware)
    if "exp" in busy:
        busy["exp"] = _shared_s(busy["exp"], busy.get("vector", 0), hardware)
    return busy


def _shared_s(exp_s: Amount, vector_s: Amount, hardware: Hardware) -> Amount:
    """Seconds of the exp unit where the vector lanes emulate the share that is best."""
    slower = LANE_FLOP * EMULATION * hardware.rate("exp", "fp32") / hardware.rate("vector", "fp32")
    emulated_s = exp_s * slower
    busiest = where(exp_s > 0, exp_s, 1)  # where nothing is exponential, no share
    even_s = exp_s * (vector_s + emulated_s) / (busiest + emulated_s)
    return where(exp_s > vector_s, even_s, exp_s)
