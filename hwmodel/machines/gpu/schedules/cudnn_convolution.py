"""Convolutions of cuDNN 9 on a Hopper GPU: which kernels run, and what each does, by rules.

The rules are read off the launches of 1,205 convolutions of one H200 (cuDNN 9.19, torch 2.11, the
heuristic's choice):

- A window of one point that skips nothing is a plain product, and no convolution here
  (`machines/gpu/convolutions.py`), unless its row of places is odd.
- One group that is not transposed is multiplied by a kernel of the menu (`cudnn_menu`); what else
  is said here of products is of groups, and of transposed convolutions.
- All but some kernels of the vector units want channels last. An image whose channels come first is
  converted by a kernel before, its filters by another, and what comes out by a third. Channels or
  filters that fill no sixteen bytes are padded by kernels of the same kind.
- The implicit product runs on tiles of 64 x 64 while these are few, then 64 x 128, then 128 x 128,
  or 64 columns where there are few filters. A tile's slice of K lies within one point of the
  window, so that each point's channels are padded to a slice: 128 bytes, or 64 where that pads
  much less; channels that fill no more than sixteen bytes share slices. Blocks come in clusters,
  which leave one processor in eleven idle.
- Rows of channels that begin beside a multiple of 32 bytes come slower.
- More than 32 points of a window (the offsets of bulk copies reach no further) are multiplied by
  kernels without clusters.
- Groups of few channels are packed: a tile multiplies the filters of several groups by the channels
  of all of them, by threads that copy while tiles are few. Groups whose channels are no power of
  two are first padded to one, by a kernel that takes any layout. Few groups, or groups of 56 to 88
  channels, are sliced off and run a few at a time.
- A transposed convolution writes all places by one filter each, phase by phase. Where phases are
  many, or filters few, threads copy, and rows that are written a stride apart come slowly.

The last two were read off the fitting half of 10,860 traced convolutions of another H200, whose
constants of single kernels are the medians there.
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
from hwmodel.machines.gpu.schedules.gemm import GemmProblem, divides
from hwmodel.machines.gpu.schedules.library_tile import LibraryTile
from hwmodel.quantity.arithmetic import ceil_div, floor_div, least, most, where
from hwmodel.quantity.dtypes import bytes_of, element_bytes
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Activity, Overlap, Repeat, Serial, Work

SLICE_BYTES, THIN_BYTES = 128, 64
"""Bytes of channels of one point in a slice of K."""
PADS_MUCH = 1.69
"""Columns of a tile, or bytes of a slice, over those that are there, from which less is taken."""
FEW, MORE = 120, 184
"""Tiles of 64 x 64, up to which they are taken, and those of 64 x 128."""
AT_WORK = 10 / 11
"""Processors of clusters over all: 120 of 132."""
SECTOR_BYTES, BESIDE = 32, 0.46
"""Alignment of a row of channels, and what a slice takes more where it has none (fitted)."""
UNEVEN = 0.12
"""What a slice takes more where filters fill no tiles, which clusters round up (fitted)."""
VOLUME = 0.3
"""What a slice takes more where windows slide in three directions (fitted)."""
FARTHEST_TAP, ROW_CHANNELS = 32, 8
PACKED = 64
"""Channels of the groups of a tile."""
APART_GROUPS, APART_CHANNELS, APART_MULTIPLIED = 4, (14, 52, 92), (1.4e9, 3e8)
APART_TAPS, APART_WIDE = 17, 20
"""Groups that run one after the other, in 16 bits: few of them and of little work; those of
channels that no tile packs, of less work where these are a power of two; of more than so many
channels under windows of more than so many points (read off 998 traced convolutions)."""
FEW_PHASES, MOST_PHASES, FEW_TILES, NARROW, BY_PHASE = 4, 12, 3300, 72, 1.75
"""Phases of a transposed convolution up to which a bulk kernel takes it, of few tiles of 128 x 128
and of more, if it has more filters than these; what a slice takes more elsewhere (traced)."""
SPACED = 3.4
"""Bytes that rows written a stride apart pass, over theirs, at the rate of kernels that convert
(traced: 0.7 TB/s)."""
COPIED = 250
"""Tiles of 64 x 64 of packed groups up to which threads copy (traced)."""
ABREAST = 3.5
"""Groups that run at once on streams of their own (by whole times over those of the kernels)."""
SLICED_IMAGE, SLICED_OUTPUT = 1.4, 1.9
"""Bytes moved by kernels that slice, and join, over those of the image and the output (traced)."""
MADE_WIDE = 0.75
"""The same of a kernel that clears the room of channels which are padded to a power of two."""
SLICED, TURNED_TOO = 2.0, 1.0
"""Kernels that slice the image and join the output for each such group, in launches, and one that
turns its filters where channels come first (traced)."""
CLEARED = 0.7
"""A launch more that clears counters of tiles before they are taken."""
WORDS = 0.84
"""Time of a slice of tf32 over that of as many bytes of 16 bits, each by its peak (traced)."""
ALONE = 1.5
"""What a slice takes more in kernels without clusters (fitted)."""
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
    latter in groups by a kernel for any layout. The product runs so many `times`, once for all
    groups or for each few that run at once, `apart`; `spaced` rows are written a stride apart.
    `dense` is 1 where the kernel is one of `cudnn_menu`.
    """

    converted: Amount = 0
    padded: Amount = 0
    times: Amount = 1
    apart: Amount = 0
    spaced: Amount = 0
    dense: Amount = 0


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


