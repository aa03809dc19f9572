"""Convolutions as kernels: products of windows, or stencils where each channel stands alone.

Pooling is a stencil without weights.
"""

from typing import Any

from hwmodel.einsum.cascade import Cascade, Einsum
from hwmodel.einsum.windows import pool, window
from hwmodel.machines.gpu.libraries.library import Found
from hwmodel.machines.gpu.schedules.convolution import ConvolutionProblem
from hwmodel.machines.gpu.schedules.stencil import StencilProblem


def convolution(cascade: Cascade, einsum: Einsum) -> tuple[Any, Found, Found] | None:
    """(where it is a stencil, the stencil, the product) of a convolution; None of another Einsum.

    Depthwise is what has one channel in each of several groups, whatever the number of filters.
    """
    found = window(einsum, cascade)
    if found is None:
        return None
    image, weights = cascade.tensors[found.image].dtype, cascade.tensors[found.kernel].dtype
    stored = cascade.tensors[einsum.name].dtype
    product = ConvolutionProblem(
        batch=found.batch,
        channels=found.channels,
        filters=found.filters,
        outputs=found.outputs,
        taps=found.taps,
        image_elements=found.image_elements,
        groups=found.groups,
        dtype_a=image,
        dtype_b=weights,
        dtype_out=stored,
        channels_last=found.channels_last,
    )
    stencil = StencilProblem(
        elements=found.batch * found.groups * found.filters * found.outputs,
        taps=found.taps,
        image_elements=found.image_elements,
        weights=found.groups * found.filters * found.taps,
        channels=found.groups * found.filters,
        dtype_a=image,
        dtype_b=weights,
        dtype_out=stored,
        channels_last=found.channels_last,
    )
    return (
        (found.channels == 1) & (found.groups > 1),
        Found(einsum.name, "stencil", stencil, cascade),
        Found(einsum.name, "convolution", product, cascade),
    )


def pooling(cascade: Cascade, einsum: Einsum) -> Found | None:
    """The stencil of pooling; None of another Einsum."""
    found = pool(einsum, cascade)
    if found is None:
        return None
    image = cascade.tensors[found.image].dtype
    problem = StencilProblem(
        elements=found.elements,
        taps=found.taps,
        image_elements=found.image_elements,
        weights=0,
        dtype_a=image,
        dtype_b=image,
        dtype_out=cascade.tensors[einsum.name].dtype,
        channels_last=found.channels_last,
        operator=found.operator,
    )
    return Found(einsum.name, "pool", problem, cascade)
