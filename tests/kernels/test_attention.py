"""The prefill kernel against float64 under every mask, and its counts against brute force."""

# pyright: basic, reportMissingImports=false

import pytest

pytest.importorskip("torch", reason="needs torch and triton")
pytest.importorskip("triton", reason="needs torch and triton")

import torch

from hwmodel.kernels import attention as kernel
from hwmodel.machines.gpu.schedules.attention import AttentionTile
from hwmodel.quantity.errors import InputError

BF16 = pytest.param("bf16", marks=pytest.mark.gpu)  # the interpreter multiplies no bf16
SMALL = AttentionTile(32, 16, stages=2, warps=4)
LIMIT = {"fp32": 3e-6, "fp16": 1e-3, "bf16": 8e-3}


def operands(draw, batch, heads, kv_heads, queries, keys, head_dim, dtype="fp32"):
    q = draw(batch, heads, queries, head_dim, dtype=dtype)
    k = draw(batch, kv_heads, keys, head_dim, dtype=dtype)
    return q, k, draw(batch, kv_heads, keys, head_dim, dtype=dtype)


def expected(q, k, v, **masks):
    return kernel.reference(q.double(), k.double(), v.double(), **masks)


@pytest.mark.parametrize(
    ("queries", "keys", "masks"),
    [
        (32, 48, {}),
        (45, 37, {}),
        (64, 64, {"causal": True}),
        (45, 77, {"causal": True}),
        (1, 50, {"causal": True}),
        (70, 70, {"causal": True, "window": 20}),
        (50, 90, {"causal": True, "window": 33}),
        (40, 40, {"causal": True, "window": 1}),
        (33, 60, {"causal": True, "window": 1000}),
    ],
)
@pytest.mark.parametrize("dtype", ["fp32", "fp16"])
def test_equals_float64_under_every_mask(draw, error, poison, queries, keys, masks, dtype):
    q, k, v = operands(draw, 1, 4, 2, queries, keys, 32, dtype)
    out = kernel.attention(q, k, v, tile=SMALL, out=poison(*q.shape, dtype=q.dtype), **masks)
    assert error(out, expected(q, k, v, **masks)) < LIMIT[dtype]


@pytest.mark.parametrize("dtype", ["fp16", BF16])
@pytest.mark.parametrize("head_dim", [64, 96, 128, 256])
def test_head_dimensions_of_real_models(draw, error, head_dim, dtype):
    q, k, v = operands(draw, 1, 2, 1, 40, 40, head_dim, dtype)
    out = kernel.attention(q, k, v, causal=True, tile=SMALL)
    assert error(out, expected(q, k, v, causal=True)) < LIMIT[dtype]


@pytest.mark.parametrize(("heads", "kv_heads"), [(1, 1), (6, 2), (5, 1)])
def test_query_heads_share_their_groups_keys(draw, error, heads, kv_heads):
    q, k, v = operands(draw, 2, heads, kv_heads, 20, 30, 16)
    out = kernel.attention(q, k, v, tile=SMALL)
    assert error(out, expected(q, k, v)) < LIMIT["fp32"]


def test_head_dimension_that_no_descriptor_can_read(draw, error):
    """Rows of 20 * 2 = 40 bytes are no multiple of 16."""
    q, k, v = operands(draw, 1, 2, 2, 33, 50, 20, "fp16")
    out = kernel.attention(q, k, v, causal=True, tile=SMALL)
    assert error(out, expected(q, k, v, causal=True)) < LIMIT["fp16"]


@pytest.mark.parametrize("causal", [False, True])
def test_only_kept_blocks_are_attended_and_unseen_rows_are_zero(draw, error, causal):
    q, k, v = operands(draw, 1, 2, 1, 80, 80, 16)
    kept = torch.rand(1, 2, 3, 5, generator=torch.Generator().manual_seed(3)) < 0.5
    kept[0, 1, 1] = False
    kept = kept.to(q.device)
    masks = {"causal": causal, "blocks": kept, "block_shape": (32, 16)}
    lists = kernel.block_lists(kept)
    out = kernel.attention(q, k, v, causal=causal, blocks=lists, tile=SMALL)
    assert error(out, expected(q, k, v, **masks)) < LIMIT["fp32"]
    assert not out[0, 1, 32:64].any()


def test_a_large_score_does_not_overflow(draw, error):
    q, k, v = operands(draw, 1, 1, 1, 16, 64, 16)
    out = kernel.attention(q * 100, k * 100, v, tile=SMALL)
    assert error(out, expected(q * 100, k * 100, v)) < 1e-4


def test_is_launched_with_the_record_and_no_other(draw, record):
    seen = record(kernel, "attention_kernel")
    q, k, v = operands(draw, 2, 4, 2, 70, 70, 16)
    kernel.attention(q, k, v, tile=AttentionTile(32, 16, stages=3, warps=2))
    ((grid, constants),) = seen.launches
    assert grid == (3, 8)
    taken = {name: constants[name] for name in ("BLOCK_Q", "BLOCK_K", "num_warps", "num_stages")}
    assert taken == {"BLOCK_Q": 32, "BLOCK_K": 16, "num_warps": 2, "num_stages": 3}


@pytest.mark.parametrize("window", [None, 1, 3, 6, 100])
@pytest.mark.parametrize(("queries", "keys"), [(1, 1), (5, 5), (3, 8), (7, 9)])
def test_seen_pairs_equal_a_count_of_the_mask(queries, keys, window):
    pairs = sum(
        j <= i + keys - queries and (window is None or j > i + keys - queries - window)
        for i in range(queries)
        for j in range(keys)
    )
    assert kernel.seen_pairs(queries, keys, causal=True, window=window) == pairs


def test_cost_counts_seen_pairs_and_each_tensor_once():
    work = kernel.cost(2, 4, 2, 10, 10, 8, causal=True)
    assert work.operations["matrix", "flop", "bf16"] == 2 * 4 * 55 * 4 * 8
    assert work.operations["exp", "exp", "fp32"] == 2 * 4 * 55
    assert work.read == {"dram": 2 * 4 * 10 * 8 * 2 + 2 * 2 * 2 * 10 * 8 * 2}


@pytest.mark.parametrize(
    ("shapes", "masks", "message"),
    [
        ((1, 3, 2, 4, 4, 16), {}, "heads a multiple of kv_heads"),
        ((1, 2, 2, 8, 4, 16), {"causal": True}, "no more queries than keys"),
        ((1, 2, 2, 4, 4, 16), {"window": 2}, "causal=True with a window"),
        ((1, 2, 2, 4, 4, 16), {"causal": True, "window": 0}, "a window above 0"),
    ],
)
def test_what_cannot_be_meant_is_refused(draw, shapes, masks, message):
    with pytest.raises(InputError, match=message):
        kernel.attention(*operands(draw, *shapes), **masks)


def test_block_lists_of_another_tile_are_refused(draw):
    q, k, v = operands(draw, 1, 1, 1, 64, 64, 16)
    lists = kernel.block_lists(torch.ones(1, 1, 1, 1, device=q.device))
    with pytest.raises(InputError, match="use the tile's block sizes"):
        kernel.attention(q, k, v, blocks=lists, tile=SMALL)
