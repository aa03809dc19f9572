"""Stream-K integers: published points, and a walk over every tile."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwmodel.machines.gpu.schedules.stream_k import key_block, stream_k, tiles_of
from hwmodel.quantity.errors import InputError


def test_unit_test_of_onnx_runtime() -> None:
    """One head of 384 keys on one processor: 3 parts, 12 and 1536 bytes of workspace."""
    plan = stream_k(batch=1, kv_heads=1, queries=1, keys=384, head_dim=128, processors=1)
    assert (plan.grid, plan.most_tiles, plan.high_load, plan.splits) == (2, 2, 1, 3)
    assert plan.workspace_bytes(rows=1, head_dim=128) == (12, 1536)


@pytest.mark.parametrize(
    ("batch", "heads", "keys", "dim", "processors", "total", "grid", "most", "high", "splits"),
    [
        (1, 32, 8192, 128, 108, 2048, 216, 10, 104, 8),
        (1, 56, 131072, 64, 108, 28672, 216, 133, 160, 5),
        (8, 8, 262144, 128, 132, 131072, 264, 497, 128, 6),
        (1, 32, 65536, 128, 108, 16384, 216, 76, 184, None),
    ],
)
def test_points_worked_out_by_hand(
    batch: int, heads: int, keys: int, dim: int, processors: int,
    total: int, grid: int, most: int, high: int, splits: int | None,
) -> None:  # fmt: skip
    plan = stream_k(
        batch=batch, kv_heads=heads, queries=1, keys=keys, head_dim=dim, processors=processors
    )
    assert (plan.total_tiles, plan.grid, plan.most_tiles) == (total, grid, most)
    assert plan.high_load == high
    assert splits is None or plan.splits == splits


def test_occupancy_of_long_contexts_on_an_a100() -> None:
    """65536 keys and 32 heads fill 99.8 % of 108 processors; 32 blocks alone fill 29.6 %."""
    plan = stream_k(batch=1, kv_heads=32, queries=1, keys=65536, head_dim=128, processors=108)
    assert abs(plan.occupancy - 0.998) < 5e-4
    short = stream_k(batch=1, kv_heads=32, queries=1, keys=8192, head_dim=128, processors=108)
    assert abs(short.occupancy - 0.948) < 5e-4


@given(
    batch=st.integers(1, 9), kv_heads=st.integers(1, 9), queries=st.integers(1, 130),
    keys=st.integers(1, 5000), head_dim=st.sampled_from([64, 96, 128, 256]),
    processors=st.integers(1, 140),
)  # fmt: skip
def test_every_tile_has_one_owner_and_every_output_fits_its_parts(
    batch: int, kv_heads: int, queries: int, keys: int, head_dim: int, processors: int
) -> None:
    plan = stream_k(
        batch=batch, kv_heads=kv_heads, queries=queries, keys=keys, head_dim=head_dim,
        processors=processors,
    )  # fmt: skip
    owners = [
        block for block in range(plan.grid) for _ in range(*plan.share(block))
    ]  # fmt: skip
    assert owners == [plan.owner(tile) for tile in range(plan.total_tiles)]
    loads = Counter(owners)
    assert max(loads.values()) - min(loads.values()) <= 1
    step = plan.tiles_per_output
    for output in range(plan.outputs):
        shared = len(set(owners[output * step : (output + 1) * step]))
        assert shared == plan.parts(output) <= plan.splits


def test_a_tile_of_keys_holds_the_same_bytes_up_to_128_dimensions() -> None:
    assert key_block(64) * 64 == key_block(128) * 128 == key_block(256) * 256


def test_causal_tiles_are_those_that_hold_a_kept_pair() -> None:
    """Three row blocks of 64 reach 64, 128 and 192 keys: 1, 1 and 2 tiles of 128."""
    assert tiles_of(192, 192, 128, causal=True) == 4
    assert tiles_of(192, 192, 128) == 6


def test_a_size_below_one_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="keys must be at least 1, found 0"):
        stream_k(batch=1, kv_heads=1, queries=1, keys=0, head_dim=64, processors=1)


def test_a_single_tile_is_a_single_block() -> None:
    plan = stream_k(batch=1, kv_heads=1, queries=1, keys=1, head_dim=64, processors=132)
    assert (plan.grid, plan.most_tiles, plan.splits) == (1, 1, 1)
