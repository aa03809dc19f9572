"""FlashAttention-4: attention where the matrix unit itself reads shared and tensor memory.

A block owns two stages of 128 query rows (one where tensor memory cannot hold two) and walks the
keys in steps of 128. For M rows, N keys and head dimensions d (Q, K) and f (V), a step needs

    matrix FLOP        2 M N (d + f)
    exp                (1 - phi) M N: a share phi is computed by a polynomial on the vector lanes
    shared reads       elements: M d + (M / rows) N (d + f) / pair
    tensor memory      S out 4 M N bytes, P in 2 M N bytes; rescaling O: out and in, 8 M f

A matrix instruction of `rows` rows reads its own operand B: 128 with tensor memory (P stays there),
64 without (Hopper, where P and the sums are registers). Two blocks of a `pair` share B, half each.
O is rescaled only where a row's maximum grew by more than 2^8, in a tenth of the steps (`Chance`);
without tensor memory always.

Source: Zadouri, Hoehnerbach, Shah, Liu, Thakkar, Dao, "FlashAttention-4" (arXiv 2603.05451, 2026),
its forward and backward tables of cycles; tiles, pairs and shares from the kernels
(Dao-AILab/flash-attention, flash_attn/cute, August 2026). Counts only: what each unit does in a
clock is the machine's. Nothing here was measured; efficiencies are priors.
"""

from dataclasses import dataclass, replace

import numpy as np

from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu.schedules import attention
from hwmodel.machines.gpu.schedules.attention import (
    LANE_FLOP,
    AttentionProblem,
    AttentionTile,
    Steps,
    ends,
    key_bytes,
    widths,
)
from hwmodel.quantity.arithmetic import most, where
from hwmodel.quantity.dtypes import bytes_of
from hwmodel.quantity.errors import CapacityError, CoverageError
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Activity, Chance, Overlap, Repeat, Serial, Work

VECTOR_PER_SCORE = 3.5
"""Lane instructions of a score: scale and subtract (one), max, sum, half of a packed conversion."""
EMULATION = 9
"""Lane instructions of an exponential without the exp unit: clamp; round down, back, and the
fraction; a cubic by Horner's rule; shift and add into the exponent (flash_attn/cute/utils.py)."""
RESCALED = 0.1
"""Share of steps that rescale O: the paper reports that nine in ten are spared."""
STAGE_ROWS = 128
TENSOR_ROWS, WARPGROUP_ROWS = 128, 64
"""Query rows of a matrix instruction with tensor memory (tcgen05), and of one of Hopper (wgmma)."""
ACCUMULATOR_BYTES = 4
WIDEST_HEAD = 256
SHARED_BYTES = 227 * 1024
"""Shared memory of a block, which its ring of K and V fills."""


@dataclass(frozen=True)
class Flash4Tile(AttentionTile):
    """The launch record, with the tricks that a what-if may switch off.

    Attributes:
        emulated: share phi of exponentials on the vector lanes.
        rescaled: probability that a step rescales O.
        pair: blocks that share operand B of the matrix instructions: 1, or 2 in two-CTA mode.
        rows: query rows of a matrix instruction.
    """

    emulated: Amount = 0.0
    rescaled: Amount = 1.0
    pair: Amount = 1
    rows: Amount = TENSOR_ROWS


MENU = (
    Flash4Tile(256, 128, warps=8, emulated=1.0),
    Flash4Tile(256, 128, warps=8, emulated=0.0),
)
"""With the share of emulated exponentials that the kernel is tuned for, and with none (B300)."""


def tuned_share(head_dim: Amount, causal: bool) -> Amount:
    """Share of exponentials that the kernels emulate, from their loops over fragments of a row.

    A row has four fragments of 16 pairs. The last is never emulated, nor the first up to d = 128 or
    under a mask; in each other one 4 pairs are, or 6, or 2 (flash_attn/cute: `ex2_emu_freq` 16 in
    general, 10 at 128 without a mask, 32 at 192 with one, 14 with `ex2_emu_res` 6 at 256).

    >>> tuned_share(128, False)
    0.1875
    """
    middle, wide = (4, 2 * 2) if causal else (6, 4 * 3)
    of_row = 16 * 4
    return where(
        head_dim <= 64,
        4 * 2 / of_row,
        where(
            head_dim <= 128,
            middle * 2 / of_row,
            where(head_dim <= 192, wide / of_row, 6 * 3 / of_row),
        ),
    )


