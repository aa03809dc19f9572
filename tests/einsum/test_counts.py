"""Operations and bytes, against closed forms, walks and published figures."""

import itertools
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwmodel.einsum.counts import (
    cascade_counts,
    elements,
    flops,
    footprint,
    footprint_bytes,
    operation_counts,
    points,
)
from hwmodel.einsum.notation import parse
from hwmodel.quantity.units import Amount

GEMM = "tensor W[n, k]: fp8 weight\nC[m, n] = A[m, k] * W[n, k]"


def test_a_matrix_product_counts_two_operations_per_point() -> None:
    cascade = parse(GEMM, sizes={"m": 3, "n": 5, "k": 7})
    assert points(cascade.einsums[0], cascade) == 105
    assert operation_counts(cascade.einsums[0], cascade) == {
        ("multiply", "bf16"): 105,  # the wider of bf16 and fp8
        ("add", "bf16"): 105,
    }
    assert flops(cascade) == 2 * 3 * 5 * 7


def test_a_trillion_parameter_training_step_stays_exact() -> None:
    """6 N T FLOPs with N = 1e12, T = 8.5e6 is 5.1e19, beyond int64."""
    cascade = parse(GEMM, sizes={"m": 3 * 8_500_000, "n": 10**6, "k": 10**6})
    assert flops(cascade) == 51 * 10**18
    swept = parse(GEMM, sizes={"m": np.array([25_500_000.0]), "n": 10**6, "k": 10**6})
    assert flops(swept) == pytest.approx(5.1e19)


def test_each_reduction_counts_the_points_that_it_folds() -> None:
    """Max over b of (sum over c of A[a, b, c]): 24 adds, then 6 comparisons of the sums."""
    cascade = parse("Z[a] = max(b) sum(c) A[a, b, c]", sizes={"a": 2, "b": 3, "c": 4})
    assert operation_counts(cascade.einsums[0], cascade) == {
        ("add", "bf16"): 24,
        ("max", "bf16"): 6,
    }


def test_reductions_of_one_operator_count_once() -> None:
    cascade = parse("Z[a] = sum(b, c) A[a, b, c]", sizes={"a": 2, "b": 3, "c": 4})
    assert flops(cascade) == 24


def test_composite_operators_count_their_parts() -> None:
    cascade = parse("Z[a] = silu(A[a]) * 2", sizes={"a": 10})
    kinds = {kind: count for (kind, _), count in cascade_counts(cascade).items()}
    assert kinds == {"exp": 10, "add": 10, "divide": 10, "multiply": 20}


def test_arithmetic_on_constants_and_moves_cost_nothing() -> None:
    cascade = parse("Z[a] = copy(X[a])\nY[a] = Z[a] / sqrt(S + 1)", sizes={"a": 4})
    assert {kind: n for (kind, _), n in cascade_counts(cascade).items()} == {
        "divide": 4,
        "add": 4,
        "sqrt": 4,
    }
    scaled = parse("Z[a, b] = A[a, b] / sqrt(B * 2)", sizes={"a": 4, "b": 2})
    assert cascade_counts(scaled) == {("divide", "bf16"): 8}


def test_density_and_probability_thin_the_count() -> None:
    cascade = parse("Z[a] = A[a] * B[a] ~ 0.25 ? 0.1", sizes={"a": 100})
    assert flops(cascade) == pytest.approx(2.5)


def test_of_a_density_as_many_elements_are_reached_as_by_independent_throws() -> None:
    """Mean of 4,000 patterns of 3 x 5 points, each kept with probability 0.3."""
    cascade = parse("Z[m] = A[k] * B[m, k] ~ 0.3", sizes={"m": 3, "k": 5})
    kept = np.random.default_rng(1).random((4000, 3, 5)) < 0.3
    assert footprint("A", cascade) == pytest.approx(kept.any(axis=1).sum(axis=1).mean(), rel=0.02)
    assert footprint("B", cascade) == pytest.approx(kept.sum(axis=(1, 2)).mean(), rel=0.02)


@pytest.mark.parametrize(("passes", "divisions"), [(3, "MP"), (1, "FP")])
def test_deferring_the_division_leaves_f_p_of_them(passes: int, divisions: str) -> None:
    """FuseMax, section III-C: M*P divisions become F*P."""
    from hwmodel.einsum.workloads.attention import attention

    cascade = attention(batch=1, heads=1, queries=16, keys=64, head_dim=8, passes=passes, tile=16)
    counts = cascade_counts(cascade)
    expected = {"MP": 64 * 16, "FP": 8 * 16}[divisions]
    assert sum(n for (kind, _), n in counts.items() if kind == "divide") == expected


