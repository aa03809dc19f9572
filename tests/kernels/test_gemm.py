"""The GEMM kernel against float64, at ragged shapes, splits and formats."""

# pyright: basic, reportMissingImports=false

from dataclasses import replace

import pytest

pytest.importorskip("torch", reason="needs torch and triton")
pytest.importorskip("triton", reason="needs torch and triton")

import torch

from hwmodel.kernels import gemm
from hwmodel.machines.gpu.schedules.gemm import GemmTile
from hwmodel.quantity.errors import InputError

BF16 = pytest.param("bf16", marks=pytest.mark.gpu)  # the interpreter multiplies no bf16
SMALL = GemmTile(32, 32, 32, stages=2, warps=4)


@pytest.mark.parametrize("dtype", ["fp32", "fp16", BF16, "fp8"])
@pytest.mark.parametrize(("M", "N", "K"), [(64, 64, 64), (50, 70, 96), (1, 33, 48), (37, 41, 45)])
def test_equals_float64_at_ragged_shapes(draw, error, M, N, K, dtype):
    a, w = draw(M, K, dtype=dtype), draw(N, K, dtype=dtype)
    got = gemm.gemm(a, w, tile=SMALL)
    tolerance = {"fp32": 1e-6, "fp16": 5e-4, "bf16": 4e-3, "fp8": 4e-3}[dtype]
    assert error(got, gemm.reference(a.double(), w.double())) < tolerance
    assert got.dtype == (torch.bfloat16 if dtype == "fp8" else a.dtype)


@pytest.mark.parametrize("split", [2, 3, 8])
def test_split_sums_add_up_even_where_some_parts_are_empty(draw, error, poison, split):
    """K = 150 is 5 slices of 32: a split by 8 leaves parts without any."""
    a, w, out = draw(40, 150), draw(36, 150), poison(40, 36)
    tile = GemmTile(32, 32, 32, stages=2, warps=4, split=split)
    got = gemm.gemm(a, w, tile=tile, out=out, scale=0.5)
    assert got is out
    assert error(got, gemm.reference(a.double(), w.double(), 0.5)) < 1e-6


@pytest.mark.parametrize("group_m", [1, 2, 8])
def test_every_output_tile_is_written_whatever_the_order_of_blocks(draw, error, poison, group_m):
    a, w = draw(130, 32), draw(100, 32)
    tile = GemmTile(32, 32, 32, stages=2, warps=4, group_m=group_m)
    got = gemm.gemm(a, w, tile=tile, out=poison(130, 100))
    assert error(got, gemm.reference(a.double(), w.double())) < 1e-6


def test_default_tile_computes_the_same(draw, error):
    a, w = draw(20, 80, dtype="fp16"), draw(24, 80, dtype="fp16")
    assert error(gemm.gemm(a, w), gemm.reference(a.double(), w.double())) < 5e-4


def test_is_launched_with_the_record_and_no_other(draw, record):
    seen, reduced = record(gemm, "gemm_kernel"), record(gemm, "reduce_kernel")
    tile = GemmTile(64, 32, 16, stages=3, warps=2, split=2, group_m=4)
    gemm.gemm(draw(100, 64), draw(70, 64), tile=tile)
    ((grid, constants),) = seen.launches
    assert grid == (2 * 3, 2)
    assert constants == {
        "BLOCK_M": 64, "BLOCK_N": 32, "BLOCK_K": 16, "GROUP_M": 4, "num_warps": 2,
        "num_stages": 3, "DESCRIBED": True, "PARTS": 1,
    }  # fmt: skip
    assert len(reduced.launches) == 1


def test_a_tile_that_leaves_in_halves_is_the_same(draw, error, poison):
    a, w = draw(50, 48), draw(70, 48)
    halved = GemmTile(32, 64, 16, stages=2, warps=4, parts=2)
    got = gemm.gemm(a, w, tile=halved, out=poison(50, 70))
    assert error(got, gemm.reference(a.double(), w.double())) < 1e-6


@pytest.mark.parametrize(("M", "N", "K"), [(150, 136, 80), (1, 8, 16), (64, 64, 200)])
def test_persistent_blocks_write_every_tile(draw, error, poison, record, M, N, K):
    seen, ending = record(gemm, "persistent_kernel"), record(gemm, "gemm_kernel")
    a, w = draw(M, K, dtype="fp16"), draw(N, K, dtype="fp16")
    tile = GemmTile(32, 64, 32, stages=2, warps=4, persistent=1, parts=2)
    got = gemm.gemm(a, w, tile=tile, out=poison(M, N).to(a.dtype), scale=0.5)
    assert error(got, gemm.reference(a.double(), w.double(), 0.5)) < 5e-4
    assert len(seen.launches) == 1
    assert not ending.launches


def test_persistent_blocks_need_rows_that_descriptors_cover(draw):
    lasting = GemmTile(32, 32, 32, stages=2, warps=4, persistent=1)
    for split, columns in ((1, 33), (2, 32)):
        tile = replace(lasting, split=split)
        with pytest.raises(InputError, match="rows on 16 bytes"):
            gemm.gemm(draw(16, 32), draw(columns, 32), tile=tile)


def test_unsplit_sums_need_no_second_kernel(draw, record):
    reduced = record(gemm, "reduce_kernel")
    gemm.gemm(draw(16, 16), draw(16, 16), tile=SMALL)
    assert reduced.launches == []


def test_rows_of_odd_bytes_are_read_through_pointers(draw, record):
    seen = record(gemm, "gemm_kernel")
    gemm.gemm(draw(16, 33, dtype="fp16"), draw(16, 33, dtype="fp16"), tile=SMALL)
    assert not seen.launches[0][1]["DESCRIBED"]


def test_cost_is_two_flop_a_multiply_and_each_matrix_once():
    work = gemm.cost(3, 5, 7, dtype="bf16")
    assert work.operations == {("matrix", "flop", "bf16"): 210}
    assert work.read == {"dram": (21 + 35) * 2}
    assert work.written == {"dram": 30}


def test_every_tile_of_the_menu_keeps_within_shared_memory():
    """227 KiB a block on compute capability 9.0."""
    for element in (1, 2):
        for tile in gemm.tiles(element):
            assert tile.shared_bytes(element) * tile.resident <= 227 * 1024


def test_shapes_that_do_not_agree_are_refused(draw):
    with pytest.raises(InputError, match=r"w \(N, K\) of one dtype, found \(4, 8\).*\(4, 9\)"):
        gemm.gemm(draw(4, 8), draw(4, 9))


def test_a_strided_operand_is_refused_not_copied(draw):
    with pytest.raises(InputError, match=r"a contiguous, found strides .*a.contiguous\(\)"):
        gemm.gemm(draw(8, 4).T, draw(4, 8))
