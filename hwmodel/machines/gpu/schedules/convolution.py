"""Convolution as an implicit GEMM: the matrix of windows is never written, its rows overlap.

    M = batch x places of the window     N = filters of a group     K = taps x channels of a group

one product for each group. Everything of a block is as in the GEMM that the library would run; what
differs is where A lies. Its M x K elements are the image's, each read at up to `taps` places: from
the DRAM once (and again where the L2 forgets it), through the L2 and the port at each place.

Matrix units read channels side by side, in sixteen bytes: channels and filters are padded to that,
so that an image of three channels takes the time of one of eight (fp16). In which order an image
lies makes no difference here (it does on Hopper GPUs, `cudnn_convolution`): published throughputs
of image networks whose channels come first (an RTX 4090, torch 2.4) leave no room for kernels that
convert it before and after, which would add two thirds to their time.
"""

from dataclasses import dataclass

from hwmodel.einsum.windows import Axis
from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.schedules import cublas, pair_tiles, warp_tiles
from hwmodel.machines.gpu.schedules.gemm import GemmProblem
from hwmodel.machines.gpu.schedules.library_tile import LibraryTile
from hwmodel.machines.gpu.units import product_unit
from hwmodel.quantity.arithmetic import ceil_div
from hwmodel.quantity.dtypes import element_bytes
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Activity

PAD_BYTES = 16
"""Channels that a copy of the matrix units' kernels takes at once (cuDNN's alignment, recalled)."""


@dataclass(frozen=True)
class ConvolutionProblem:
    """A convolution; `channels` and `filters` are those of each of `groups`.

    `outputs` are the places of the window in one image, `taps` its points, `image_elements` those
    that the windows of all images reach, `whole_elements` all of them, which kernels that convert a
    layout move. `channels_last` says how the image lies in memory; windows slide along `axes`,
    innermost last. Of the filters so many `phases` write places between those of the others, as
    those of a transposed convolution do; a `share` of all their taps is there.
    """

    batch: Amount
    channels: Amount
    filters: Amount
    outputs: Amount
    taps: Amount
    image_elements: Amount
    whole_elements: Amount = 0
    groups: Amount = 1
    dtype_a: str = "fp16"
    dtype_b: str = "fp16"
    dtype_out: str = "fp16"
    channels_last: bool = False
    phases: Amount = 1
    share: Amount = 1
    axes: tuple[Axis, ...] = ()

    @property
    def directions(self) -> int:
        """In how many windows slide."""
        return len(self.axes)

    @property
    def M(self) -> Amount:
        """Rows of the implicit product."""
        return self.batch * self.outputs

    @property
    def N(self) -> Amount:
        """Columns of a group's implicit product."""
        return self.filters

    @property
    def K(self) -> Amount:
        """Depth of a group's implicit product."""
        return self.taps * self.channels


def by_matrix_units(problem: ConvolutionProblem) -> bool:
    """Whether matrix units multiply the formats at hand."""
    return product_unit(problem.dtype_a, problem.dtype_b)[0] == "matrix"


def as_gemm(problem: ConvolutionProblem) -> GemmProblem:
    """The implicit product, padded as its kernels pad it."""
    pad = PAD_BYTES // element_bytes(problem.dtype_a) if by_matrix_units(problem) else 1
    channels = ceil_div(problem.channels, pad) * pad
    rows, depth = problem.M, problem.taps * channels
    stored = problem.image_elements / problem.channels * channels
    return GemmProblem(
        M=rows,
        N=ceil_div(problem.filters, pad) * pad,
        K=depth,
        batch=problem.groups,
        dtype_a=problem.dtype_a,
        dtype_b=problem.dtype_b,
        dtype_out=problem.dtype_out,
        distinct=stored / (rows * depth * problem.groups),
    )


def resolved(tile: LibraryTile, problem: ConvolutionProblem, limits: Limits) -> LibraryTile:
    """The tile that cuBLAS's rule takes for the implicit product."""
    return cublas.resolved(tile, as_gemm(problem), limits)


def resolved_by_warp(tile: LibraryTile, problem: ConvolutionProblem, limits: Limits) -> LibraryTile:
    """The menu of kernels whose warps multiply by themselves, for the implicit product."""
    return warp_tiles.resolved(tile, as_gemm(problem), limits)


def resolved_by_pair(tile: LibraryTile, problem: ConvolutionProblem, limits: Limits) -> LibraryTile:
    """The menu of kernels that two processors share, for the implicit product."""
    return pair_tiles.resolved(tile, as_gemm(problem), limits)


def activity(problem: ConvolutionProblem, tile: LibraryTile, limits: Limits) -> Activity:
    """One call: the implicit product, in waves of its tiles."""
    return cublas.product(as_gemm(problem), tile, limits)
