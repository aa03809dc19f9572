"""Split-KV and stream-K against float64, and their launches against their records."""

# pyright: basic, reportMissingImports=false

import pytest

pytest.importorskip("torch", reason="needs torch and triton")
pytest.importorskip("triton", reason="needs torch and triton")

from hwmodel.kernels import decode as kernel
from hwmodel.machines.gpu.schedules.attention import AttentionTile
from hwmodel.machines.gpu.schedules.stream_k import stream_k
from hwmodel.quantity.errors import InputError

BF16 = pytest.param("bf16", marks=pytest.mark.gpu)  # the interpreter multiplies no bf16
LIMIT = {"fp32": 3e-6, "fp16": 1e-3, "bf16": 8e-3}


def operands(draw, batch, heads, kv_heads, queries, keys, head_dim, dtype="fp32"):
    q = draw(batch, heads, queries, head_dim, dtype=dtype)
    k = draw(batch, kv_heads, keys, head_dim, dtype=dtype)
    return q, k, draw(batch, kv_heads, keys, head_dim, dtype=dtype)


def expected(q, k, v):
    return kernel.reference(q.double(), k.double(), v.double(), causal=True)


@pytest.mark.parametrize("dtype", ["fp32", "fp16", BF16])
@pytest.mark.parametrize("split", [1, 2, 3, 20])
@pytest.mark.parametrize(("heads", "kv_heads", "queries"), [(4, 4, 1), (8, 2, 1), (6, 2, 3)])
def test_split_parts_add_up_to_attention(
    draw, error, poison, heads, kv_heads, queries, split, dtype
):
    """75 keys are 5 tiles of 16: a split by 20 leaves parts without keys."""
    q, k, v = operands(draw, 2, heads, kv_heads, queries, 75, 32, dtype)
    tile = AttentionTile(16, 16, split=split, stages=2, warps=4)
    out = kernel.decode(q, k, v, tile=tile, out=poison(*q.shape, dtype=q.dtype))
    assert error(out, expected(q, k, v)) < LIMIT[dtype]


@pytest.mark.parametrize("processors", [1, 2, 5, 132])
@pytest.mark.parametrize(("batch", "kv_heads", "keys"), [(1, 1, 16), (2, 3, 100), (1, 2, 333)])
def test_stream_k_adds_up_on_any_number_of_processors(
    draw, error, poison, batch, kv_heads, keys, processors
):
    q, k, v = operands(draw, batch, 2 * kv_heads, kv_heads, 1, keys, 16)
    tile = AttentionTile(16, 16, stages=2, warps=4)
    plan = stream_k(
        batch=batch, kv_heads=kv_heads, queries=1, keys=keys, head_dim=16, processors=processors,
        block=16,
    )  # fmt: skip
    out = kernel.decode(q, k, v, tile=tile, stream=plan, out=poison(*q.shape))
    assert error(out, expected(q, k, v)) < LIMIT["fp32"]


@pytest.mark.parametrize("head_dim", [20, 96, 128])
def test_head_dimensions_that_are_padded_or_that_no_descriptor_can_read(draw, error, head_dim):
    q, k, v = operands(draw, 1, 4, 1, 1, 70, head_dim, "fp16")
    tile = AttentionTile(16, 16, split=2, stages=2, warps=4)
    assert error(kernel.decode(q, k, v, tile=tile), expected(q, k, v)) < LIMIT["fp16"]


def test_default_tile_computes_the_same(draw, error):
    q, k, v = operands(draw, 2, 8, 2, 1, 300, 64, "fp16")
    assert error(kernel.decode(q, k, v), expected(q, k, v)) < LIMIT["fp16"]


def test_an_unsplit_head_needs_no_second_kernel(draw, record):
    seen, combined = record(kernel, "split_kernel"), record(kernel, "combine_kernel")
    q, k, v = operands(draw, 3, 4, 2, 1, 40, 16)
    kernel.decode(q, k, v, tile=AttentionTile(16, 32, split=1, stages=3, warps=2))
    ((grid, constants),) = seen.launches
    assert grid == (6, 1)
    taken = {name: constants[name] for name in ("BLOCK_Q", "BLOCK_K", "num_warps", "num_stages")}
    assert taken == {"BLOCK_Q": 16, "BLOCK_K": 32, "num_warps": 2, "num_stages": 3}
    assert combined.launches == []


def test_stream_k_launches_the_schedules_grid(draw, record):
    seen = record(kernel, "stream_kernel")
    q, k, v = operands(draw, 1, 2, 2, 1, 96, 16)
    tile = AttentionTile(16, 16, stages=2, warps=4)
    plan = kernel.lean_schedule(q, k, tile)
    kernel.decode(q, k, v, tile=tile, stream=plan)
    assert seen.launches[0][0] == (plan.grid,)


def test_more_rows_than_a_tile_holds_are_refused(draw):
    tile = AttentionTile(16, 16, stages=2, warps=4)
    with pytest.raises(InputError, match="one block of rows, found 20 rows"):
        kernel.decode(*operands(draw, 1, 20, 1, 1, 32, 16), tile=tile)


def test_a_schedule_of_other_sizes_is_refused(draw):
    q, k, v = operands(draw, 1, 2, 2, 1, 96, 16)
    plan = stream_k(batch=1, kv_heads=1, queries=1, keys=96, head_dim=16, processors=1, block=16)
    with pytest.raises(InputError, match="a schedule of 6 tiles x 2"):
        kernel.decode(q, k, v, tile=AttentionTile(16, 16), stream=plan)


def test_cost_of_a_token_is_the_cache_once():
    """64 sequences, 8 KV heads, 1000 keys of 128 bf16 in K and V; 4 FLOP a pair and dimension."""
    work = kernel.cost(64, 32, 8, 1000, 128)
    cache, queries = 2 * 64 * 8 * 1000 * 128 * 2, 64 * 32 * 128 * 2
    assert work.read["dram"] == cache + queries
    assert work.operations["matrix", "flop", "bf16"] == 4 * 64 * 32 * 1000 * 128