def test_causal_square_attention_counts_the_triangle() -> None:
    """4 * d FLOP per visible pair in the two products, S(S+1)/2 pairs."""
    from hwmodel.einsum.workloads.attention import attention

    cascade = attention(batch=2, heads=3, queries=64, keys=64, head_dim=16, causal=True, passes=3)
    counts = cascade_counts(cascade)
    assert counts["multiply", "bf16"] == 2 * 3 * (64 * 65 // 2) * 16 * 2


@pytest.mark.parametrize("factors", [(1, 2), (2, 2), (4, 2), (2, 3), (3, 3), (4, 2, 1), (6, 4, 2)])
def test_an_affine_axis_counts_the_places_that_it_takes(factors: tuple[int, ...]) -> None:
    for sizes in ((4, 3, 2), (2, 5, 3), (7, 1, 4)):
        ranks = dict(zip("yrp", sizes[: len(factors)], strict=False))
        index = " + ".join(f"{f}*{rank}" for f, rank in zip(factors, ranks, strict=True))
        places = {
            sum(f * at for f, at in zip(factors, point, strict=True))
            for point in product(*map(range, ranks.values()))
        }
        text = f"tensor I[h]\nO[{', '.join(ranks)}] = I[{index}]"
        assert footprint("I", parse(text, sizes=ranks | {"h": 60})) == len(places)
        several = {rank: np.array([size, size]) for rank, size in ranks.items()}
        counted = footprint("I", parse(text, sizes=several | {"h": 60}))
        assert np.array_equal(counted, [len(places)] * 2)


def test_fixed_places_of_an_axis_add_up() -> None:
    """Real and imaginary parts are two planes of X; one of them that is read twice is one."""
    text = "tensor X[n, c]\nA[n] = X[n, 0] * X[n, 2]\nB[n] = A[n] + X[n, 0]"
    cascade = parse(text, sizes={"n": 5, "c": 3})
    assert footprint("X", cascade) == 2 * 5
    assert elements("X", cascade) == 3 * 5


@given(
    m=st.integers(1, 9),
    p=st.integers(1, 9),
    window=st.integers(1, 9),
)
def test_only_touched_keys_and_scores_are_in_the_footprint(m: int, p: int, window: int) -> None:
    limits = "m - p <= M - P, m - p > M - P - window"
    text = f"S[m, p] = Q[p, e] * K[m, e] | {limits}\nZ[p] = max(m) S[m, p] | {limits}"
    cascade = parse(text, sizes={"m": m, "p": p, "e": 2, "window": window})
    kept = {
        (key, query)
        for key, query in itertools.product(range(m), range(p))
        if m - p - window < key - query <= m - p
    }
    assert footprint("K", cascade) == 2 * len({key for key, _ in kept})
    assert footprint("S", cascade) == len(kept)
    assert footprint("Q", cascade) == 2 * len({query for _, query in kept})
    assert elements("K", cascade) == 2 * m


@pytest.mark.parametrize(("stride", "taps"), [(1, 3), (2, 3), (3, 3), (4, 3), (5, 1)])
def test_a_convolution_touches_the_rows_that_its_windows_cover(stride: int, taps: int) -> None:
    text = f"rank w = {stride}*Y + R\ntensor I[w]\nO[y] = I[{stride}*y+r] * F[r]"
    cascade = parse(text, sizes={"y": 6, "r": taps})
    covered = {stride * y + r for y in range(6) for r in range(taps)}
    assert footprint("I", cascade) == len(covered)


def test_bytes_follow_the_stored_format() -> None:
    cascade = parse(GEMM, sizes={"m": 3, "n": 5, "k": 64}, dtypes={"A": "mxfp4"})
    assert footprint_bytes("W", cascade) == 5 * 64
    assert footprint_bytes("A", cascade) == 3 * 64 * 4.25 / 8  # 8 scale bits per 32 elements
    assert footprint_bytes("C", cascade) == 3 * 5 * 2


def test_a_running_tensor_keeps_one_slice() -> None:
    text = "R[i+1, p] = max(R[i, p], A[i, p]) ; R[0, p] = -inf\nZ[p] = R[I, p]"
    cascade = parse(text, sizes={"i": 100, "p": 7})
    assert footprint("R", cascade) == 7
    assert footprint("A", cascade) == 700


@pytest.mark.parametrize(
    ("kind", "touched"), [("balanced", 6.0), ("uniform", 8 * (1 - (6 / 8) ** 3))]
)
def test_only_weights_of_members_with_rows_are_touched(kind: str, touched: Amount) -> None:
    text = f"rank t(x) ~ {kind}(tokens, picks)\nC[x, t, n] = A[x, t, k] * W[x, n, k]"
    sizes = {"x": 8, "n": 4, "k": 5, "tokens": 3, "picks": 2}
    cascade = parse(text, sizes=sizes)
    assert points(cascade.einsums[0], cascade) == 3 * 2 * 4 * 5
    assert footprint("A", cascade) == 3 * 2 * 5
    assert footprint("W", cascade) == pytest.approx(touched * 20)
    assert elements("W", cascade) == 8 * 20


@pytest.mark.parametrize(("tokens", "rows"), [(5, 5), (500, 100)])
def test_a_gather_reads_a_row_per_position_up_to_the_table(tokens: int, rows: int) -> None:
    text = "tensor IDS[t]: int32\nY[t, d] = gather(W[v, d], IDS[t])"
    cascade = parse(text, sizes={"t": tokens, "v": 100, "d": 8})
    assert footprint("W", cascade) == rows * 8
    assert footprint_bytes("IDS", cascade) == tokens * 4
    assert flops(cascade) == 0
    assert points(cascade.einsums[0], cascade) == tokens * 8


@given(sizes=st.tuples(*[st.integers(1, 30)] * 3))
def test_arrays_count_as_scalars_do(sizes: tuple[int, int, int]) -> None:
    m, n, k = sizes
    scalar = parse(GEMM, sizes={"m": m, "n": n, "k": k})
    array = parse(GEMM, sizes={"m": np.array([float(m), 1.0]), "n": n, "k": k})
    assert np.asarray(flops(array)).tolist() == [flops(scalar), 2 * n * k]
