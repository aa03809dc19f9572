"""Convolutions of cuDNN 9 on a Hopper GPU: the kernel that multiplies, and those around it.

- A window of one point that skips nothing is a plain product, and no convolution here
  (`machines/gpu/convolutions.py`), unless its row of places is odd.
- What multiplies is a kernel of the menu (`cudnn_menu`), also of groups and transposed ones.
- All but some kernels of the vector units want channels last. An image whose channels come first is
  converted by a kernel before, its filters by another, and what comes out by a third. Channels or
  filters that fill no sixteen bytes are padded by kernels of the same kind.
- Groups whose channels are no power of two are first padded to one, by a kernel that takes any
  layout. Where each group has a launch of its own it is sliced off before and joined after.

The rules are read off the launches of 1,205 convolutions of one H200 (cuDNN 9.19, torch 2.11, the
heuristic's choice) and the fitting half of 10,860 traced ones of another, whose constants of single
kernels are the medians there.
"""

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.schedules import cublas, cudnn_dense
from hwmodel.machines.gpu.schedules.convolution import (
    PAD_BYTES,
    ConvolutionProblem,
    as_gemm,
    by_matrix_units,
)
from hwmodel.machines.gpu.schedules.cudnn_dense import DenseTile
from hwmodel.machines.gpu.schedules.gemm import divides
from hwmodel.machines.gpu.schedules.library_tile import LibraryTile
from hwmodel.quantity.arithmetic import ceil_div, where
from hwmodel.quantity.dtypes import bytes_of, element_bytes
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Activity, Repeat, Serial, Work

ROW_CHANNELS = 8
SLICED_IMAGE, SLICED_OUTPUT = 1.4, 1.9
"""Bytes moved by kernels that slice, and join, over those of the image and the output (traced)."""
MADE_WIDE = 0.75
"""The same of a kernel that clears the room of channels which are padded to a power of two."""
SLICED, TURNED_TOO = 2.0, 1.0
"""Kernels that slice the image and join the output for each such group, in launches, and one that
turns its filters where channels come first (traced)."""
TURNED = 32
"""Places of a channel that a kernel which converts takes together: of filters, points of a window,
so that small windows leave most of it idle (traced: filters of 3 points at a tenth of the rate)."""
PADDING = 1.6
"""Time of a kernel that pads over that of one that converts as many bytes (fitted)."""
AFTER = 1.5
"""The same of kernels that cut padded filters off, over that (fitted)."""
GENERIC, GENERIC_START = 5.4, 5.0
"""Bytes and start of the kernel that converts any layout, over those of others: it runs where
channels of a group are no power of two, and on filters that fill no sixteen bytes, of a transposed
convolution on those whose channels fill none (traced)."""


@dataclass(frozen=True)
class ConvolutionTile(DenseTile):
    """A launch record; what kind of kernel it is of, each 0 or 1.

    `converted` and `padded`: kernels before and after that change the layout, or pad, for the
    latter in groups by a kernel for any layout.
    """

    converted: Amount = 0
    padded: Amount = 0


MENU = (ConvolutionTile(0, 0),)
"""One record, whose sizes the rules fill in."""


def spread(problem: ConvolutionProblem) -> ConvolutionProblem:
    """The problem whose rows are the places that are written, with one filter for all phases."""
    return replace(
        problem,
        outputs=problem.outputs * problem.phases,
        filters=problem.filters / problem.phases,
        phases=1,
    )


def resolved(tile: ConvolutionTile, problem: ConvolutionProblem, limits: Limits) -> ConvolutionTile:
    """What the library launches: by its menu, or on the vector units as its products do."""
    if not by_matrix_units(problem):
        found = cublas.resolved(LibraryTile(0, 0), as_gemm(problem), limits)
        return ConvolutionTile(**{f.name: getattr(found, f.name) for f in fields(found)})
    launched = cudnn_dense.launched(problem, limits)
    column = 0 * (launched["slices"] + problem.M)
    problem = spread(problem)
    several = _as_bool((problem.groups > 1) + 0)
    packed = several & _as_bool(1 - launched["apart"])
    generic = packed & ~_as_bool(_whole_row(problem)) & _as_bool(_power(problem))
    first = (not problem.channels_last) & ~generic
    padded = _ragged(problem) & _as_bool(1 - launched["unpadded"])
    padded = padded & (problem.channels_last | generic) & (packed | ~several)
    return replace(
        tile,
        **launched,
        split=1 + column,
        resident=1 + column,
        copy_bytes=column,
        converted=first * (1 - launched["as_it_lies"]) + column,
        padded=where(padded, 1, 0) + column,
    )


