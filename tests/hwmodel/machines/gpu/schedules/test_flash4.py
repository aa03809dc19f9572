"""FlashAttention-4: the paper's tables of cycles, operands of each instruction, its launch."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import hwmodel as hw
from hwmodel.einsum.cascade import Cascade
from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import limits
from hwmodel.machines.gpu.clocks import clocks
from hwmodel.machines.gpu.schedules.attention import AttentionProblem
from hwmodel.machines.gpu.schedules.flash4 import (
    MENU,
    Flash4Tile,
    activity,
    backward_step,
    forward_step,
    resolved,
    tuned_share,
)
from hwmodel.quantity.errors import CoverageError
from hwmodel.spine.activity import totals

B200, H100 = device("b200"), device("h100")


def problem(head_dim: int = 128, tokens: int = 4096, causal: bool = False) -> AttentionProblem:
    return AttentionProblem(2, 16, 16, tokens, tokens, head_dim, head_dim, causal)


@pytest.mark.parametrize(
    ("rows", "head_dim", "matrix", "shared", "exp"),
    [(128, 128, 1024, 768, 1024), (256, 128, 2048, 1536, 2048), (128, 64, 512, 384, 1024)],
)
def test_forward_cycles_are_those_of_the_paper(
    rows: int, head_dim: int, matrix: int, shared: int, exp: int
) -> None:
    step = forward_step(problem(head_dim), Flash4Tile(rows, 128), tensor=True)
    busy = clocks(step, B200)
    assert (busy["matrix"], busy["shared"], busy["exp"]) == (matrix, shared, exp)


@pytest.mark.parametrize(("pair", "shared"), [(1, 3328), (2, 2688)])
def test_backward_cycles_are_those_of_the_paper(pair: int, shared: int) -> None:
    busy = clocks(backward_step(128, 128, 128, pair), B200)
    assert (busy["matrix"], busy["shared"], busy["exp"]) == (2560, shared, 1024)


def test_backward_is_bound_by_shared_memory_and_in_pairs_nearly_not() -> None:
    ratios = [
        float(busy["shared"]) / float(busy["matrix"])
        for busy in (clocks(backward_step(128, 128, 128, pair), B200) for pair in (1, 2))
    ]
    assert ratios == pytest.approx([1.30, 1.05])


def operand_bytes(rows: int, keys: int, depth: int, tile: int, pair: int, tensor: bool) -> int:
    """Shared memory read by the two products, one matrix instruction of depth 16 after another."""
    total = 0
    for _ in range(0, rows, tile):
        for _ in range(0, depth, 16):  # Q K^T: A is Q, B is K
            total += tile * 16 * 2 + keys * 16 * 2 // pair
        for _ in range(0, keys, 16):  # P V: A is P, in tensor memory or registers
            total += depth * 16 * 2 // pair
    assert tensor or pair == 1
    return total


@pytest.mark.parametrize(
    ("name", "head_dim"), [("b200", 64), ("b200", 128), ("b200", 256), ("h100", 64), ("h100", 128)]
)
def test_operands_are_those_of_each_matrix_instruction(name: str, head_dim: int) -> None:
    bounds = limits(device(name))
    tensor = "tensor" in bounds.capacity_bytes
    tile = resolved(MENU[1], problem(head_dim), bounds)
    walked = operand_bytes(
        *(int(tile.block_q), int(tile.block_k), head_dim, int(tile.rows), int(tile.pair), tensor)
    )
    assert forward_step(problem(head_dim), tile, tensor).read["shared"] == walked


def share_of_loop(freq: int, res: int, start: int) -> float:
    """Pairs that the kernel's loop over four fragments of 32 scores emulates, one by one."""
    emulated = sum(
        not (k % freq < freq - res or j >= 3 or j < start)
        for j in range(4)
        for k in range(0, 32, 2)
    )
    return emulated / 64


@pytest.mark.parametrize(
    ("head_dim", "causal", "loop"),
    [
        (64, False, (16, 4, 1)),
        (128, False, (10, 4, 1)),
        (128, True, (16, 4, 1)),
        (192, False, (16, 4, 0)),
        (192, True, (32, 4, 1)),
        (256, True, (14, 6, 0)),
    ],
)
def test_the_emulated_share_is_that_of_the_kernels_loop(
    head_dim: int, causal: bool, loop: tuple[int, int, int]
) -> None:
    assert tuned_share(head_dim, causal) == share_of_loop(*loop)


@pytest.mark.parametrize(("head_dim", "rows"), [(64, 256), (128, 256), (256, 128)])
def test_scores_and_sums_fit_tensor_memory(head_dim: int, rows: int) -> None:
    tile = resolved(MENU[0], problem(head_dim), limits(B200))
    assert tile.block_q == rows
    held = rows * (int(tile.block_k) + head_dim) * 4
    assert held <= 256 * 1024 < 2 * held + rows * head_dim * 4


