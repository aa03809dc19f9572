"""Our attention: how blocks of one head after another fill the machine, and what they count."""

import heapq

import numpy as np
import pytest

from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import limits
from hwmodel.machines.gpu.libraries import triton
from hwmodel.machines.gpu.rates import rates
from hwmodel.machines.gpu.schedules import triton_attention
from hwmodel.machines.gpu.schedules.attention import AttentionProblem, AttentionTile
from hwmodel.machines.gpu.schedules.stream_k import stream_k
from hwmodel.machines.gpu.schedules.triton_tiles import prefill_tiles
from hwmodel.spine.activity import fold, totals

H200 = device("h200")
LIMITS = limits(H200)
SPEEDS = rates(H200, triton.LIBRARY.priors["prefill"].values)


def attend(batch: int, queries: int, keys: int, *, causal: bool = True, kv: int = 8):
    return AttentionProblem(batch, 8, kv, queries, keys, 128, 128, causal=causal)


def seconds(problem: AttentionProblem, tile: AttentionTile) -> float:
    return float(fold(triton_attention.prefill(problem, tile, LIMITS), SPEEDS).time_s)


def test_heads_of_a_group_do_not_share_a_block() -> None:
    """16 queries of 8 heads on one KV head: 8 blocks of 128 rows each, not one."""
    key = ("matrix", "flop", "bf16")
    found = totals(
        triton_attention.prefill(attend(1, 16, 16, kv=1), AttentionTile(128, 64), LIMITS)
    )
    assert found.operations[key] == 8 * 4 * 128 * 64 * 128


@pytest.mark.parametrize("tile", prefill_tiles(128))
@pytest.mark.parametrize(("queries", "keys"), [(128, 128), (500, 700), (1024, 4096)])
def test_products_are_those_of_a_walk_over_row_blocks(
    tile: AttentionTile, queries: int, keys: int
) -> None:
    q, k = int(tile.block_q), int(tile.block_k)
    steps = 0
    for block in range(-(-queries // q)):
        highest = min((block + 1) * q + keys - queries, keys)
        steps += -(-highest // k)
    counted = totals(triton_attention.prefill(attend(1, queries, keys), tile, LIMITS)).operations
    assert counted["matrix", "flop", "bf16"] == pytest.approx(8 * steps * 4 * q * k * 128, rel=0.08)


@pytest.mark.parametrize(
    ("batch", "queries", "keys"),
    [(2, 1216, 3456), (16, 1024, 1024), (40, 512, 512), (8, 4096, 4096)],
)
def test_turns_are_those_of_blocks_handed_out_in_order(batch: int, queries: int, keys: int) -> None:
    """Against list scheduling on 132 processors: head after head, a head's longest block first."""
    rows = -(-queries // 128)
    lengths = [-(-min((b + 1) * 128 + keys - queries, keys) // 128) for b in range(rows)][::-1]
    tile = AttentionTile(128, 128)
    alone = seconds(attend(1, 128, 128 * 64, causal=False), tile)
    longer = seconds(attend(1, 128, 128 * 128, causal=False), tile)
    step_s = (longer - alone) / 64
    launch_s = float(SPEEDS.slots["launch"][1])
    ends_s = alone - 64 * step_s - launch_s
    free = [0.0] * 132
    for _ in range(8 * batch):
        for length in lengths:
            heapq.heappush(free, heapq.heappop(free) + length * step_s + ends_s)
    found = seconds(attend(batch, queries, keys), tile)
    assert found == pytest.approx(launch_s + max(free), rel=0.02)


def test_a_sweep_is_its_points() -> None:
    tile = AttentionTile(64, 64, 1, 2, 4, 2)
    sizes = np.array([64.0, 700.0, 8192.0])
    problem = AttentionProblem(2, 8, 8, sizes, sizes, 128, 128, causal=True)
    swept = np.asarray(fold(triton_attention.prefill(problem, tile, LIMITS), SPEEDS).time_s)
    for index, size in enumerate(sizes):
        assert swept[index] == pytest.approx(seconds(attend(2, int(size), int(size)), tile))


@pytest.mark.parametrize("batch", [1, 3, 64])
@pytest.mark.parametrize("keys", [64, 1000, 4096, 131072])
def test_stream_k_is_counted_as_it_is_launched(batch: int, keys: int) -> None:
    """Blocks and their busiest share are the launch's; parts are those that its blocks store."""
    tile = AttentionTile(16, 64, 1, 4, 4, 2)
    launched = stream_k(
        batch=batch, kv_heads=8, queries=1, keys=keys, head_dim=128, processors=132, block=64
    )
    assert triton_attention.shares(8 * batch, -(-keys // 64), 132) == launched.grid
    problem = AttentionProblem(batch, 32, 8, 1, keys, 128, 128)
    found = totals(triton_attention.stream(problem, tile, LIMITS))
    key = ("matrix", "flop", "bf16")
    walked = launched.grid * launched.most_tiles * 4 * 16 * 64 * 128
    assert found.operations[key] == pytest.approx(walked)
    parts = sum(launched.parts(output) for output in range(launched.outputs))
    assert found.written["l2"] >= parts * 4 * 129 * 4  # shares that end with an output store once
    assert found.slots["reduction"] == found.slots["launch"] == found.slots["scan"] == 1
    assert found.written["l2"] <= (launched.grid + launched.outputs) * 4 * 129 * 4


@pytest.mark.parametrize("resident", [1, 2, 3])
@pytest.mark.parametrize("queries", [128, 4096])
def test_each_step_has_its_exponentials_and_lane_operations_whoever_is_beside(
    resident: int, queries: int
) -> None:
    """Of a step of 128 rows and 64 keys: 128 x 65 exps for 2 x 128 x 64 x 256 FLOP of products.

    On the lanes six instructions a score, and one a sum of 128 values to rescale, of two FLOP each.
    """
    tile = AttentionTile(128, 64, resident=resident)
    found = totals(
        triton_attention.prefill(attend(3, queries, 4096, causal=False), tile, LIMITS)
    ).operations
    steps = 3 * 8 * queries / 128 * 4096 / 64
    assert found["matrix", "flop", "bf16"] == pytest.approx(steps * 2 * 128 * 64 * 256)
    assert found["exp", "exp", "fp32"] == pytest.approx(steps * 128 * 65)
    lanes = 2 * (6 * 128 * 64 + 128 * 128)
    assert found["vector", "flop", "fp32"] == pytest.approx(steps * lanes)


@pytest.mark.parametrize("resident", [1, 2])
def test_keys_and_values_pass_the_port_once_a_step_and_queries_once_a_block(resident: int) -> None:
    """24 heads of 1024 queries over 4096 keys: 8 blocks each walk all K and V, 128 + 128 wide."""
    tile = AttentionTile(128, 64, resident=resident)
    found = totals(triton_attention.prefill(attend(3, 1024, 4096, causal=False), tile, LIMITS))
    walked, queries = 24 * 8 * 4096 * 256 * 2, 24 * 1024 * 128 * 2
    assert found.read["port"] == pytest.approx(walked + queries)


@pytest.mark.parametrize("head_dim", [64, 128, 256])
def test_blocks_on_a_processor_are_those_that_the_compiler_leaves_room_for(head_dim: int) -> None:
    """Menus' residence was read off what Triton 3.6 and its ptxas report for sm_90a."""
    problem = AttentionProblem(1, 8, 8, 4096, 4096, head_dim, head_dim)
    for tile in prefill_tiles(head_dim):
        assert triton_attention.resident(problem, tile) == tile.resident
