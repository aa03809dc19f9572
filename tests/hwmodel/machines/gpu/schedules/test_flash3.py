"""FlashAttention-3's launches, by hand."""

import pytest

import hwmodel as hw
from hwmodel.hardware.hardware import limits
from hwmodel.machines.gpu.schedules import flash3
from hwmodel.machines.gpu.schedules.attention import AttentionProblem, steps

LIMITS = limits(hw.device("h200"))


def problem(batch: int, keys: int, *, queries: int = 1, heads: int = 32, dim: int = 128):
    return AttentionProblem(*(batch, heads, 8, queries, keys, dim, dim), causal=queries > 1)


@pytest.mark.parametrize(
    ("batch", "keys", "split"),
    [
        # 8 KV heads x 11 tiles of 128 keys = 88 tiles: one a processor
        (1, 1402, 11),
        # 8 x 8 x 20 = 1,280 tiles; ceil(1.1 x 1280 / 132) = 11 a part; 20 tiles are two parts
        (8, 2538, 2),
        # 64 x 8 x 7 tiles are more than 7 to a processor: whole sequences
        (64, 804, 1),
        # 8 x 512 = 4,096 tiles; ceil(1.1 x 4096 / 132) = 35 a part; 512 tiles are 15 parts
        (1, 65536, 15),
    ],
)
def test_keys_are_split_into_even_shares_of_all_tiles(batch: int, keys: int, split: int) -> None:
    (tile,) = flash3.DECODE
    assert flash3.decode(tile, problem(batch, keys), LIMITS).split == split


@pytest.mark.parametrize(
    ("dim", "queries", "rows", "keys"),
    [(64, 512, 192, 128), (128, 512, 128, 128), (192, 512, 128, 96), (256, 512, 128, 64),
     (128, 1, 64, 128)],
)  # fmt: skip
def test_tiles_go_by_the_head_dimension(dim: int, queries: int, rows: int, keys: int) -> None:
    (tile,) = flash3.PREFILL
    found = flash3.prefill(tile, problem(1, 512, queries=queries, dim=dim), LIMITS)
    assert (found.block_q, found.block_k) == (rows, keys)


def test_packed_rows_walk_the_keys_of_their_queries() -> None:
    """128 rows of four heads are 32 queries: a walk over blocks, ceil(32 (i + 1) / 128) steps."""
    (tile,) = flash3.PREFILL
    asked = problem(1, 4096, queries=4096)
    found = flash3.prefill(tile, asked, LIMITS)
    walked = [-(-32 * (block + 1) // 128) for block in range(4096 // 32)]
    assert steps(asked, found).mean == pytest.approx(sum(walked) / len(walked), rel=0.02)


def decode(batch: int, heads: int, kv_heads: int, keys: int) -> hw.Cascade:
    return hw.workloads.attention(
        batch=batch, heads=heads, kv_heads=kv_heads, queries=1, keys=keys, head_dim=128
    )


@pytest.mark.parametrize(("batch", "margin_s"), [(64, 40.4e-6), (128, 81.0e-6)])
def test_longer_keys_cost_their_stream_alone_as_profiled(batch: int, margin_s: float) -> None:
    """4.7 TB/s at the margin, 3 on the whole of the shorter (an H200, 2026-11-28).

    28 heads on 4 of 128: 37.9 and 78.4 us of 804 and 2,245 keys, 60.3 and 141.3 of 705 and 2,153.
    """
    keys = {64: (804, 2245), 128: (705, 2153)}[batch]
    short, long = (
        hw.predict(decode(batch, 28, 4, n), on="h200", kernel="vllm").time_s for n in keys
    )
    assert float(long - short) == pytest.approx(margin_s, rel=0.1)


def test_turns_of_tiles_are_added_to_the_stream() -> None:
    """2,048 tiles of 609 keys in 16 turns took 183 to 186 us where the stream alone is 136."""
    made = hw.predict(decode(256, 32, 8, 609), on="h200", kernel="vllm")
    assert float(made.time_s) == pytest.approx(192e-6, rel=0.08)  # its combining kernel included
