"""Convolutions as kernels: products of windows, or stencils where each channel stands alone."""

from typing import Any

from hwmodel.einsum.cascade import Cascade, Einsum
from hwmodel.einsum.windows import window
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
        dtype_a=image,
        dtype_b=weights,
        dtype_out=stored,
    )
    return (
        (found.channels == 1) & (found.groups > 1),
        Found(einsum.name, "stencil", stencil, cascade),
        Found(einsum.name, "convolution", product, cascade),
    )
