"""What our Triton kernels launch when nobody names a tile: the rules of `triton_tiles`, by problem.

Each function has the signature that a menu's `resolve` has: (tile, problem, limits) -> tile. The
tile handed in is the menu's one entry and says nothing; the answer is the wrapper's own choice.
"""

from collections.abc import Callable, Sequence
from typing import Any

from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.schedules import rows as rows_schedule
from hwmodel.machines.gpu.schedules import (
    triton_attention,
    triton_gemm,
    triton_grouped,
    triton_rows,
)
from hwmodel.machines.gpu.schedules.attention import AttentionProblem, AttentionTile
from hwmodel.machines.gpu.schedules.gemm import GemmProblem, GemmTile
from hwmodel.machines.gpu.schedules.rows import RowProblem, RowTile
from hwmodel.machines.gpu.schedules.triton_tiles import (
    CHUNK_TILE,
    DECODE_ROWS,
    FEW_ROWS,
    MOST_ROW_ELEMENTS,
    chunk_tiles,
    decode_candidates,
    decode_tile,
    gemm_candidates,
    gemm_tile,
    grouped_tile,
    hopper_tile,
    prefill_tile,
    prefill_tiles,
    row_tile,
)
from hwmodel.quantity.arithmetic import ceil_div, where
from hwmodel.quantity.dtypes import bytes_of, element_bytes
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Activity


def gemm(tile: GemmTile, problem: GemmProblem, limits: Limits) -> GemmTile:
    """The GEMM's rule."""
    return gemm_tile(
        problem.M,
        problem.N,
        problem.K,
        processors=limits.processors,
        element_bytes=int(element_bytes(problem.dtype_a)),
    )


def grouped(tile: GemmTile, problem: GemmProblem, limits: Limits) -> GemmTile:
    """The same for the rows of a mean member and the columns of all, unsplit."""
    return grouped_tile(
        ceil_div(problem.M, problem.members),
        problem.N * problem.members,
        problem.K,
        processors=limits.processors,
        element_bytes=int(element_bytes(problem.dtype_a)),
    )


def prefill(tile: AttentionTile, problem: AttentionProblem, limits: Limits) -> AttentionTile:
    """The rule for many queries."""
    return prefill_tile(problem.head_dim, problem.queries, specialised=specialised(problem, limits))


def specialised(problem: AttentionProblem, limits: Limits) -> Amount:
    """Whether Hopper's warps of two kinds run the problem (`kernels/hopper_attention.py`).

    Hopper's processors have room for its tiles and are no pairs, as those of data centres'
    Blackwell are, which have other matrix instructions.
    """
    dense = isinstance(problem.density, (int, float)) and problem.density == 1
    halves = problem.dtype == problem.kv_dtype and bytes_of(problem.dtype) == HALF_BYTES
    if not (dense and halves and problem.window is None) or limits.pair > 1:
        return 0
    wide = triton_attention.power_of_two(problem.head_dim)
    room = limits.shared_per_block_bytes >= HOPPER_SHARED_BYTES
    aligned = problem.head_dim % DESCRIBED_ELEMENTS == 0
    return where(aligned & (wide >= NARROWEST) & (wide <= WIDEST) & room, 1, 0)


def decode(tile: AttentionTile, problem: AttentionProblem, limits: Limits) -> AttentionTile:
    """The rule for few queries."""
    return decode_tile(
        problem.queries * problem.group,
        problem.keys,
        problem.batch * problem.kv_heads,
        problem.head_dim,
        processors=limits.processors,
    )