def resolved(tile: Flash4Tile, problem: AttentionProblem, limits: Limits) -> Flash4Tile:
    """The launch for these sizes on a device; raises where the kernel cannot run.

    `CapacityError` names what the device lacks, `CoverageError` a head that is too wide.

    Without tensor memory: 192 rows up to d = 64, else 128; 128, 112 or 80 keys; no pairs and no
    emulation. With it: as many stages of rows as its columns hold, and pairs of blocks where no
    mask is and d = 128 or 192, and always at 256.
    """
    if np.any(np.asarray(limits.shared_per_block_bytes) < SHARED_BYTES):
        raise CapacityError(
            f"kernel 'flash-attention-4': expected {SHARED_BYTES} bytes of shared memory a block"
            " (NVIDIA Hopper or Blackwell), found"
            f" {np.min(limits.shared_per_block_bytes):.0f}; kernels for other GPUs: torch,"
            " flash-attention-2"
        )
    if np.any(np.asarray(most((problem.head_dim, problem.value_dim))) > WIDEST_HEAD):
        raise CoverageError(
            f"kernel 'flash-attention-4': expected head dimensions up to {WIDEST_HEAD}, as it has"
            f" tiles for, found {np.max(most((problem.head_dim, problem.value_dim))):.0f}"
        )
    d, f, column = problem.head_dim, problem.value_dim, 0 * tile.split
    tensor = limits.capacity_bytes.get("tensor")
    if tensor is None:
        found = {
            "block_q": where(d <= 64, 192, 128),
            "block_k": where(d <= 128, 128, where(d <= 192, 112, 80)),
            "rows": WARPGROUP_ROWS,
            "rescaled": 1.0,
            "pair": 1,
            "emulated": 0.0,
        }
    else:
        rows_bytes = STAGE_ROWS * (tile.block_k + f) * ACCUMULATOR_BYTES
        two = (problem.queries > STAGE_ROWS) & (2 * rows_bytes <= tensor / limits.processors)
        middle = (d > 96) & (d <= 192) & (f > 96) & (f <= 128) & (not problem.causal)
        pairs = (middle & (problem.queries > 2 * STAGE_ROWS)) | ((d > 192) & (f > 192))
        found = {
            "block_q": where(two, 2 * STAGE_ROWS, STAGE_ROWS),
            "rescaled": RESCALED,
            "pair": where(pairs, 2, 1),
            "emulated": tile.emulated * tuned_share(d, problem.causal),
        }
    return replace(tile, **{name: value + column for name, value in found.items()})


def activity(problem: AttentionProblem, tile: Flash4Tile, limits: Limits) -> Activity:
    """One call: launch, and waves of blocks over the DRAM stream."""

    def block(_: AttentionProblem, __: AttentionTile, each: Steps, resident: Amount) -> Activity:
        return _block(problem, tile, each, resident, "tensor" in limits.capacity_bytes)

    return attention.activity(problem, tile, limits, block)


def _block(
    problem: AttentionProblem, tile: Flash4Tile, each: Steps, resident: Amount, tensor: bool
) -> Activity:
    """Q and O, the steps with the rescaling that some of them need, and the masks."""
    score = tile.block_q * tile.block_k
    mine = Work(live={"processors": 1 / resident}, slots={"fill": 1})
    loaded = key_bytes(problem, tile) / tile.pair
    keys = Work(read={"l2": loaded}, written={"shared": loaded})
    walk = Overlap(
        (
            Repeat(each.mean, forward_step(problem, tile, tensor)),
            Repeat(each.mean, keys),
            Chance(tile.rescaled, Repeat(each.mean, rescale(problem, tile, tensor))),
        )
    )
    masking = LANE_FLOP * tile.masking * score * each.masked
    masks = Work(operations={("vector", "flop", "fp32"): masking})
    return Serial((ends(problem, tile), mine, walk, masks))


def forward_step(problem: AttentionProblem, tile: Flash4Tile, tensor: bool) -> Work:
    """One step of a block: both products and the exponentials between them.

    `tensor` says whether scores and P lie in tensor memory; else they are registers.
    """
    wide, value_wide = widths(problem, tile)
    score = tile.block_q * tile.block_k
    per_score = VECTOR_PER_SCORE + EMULATION * tile.emulated
    operand_b = tile.block_q / tile.rows * tile.block_k * (wide + value_wide) / tile.pair
    size = bytes_of(problem.dtype)
    return Work(
        operations={
            ("matrix", "flop", problem.dtype): 2 * score * (wide + value_wide),
            ("exp", "exp", "fp32"): (1 - tile.emulated) * score,
            ("vector", "flop", "fp32"): LANE_FLOP * per_score * score,
        },
        read={"shared": (tile.block_q * wide + operand_b) * size}
        | ({"tensor": score * ACCUMULATOR_BYTES} if tensor else {}),
        written={"tensor": score * size} if tensor else {},
    )


def rescale(problem: AttentionProblem, tile: Flash4Tile, tensor: bool) -> Work:
    """A step's correction: a factor for each row, and O times it, where O lies."""
    _, value_wide = widths(problem, tile)
    output = tile.block_q * value_wide
    moved = {"tensor": output * ACCUMULATOR_BYTES} if tensor else {}
    return Work(
        operations={
            ("exp", "exp", "fp32"): tile.block_q,
            ("vector", "flop", "fp32"): LANE_FLOP * output,
        },
        read=moved,
        written=moved,
    )


def backward_step(
    rows: Amount, keys: Amount, head_dim: Amount, pair: Amount = 1, dtype: str = "bf16"
) -> Work:
    """One step of the backward pass for M rows, N keys and d; two blocks of a pair share queries.

    Five products: S = K Q^T, dP = V dO^T, dV = P^T dO, dK = dS^T Q (P and dS in tensor memory) and
    dQ = dS K. Operands that belong to queries (Q and dO, twice each) are read half by each block of
    a pair; K, V and dS are its own. dS is written for dQ; in a pair half of it goes to the other
    block, which the paper charges with 384 cycles: three passes (read, sent, stored). dQ is added
    to fp32 sums in shared memory, read and written; in a pair each block has half of its rows.
    """
    size = bytes_of(dtype)
    queries, owned, scores = rows * head_dim, keys * head_dim, rows * keys
    paired = where(pair > 1, 1.0, 0.0) if not isinstance(pair, int) else int(pair > 1)
    exchanged = paired * scores * size / 2
    sums = queries * ACCUMULATOR_BYTES / pair
    return Work(
        operations={
            ("matrix", "flop", dtype): 10 * rows * keys * head_dim,
            ("exp", "exp", "fp32"): scores,
        },
        read={"shared": (4 * queries / pair + 3 * owned + scores) * size + 2 * exchanged + sums},
        written={"shared": scores * size + exchanged + sums},
    )