def _as_bool(value: Any) -> Any:
    """A truth that ~ negates."""
    return value == 1


def _ragged(problem: ConvolutionProblem) -> Any:
    """Whether channels or filters fill no sixteen bytes."""
    element = element_bytes(problem.dtype_a)
    sides = (problem.channels * element, problem.filters * element)
    whole = divides_by(sides[0], PAD_BYTES) & divides_by(sides[1], PAD_BYTES)
    row = _whole_row(problem) & _power(problem)
    return where(problem.groups > 1, where(row, 0, 1), where(whole, 0, 1)) == 1


def _whole_row(problem: ConvolutionProblem) -> Any:
    """Whether the channels of all groups together are whole eights."""
    return divides_by(problem.channels * problem.groups, ROW_CHANNELS)


def _power(problem: ConvolutionProblem) -> Any:
    """Whether the channels of a group are a power of two."""
    log = np.log2(problem.channels)
    return log == np.floor(log)


def divides_by(size: Amount, power: int) -> Any:
    """Whether a size is a multiple of a power of two, as a truth that ~ negates."""
    return where(divides(power, size), 1, 0) == 1


def activity(problem: ConvolutionProblem, tile: ConvolutionTile, limits: Limits) -> Activity:
    """All kernels of one convolution: see the module."""
    if not by_matrix_units(problem):
        return cublas.product(as_gemm(problem), tile, limits)
    main = cudnn_dense.product(spread(problem), tile, limits)
    return Serial((changed(problem, tile), Repeat(tile.times, main)))


def changed(problem: ConvolutionProblem, tile: ConvolutionTile) -> Activity:
    """Kernels that convert or pad the image, the filters of all phases, and the output."""
    image = problem.whole_elements * bytes_of(problem.dtype_a)
    filters = problem.groups * problem.filters * problem.K * bytes_of(problem.dtype_b)
    taps, transposed = problem.taps * problem.phases, problem.phases > 1
    problem = spread(problem)
    output = problem.groups * problem.M * problem.filters * bytes_of(problem.dtype_out)
    element = element_bytes(problem.dtype_a)
    after = where(divides_by(problem.filters * element, PAD_BYTES), 0, 1)
    before = where(divides_by(problem.channels * element, PAD_BYTES), 0, 1)
    parted = tile.padded * where(problem.groups > 1, 1, 0)
    whole = tile.padded - parted
    several = where(taps > 1, 1, 0)
    turned = several * ceil_div(taps, TURNED) * TURNED / taps
    odd = where(transposed, before, after) * several
    slow = 1 + (GENERIC - 1) * odd
    sliced = tile.apart * tile.times
    generic = where((problem.groups > 1) & ~_as_bool(_power(problem)), 1, odd)
    moved = tile.converted * (image + filters * turned * slow + output)
    padded = before * (image + filters) + AFTER * after * (filters + output)
    moved = moved + PADDING * whole * padded
    grouped = where(problem.groups > 1, 1, 0) * tile.converted * generic
    moved = moved + MADE_WIDE * grouped * image
    last = tile.apart * (1 - tile.converted)
    moved = moved + last * (SLICED_IMAGE * image + SLICED_OUTPUT * output)
    slowly = parted * (image + filters + output) * 2 / element
    count = (2 + several) * tile.converted + (GENERIC_START - 1) * generic * tile.converted
    count = where(tile.apart > 0, 0, count) + 2 * grouped
    count = count + 3 * GENERIC_START * parted
    count = count + whole * 2 * (before + after)
    count = count + (SLICED + TURNED_TOO * tile.converted) * sliced
    passed, touched = moved + GENERIC * slowly, moved + slowly
    return Serial(
        (
            Work(slots={"split": count}),
            Work(
                read={"dram": touched, "engine": passed},
                written={"dram": touched, "engine": passed},
            ),
        )
    )
