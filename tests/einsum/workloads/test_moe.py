"""Mixtures of experts: rows, touched experts and their weights."""

import itertools
import math

import numpy as np
import pytest

from hwmodel.einsum.counts import footprint_bytes, operation_counts, points
from hwmodel.einsum.notation import parse
from hwmodel.einsum.printer import show
from hwmodel.einsum.workloads.moe import expert_kernels, grouped_gemm, moe
from hwmodel.quantity.errors import InputError, UnknownNameError


def test_every_row_passes_three_matrices() -> None:
    made = moe(tokens=10, experts=8, top_k=2, hidden=4, intermediate=6)
    counts = [operation_counts(made.einsum(name), made) for name in ("H", "Y")]
    assert sum(c["multiply", "bf16"] for c in counts) == 10 * 2 * 3 * 4 * 6


def test_balanced_routing_touches_as_many_experts_as_it_has_rows() -> None:
    few = moe(tokens=3, experts=16, top_k=2, hidden=4, intermediate=6)
    many = moe(tokens=300, experts=16, top_k=2, hidden=4, intermediate=6)
    expert = 2 * 4 * 6 * 2  # gate and up, bf16
    assert footprint_bytes("W", few) == 6 * expert
    assert footprint_bytes("W", many) == 16 * expert


@pytest.mark.parametrize(("tokens", "experts", "top_k"), [(1, 4, 2), (2, 4, 2), (3, 5, 2)])
def test_uniform_routing_touches_the_mean_over_all_draws(
    tokens: int, experts: int, top_k: int
) -> None:
    draws = list(itertools.combinations(range(experts), top_k))
    outcomes = itertools.product(draws, repeat=tokens)
    touched = sum(len(set(itertools.chain(*outcome))) for outcome in outcomes)
    made = moe(tokens, experts, top_k, hidden=4, intermediate=6, routing="uniform")
    expected = touched / math.comb(experts, top_k) ** tokens * (2 * 4 * 6 * 2)
    assert math.isclose(footprint_bytes("W", made), expected, rel_tol=1e-12)


def test_more_skew_touches_fewer_experts() -> None:
    touched = [
        footprint_bytes("W", moe(16, 64, 2, 4, 6, routing="zipf", exponent=exponent))
        for exponent in (0.0, 0.5, 1.0, 2.0)
    ]
    assert touched == sorted(touched, reverse=True)
    uniform = footprint_bytes("W", moe(16, 64, 2, 4, 6, routing="uniform"))
    assert math.isclose(touched[0], uniform)


def test_the_kernels_do_the_work_of_the_layer() -> None:
    whole = moe(tokens=10, experts=8, top_k=2, hidden=4, intermediate=6)
    kernels = expert_kernels(tokens=10, experts=8, top_k=2, hidden=4, intermediate=6, times=3)
    assert [stage.times for stage in kernels] == [3] * 4
    for stage, name in zip(kernels, ("H", "G", "A", "Y"), strict=True):
        (einsum,) = stage.cascade.einsums
        assert points(einsum, stage.cascade) == points(whole.einsum(name), whole)


def test_a_grouped_gemm_counts_its_rows_once() -> None:
    made = grouped_gemm(tokens=10, experts=8, top_k=2, N=5, K=7)
    assert points(made.einsums[0], made) == 20 * 5 * 7
    assert footprint_bytes("A", made) == 2 * 20 * 7
    assert footprint_bytes("C", made) == 2 * 20 * 5


def test_arrays_of_tokens_and_experts_broadcast() -> None:
    tokens, experts = np.array([1.0, 10.0, 100.0]), np.array([[8.0], [64.0]])
    together = np.asarray(footprint_bytes("W", moe(tokens, experts, 2, 4, 6, "uniform")))
    for i, j in itertools.product(range(2), range(3)):
        alone = moe(int(tokens[j]), int(experts[i, 0]), 2, 4, 6, "uniform")
        assert math.isclose(together[i, j], footprint_bytes("W", alone))


def test_impossible_routing_is_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"moe: top_k: .* number of experts \(8\), found 9"):
        moe(10, 8, 9, 4, 6)
    with pytest.raises(
        UnknownNameError, match=r"unknown routing 'even'; known: balanced, power_law, uniform"
    ):
        moe(10, 8, 2, 4, 6, routing="even")
    with pytest.raises(InputError, match=r"exponent: expected a number with routing 'zipf'"):
        moe(10, 8, 2, 4, 6, routing="zipf")
    with pytest.raises(InputError, match=r"exponent: expected None, found 1.5"):
        moe(10, 8, 2, 4, 6, exponent=1.5)
    with pytest.raises(InputError, match=r"moe: tokens: expected a number above 0, found 0"):
        moe(0, 8, 2, 4, 6)


def test_experts_without_a_gate_pass_two_matrices() -> None:
    made = moe(tokens=10, experts=8, top_k=2, hidden=4, intermediate=6, gated=False)
    counts = [operation_counts(made.einsum(name), made) for name in ("H", "Y")]
    assert sum(c["multiply", "bf16"] for c in counts) == 10 * 2 * 2 * 4 * 6
    assert footprint_bytes("W", made) == 8 * 4 * 6 * 2


def test_devices_that_divide_the_experts_share_rows_and_weights() -> None:
    """Of four devices one has two of eight experts, and five rows of twenty."""
    made = moe(tokens=10, experts=8, top_k=2, hidden=4, intermediate=6, ways=4)
    assert points(made.einsum("Y"), made) == 5 * 4 * 6
    assert footprint_bytes("WD", made) == 2 * 4 * 6 * 2
    assert parse(show(made), name="moe") == made
    with pytest.raises(InputError, match="moe: ways: expected a divisor of the 8 experts, found 3"):
        moe(10, 8, 2, 4, 6, ways=3)
