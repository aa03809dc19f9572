"""Attention over many queries on Hopper by warps of two kinds (FlashAttention-3, arXiv 2407.08608).

One warp copies tiles of Q, K and V in bulk (tensor memory accelerator); two groups of four warps
multiply and weigh, `block_q` / 2 query rows each; barriers in shared memory tie them together. So
one group's exponentials run beside the other's products. A group asks for the scores of a tile of
keys together with the products of the tile before, and weighs the ones beside the others; it walks
keys from the last to the first, those that a mask crosses ahead of all. Rows of O leave in bulk, by
a place of their own, or of Q where heads are of 256.
Blocks are persistent: they are dealt tiles of query rows, every second round in reverse, under a
causal mask the longest of a section of heads first, without one head after head. Masks,
exponentials and launch record are those of `kernels.attention`.

Written in Gluon (Triton 3.6), whose layouts and barriers are explicit; compute capability 9.0 alone
has these matrix instructions (wgmma). Operands are 16-bit, with rows on 16 bytes.
"""

# pyright: basic, reportMissingImports=false, reportIndexIssue=false
# pyright: reportArgumentType=false, reportCallIssue=false, reportOperatorIssue=false
# pyright: reportGeneralTypeIssues=false
# (Gluon is a language of its own inside Python: its types are not Python's)

import torch
import triton
from triton.experimental import gluon
from triton.experimental.gluon import language as gl
from triton.experimental.gluon.language.nvidia.hopper import (
    fence_async_shared,
    mbarrier,
    tma,
    warpgroup_mma,
    warpgroup_mma_wait,
)
from triton.experimental.gluon.nvidia.hopper import TensorDescriptor

from hwmodel.kernels.operands import describable, power_of_two, processors
from hwmodel.machines.gpu.schedules.attention import AttentionTile

CAPABILITY = (9, 0)
DTYPES = {torch.bfloat16: gl.bfloat16, torch.float16: gl.float16}
NARROWEST, WIDEST = 64, 256
"""Head dimensions, padded to a power of two, that one copy and one accumulator hold."""
GROUPS = 2
"""Groups of four warps that compute."""
REGISTERS, COPYING_REGISTERS = 240, 24
"""Of a thread that computes, and of one that copies: 65,536 of a processor shared out."""
SHARED_BY, KEPT_BYTES = 4, 24 * 2**20
"""Blocks that shall read the same keys at once, for the DRAM's sake, where keys and values of a
section exceed so many bytes, which the L2 keeps."""
MASKED = gl.constexpr(-1.0e30)


@gluon.jit
def dealt(turn):
    """The tile that this block takes at a turn: every second round is dealt in reverse."""
    blocks = gl.num_programs(0)
    mine = gl.program_id(0)
    return turn * blocks + gl.where(turn % 2 == 0, mine, blocks - 1 - mine)


@gluon.jit
def turns_of(tiles):
    """How many tiles this block takes."""
    whole = tiles // gl.num_programs(0)
    return whole + gl.where(dealt(whole) < tiles, 1, 0)


@gluon.jit
def place(tile, row_blocks, heads, section):
    """(row block, head): sections of heads one after the other, in each the last rows first."""
    part = tile // (section * row_blocks)
    left = tile - part * section * row_blocks
    here = gl.minimum(section, heads - part * section)
    return row_blocks - 1 - left // here, part * section + left % here


