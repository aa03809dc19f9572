"""The gradient of a convolution's filters as an implicit GEMM over all places of all images.

    M = channels x points of a window     N = filters     K = images x places

one product for each group. K is by far the longest: kernels divide it among blocks, whose parts
are added up (split-K), as cuBLAS's rule does for a product of these sizes. Rows lie along channels,
so that K is whole slices whatever the number of places. The image's windows are A, whose rows
overlap: its elements come from the DRAM once. Channels and filters fill whole blocks.
"""

from dataclasses import dataclass

from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.schedules import cublas, pair_tiles, warp_tiles
from hwmodel.machines.gpu.schedules.convolution import PAD_BYTES
from hwmodel.machines.gpu.schedules.gemm import GemmProblem
from hwmodel.machines.gpu.schedules.library_tile import LibraryTile
from hwmodel.machines.gpu.units import product_unit
from hwmodel.quantity.arithmetic import ceil_div
from hwmodel.quantity.dtypes import element_bytes
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Activity, Serial, Work

CHANNELS, FILTERS = 16, 128
"""Channels, and filters, that a block takes together: of 8 to 64, and of 8 to 128, those nearest to
50 times of one H200."""
SLICE = 64
"""Places that a block takes together; the last ones of an image that are missing are zeros."""


@dataclass(frozen=True)
class FiltersProblem:
    """Filters of a group: `channels` by `points` of a window each, summed over images and places.

    `image_elements` are those that any window of any image reaches, of all groups; windows slide in
    so many `directions`, and `channels_last` says how maps lie.
    """

    channels: Amount
    points: Amount
    filters: Amount
    summed: Amount
    image_elements: Amount
    groups: Amount = 1
    dtype_a: str = "bf16"
    dtype_b: str = "bf16"
    dtype_out: str = "bf16"
    channels_last: bool = True
    directions: int = 2


def as_gemm(problem: FiltersProblem) -> GemmProblem:
    """The implicit product, padded as its kernels pad it."""
    multiplied = product_unit(problem.dtype_a, problem.dtype_b)[0] == "matrix"
    pad = PAD_BYTES // element_bytes(problem.dtype_a) if multiplied else 1
    wide, tall = (max(pad, each) if multiplied else 1 for each in (CHANNELS, FILTERS))
    rows = ceil_div(problem.channels, wide) * wide * problem.points
    depth = ceil_div(problem.summed, SLICE) * SLICE
    return GemmProblem(
        M=rows,
        N=ceil_div(problem.filters, tall) * tall,
        K=depth,
        batch=problem.groups,
        dtype_a=problem.dtype_a,
        dtype_b=problem.dtype_b,
        dtype_out=problem.dtype_out,
        distinct=problem.image_elements / (rows * depth * problem.groups),
    )


def resolved(tile: LibraryTile, problem: FiltersProblem, limits: Limits) -> LibraryTile:
    """The tile that cuBLAS's rule takes for the implicit product."""
    return cublas.resolved(tile, as_gemm(problem), limits)


def resolved_by_warp(tile: LibraryTile, problem: FiltersProblem, limits: Limits) -> LibraryTile:
    """The menu of kernels whose warps multiply by themselves."""
    return warp_tiles.resolved(tile, as_gemm(problem), limits)


def resolved_by_pair(tile: LibraryTile, problem: FiltersProblem, limits: Limits) -> LibraryTile:
    """The menu of kernels that two processors share."""
    return pair_tiles.resolved(tile, as_gemm(problem), limits)


def activity(problem: FiltersProblem, tile: LibraryTile, limits: Limits) -> Activity:
    """One call: a kernel that clears the sums, and the implicit product in waves of its tiles."""
    return Serial((Work(slots={"split": 1}), cublas.product(as_gemm(problem), tile, limits)))
