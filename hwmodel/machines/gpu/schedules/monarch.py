"""Convolution by Fourier transforms that are matrix products: our kernels, `kernels/fourier.py`.

A block transforms `pairs` complex signals by a product with the matrix of n1 points from the left
and of n2 from the right, multiplies by the filter's spectrum and transforms back; every complex
product is four real ones, and between products both planes pass through shared memory. Only the
signals cross the DRAM's boundary. Signals of more than `MOST_INNER` numbers are taken apart by a
product over `outer` points before and one after, kernels of their own, which write and read both
planes once more each.
"""

from dataclasses import dataclass

from hwmodel.einsum.workloads.fft_convolution import LEAST_RADIX, MOST_RADIX, factors_of
from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.schedules.fused_blocks import (
    WARP,
    block_operations,
    blocks_and_stream,
    resident,
)
from hwmodel.quantity.arithmetic import ceil_div, where
from hwmodel.quantity.dtypes import bytes_of
from hwmodel.quantity.errors import InputError
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Activity, Serial, Work

MOST_INNER = MOST_RADIX * MOST_RADIX
ELEMENTS = 2048
"""Numbers of each plane that a block transforms, at least."""
PLANES = 2
REAL_PRODUCTS = 4
"""In a complex one."""
ROUND_TRIPS = 6
"""Times that a number of a plane is written to shared memory and read: operands of four products,
and two turns from rows to columns."""
LANES = 40
"""Vector instructions of a complex number: three turns by factors, gates and conversions."""
OUTER_LANES, OUTER_BESIDE = 12, 60
"""The same, and registers beside numbers, in a kernel of outermost products."""
CHAIN, CHAIN_NUMBER, OUTER_CHAIN = 8000, 2, 3000
"""Clocks of a block that hang on each other, for each of its numbers, and of outermost products."""
HELD, BESIDE_ROW, FEWER = 4.5, 3.6, 24
"""Registers of a thread: for each of its numbers, for each row of the left matrix and for each
gate, less a few (compiled for sm_90)."""
SPILLED_BYTES, SPILLED_WIDE, SPILLING = 35, 2_100_000, 4096
"""Bytes of spilled registers for a number of a block of more than `SPILLING`; and of a block of
more than 8 warps, whose threads have half of the registers (compiled for sm_90)."""
SPILLS = 2.7
"""Times that a spilled byte crosses the DRAM's boundary: no cache holds those of all blocks
(H200)."""
MOST_WARPS = 8


@dataclass(frozen=True)
class MonarchProblem:
    """`signals` complex signals of outer n1 n2 numbers, of which those of a filter lie together.

    `signals` of one filter are `batch`; bytes are of signals and gates, and of filters. `gates` are
    planes that multiply others.
    """

    batch: Amount
    filters: Amount
    outer: int
    n1: int
    n2: int
    read_bytes: Amount
    filter_bytes: Amount
    written_bytes: Amount
    dtype: str
    gates: int = 0

    @property
    def kv_dtype(self) -> str:
        """Signals and matrices have one format."""
        return self.dtype


@dataclass(frozen=True)
class MonarchTile:
    """Pairs of sequences in a block, its warps; columns and warps of the outermost products.

    `spilling` is 1 where numbers that registers do not hold are spilled, 0 where a kernel leaves
    them in shared memory.
    """

    pairs: Amount = 1
    warps: Amount = 4
    cols: Amount = 64
    outer_warps: Amount = 4
    spilling: Amount = 1


def radices(n: int) -> tuple[int, int, int]:
    """(outer, n1, n2) with outer n1 n2 = n: points of the products of a transform; outer 1: none.

    >>> radices(1024), radices(8192), radices(1 << 20)
    ((1, 32, 32), (1, 64, 128), (64, 128, 128))

    Raises `InputError` for a length that is no power of two, or out of reach.
    """
    least, most = LEAST_RADIX**2, MOST_RADIX * MOST_INNER
    if n & (n - 1) or not least <= n <= most:
        raise InputError(
            f"length of a Fourier transform: expected a power of two of {least} .. {most}, found"
            f" {n}; pad with zeros"
        )
    *outer, n1, n2 = factors_of(n)
    return (outer[0] if outer else 1, n1, n2)


