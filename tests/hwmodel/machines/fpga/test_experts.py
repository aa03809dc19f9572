"""Orders of experts: published traffic ratios, the loop walked, and queues drawn at random."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwmodel.einsum.cascade import Distribution
from hwmodel.machines.fpga.experts import (
    Experts,
    expected_expert_order,
    expected_queues,
    expert_order,
    queue_bytes,
    token_order,
)
from hwmodel.quantity.errors import InputError
from hwmodel.spine.activity import Rates, fold, totals

UNIT = ("dsp", "int16")


def mlp(experts: int, width: int, hidden: int, weight_bytes: int = 2) -> Experts:
    """Experts of two products, width to hidden and back."""
    weights = 2 * width * hidden
    return Experts(experts, weights * weight_bytes, 2 * weights, UNIT)


def rates(flop_per_s: float, bytes_per_s: float) -> Rates:
    return Rates(
        operations={("dsp", "flop", "int16"): flop_per_s},
        read={"dram": bytes_per_s},
        written={"dram": bytes_per_s},
    )


EDGE_MOE = mlp(16, 192, 384)
"""Edge-MoE (ICCAD 2023): ViT-T, 129 tokens, 2 of 16 experts each, weights of 16 bits."""

M3VIT = mlp(16, 384, 384)
"""M3ViT (NeurIPS 2022) with ViT-S, expert ratio 1: 1,201 tokens, 4 of 16 experts each."""


@pytest.mark.parametrize(
    ("layer", "tokens", "picks", "expert_kib", "ratio"),
    [(EDGE_MOE, 129, 2, 288, 16.125), (M3VIT, 1201, 4, 576, 300.25)],
)
def test_published_layers_move_kn_over_e_less(
    layer: Experts, tokens: int, picks: int, expert_kib: int, ratio: float
) -> None:
    rows = tokens * picks
    each = rows // 16
    queues = [each + 1] * (rows % 16) + [each] * (16 - rows % 16)
    by_token = totals(token_order(layer, rows)).read["dram"]
    by_expert = totals(expert_order(layer, queues)).read["dram"]
    assert layer.weight_bytes == expert_kib * 1024
    assert by_token == rows * expert_kib * 1024
    assert by_expert == 16 * expert_kib * 1024
    assert by_token / by_expert == ratio


def test_edge_moe_layer_moves_four_and_a_half_mebibytes() -> None:
    assert totals(expert_order(EDGE_MOE, [16] * 15 + [18])).read["dram"] == 4.5 * 2**20
    assert totals(token_order(EDGE_MOE, 258)).read["dram"] == 76_087_296


def test_two_buffers_stand_for_all_experts() -> None:
    """M3ViT: 9 MiB of one layer exceed a ZCU104's 4.75 MB on chip, two experts do not."""
    assert M3VIT.resident_bytes == 9 * 2**20
    assert M3VIT.buffer_bytes == 9 * 2**20 / 8
    assert totals(expert_order(M3VIT, [300] * 16)).live["bram"] == M3VIT.buffer_bytes
    assert queue_bytes(129, 16, 4) == 129 * 16 * 4


@given(st.lists(st.integers(0, 40), min_size=16, max_size=16).filter(any), st.integers(1, 9))
def test_double_buffering_is_the_loop_walked(queues: list[int], pace: int) -> None:
    """Load the first; then compute each while the next one loads."""
    flop_per_s, bytes_per_s = 1e9 * pace, 19.2e9
    load_s = EDGE_MOE.weight_bytes / bytes_per_s
    busy = [rows * EDGE_MOE.flop / flop_per_s for rows in queues if rows]
    clock = load_s
    for number, compute_s in enumerate(busy):
        clock += max(compute_s, load_s if number + 1 < len(busy) else 0.0)
    found = fold(expert_order(EDGE_MOE, queues), rates(flop_per_s, bytes_per_s)).time_s
    assert found == pytest.approx(clock, rel=1e-12)


def test_queues_of_random_routing_are_binomial() -> None:
    """Expected lengths sum to the rows, expected experts to 16 (1 - (1 - 1/8)^129)."""
    found = expected_queues(Distribution("uniform", "x", 129, 2), 16)
    assert sum(n * sum(counts) for n, counts in found.items()) == pytest.approx(258)
    assert sum(map(sum, found.values())) == pytest.approx(16 * (1 - (7 / 8) ** 129))
    assert sum(last for _, last in found.values()) == pytest.approx(1)
    sure = expected_queues(Distribution("uniform", "x", 9, 4), 4)
    assert sure == {9: (3.0, 1.0)}


@pytest.mark.parametrize("routing", ["uniform", "zipf"])
def test_expected_time_is_the_mean_over_drawn_routings(routing: str) -> None:
    """A thousand layers with each expert's queue drawn alone, near the balance of both sides."""
    spread = Distribution(routing, "x", 24, 2, 0.7 if routing == "zipf" else 0.0)
    at = rates(16 * EDGE_MOE.flop / 100e-6, EDGE_MOE.weight_bytes / 18e-6)
    expected = fold(expected_expert_order(EDGE_MOE, spread), at).time_s
    draw = random.Random(7)
    if routing == "uniform":
        chance = np.full(16, 2 / 16)
    else:
        weight = np.arange(1, 17) ** -0.7
        chance = 2 * weight / weight.sum()

    def drawn_s() -> float:
        queues = [sum(draw.random() < q for _ in range(24)) for q in chance]
        return float(fold(expert_order(EDGE_MOE, queues), at).time_s)

    mean_s = sum(drawn_s() for _ in range(1000)) / 1000
    assert expected == pytest.approx(mean_s, rel=0.01)


def test_balanced_routing_is_exact() -> None:
    """24 tokens of two picks over 16 experts: three rows each."""
    at = rates(1e9, 1e9)
    spread = Distribution("balanced", "x", 24, 2)
    exact = fold(expert_order(EDGE_MOE, [3] * 16), at).time_s
    assert fold(expected_expert_order(EDGE_MOE, spread), at).time_s == exact


def test_queues_that_cannot_be_are_refused() -> None:
    with pytest.raises(InputError, match="for each of 16 experts"):
        expert_order(EDGE_MOE, [1, 2])
    with pytest.raises(InputError, match="one above 0"):
        expert_order(EDGE_MOE, [0] * 16)
    with pytest.raises(InputError, match="one row or more, found 0"):
        token_order(EDGE_MOE, 0)
