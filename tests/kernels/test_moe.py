"""Routing, dispatch, grouped GEMM and combine, each against plain torch, and the whole layer."""

# pyright: basic, reportMissingImports=false

import pytest

pytest.importorskip("torch", reason="needs torch and triton")
pytest.importorskip("triton", reason="needs torch and triton")

import torch

from hwmodel.kernels import moe
from hwmodel.machines.gpu.schedules.gemm import GemmTile
from hwmodel.quantity.errors import InputError

BF16 = pytest.param("bf16", marks=pytest.mark.gpu)  # the interpreter multiplies no bf16
SMALL = GemmTile(16, 32, 32, stages=2, warps=4)


@pytest.mark.parametrize(("tokens", "experts", "top_k"), [(1, 4, 1), (13, 8, 2), (20, 60, 4)])
@pytest.mark.parametrize("normalise", [True, False])
def test_routing_is_softmax_and_top_k(draw, error, tokens, experts, top_k, normalise):
    logits = draw(tokens, experts) * 3
    weights, chosen = moe.routing(logits, top_k, normalise=normalise)
    expected, indices = torch.softmax(logits.double(), -1).topk(top_k, -1)
    if normalise:
        expected = expected / expected.sum(-1, keepdim=True)
    assert torch.equal(chosen.long(), indices)
    assert error(weights, expected) < 1e-6


def test_equal_logits_choose_the_lower_expert(draw):
    weights, chosen = moe.routing(draw(2, 5) * 0, 3)
    assert chosen.tolist() == [[0, 1, 2]] * 2
    assert torch.allclose(weights, torch.full_like(weights, 1 / 3))


@pytest.mark.parametrize(("tokens", "experts", "top_k"), [(1, 3, 1), (50, 7, 3), (200, 16, 2)])
def test_places_sort_assignments_by_expert_and_keep_the_order_of_tokens(
    draw, tokens, experts, top_k
):
    chosen = draw(tokens, experts).topk(top_k, -1).indices.to(torch.int32)
    found = moe.places(chosen, experts)
    order = torch.argsort(chosen.flatten(), stable=True)
    assert torch.equal(found.places.flatten()[order].long(), torch.arange(tokens * top_k).to(order))
    counts = torch.bincount(chosen.flatten(), minlength=experts)
    assert torch.equal(found.counts.long(), counts)
    assert torch.equal(found.ends.long(), counts.cumsum(0))


def test_permute_and_combine_undo_each_other(draw, error):
    """A token's copies, each weighted by a third, add up to it; 1030 columns are 2 chunks."""
    x = draw(10, 1030)
    found = moe.places(draw(10, 6).topk(3, -1).indices.to(torch.int32), 6)
    rows = moe.permute(x, found)
    assert torch.equal(rows[found.places.long()], x[:, None].expand(-1, 3, -1))
    third = torch.full((10, 3), 1 / 3, device=x.device)
    assert error(moe.combine(rows, third, found), x) < 1e-6


@pytest.mark.parametrize("counts", [[5, 0, 17, 1], [0, 0, 0, 40], [16, 16, 16, 16], [1, 0, 0, 0]])
@pytest.mark.parametrize("dtype", ["fp32", "fp16", BF16])
@pytest.mark.parametrize("K", [48, 45])
def test_grouped_gemm_of_ragged_and_empty_experts(draw, error, counts, dtype, K):
    x, w = draw(sum(counts), K, dtype=dtype), draw(4, 50, K, dtype=dtype)
    ends = torch.tensor(counts).cumsum(0).to(torch.int32).to(x.device)
    parts = x.double().split(counts)
    expected = torch.cat([part @ w[e].double().T for e, part in enumerate(parts)])
    limit = {"fp32": 1e-6, "fp16": 6e-4, "bf16": 5e-3}[dtype]
    assert error(moe.grouped(x, w, ends, tile=SMALL), expected) < limit


@pytest.mark.parametrize("tile", [None, SMALL])
def test_layer_equals_experts_one_by_one(draw, error, tile):
    x, logits = draw(30, 32), draw(30, 5)
    gate_up, down = draw(5, 48, 32), draw(5, 32, 24)
    expected = moe.reference(x.double(), logits.double(), gate_up.double(), down.double(), 2)
    assert error(moe.expert_layer(x, logits, gate_up, down, 2, tile=tile), expected) < 2e-6


def test_grouped_gemm_is_launched_with_the_record_for_the_worst_routing(draw, record):
    """40 rows in blocks of 16: 2 full blocks and, at worst, one more for each of 4 experts."""
    seen = record(moe, "grouped_kernel")
    ends = torch.tensor([10, 20, 30, 40], dtype=torch.int32)
    moe.grouped(draw(40, 32), draw(4, 50, 32), ends.to(draw(1).device), tile=SMALL)
    ((grid, constants),) = seen.launches
    assert grid == (6 * 2,)
    assert (constants["BLOCK_M"], constants["BLOCK_N"], constants["BLOCK_K"]) == (16, 32, 32)
    assert (constants["num_warps"], constants["num_stages"], constants["GROUP_M"]) == (4, 2, 8)


def test_costs_follow_the_rows_and_the_experts_that_they_touch():
    work = moe.cost(100, 8, 4, touched=3)
    assert work.operations["matrix", "flop", "bf16"] == 6400
    assert work.read == {"dram": (400 + 96) * 2}
    assert moe.move_cost(10, 4, 2).written == {"dram": 160}
    assert moe.routing_cost(10, 8, 2).operations["exp", "exp", "fp32"] == 80


def test_more_choices_than_experts_are_refused(draw):
    with pytest.raises(InputError, match=r"top_k in 1 \.\.\. 4, found 5"):
        moe.routing(draw(3, 4), 5)


def test_weights_of_another_depth_are_refused(draw):
    ends = torch.tensor([2, 4], dtype=torch.int32)
    with pytest.raises(InputError, match=r"x \(rows, K\), w \(experts, N, K\)"):
        moe.grouped(draw(4, 8), draw(2, 8, 9), ends)
