"""Schedule of our own tiled GEMM in Triton: what its compiled loop does beyond the generic counts.

Blocks are neither persistent nor clustered: each fills its own pipeline. All stages but one are on
their way while a slice is multiplied, so that a block takes a slice no faster than the stages in
flight take to arrive, from the DRAM or sooner from the L2; blocks that share a processor hide that
from one another. Tiles below 64 rows multiply by warp instructions (mma), not by a warpgroup's.

Rows of A and B that do not begin on 16 bytes cannot be copied in bulk: threads load their elements
one by one, nothing ahead of the product, and spill the registers that sums, elements and their
addresses (two elements' room) want beyond a thread's.

The parts of a split start one after the other, so that the L2 serves a part of A and B at a time.
Their sums are fp32; what of them exceeds the L2 goes to the DRAM and back, and a second kernel adds
them.
"""

from dataclasses import replace

from hwmodel.activity import Activity, Overlap, Serial, Waves, Work
from hwmodel.arithmetic import ceil_div, least, most, where
from hwmodel.dtypes import bytes_of
from hwmodel.gpu.schedules.gemm import (
    PARTIAL_BYTES,
    WARPGROUP_ROWS,
    GemmProblem,
    GemmTile,
    dram_bytes,
)
from hwmodel.gpu.units import product_unit
from hwmodel.hardware import Limits
from hwmodel.units import Amount

DESCRIPTOR_BYTES = 16
"""Alignment of the rows that a tensor descriptor covers (CUDA driver API, tensor maps)."""

WARP_THREADS = 32
REGISTERS = 255
"""Registers that a thread can name (CUDA C++ Programming Guide, compute capability 9.0)."""
OTHERS = 40
"""Registers of a thread beside its sums, its loads and their addresses (rounded)."""
SPILL = 0.13
"""Wait for a spilled register on the way, over that for a slice (fitted: H200, Triton 3.6)."""

HIT = 0.4
"""Latency of the L2 over the DRAM's (H200 and H100: 250 and 650 ns)."""

WARP_PRODUCTS = 1.6
"""Time of warp-level matrix instructions over a warpgroup's: mma reaches some six tenths of the
datasheet's rate on Hopper."""


def bulk(row_elements: Amount, element_bytes: float) -> Amount:
    """Whether rows of this length are copied in bulk."""
    return row_elements * element_bytes % DESCRIPTOR_BYTES == 0


def activity(problem: GemmProblem, tile: GemmTile, limits: Limits) -> Activity:
    """One call: launch, waves of blocks over the DRAM stream, and the kernel that adds parts."""
    element = bytes_of(problem.dtype_a)
    rows, columns = ceil_div(problem.M, tile.block_m), ceil_div(problem.N, tile.block_n)
    whole = ceil_div(problem.K, tile.block_k)
    slices = ceil_div(whole, tile.split)
    blocks = problem.batch * rows * columns * ceil_div(whole, slices)
    resident = most((1, least((tile.resident, ceil_div(blocks, limits.processors)))))
    depth = slices * tile.block_k
    area, sides = tile.block_m * tile.block_n, tile.block_m + tile.block_n
    by_element = where(bulk(problem.K, element), 0.0, 1.0)
    spills = spilled_registers(tile)
    unit, dtype = product_unit(problem.dtype_a, problem.dtype_b)
    small = tile.block_m < WARPGROUP_ROWS
    part = replace(problem, K=problem.K / tile.split, batch=problem.batch * tile.split)
    staged = (problem.M / rows + problem.N / columns) * depth * element
    slab = where(small, 4 * tile.block_m + tile.block_n, area / WARPGROUP_ROWS + tile.block_m)
    read, _ = dram_bytes(part, tile, limits)
    missed = least((1.0, read / (blocks * staged)))
    trips = HIT + (1 - HIT) * missed
    mainloop = Work(
        operations={(unit, "flop", dtype): 2 * area * depth * where(small, WARP_PRODUCTS, 1.0)},
        read={
            "shared": slab * depth * element,
            "port": staged,
            "l2": staged,
            "pipeline": (1 - by_element) * slices * trips / (resident * most((1, tile.stages - 1))),
            "copy": by_element * sides * depth * (1 + 2 * spills / _loads(tile)),
        },
        written={"shared": staged},
        live={"shared": tile.shared_bytes(element), "processors": 1 / resident},
        slots={"fill": 1, "step": by_element * slices * (1 + SPILL * spills)},
    )
    split = tile.split > 1
    stored = where(split, PARTIAL_BYTES, bytes_of(problem.dtype_out))
    epilogue = Work(written={"port": area * stored})
    written = problem.batch * problem.M * problem.N * bytes_of(problem.dtype_out)
    parts = where(split, 1.0, 0.0) * tile.split * problem.batch * problem.M * problem.N
    partial = parts * PARTIAL_BYTES
    spilled = most((0, partial - limits.capacity_bytes["l2"] / 2))
    body = Overlap(
        (
            Waves(blocks, limits.processors * resident, Serial((mainloop, epilogue))),
            Work(
                read={"dram": read},
                written={"dram": where(split, spilled, written), "l2": partial},
            ),
        )
    )
    reduction = Work(
        read={"l2": partial, "dram": spilled},
        written={"dram": where(split, written, 0.0)},
        slots={"reduction": where(split, 1.0, 0.0)},
    )
    return Serial((Work(slots={"launch": 1}), body, reduction))


def spilled_registers(tile: GemmTile) -> Amount:
    """Registers of a thread that its sums, its loads and their addresses want in excess.

    >>> spilled_registers(GemmTile(16, 128, 64, warps=4))
    0
    """
    threads = WARP_THREADS * tile.warps
    wanted = tile.block_m * tile.block_n / threads + 2 * _loads(tile) + OTHERS
    return most((0, wanted - REGISTERS))


def _loads(tile: GemmTile) -> Amount:
    """Elements that a thread loads for one slice."""
    return (tile.block_m + tile.block_n) * tile.block_k / (WARP_THREADS * tile.warps)