def monarch_tile(n: int) -> MonarchTile:
    """The rule's launch record for sequences of n numbers."""
    outer, n1, n2 = radices(n)
    inner = n1 * n2
    warps = 4 if inner <= SPILLING else 8
    return MonarchTile(max(1, ELEMENTS // inner), warps, 64, 8 if outer > 32 else 4)


def monarch_tiles(n: int) -> tuple[MonarchTile, ...]:
    """The launch records that are worth measuring: the rule's, and one with more warps."""
    rule = monarch_tile(n)
    if rule.warps == MOST_WARPS:
        return (rule,)
    return (rule, MonarchTile(rule.pairs, MOST_WARPS, rule.cols, rule.outer_warps))


MENU = (MonarchTile(),)
"""One record, which `resolved` fills in."""


def resolved(tile: MonarchTile, problem: MonarchProblem, limits: Limits) -> MonarchTile:
    """The rule's record for the length at hand."""
    return monarch_tile(problem.outer * problem.n1 * problem.n2)


def activity(problem: MonarchProblem, tile: MonarchTile, limits: Limits) -> Activity:
    """One kernel, or three: see the module."""
    inner, element = problem.n1 * problem.n2, bytes_of(problem.dtype)
    numbers = tile.pairs * inner
    products = 2 * REAL_PRODUCTS * 2 * numbers * (problem.n1 + problem.n2)
    factors = PLANES * element * (inner + problem.n1**2 + problem.n2**2)
    turned = numbers * PLANES * element * ROUND_TRIPS
    passed = factors + inner * PLANES * element
    block = Work(
        operations=block_operations(products, problem.dtype, LANES * numbers),
        read={"shared": turned, "l2": passed, "port": passed},
        written={"shared": turned},
    )
    held = HELD * numbers / (tile.warps * WARP) + BESIDE_ROW * problem.n1 - FEWER
    held = held + (problem.gates if problem.outer == 1 else 0)
    spilled = where(numbers > SPILLING, SPILLED_BYTES, 0) * numbers
    spilled = where(tile.warps > MOST_WARPS, SPILLED_WIDE, spilled)
    plain = problem.outer == 1
    planes = problem.batch * problem.filters * problem.outer * inner * PLANES * element
    blocks = ceil_div(problem.batch, tile.pairs) * problem.filters * problem.outer
    passed_over = SPILLS / 2 * tile.spilling * spilled * blocks
    given, made = (problem.read_bytes, problem.written_bytes) if plain else (planes, planes)
    stream = Work(
        read={"dram": problem.filter_bytes + given + passed_over},
        written={"dram": made + passed_over},
    )
    on_each = resident(tile.warps, held, limits)
    chain = CHAIN + CHAIN_NUMBER * numbers
    within = blocks_and_stream(blocks, on_each, block, chain, stream, limits)
    if plain:
        return within
    before = Work(read={"dram": problem.read_bytes}, written={"dram": planes})
    after = Work(read={"dram": planes}, written={"dram": problem.written_bytes})
    ends = tuple(_outermost(problem, tile, stream, limits) for stream in (before, after))
    return Serial((ends[0], within, ends[1]))


def _outermost(
    problem: MonarchProblem, tile: MonarchTile, stream: Work, limits: Limits
) -> Activity:
    """The product over `outer` points, `cols` columns a block."""
    numbers = problem.outer * tile.cols
    element = bytes_of(problem.dtype)
    factors = PLANES * element * (problem.outer**2 + numbers)
    flop = 2 * REAL_PRODUCTS * numbers * problem.outer
    block = Work(
        operations=block_operations(flop, problem.dtype, OUTER_LANES * numbers),
        read={"l2": factors, "port": factors},
    )
    blocks = ceil_div(problem.n1 * problem.n2, tile.cols) * problem.filters * problem.batch
    held = HELD * numbers / (tile.outer_warps * WARP) + OUTER_BESIDE
    on_each = resident(tile.outer_warps, held, limits)
    return blocks_and_stream(blocks, on_each, block, OUTER_CHAIN, stream, limits)