@gluon.jit
def extent(
    row_block, queries, keys, BLOCK_Q: gl.constexpr, BLOCK_K: gl.constexpr, CAUSAL: gl.constexpr
):
    """(tiles of keys, of which a mask may cross so many): the last ones, and at least one."""
    steps = gl.cdiv(keys, BLOCK_K)
    whole = keys // BLOCK_K
    if CAUSAL:
        lowest = row_block * BLOCK_Q + keys - queries
        steps = gl.cdiv(gl.minimum(lowest + BLOCK_Q, keys), BLOCK_K)
        whole = gl.minimum(whole, (lowest + 1) // BLOCK_K)
    return steps, gl.maximum(steps - whole, 1)


@gluon.jit
def copy_tiles(
    q, k, v, q_kept, k_kept, v_kept, q_ready, q_free, k_ready, k_free, v_ready, v_free,
    heads, kv_heads, heads_all, queries, keys, row_blocks, tiles, section,
    GROUPS: gl.constexpr, ROWS: gl.constexpr, BLOCK_K: gl.constexpr, BLOCK_D: gl.constexpr,
    STAGES: gl.constexpr, CAUSAL: gl.constexpr,
):  # fmt: skip
    """The copying warp: rows of Q of a tile, then its keys and values, as stages become free."""
    step = 0
    for turn in range(turns_of(tiles)):
        row_block, head = place(dealt(turn), row_blocks, heads_all, section)
        kv_head = (head // heads) * kv_heads + (head % heads) // (heads // kv_heads)
        steps, _ = extent(row_block, queries, keys, GROUPS * ROWS, BLOCK_K, CAUSAL)
        for group in gl.static_range(GROUPS):
            mbarrier.wait(q_free.index(group), (turn & 1) ^ 1)
            mbarrier.expect(q_ready.index(group), ROWS * BLOCK_D * 2)
            at = [head, (row_block * GROUPS + group) * ROWS, 0]
            tma.async_copy_global_to_shared(q, at, q_ready.index(group), q_kept.index(group))
        for back in range(steps):
            at = [kv_head, (steps - 1 - back) * BLOCK_K, 0]
            stage = step % STAGES
            free = ((step // STAGES) & 1) ^ 1
            mbarrier.wait(k_free.index(stage), free)
            mbarrier.expect(k_ready.index(stage), BLOCK_K * BLOCK_D * 2)
            tma.async_copy_global_to_shared(k, at, k_ready.index(stage), k_kept.index(stage))
            mbarrier.wait(v_free.index(stage), free)
            mbarrier.expect(v_ready.index(stage), BLOCK_K * BLOCK_D * 2)
            tma.async_copy_global_to_shared(v, at, v_ready.index(stage), v_kept.index(stage))
            step += 1


@gluon.jit
def weigh(
    score, peak, sums, start, position, keys, scale_log2,
    BLOCK_K: gl.constexpr, CAUSAL: gl.constexpr, EDGE: gl.constexpr, SCORES: gl.constexpr,
):  # fmt: skip
    """(weights, correction, peak, sums) of a tile of scores; with EDGE, a mask may cross it."""
    if EDGE:
        column = start + gl.arange(0, BLOCK_K, layout=gl.SliceLayout(0, SCORES))
        seen = column[None, :] < keys
        if CAUSAL:
            seen = seen & (column[None, :] <= position[:, None])
        score = gl.where(seen, score * scale_log2, MASKED)
        higher = gl.maximum(peak, gl.max(score, 1))
        weight = gl.exp2(score - higher[:, None])
    else:
        higher = gl.maximum(peak, gl.max(score, 1) * scale_log2)
        weight = gl.exp2(score * scale_log2 - higher[:, None])
    correction = gl.exp2(peak - higher)
    return weight, correction, higher, sums * correction + gl.sum(weight, 1)


@gluon.jit
def walk_keys(
    total, sums, peak, weight, step, query, k_kept, v_kept, k_ready, k_free, v_ready, v_free,
    first, last, steps, position, keys, scale_log2,
    ROWS: gl.constexpr, BLOCK_K: gl.constexpr, BLOCK_D: gl.constexpr, STAGES: gl.constexpr,
    CAUSAL: gl.constexpr, EDGE: gl.constexpr,
    SCORES: gl.constexpr, OUTPUTS: gl.constexpr, OPERAND: gl.constexpr,
):  # fmt: skip
    """Tiles `first` to `last` from the end: scores are weighed while the last products run."""
    for back in range(first, last):
        stage = step % STAGES
        before = (step - 1) % STAGES
        none = gl.zeros([ROWS, BLOCK_K], gl.float32, layout=SCORES)
        key = k_kept.index(stage).reshape([BLOCK_K, BLOCK_D]).permute((1, 0))
        value = v_kept.index(before).reshape([BLOCK_K, BLOCK_D])
        mbarrier.wait(k_ready.index(stage), (step // STAGES) & 1)
        score = warpgroup_mma(query, key, none, use_acc=False, is_async=True)
        operand = gl.convert_layout(weight.to(query.dtype), OPERAND)
        mbarrier.wait(v_ready.index(before), ((step - 1) // STAGES) & 1)
        total = warpgroup_mma(operand, value, total, is_async=True)
        score = warpgroup_mma_wait(1, deps=[score])
        mbarrier.arrive(k_free.index(stage), count=1)
        start = (steps - 1 - back) * BLOCK_K
        weight, correction, peak, sums = weigh(
            score, peak, sums, start, position, keys, scale_log2, BLOCK_K, CAUSAL, EDGE, SCORES
        )
        # A branch on the sums, never taken: without one ptxas moves the wait ahead of them.
        sums = gl.inline_asm_elementwise(
            "{ .reg .pred p; setp.lt.f32 p, $1, 0f00000000; @p exit; mov.f32 $0, $1; }",
            "=f,f", [sums], dtype=gl.float32, is_pure=False, pack=1,
        )  # fmt: skip
        total, weight = warpgroup_mma_wait(0, deps=[total, weight])
        mbarrier.arrive(v_free.index(before), count=1)
        total = total * gl.convert_layout(correction, gl.SliceLayout(1, OUTPUTS))[:, None]
        step += 1
    return total, sums, peak, weight, step


@gluon.jit
def compute_tiles(
    out, o_kept, q_kept, k_kept, v_kept, q_ready, q_free, k_ready, k_free, v_ready, v_free,
    heads_all, queries, keys, row_blocks, tiles, section, scale_log2,
    GROUP: gl.constexpr, GROUPS: gl.constexpr, ROWS: gl.constexpr, BLOCK_K: gl.constexpr,
    BLOCK_D: gl.constexpr, STAGES: gl.constexpr, CAUSAL: gl.constexpr, APART: gl.constexpr,
):  # fmt: skip
    """A group of four warps: its rows of each tile."""
    SCORES: gl.constexpr = gl.NVMMADistributedLayout([3, 0], [4, 1], [16, BLOCK_K, 16])
    OUTPUTS: gl.constexpr = gl.NVMMADistributedLayout([3, 0], [4, 1], [16, BLOCK_D, 16])
    OPERAND: gl.constexpr = gl.DotOperandLayout(0, OUTPUTS, 2)
    step = 0
    for turn in range(turns_of(tiles)):
        row_block, head = place(dealt(turn), row_blocks, heads_all, section)
        steps, edges = extent(row_block, queries, keys, GROUPS * ROWS, BLOCK_K, CAUSAL)
        first_row = (row_block * GROUPS + GROUP) * ROWS
        position = first_row + gl.arange(0, ROWS, layout=gl.SliceLayout(1, SCORES)) + keys - queries
        peak = gl.full([ROWS], float("-inf"), gl.float32, layout=gl.SliceLayout(1, SCORES))
        sums = gl.zeros([ROWS], gl.float32, layout=gl.SliceLayout(1, SCORES))
        total = gl.zeros([ROWS, BLOCK_D], gl.float32, layout=OUTPUTS)
        none = gl.zeros([ROWS, BLOCK_K], gl.float32, layout=SCORES)
        query = q_kept.index(GROUP).reshape([ROWS, BLOCK_D])
        mbarrier.wait(q_ready.index(GROUP), turn & 1)
        stage = step % STAGES
        key = k_kept.index(stage).reshape([BLOCK_K, BLOCK_D]).permute((1, 0))
        mbarrier.wait(k_ready.index(stage), (step // STAGES) & 1)
        score = warpgroup_mma(query, key, none, use_acc=False, is_async=True)
        score = warpgroup_mma_wait(0, deps=[score])
        mbarrier.arrive(k_free.index(stage), count=1)
        start = (steps - 1) * BLOCK_K
        weight, _, peak, sums = weigh(
            score, peak, sums, start, position, keys, scale_log2, BLOCK_K, CAUSAL, True, SCORES
        )
        step += 1
        if CAUSAL:
            total, sums, peak, weight, step = walk_keys(
                total, sums, peak, weight, step,
                query, k_kept, v_kept, k_ready, k_free, v_ready, v_free,
                1, edges, steps, position, keys, scale_log2,
                ROWS, BLOCK_K, BLOCK_D, STAGES, CAUSAL, True, SCORES, OUTPUTS, OPERAND,
            )  # fmt: skip
        total, sums, peak, weight, step = walk_keys(
            total, sums, peak, weight, step,
            query, k_kept, v_kept, k_ready, k_free, v_ready, v_free,
            edges, steps, steps, position, keys, scale_log2,
            ROWS, BLOCK_K, BLOCK_D, STAGES, CAUSAL, False, SCORES, OUTPUTS, OPERAND,
        )  # fmt: skip
        if APART:
            mbarrier.arrive(q_free.index(GROUP), count=1)
        before = (step - 1) % STAGES
        value = v_kept.index(before).reshape([BLOCK_K, BLOCK_D])
        operand = gl.convert_layout(weight.to(query.dtype), OPERAND)
        mbarrier.wait(v_ready.index(before), ((step - 1) // STAGES) & 1)
        total = warpgroup_mma(operand, value, total, is_async=True)
        total = warpgroup_mma_wait(0, deps=[total])
        mbarrier.arrive(v_free.index(before), count=1)
        total = total * gl.convert_layout(1.0 / sums, gl.SliceLayout(1, OUTPUTS))[:, None]
        if APART:
            tma.store_wait(0)
        o_kept.index(GROUP).reshape([ROWS, BLOCK_D]).store(total.to(query.dtype))
        fence_async_shared()
        tma.async_copy_shared_to_global(out, [head, first_row, 0], o_kept.index(GROUP))
        if not APART:
            tma.store_wait(0)
            mbarrier.arrive(q_free.index(GROUP), count=1)
    tma.store_wait(0)


UNSPECIALISED = ("heads", "kv_heads", "heads_all", "queries", "keys", "row_blocks", "tiles")


@gluon.jit(do_not_specialize=[*UNSPECIALISED, "section"])
def hopper_kernel(
    q, k, v, out,
    heads, kv_heads, heads_all, queries, keys, row_blocks, tiles, section, scale_log2,
    DTYPE: gl.constexpr, GROUPS: gl.constexpr, ROWS: gl.constexpr, BLOCK_K: gl.constexpr,
    BLOCK_D: gl.constexpr, STAGES: gl.constexpr, CAUSAL: gl.constexpr, APART: gl.constexpr,
    REGISTERS: gl.constexpr, COPYING_REGISTERS: gl.constexpr,
):  # fmt: skip
    """A persistent block: its shared memory, its barriers, and its three kinds of warps."""
    q_kept = gl.allocate_shared_memory(DTYPE, [GROUPS, 1, ROWS, BLOCK_D], q.layout)
    k_kept = gl.allocate_shared_memory(DTYPE, [STAGES, 1, BLOCK_K, BLOCK_D], k.layout)
    v_kept = gl.allocate_shared_memory(DTYPE, [STAGES, 1, BLOCK_K, BLOCK_D], v.layout)
    if APART:
        o_kept = gl.allocate_shared_memory(DTYPE, [GROUPS, 1, ROWS, BLOCK_D], q.layout)
    else:
        o_kept = q_kept
    q_ready = gl.allocate_shared_memory(gl.int64, [GROUPS, 1], mbarrier.MBarrierLayout())
    q_free = gl.allocate_shared_memory(gl.int64, [GROUPS, 1], mbarrier.MBarrierLayout())
    k_ready = gl.allocate_shared_memory(gl.int64, [STAGES, 1], mbarrier.MBarrierLayout())
    k_free = gl.allocate_shared_memory(gl.int64, [STAGES, 1], mbarrier.MBarrierLayout())
    v_ready = gl.allocate_shared_memory(gl.int64, [STAGES, 1], mbarrier.MBarrierLayout())
    v_free = gl.allocate_shared_memory(gl.int64, [STAGES, 1], mbarrier.MBarrierLayout())
    for group in gl.static_range(GROUPS):
        mbarrier.init(q_ready.index(group), count=1)
        mbarrier.init(q_free.index(group), count=1)
    for stage in gl.static_range(STAGES):
        mbarrier.init(k_ready.index(stage), count=1)
        mbarrier.init(v_ready.index(stage), count=1)
        mbarrier.init(k_free.index(stage), count=GROUPS)
        mbarrier.init(v_free.index(stage), count=GROUPS)
    fence_async_shared()
    gl.warp_specialize(
        [
            (compute_tiles, (
                out, o_kept, q_kept, k_kept, v_kept,
                q_ready, q_free, k_ready, k_free, v_ready, v_free,
                heads_all, queries, keys, row_blocks, tiles, section, scale_log2,
                0, GROUPS, ROWS, BLOCK_K, BLOCK_D, STAGES, CAUSAL, APART,
            )),
            (compute_tiles, (
                out, o_kept, q_kept, k_kept, v_kept,
                q_ready, q_free, k_ready, k_free, v_ready, v_free,
                heads_all, queries, keys, row_blocks, tiles, section, scale_log2,
                1, GROUPS, ROWS, BLOCK_K, BLOCK_D, STAGES, CAUSAL, APART,
            )),
            (copy_tiles, (
                q, k, v, q_kept, k_kept, v_kept, q_ready, q_free, k_ready, k_free, v_ready, v_free,
                heads, kv_heads, heads_all, queries, keys, row_blocks, tiles, section,
                GROUPS, ROWS, BLOCK_K, BLOCK_D, STAGES, CAUSAL,
            )),
        ],
        [4, 1], [REGISTERS, COPYING_REGISTERS],
    )  # fmt: skip


def runs(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> bool:
    """Whether operands of one format and their device are this kernel's."""
    wide = power_of_two(q.shape[-1])
    fits = NARROWEST <= wide <= WIDEST and q.dtype in DTYPES and describable(q, k, v)
    return fits and q.is_cuda and torch.cuda.get_device_capability(q.device) == CAPABILITY


def section_of(kv_heads: int, head_bytes: int, blocks: int) -> int:
    """KV heads of a section under a causal mask: all, or as many as the DRAM and the L2 serve."""
    most = max(1, blocks // SHARED_BY, KEPT_BYTES // head_bytes)
    return triton.cdiv(kv_heads, triton.cdiv(kv_heads, most))


def flat(matrix: torch.Tensor, rows: int, wide: int) -> TensorDescriptor:
    """A descriptor of tiles of one head, `(1, rows, wide)`, with zeros beyond its end."""
    layout = gl.NVMMASharedLayout(swizzle_byte_width=128, element_bitwidth=16, rank=3)
    return TensorDescriptor.from_tensor(matrix.view(-1, *matrix.shape[2:]), [1, rows, wide], layout)


def launch(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    out: torch.Tensor,
    causal: bool,
    tile: AttentionTile,
    scale_log2: float,
) -> None:
    """Writes softmax(Q K^T) V into `out`; operands as of `attention`, which has checked them."""
    (batch, heads, queries, head_dim), (kv_heads, keys) = q.shape, k.shape[1:3]
    wide, block_k = power_of_two(head_dim), int(tile.block_k)
    rows = int(tile.block_q) // GROUPS
    row_blocks = triton.cdiv(queries, int(tile.block_q))
    tiles = row_blocks * batch * heads
    section = section_of(batch * kv_heads, 2 * keys * wide * q.element_size(), processors(q))
    section = section * (heads // kv_heads) if causal else heads // kv_heads
    hopper_kernel[(min(tiles, processors(q)),)](
        flat(q, rows, wide), flat(k, block_k, wide), flat(v, block_k, wide), flat(out, rows, wide),
        heads, kv_heads, batch * heads, queries, keys, row_blocks, tiles, section,
        scale_log2, DTYPE=DTYPES[q.dtype], GROUPS=GROUPS, ROWS=rows,
        BLOCK_K=block_k, BLOCK_D=wide, STAGES=int(tile.stages), CAUSAL=causal,
        APART=wide < WIDEST, REGISTERS=REGISTERS, COPYING_REGISTERS=COPYING_REGISTERS,
        num_warps=4,
    )  # fmt: skip