def test_pairs_need_a_full_head_and_no_mask_but_at_256() -> None:
    found = {
        (d, causal): int(resolved(MENU[0], problem(d, causal=causal), limits(B200)).pair)
        for d in (64, 128, 256)
        for causal in (False, True)
    }
    assert [at for at, pair in found.items() if pair == 2] == [
        *((128, False), (256, False), (256, True))
    ]


def test_all_exponentials_and_products_are_counted_once() -> None:
    """Without masks every pair has one exp, on whichever unit, and 4 d FLOP."""
    asked = problem()
    tile = resolved(MENU[0], asked, limits(B200))
    operations = totals(activity(asked, tile, limits(B200))).operations
    pairs = 2 * 16 * 4096 * 4096
    assert operations["matrix", "flop", "bf16"] == 4 * 128 * pairs
    corrections = 0.1 * 2 * 16 * 4096 * (4096 // 128)
    exps = float(operations["exp", "exp", "fp32"])
    assert exps == pytest.approx((1 - 0.1875) * pairs + corrections)


def test_no_rescaling_is_no_chance() -> None:
    asked, bounds = problem(), limits(B200)
    tile = resolved(MENU[1], asked, bounds)
    exps = [
        float(
            totals(activity(asked, replace(tile, rescaled=p), bounds)).operations[
                "exp", "exp", "fp32"
            ]
        )
        for p in (0.0, 0.5, 1.0)
    ]
    assert exps[0] == 2 * 16 * 4096 * 4096
    assert exps[1] - exps[0] == (exps[2] - exps[0]) / 2 > 0


def attention(head_dim: int, **changes: Any) -> Cascade:
    sizes: dict[str, Any] = {"batch": 2, "heads": 2048 // head_dim, "head_dim": head_dim}
    sizes |= {"queries": 16384, "keys": 16384} | changes
    return hw.workloads.attention(**sizes)


def test_the_predicted_rate_on_b200_is_between_one_and_a_half_and_its_peak() -> None:
    found = hw.predict(attention(128), on="b200", kernel="flash-attention-4")
    assert 1.5e15 <= found.flop / found.time_s <= 2.25e15
    assert found.bottleneck == "matrix"
    assert any("uncalibrated" in warning for warning in found.warnings)


def test_a_head_of_64_waits_for_exponentials_on_b200_and_not_on_b300() -> None:
    found = [
        hw.predict(attention(64), on=name, kernel="flash-attention-4") for name in ("b200", "b300")
    ]
    assert [each.bottleneck for each in found] == ["exp", "matrix"]
    assert found[1].parts[0].tile.emulated == 0
    assert found[1].time_s < found[0].time_s


def test_a_sweep_is_its_points() -> None:
    tokens = np.array([100.0, 1000.0, 4096.0])
    found = [
        hw.predict(attention(128, queries=size, keys=size), on="b200", kernel="flash-attention-4")
        for size in (tokens, *map(int, tokens))
    ]
    np.testing.assert_allclose(found[0].time_s, [float(each.time_s) for each in found[1:]])


def test_other_gpus_and_decode_are_refused() -> None:
    with pytest.raises(CoverageError, match="has no bf16 on ampere; it has on blackwell"):
        hw.predict(attention(128), on="a100", kernel="flash-attention-4")
    with pytest.raises(CoverageError, match="ends at head_dim 256"):
        hw.predict(attention(512), on="b200", kernel="flash-attention-4")
    with pytest.raises(CoverageError, match=r"up to 256.*found 512"):
        hw.predict(attention(128, value_dim=512), on="b200", kernel="flash-attention-4")
    wide = problem(np.array([64.0, 512.0]))  # type: ignore[arg-type]
    with pytest.raises(CoverageError, match="found 512"):
        resolved(MENU[0], wide, limits(B200))
    with pytest.raises(CoverageError, match="no decode schedule"):
        hw.predict(attention(128, queries=1), on="b200", kernel="flash-attention-4")


def test_a_thread_has_a_row_of_scores() -> None:
    """Two tiles of 128 query rows, two warpgroups of 128 threads (FlashAttention-4)."""
    assert {(tile.block_q, 32 * tile.warps) for tile in MENU} == {(256, 256)}


@pytest.mark.parametrize("head_dim", [128, 192, 256])
def test_on_hopper_as_many_keys_are_staged_as_shared_memory_holds(head_dim: int) -> None:
    """Queries and two stages of K and V in 227 KiB; keys in the 16 of an instruction, at most 128.

    At 192: (128 + 4 x 112) x 192 x 2 bytes are 216 KiB, with 128 keys 240.
    """
    tile = resolved(MENU[1], problem(head_dim), limits(H100))
    held = [(128 + 4 * keys) * head_dim * 2 for keys in range(16, 129, 16)]
    most = max(16 * (at + 1) for at, each in enumerate(held) if each <= 227 * 1024)
    assert (tile.block_q, tile.block_k) == (128, most)