def apart(problem: ConvolutionProblem) -> Any:
    """Whether groups run one after the other."""
    if element_bytes(problem.dtype_a) > 2:
        return 0 * problem.groups == 1
    few, packed, wide = APART_CHANNELS
    less, least_work = APART_MULTIPLIED
    channels, work = problem.channels, problem.M * problem.channels * problem.filters * problem.taps
    power, little = _power(problem), work <= least_work
    narrow = (channels > few) & (problem.groups <= APART_GROUPS) & (work <= less)
    narrow = narrow & (channels <= wide)
    middle = (channels > packed) & (channels <= wide) & (little | ~_as_bool(power))
    windows = (problem.taps > APART_TAPS) & (channels > APART_WIDE) & (channels <= packed)
    return (problem.groups > 1) & (narrow | middle | windows)


def _once(problem: ConvolutionProblem) -> ConvolutionProblem:
    """The problem of one group where they run one after the other, else the whole one."""
    alone, whole = apart(problem), problem.image_elements / problem.groups
    return replace(
        problem,
        groups=where(alone, 1, problem.groups),
        image_elements=where(alone, whole, problem.image_elements),
    )


def implicit(problem: ConvolutionProblem, slice_bytes: Amount) -> GemmProblem:
    """The product whose slices of K lie within a point of the window; groups are packed."""
    element = element_bytes(problem.dtype_a)
    pack = _pack(problem)
    row = ceil_div(problem.channels * pack * element, PAD_BYTES) * PAD_BYTES
    joined = (row <= PAD_BYTES) & (problem.taps <= FARTHEST_TAP)
    each = where(joined, row * problem.taps, row)
    slices = where(joined, 1, problem.taps) * ceil_div(each, slice_bytes)
    depth, rows = slices * slice_bytes / element, problem.M
    groups = ceil_div(problem.groups, pack)
    stored = problem.image_elements
    return GemmProblem(
        M=rows,
        N=problem.filters * pack,
        K=depth,
        batch=groups,
        dtype_a=problem.dtype_a,
        dtype_b=problem.dtype_b,
        dtype_out=problem.dtype_out,
        distinct=stored / (rows * depth * groups),
        pitch=SLICE_BYTES,
    )


def _pack(problem: ConvolutionProblem) -> Amount:
    """Groups whose channels a tile takes together."""
    widest = most((problem.channels, problem.filters))
    room = most((1, floor_div(PACKED, widest)))
    return where(problem.groups > 1, least((room, problem.groups)), 1)


def resolved(tile: ConvolutionTile, problem: ConvolutionProblem, limits: Limits) -> ConvolutionTile:
    """What the library launches: by its menu where there is one group, else by its rules."""
    if not by_matrix_units(problem):
        found = cublas.resolved(LibraryTile(0, 0), as_gemm(problem), limits)
        return ConvolutionTile(**{f.name: getattr(found, f.name) for f in fields(found)})
    dense = np.asarray((problem.groups == 1) & (problem.phases == 1))
    if dense.all():
        return replace(tile, **_by_menu(problem, limits))
    ruled = _by_rules(problem)
    if not dense.any():
        return replace(tile, **ruled)
    menu = _by_menu(problem, limits)
    both = {name: where(dense, menu.get(name, 0), ruled.get(name, 0)) for name in {**menu, **ruled}}
    return replace(tile, **both)


def _by_menu(problem: ConvolutionProblem, limits: Limits) -> dict[str, Any]:
    """Fields where there is one group."""
    launched = cudnn_dense.launched(problem, limits)
    column = 0 * (launched["slices"] + problem.M)
    first = not problem.channels_last
    padded = _ragged(problem) & _not(launched["unpadded"]) & (not first)
    return {
        **launched,
        "split": 1 + column,
        "resident": 1 + column,
        "copy_bytes": column,
        "converted": first * (1 - launched["as_it_lies"]) + column,
        "padded": where(padded, 1, 0) + column,
        "dense": 1 + column,
    }


def _not(value: Any) -> Any:
    """Whether it is zero."""
    return value == 0


