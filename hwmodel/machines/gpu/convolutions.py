"""Convolutions as kernels: products of windows, or stencils where each channel stands alone.

Pooling is a stencil without weights.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from hwmodel.einsum.cascade import Cascade, Einsum
from hwmodel.einsum.windows import Window, pool, window
from hwmodel.machines.gpu.libraries.library import Found
from hwmodel.machines.gpu.schedules.convolution import ConvolutionProblem
from hwmodel.machines.gpu.schedules.filter_gradient import SLICE, FiltersProblem
from hwmodel.machines.gpu.schedules.gemm import GemmProblem
from hwmodel.machines.gpu.schedules.stencil import StencilProblem
from hwmodel.quantity.arithmetic import ceil_div
from hwmodel.quantity.dtypes import element_bytes

ROW_BYTES = 4
"""What rows of places have to be a multiple of for cuDNN to take a product of each image whatever
its sizes (seen in launches)."""
FEW_NUMBERS, WIDE = 2**17, 2 / 7
"""Numbers of filters up to which, and places of an image for each channel from which, it does so of
other rows, too (so in 82 of 100 of 774 traced ones)."""

CHANNEL_ALONE = ("fp16",)
"""Formats in which cuDNN takes one channel and one filter as it takes a depthwise convolution's,
where channels come first (traced)."""


def convolution(
    cascade: Cascade, einsum: Einsum, takes: Callable[[GemmProblem], Any] = lambda problem: True
) -> list[tuple[Any, Found]] | None:
    """Kernels of a convolution, each with where it applies; None of another Einsum.

    Depthwise is what has one channel in each of several groups, whatever the number of filters, and
    one channel with one filter where a depthwise kernel of the library takes it (`CHANNEL_ALONE`).
    A window of one point that skips nothing, and of one phase, is a plain product: of all places
    where channels come last; image by image where they come first, if that leaves rows that a
    product's kernels copy (traced on Hopper; where warps multiply by themselves of all images).
    Windows of what is no weight, of more points than places, make a gradient of filters: both maps
    are read, and what they leave is small (`schedules/filter_gradient.py`); of one point that skips
    nothing it is a plain product.
    `takes` says where the library of products has a kernel for one, as it says of itself: elsewhere
    a window of one point stays a convolution, whose kernels pad what a product's refuse.
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
        whole_elements=found.whole_elements,
        groups=found.groups,
        dtype_a=image,
        dtype_b=weights,
        dtype_out=stored,
        channels_last=found.channels_last,
        phases=found.phases,
        share=found.share,
        axes=found.axes,
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
        images=found.batch,
        directions=len(found.axes),
    )
    lone = (found.groups == 1) & (found.filters == 1) & (not found.channels_last)
    lone = lone & (image in CHANNEL_ALONE) & (len(found.axes) == 2)
    depthwise = _truth((found.channels == 1) & ((found.groups > 1) | lone))
    elements = found.batch * found.outputs * found.channels * found.groups
    row = found.outputs * element_bytes(image)
    few = (found.channels * found.filters <= FEW_NUMBERS) | (found.outputs >= WIDE * found.channels)
    copied = found.channels_last | (ceil_div(row, ROW_BYTES) * ROW_BYTES == row)
    copied = _truth(copied | few)
    once = (found.taps == 1) & (found.image_elements <= elements)
    whole = _truth(once & (not found.skips) & (found.phases == 1))
    multiplied = _plain(product)
    plain = whole & copied & _truth(found.groups == 1) & _truth(takes(multiplied))
    maps = cascade.tensors[found.kernel].role != "weight"
    turned = _truth(found.taps > found.outputs) if maps else np.bool_(False)
    filters = FiltersProblem(
        channels=found.batch,
        points=found.outputs,
        filters=found.filters,
        summed=found.channels * found.taps,
        image_elements=found.image_elements,
        groups=found.groups,
        dtype_a=image,
        dtype_b=weights,
        dtype_out=stored,
        channels_last=not found.places_last,
        directions=len(found.axes),
    )
    if np.all(turned):
        alone = _truth((found.batch == 1) & (found.filters == 1) & (found.groups > 1))
        single = ~alone & _truth((found.outputs == 1) & (found.groups == 1) & (not found.skips))
        return [
            (alone, Found(einsum.name, "stencil", _turned(stencil, found), cascade)),
            (single, Found(einsum.name, "gemm", _summed(filters, found), cascade)),
            (~(alone | single), Found(einsum.name, "filters", filters, cascade)),
        ]
    whole_maps = Found(einsum.name, "convolution", product, cascade)
    by_warp = None if found.channels_last else whole_maps
    return [
        (depthwise, Found(einsum.name, "stencil", stencil, cascade)),
        (plain, Found(einsum.name, "gemm", multiplied, cascade, by_warp=by_warp)),
        (~(depthwise | plain), whole_maps),
    ]


def _turned(stencil: StencilProblem, found: Window) -> StencilProblem:
    """The gradient of one filter a channel: as the stencil itself, but that it reads both maps."""
    return replace(
        stencil,
        elements=found.channels * found.groups * found.taps,
        taps=found.outputs,
        weights=found.groups * found.outputs,
        channels=found.groups,
        dtype_out=stencil.dtype_b,
        images=found.channels,
    )


def _summed(problem: FiltersProblem, found: Window) -> GemmProblem:
    """The gradient of filters of one point: a product over all places.

    Where channels come last rows lie along them, and K is whole slices whatever their number; where
    they come first each image has a product of its own, whose sums are added up.
    """
    last = problem.channels_last
    return GemmProblem(
        M=problem.channels,
        N=problem.filters,
        K=ceil_div(problem.summed, SLICE) * SLICE if last else found.taps,
        batch=1 if last else found.channels,
        dtype_a=problem.dtype_a,
        dtype_b=problem.dtype_b,
        dtype_out=problem.dtype_out if last else "fp32",
    )


def _truth(value: Any) -> Any:
    """A truth that ~ negates."""
    return np.bool_(value) if isinstance(value, bool) else value


def _plain(problem: ConvolutionProblem) -> GemmProblem:
    """Windows of one point as a product."""
    last = problem.channels_last
    places = problem.M if last else problem.outputs
    rows, columns = (places, problem.filters) if last else (problem.filters, places)
    return GemmProblem(
        M=rows,
        N=columns,
        K=problem.channels,
        batch=1 if last else problem.batch,
        dtype_a=problem.dtype_a,
        dtype_b=problem.dtype_b,
        dtype_out=problem.dtype_out,
    )


def pooling(cascade: Cascade, einsum: Einsum) -> Found | None:
    """The stencil of pooling; None of another Einsum."""
    found = pool(einsum, cascade)
    if found is None:
        return None
    image = cascade.tensors[found.image].dtype
    problem = StencilProblem(
        elements=found.elements,
        channels=found.channels,
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
