"""Marlin's experts: rows of blocks by the rule, and work counted by hand."""

import pytest

import hwmodel as hw
from hwmodel.einsum.cascade import Distribution
from hwmodel.hardware.hardware import limits
from hwmodel.machines.gpu.schedules.gemm import GemmProblem
from hwmodel.machines.gpu.schedules.marlin import MENU, activity, block_rows, resolved
from hwmodel.spine.activity import totals

H200 = limits(hw.device("h200"))


def product(tokens: int, ways: int = 1, dtype_b: str = "int4@32:16") -> GemmProblem:
    """Gate and up of 384 experts of 7,168 x 2,048, eight a token."""
    routing = Distribution("balanced", "x", tokens, 8 / ways, ways=ways)
    rows, experts = tokens * 8 / ways, 384 // ways
    return GemmProblem(rows, 4096, 7168, dtype_b=dtype_b, members=experts, routing=routing)


@pytest.mark.parametrize(
    ("tokens", "ways", "rows"),
    [(96, 1, 8), (384, 1, 16), (768, 1, 32), (1024, 1, 32), (1536, 1, 48), (9999, 1, 64)],
)
def test_blocks_are_filled_to_nine_tenths_at_the_most(tokens: int, ways: int, rows: int) -> None:
    """Times on an H200 step up from 8 to 16 rows an expert, and stay from 16 to 21."""
    assert block_rows(product(tokens, ways)) == rows


def test_divided_experts_are_padded_as_if_all_rows_were_ones_own() -> None:
    """192 tokens are four rows an expert, and 32 over the experts of one of eight devices."""
    assert block_rows(product(192)) == 8
    assert block_rows(product(192, ways=8)) == 48


def test_every_block_multiplies_whole_and_widens_its_experts_weights() -> None:
    """384 tokens: eight rows an expert, in one block of 16 each."""
    problem = product(384)
    (tile,) = MENU
    counted = totals(activity(problem, resolved(tile, problem, H200), H200))
    matrix = 4096 * 7168
    assert counted.operations["matrix", "flop", "bf16"] == 384 * 16 * 2 * matrix
    assert counted.operations["vector", "flop", "fp32"] == 384 * matrix * 2
    assert counted.read["dram"] == 384 * matrix * 4.5 / 8 + 3072 * 7168 * 2


def test_sizes_of_mxfp4_are_rounded_up() -> None:
    """360 columns are read as 512, and 2,880 rows of a sum as 2,944."""
    problem = GemmProblem(M=32, N=360, K=2880, members=32, dtype_b="mxfp4")
    (tile,) = MENU
    counted = totals(activity(problem, resolved(tile, problem, H200), H200))
    assert counted.operations["vector", "flop", "fp32"] == 4 * 512 * 2944 * 2