def rows(tile: RowTile, problem: RowProblem, limits: Limits) -> RowTile:
    """The rule of row kernels: a row held whole, or walked pass by pass; a stretch of elements."""
    held = row_tile(problem.cols)
    holds = (problem.row_bytes > 0) & (problem.cols <= MOST_ROW_ELEMENTS)
    walks = (problem.row_bytes > 0) & (problem.cols > MOST_ROW_ELEMENTS)
    launched = RowTile(
        elements=where(holds, held.elements, where(walks, CHUNK_TILE.elements, 2048)),
        warps=where(holds, held.warps, CHUNK_TILE.warps),
        resident=where(holds, held.resident, CHUNK_TILE.resident),
        rows=where(holds, held.rows, 1),
        rereads=where(walks, problem.passes - 1, 0),
    )
    return triton_rows.filled(launched, problem, limits)


HALF_BYTES, DESCRIBED_ELEMENTS = 2, 8
HOPPER_SHARED_BYTES = 227 * 1024
"""Shared memory of a block on Hopper (CUDA C++ Programming Guide, compute capability 9.0)."""
NARROWEST, WIDEST = 64, 256

LAUNCHES: dict[str, tuple[Callable[[Any, Any, Limits], Activity], Sequence[Any], Any]] = {
    "gemm": (triton_gemm.activity, (GemmTile(128, 128),), gemm),
    "grouped": (triton_grouped.described, (GemmTile(128, 128),), grouped),
    "prefill": (triton_attention.prefill, (AttentionTile(128, 128),), prefill),
    "decode": (triton_attention.decode, (AttentionTile(16, 64),), decode),
    "rows": (rows_schedule.activity, (RowTile(),), rows),
}
"""Schedule -> what our kernels do, the menu of one entry, and the rule that fills it in."""


def gemm_menu(problem: GemmProblem, limits: Limits) -> Sequence[Any]:
    """Tiles of a product that are worth trying and whose slices and sums fit a processor."""
    found = gemm_candidates(
        int(problem.M),
        int(problem.N),
        int(problem.K),
        processors=int(limits.processors),
        element_bytes=int(element_bytes(problem.dtype_a)),
    )
    grouped = problem.routing is not None
    return [
        tile
        for tile in found
        if triton_gemm.shared_bytes(problem, tile) <= limits.shared_per_block_bytes
        and tile.block_m * tile.block_n <= limits.registers
        and not (grouped and (tile.split > 1 or tile.persistent))
    ]


def attention_menu(problem: AttentionProblem, limits: Limits) -> Sequence[Any]:
    """Tiles of attention whose rows, keys and sums fit a processor."""
    few = problem.queries * problem.group <= DECODE_ROWS
    head_dim = int(problem.head_dim)
    tiles = decode_candidates(int(problem.keys), head_dim) if few else prefill_tiles(head_dim)
    if not few and problem.queries > FEW_ROWS and specialised(problem, limits):
        tiles = (hopper_tile(head_dim), *tiles)
    wide = triton_attention.power_of_two(head_dim) * bytes_of(problem.kv_dtype)
    return [
        tile
        for tile in tiles
        if wide * (tile.block_q + 2 * (tile.stages - (1 if few else 0)) * tile.block_k)
        <= limits.shared_per_block_bytes
    ]


def row_menu(problem: RowProblem, limits: Limits) -> Sequence[Any]:
    """The tile that holds a row, or stretches of elements."""
    return [row_tile(int(problem.cols))] if problem.row_bytes > 0 else chunk_tiles()


MENUS: dict[str, Callable[[Any, Limits], Sequence[Any]]] = {
    **{"gemm": gemm_menu, "grouped": gemm_menu, "rows": row_menu},
    **{"prefill": attention_menu, "decode": attention_menu},
}
"""Schedule -> the launch records that one problem may be tried with."""

COMPLETED: dict[str, Callable[[Any, Any, Limits], Any]] = {"rows": triton_rows.filled}
"""Schedule -> what completes a launch record that was named, where one says less than the model
needs."""

STREAMED: dict[str, Callable[[Any, Any, Limits], Activity]] = {"decode": triton_attention.stream}
"""Schedule -> what the kernel does where its keys are shared out by stream-K."""
