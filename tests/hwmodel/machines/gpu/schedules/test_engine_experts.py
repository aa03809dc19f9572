"""What engines do to tokens around a product of experts, counted by hand."""

from dataclasses import replace

import hwmodel as hw
from hwmodel.einsum.cascade import Distribution
from hwmodel.hardware.hardware import limits
from hwmodel.machines.gpu.schedules import triton_grouped
from hwmodel.machines.gpu.schedules.engine_experts import Experts
from hwmodel.machines.gpu.schedules.gemm import GemmProblem, GemmTile
from hwmodel.spine.activity import Activity, totals

H100 = limits(hw.device("h100"))
TILE = GemmTile(16, 64, 128, stages=4, warps=4)
ROUTING = Distribution("balanced", "x", draws=256, picks=2, ways=4)
PROBLEM = GemmProblem(M=512, N=1024, K=4096, members=16, routing=ROUTING)
"""64 experts on four devices, eight a token: of 2,048 rows a quarter is one device's."""


def read(made: Activity, level: str) -> float:
    return float(totals(made).read.get(level, 0))


def test_tokens_of_all_devices_are_sorted_and_ones_rows_are_moved() -> None:
    made = Experts()(PROBLEM, TILE, H100)
    assert read(made, "copy") == (512 + 256) * (1024 + 4096)
    product = triton_grouped.grouped(PROBLEM, TILE, H100)
    assert read(made, "dram") == read(product, "dram")


def test_rows_of_other_devices_are_written_and_read_where_they_are_zeroed() -> None:
    plain, zeroed = (Experts(zeroed=each)(PROBLEM, TILE, H100) for each in (False, True))
    assert read(zeroed, "dram") - read(plain, "dram") == 3 * 512 * 1024 * 2
    alone = replace(PROBLEM, routing=replace(ROUTING, ways=1))
    assert Experts(zeroed=True).passed(alone) == 1
    assert Experts(zeroed=True).passed(PROBLEM) == 4