def _by_rules(problem: ConvolutionProblem) -> dict[str, Any]:
    """Fields of groups and of transposed convolutions."""
    spaced = _spaced(problem)
    problem = spread(problem)
    groups, alone, problem = problem.groups, _as_bool(apart(problem)), _once(problem)
    element = element_bytes(problem.dtype_a)
    column = 0 * (problem.M + problem.filters + problem.taps + problem.channels + problem.groups)
    few, more, narrow, thin = _sizes(problem)
    block_m = where(few | more, 64, where(narrow, 256, 128))
    block_n = where(few, 64, where(more, 128, where(narrow, 64, 128)))
    slice_bytes = where(thin & ~few & ~more, THIN_BYTES, SLICE_BYTES)
    without = problem.taps > FARTHEST_TAP
    row = problem.channels * problem.groups * element
    beside = where(divides_by(row, SECTOR_BYTES), 0.0, BESIDE)
    filters = problem.filters * _pack(problem)
    deep = VOLUME if problem.directions == 3 else 0.0
    slower = where(spaced, BY_PHASE, where(without, ALONE, 1))
    words = WORDS if element > 2 else 1
    uneven = where(ceil_div(filters, block_n) * block_n > filters, UNEVEN, 0.0)
    generic = (groups > 1) & ~alone & ~_as_bool(_whole_row(problem)) & _as_bool(_power(problem))
    ragged = _as_bool(_ragged(problem)) & (problem.channels_last | generic)
    return {
        "block_m": block_m + column,
        "block_n": block_n + column,
        "block_k": slice_bytes / element + column,
        "split": 1 + column,
        "resident": 1 + column,
        "multicast": where(without, 1, cublas.CLUSTER) + column,
        "copy_bytes": column,
        "persistent": 1 + column,
        "effort": words * (slower + beside + uneven + deep) + column,
        "converted": where(problem.channels_last | generic, 0, 1) + column,
        "padded": where(ragged & ~alone, 1, 0) + column,
        "cleared": where(_copied(problem), 0, 1) + column,
        "apart": where(alone, 1, 0) + column,
        "times": where(alone, groups / least((groups, ABREAST)), 1) + column,
        "spaced": where(spaced, 1, 0) + column,
    }


def _spaced(problem: ConvolutionProblem) -> Any:
    """Whether a transposed convolution is multiplied phase by phase, by threads that copy."""
    if element_bytes(problem.dtype_a) > 2:
        return 0 * problem.phases == 1
    narrow = (problem.phases > 1) & (problem.filters <= NARROW * problem.phases)
    tiles = problem.M * problem.filters / (128 * 128)
    few = (problem.phases > FEW_PHASES) & (tiles <= FEW_TILES)
    return (problem.phases > MOST_PHASES) | few | narrow


def _copied(problem: ConvolutionProblem) -> Any:
    """Whether threads copy, in kernels that count no tiles: packed groups of few tiles."""
    pack = _pack(problem)
    tiles = ceil_div(problem.M, 64) * ceil_div(problem.groups, pack)
    return (problem.groups > 1) & (tiles <= COPIED)


def _sizes(problem: ConvolutionProblem) -> tuple[Any, Any, Any, Any]:
    """(few tiles, somewhat more, few filters, few channels): what decides a tile."""
    element = element_bytes(problem.dtype_a)
    filters = problem.filters * _pack(problem)
    tiles = ceil_div(problem.M, 64) * ceil_div(filters, 64) * problem.groups / _pack(problem)
    few = tiles <= FEW
    narrow = ceil_div(filters, 128) * 128 > PADS_MUCH * filters
    channel_bytes = problem.channels * _pack(problem) * element
    thin = ceil_div(channel_bytes, SLICE_BYTES) * SLICE_BYTES > PADS_MUCH * channel_bytes
    return few, (tiles <= MORE) & ~_as_bool(few), narrow, thin | narrow


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
    before, problem = changed(problem, tile), spread(problem)
    dense = np.asarray(tile.dense)
    mains: list[Activity] = []
    if dense.any():
        mains.append(Repeat(tile.dense, cudnn_dense.product(problem, tile, limits)))
    if not dense.all():
        cleared = Work(slots={"launch": CLEARED * tile.cleared})
        main = Serial((cleared, _packed(problem, tile, limits)))
        mains.append(Repeat((1 - tile.dense) * tile.times, main))
    return Serial((before, *mains))


def _packed(problem: ConvolutionProblem, tile: ConvolutionTile, limits: Limits) -> Activity:
    """The product of groups, or of a transposed convolution."""
    busy = replace(limits, processors=most((1, floor_div(limits.processors * 10, 11))))
    slice_bytes = tile.block_k * element_bytes(problem.dtype_a)
    main = cublas.product(implicit(_once(problem), slice_bytes), tile, busy)
    output = problem.groups * problem.M * problem.filters * bytes_of(problem.dtype_out)
    return Overlap((main, Work(written={"engine": SPACED * tile.spaced * output})))


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
