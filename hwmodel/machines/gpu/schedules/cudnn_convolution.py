"""Convolutions of cuDNN 9 on a Hopper GPU: the kernel that multiplies, and those around it.

- A window of one point that skips nothing is a plain product, and no convolution here
  (`machines/gpu/convolutions.py`), unless its row of places is odd.
- What multiplies is a kernel of the menu (`cudnn_menu`), also of groups and transposed ones.
- All but some kernels of the vector units want channels last. An image whose channels come first is
  converted by a kernel before, its filters by another, and what comes out by a third. Channels or
  filters that fill no sixteen bytes are padded by kernels of the same kind, into room that others
  clear.
- Some kernels of tf32 write channels first, so that the third is missing there, or comes where
  channels are last; where they are last some have image and filters rounded before.
- Groups whose channels are no power of two are first padded to one, by a kernel that takes any
  layout. Where each group has a launch of its own it is sliced off before and joined after.
- Kernels that convert move so many numbers a second, not bytes: 2.5 TB/s of 16 bits, 3.7 of 32.

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
from hwmodel.quantity.arithmetic import ceil_div, least, where
from hwmodel.quantity.dtypes import element_bytes
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Activity, Serial, Work

ROW_CHANNELS = 8
SLICED_IMAGE, SLICED_OUTPUT = 1.4, 1.9
"""Numbers moved by kernels that slice, and join, over those of image and output (traced)."""
MADE_WIDE = 0.75
"""The same of a kernel that clears the room of channels which are padded to a power of two."""
NARROW = 1.5
"""Time of kernels that convert one group of many over that of one that converts all (traced)."""
HALF = 2
"""Bytes of a number in which passes are counted."""
SQUARE = 32
"""Channels and places that a kernel which converts takes together: an image of three channels takes
the time of one of 32 (traced: a tenth of the rate), as filters of three points do."""
BACK = 1.2
"""Time of a kernel that puts channels first over that of one that puts them last (traced)."""
PADDING = 1.6
"""Time of a kernel that pads over that of one that converts as many numbers (traced)."""
CLEARED = 0.5
"""Start of a kernel that clears what padded rows are written to, over that of one that converts."""
ROUNDED = 1.7
"""The same of a kernel that rounds 32 bits to those that are multiplied (traced)."""
GENERIC, GENERIC_START = 5.4, 5.0
"""Numbers and start of the kernel that converts any layout, over those of others: it runs where
channels of a group are no power of two, and on filters that fill no sixteen bytes, of a transposed
convolution on those whose channels fill none (traced)."""

TURNED, MISSED = 2.1, 1.9
"""Its time where it puts channels last, over that where they lie so, and how much more of it goes
by where the L2 does not hold an image: each of its numbers is a request of its own (traced)."""


@dataclass(frozen=True)
class ConvolutionTile(DenseTile):
    """A launch record; what kind of kernel it is of, each 0 or 1.

    `converted` and `padded`: kernels before and after that change the layout, or pad, for the
    latter in groups by a kernel for any layout. `rounded`: kernels before that round 32 bits.
    """

    converted: Amount = 0
    padded: Amount = 0
    rounded: Amount = 0


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
        rounded=launched["rounds"] * int(problem.channels_last) * where(padded, 0, 1) + column,
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
    return Serial((changed(problem, tile, limits), main))


def changed(problem: ConvolutionProblem, tile: ConvolutionTile, limits: Limits) -> Activity:
    """Kernels that convert, pad, clear or round the image, filters of all phases, and output."""
    element = element_bytes(problem.dtype_a)
    image = problem.whole_elements
    filters = problem.groups * problem.filters * problem.K
    taps, transposed = problem.taps * problem.phases, problem.phases > 1
    problem = spread(problem)
    output = problem.groups * problem.M * problem.filters
    after, wide_out = _padded(problem.filters, element)
    before, wide_in = _padded(problem.channels, element)
    one = where(problem.groups > 1, 0, 1)
    parted = tile.padded * (1 - one)
    whole = tile.padded - parted
    several = where(taps > 1, 1, 0)
    odd = where(transposed, before, after) * several
    alike = where(_as_bool(_power(problem)), 0, 1)
    generic = where(problem.groups > 1, alike, odd)
    first = tile.writes_first
    back = where(tile.converted > 0, 1 - first, first * int(problem.channels_last))
    channels, columns = problem.channels * problem.groups, problem.filters * problem.groups
    places = image / (problem.batch * channels)
    turned = where(odd > 0, GENERIC, filled(taps) * filled(problem.channels)) * several
    passed = tile.converted * (image * filled(channels) * filled(places) + filters * turned)
    passed = passed + BACK * back * output * filled(columns) * filled(problem.outputs)
    passed = passed * where(tile.apart > 0, NARROW, 1)
    touched = 2 * tile.converted * (image + several * filters) + 2 * back * output
    widened = one * (tile.converted + whole)
    kept = _any(before, after) * filters
    clear = widened * (before * image * wide_in + kept * wide_in * wide_out)
    pads = before * image * (1 + wide_in) + after * output * (1 + wide_out)
    pads = whole * (pads + kept * (1 + wide_in * wide_out))
    passed, touched = passed + PADDING * pads / 2, touched + pads
    grouped = (1 - one) * tile.converted * generic * (1 - tile.apart)
    sliced = tile.apart * (1 - tile.direct)
    last = sliced * (1 - tile.converted)
    beside = MADE_WIDE * grouped * image
    beside = beside + last * (SLICED_IMAGE * image + SLICED_OUTPUT * output)
    anew = 1 - int(problem.channels_last) * (1 - alike)
    slowly = parted * (image + anew * filters + output)
    moved = slowly
    if not problem.channels_last:
        room = limits.capacity_bytes["l2"] / element
        moved = parted * TURNED * (_missed(image, room) + filters + _missed(output, room))
    passed = passed + beside + GENERIC * moved
    touched = touched + 2 * (beside + slowly * 2 / element)
    rounds = tile.rounded * one
    count = (1 + several) * tile.converted + back + (GENERIC_START - 1) * generic * tile.converted
    count = where(tile.apart > 0, 0, count) + 2 * grouped
    count = count + (2 + anew) * GENERIC_START * parted + ROUNDED * 2 * rounds
    count = count + whole * (before + after + _any(before, after))
    count = count + CLEARED * widened * (before + _any(before, after))
    count = count + (cudnn_dense.SLICED + several * tile.converted) * sliced
    half, real = passed * HALF, touched / 2 * element
    cleared = (clear + 2 * rounds * (image + filters)) * element
    return Serial(
        (
            Work(slots={"split": count}),
            Work(read={"dram": real, "engine": half}, written={"dram": real, "engine": half}),
            Work(written={"dram": cleared}),
        )
    )


def _padded(size: Amount, element: float) -> tuple[Any, Any]:
    """(1 where rows of so many numbers fill no sixteen bytes, those that they are filled to)."""
    whole = ceil_div(size * element, PAD_BYTES) * PAD_BYTES / (size * element)
    return where(divides_by(size * element, PAD_BYTES), 0, 1), whole


def _any(one: Any, other: Any) -> Any:
    """1 where either is."""
    return one + other - one * other


def _missed(size: Amount, room: Amount) -> Any:
    """Numbers that a kernel which turns any layout takes the time of, where the L2 holds `room`."""
    return size * (1 + MISSED * (1 - least((room / size, 1))))


def filled(size: Amount) -> Any:
    """Numbers that a kernel which converts takes the time of, over those that there are."""
    return ceil_div(size, SQUARE) * SQUARE / size
