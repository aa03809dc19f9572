"""What our own Triton kernels do beyond the generic schedules: empty parts, single elements."""

import numpy as np
import pytest

from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import limits
from hwmodel.machines.gpu.libraries import triton
from hwmodel.machines.gpu.rates import rates
from hwmodel.machines.gpu.schedules import triton_attention, triton_gemm, triton_rows
from hwmodel.machines.gpu.schedules.attention import AttentionProblem, AttentionTile
from hwmodel.machines.gpu.schedules.gemm import GemmProblem, GemmTile
from hwmodel.machines.gpu.schedules.rows import RowProblem, RowTile
from hwmodel.spine.activity import Activity, fold, totals

H200 = device("h200")
LIMITS = limits(H200)


def seconds(activity: Activity, schedule: str) -> float:
    return float(fold(activity, rates(H200, triton.LIBRARY.priors[schedule].values)).time_s)


def attend(batch: int, queries: int, keys: int, head_dim: int = 128) -> AttentionProblem:
    return AttentionProblem(batch, 8, 8, queries, keys, head_dim, head_dim)


@pytest.mark.parametrize(
    ("head_dim", "wide"), [(16, 16), (40, 64), (64, 64), (96, 128), (160, 256)]
)
def test_heads_are_padded_to_a_power_of_two(head_dim: int, wide: int) -> None:
    assert triton_attention.power_of_two(head_dim) == wide


def test_parts_without_keys_cost_starts_and_no_products() -> None:
    few, many = (AttentionTile(16, 64, split, 4, 4, 2) for split in (4, 64))
    problem = attend(128, 1, 256)  # four steps of 64 keys
    least, most = (triton_attention.decode(problem, tile, LIMITS) for tile in (few, many))
    key = ("matrix", "flop", "bf16")
    assert totals(least).operations[key] == totals(most).operations[key]
    starts = 1024 * 64 / 264 - 1024 * 4 / 264
    fill_s = triton.LIBRARY.priors["decode"].values["fill"] * 650e-9
    assert seconds(most, "decode") - seconds(least, "decode") >= starts * fill_s


def test_products_and_softmax_take_turns_in_a_lone_block() -> None:
    lone = triton_attention.prefill(attend(33, 1024, 8192), AttentionTile(128, 128), LIMITS)
    counts = totals(lone).operations
    # 33 x 8 heads x 8 blocks of rows on 132 processors: whole waves.
    assert counts["matrix", "flop", "bf16"] == 33 * 8 * 4 * 1024 * 8192 * 128
    values = triton.LIBRARY.priors["prefill"].values
    matrix_s = counts["matrix", "flop", "bf16"] / (989.4e12 * values["matrix"])
    exp_s = counts["exp", "exp", "fp32"] / (4.18e12 * values["exp"])
    assert seconds(lone, "prefill") > matrix_s + exp_s


def test_rows_off_sixteen_bytes_are_loaded_one_by_one() -> None:
    tile = GemmTile(64, 128, 64, 4, 4, 1, 2)
    aligned, off = (
        triton_gemm.activity(GemmProblem(512, 4096, K), tile, LIMITS) for K in (4096, 4092)
    )
    assert totals(aligned).read["copy"] == 0
    # 8 x 32 blocks, each of 192 rows of 4092 elements.
    assert totals(off).read["copy"] == pytest.approx(256 * 192 * 4092)
    assert seconds(off, "gemm") > 5 * seconds(aligned, "gemm")


def test_split_sums_beyond_the_l2_go_through_the_dram() -> None:
    whole, cut = (GemmTile(64, 256, 64, 4, 4, split, 1) for split in (1, 8))
    problem = GemmProblem(4096, 5120, 3072)
    written = [
        totals(triton_gemm.activity(problem, t, LIMITS)).written["dram"] for t in (whole, cut)
    ]
    partial = 8 * 4096 * 5120 * 4
    assert written[1] - written[0] == partial


def test_a_length_that_nothing_divides_is_moved_by_single_elements() -> None:
    tile = RowTile(2048, 8)
    cycles: list[float] = []
    for cols in (57344, 57349):
        size = 637 * cols
        problem = RowProblem(637, cols, 2 * size, 2 * size, form="copy", instructions=0)
        cycles.append(float(np.asarray(triton_rows.filled(tile, problem, LIMITS).issue)))
    assert cycles[1] > 8 * cycles[0]
