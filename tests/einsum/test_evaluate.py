"""The evaluator against NumPy, and transformed cascades against each other."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hwmodel.einsum.evaluate import evaluate
from hwmodel.einsum.notation import parse
from hwmodel.einsum.workloads.attention import attention
from hwmodel.einsum.workloads.rows import gelu, layernorm, rmsnorm, softmax
from hwmodel.quantity.errors import CoverageError, InputError

RANDOM = np.random.default_rng(7)
BATCH, KV_HEADS, GROUP, QUERIES, KEYS, HEAD, VALUE = 2, 2, 3, 5, 11, 4, 3


def normal(*shape: int) -> NDArray[np.float64]:
    return RANDOM.normal(size=shape)


def test_a_product_equals_numpy() -> None:
    cascade = parse("C[b, m, n] = A[b, m, k] * W[n, k]", sizes={"b": 2, "m": 3, "n": 4, "k": 5})
    a, w = normal(2, 3, 5), normal(4, 5)
    found = evaluate(cascade, {"A": a, "W": w})["C"]
    assert np.allclose(found, a @ w.T, rtol=1e-13)


def test_a_strided_convolution_equals_the_sum_over_its_windows() -> None:
    text = "rank w = 2*Y + R - 2\ntensor I[c, w]\nO[k, y] = I[c, 2*y+r] * F[k, c, r]"
    cascade = parse(text, sizes={"c": 2, "k": 3, "y": 4, "r": 3})
    image, weights = normal(2, 9), normal(3, 2, 3)
    windows = np.lib.stride_tricks.sliding_window_view(image, 3, axis=1)[:, ::2]
    found = evaluate(cascade, {"I": image, "F": weights})["O"]
    assert np.allclose(found, np.einsum("cyr,kcr->ky", windows, weights), rtol=1e-13)


def test_a_running_maximum_equals_accumulate() -> None:
    text = "R[i+1, p] = max(R[i, p], A[i, p]) ; R[0, p] = -inf\nZ[p] = R[I, p]"
    a = normal(6, 3)
    found = evaluate(parse(text, sizes={"i": 6, "p": 3}), {"A": a})
    assert np.array_equal(found["R"][1:], np.maximum.accumulate(a))
    assert np.array_equal(found["Z"], a.max(axis=0))


def test_two_recurrences_that_feed_each_other_step_together() -> None:
    """Fibonacci's numbers, as two running tensors."""
    text = """
    A[i+1] = B[i] * ONE[i] ; A[0] = 0
    B[i+1] = A[i+1] * 0 + B[i] + A[i] ; B[0] = 1
    """
    found = evaluate(parse(text, sizes={"i": 8}), {"ONE": np.ones(8)})
    assert found["A"].tolist() == [0, 1, 1, 2, 3, 5, 8, 13, 21]


def test_k_means_assigns_each_point_to_its_nearest_centre() -> None:
    text = """
    D[n, c] = square(X[n, d] - Y[c, d])
    NEAREST[n] = argmin(c) D[n, c]
    OWN[n, d] = gather(Y[c, d], NEAREST[n])
    """
    x, y = normal(20, 3), normal(4, 3)
    found = evaluate(parse(text, sizes={"n": 20, "c": 4, "d": 3}), {"X": x, "Y": y})
    nearest = ((x[:, None] - y) ** 2).sum(axis=2).argmin(axis=1)
    assert np.array_equal(found["NEAREST"], nearest)
    assert np.array_equal(found["OWN"], y[nearest])


def test_reductions_apply_from_the_inside() -> None:
    a = normal(2, 3, 4)
    cascade = parse("Z[a] = max(b) sum(c) A[a, b, c]", sizes={"a": 2, "b": 3, "c": 4})
    assert np.allclose(evaluate(cascade, {"A": a})["Z"], a.sum(axis=2).max(axis=1))


def test_points_outside_a_band_contribute_the_identity() -> None:
    a = normal(4, 4)
    text = (
        "S[i] = sum(j) A[i, j] | j <= i\nM[i] = max(j) A[i, j] | j <= i\nB[i, j] = A[i, j] | j <= i"
    )
    found = evaluate(parse(text, sizes={"i": 4, "j": 4}), {"A": a})
    lower = np.tril(np.ones((4, 4), dtype=bool))
    assert np.allclose(found["S"], np.where(lower, a, 0).sum(axis=1))
    assert np.array_equal(found["M"], np.where(lower, a, -np.inf).max(axis=1))
    assert np.array_equal(found["B"], np.where(lower, a, 0))


def test_row_kernels_equal_their_formulas() -> None:
    x, gain, shift = normal(6, 8), normal(8), normal(8)
    e = np.exp(x - x.max(axis=1, keepdims=True))
    assert np.allclose(evaluate(softmax(6, 8), {"X": x})["Y"], e / e.sum(axis=1, keepdims=True))
    root = np.sqrt((x**2).mean(axis=1, keepdims=True) + 1e-6)
    found = evaluate(rmsnorm(6, 8), {"X": x, "GAIN": gain})["Y"]
    assert np.allclose(found, x / root * gain)
    spread = np.sqrt(x.var(axis=1, keepdims=True) + 1e-5)
    found = evaluate(layernorm(6, 8), {"X": x, "GAIN": gain, "SHIFT": shift})["Y"]
    assert np.allclose(found, (x - x.mean(axis=1, keepdims=True)) / spread * gain + shift)
    assert evaluate(gelu(6, 8), {"X": x})["Y"].shape == (6, 8)


Q = normal(BATCH, KV_HEADS, GROUP, QUERIES, HEAD)
K, V = normal(BATCH, KV_HEADS, KEYS, HEAD), normal(BATCH, KV_HEADS, KEYS, VALUE)


def softmax_qk_v(causal: bool, window: int | None) -> NDArray[np.float64]:
    """Attention by NumPy, with the mask written out."""
    scores = np.einsum("bhgpe,bhme->bhgpm", Q, K)
    last = np.arange(QUERIES)[:, None] + KEYS - QUERIES
    key = np.arange(KEYS)
    kept = np.broadcast_to(key <= last, (QUERIES, KEYS)) if causal else np.ones((QUERIES, KEYS)) > 0
    kept = kept & (key > last - window) if window else kept
    weights = np.exp(scores) * kept
    weights = weights / weights.sum(axis=-1, keepdims=True)
    return np.einsum("bhgpm,bhmf->bhgpf", weights, V)


@pytest.mark.parametrize(("causal", "window"), [(False, None), (True, None), (True, 3)])
@pytest.mark.parametrize(
    "form",
    [
        {"passes": 3},
        {"passes": 2},
        {"passes": 1},
        {"passes": 1, "splits": 3},
        {"passes": 2, "stable": False},
        {"passes": 1, "stable": False},
    ],
    ids=["3 passes", "2 passes", "1 pass", "split", "naive", "deferred"],
)
def test_every_form_of_attention_computes_the_same(
    form: dict[str, Any], causal: bool, window: int | None
) -> None:
    shape: dict[str, Any] = {
        **{"batch": BATCH, "heads": KV_HEADS * GROUP, "kv_heads": KV_HEADS, "queries": QUERIES},
        **{"keys": KEYS, "head_dim": HEAD, "value_dim": VALUE, "tile": 2},
    }
    cascade = attention(**shape, causal=causal, window=window, **form)
    extents = [int(cascade.ranks[rank].size) for rank in cascade.tensors["K"].ranks]
    padding = int(np.prod(extents[2:-1])) - KEYS
    filled = [
        np.concatenate([x, np.full((BATCH, KV_HEADS, padding, x.shape[-1]), 9.0)], axis=2)
        for x in (K, V)
    ]
    keys, values = (x.reshape(*extents[:-1], x.shape[-1]) for x in filled)
    found = evaluate(cascade, {"Q": Q, "K": keys, "V": values})["AV"]
    assert np.allclose(found, softmax_qk_v(causal, window), rtol=1e-12)


@pytest.mark.parametrize(
    ("text", "sizes", "error", "message"),
    [
        ("Z[i] = A[i] ~ 0.5", {"i": 3}, CoverageError, "density of 0.5"),
        ("Z[i] = A[i]", {"i": np.array([3.0])}, CoverageError, "rank i is an array"),
        (
            "rank t(x) ~ balanced(4)\nZ[x, t] = A[x, t]",
            {"x": 2},
            CoverageError,
            "rank t depends on data",
        ),
        ("Z[i] = A[i] + B[i]", {"i": 3}, InputError, r"expected an array \(3,\) for input 'B'"),
        ("Z[i] = A[i]", {"i": 4}, InputError, r"expected shape \(4,\) \['i'\], found \(3,\)"),
        ("Z[i] = C[i]", {"i": 3}, InputError, r"expected an array \(3,\) for input 'C'"),
    ],
)
def test_what_cannot_be_evaluated_is_said(
    text: str, sizes: dict[str, float], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        evaluate(parse(text, sizes=sizes), {"A": np.ones(3)})


def test_an_array_for_no_input_is_refused() -> None:
    with pytest.raises(InputError, match="'B' is no input"):
        evaluate(parse("Z[i] = A[i]", sizes={"i": 3}), {"A": np.ones(3), "B": np.ones(3)})


def test_a_position_outside_the_table_is_refused() -> None:
    cascade = parse("Y[t] = gather(W[v], IDS[t])", sizes={"t": 2, "v": 3})
    with pytest.raises(InputError, match="expected whole positions from 0 to 2, found 0 to 3"):
        evaluate(cascade, {"W": np.ones(3), "IDS": [0, 3]})


def test_two_iterative_ranks_in_one_cycle_are_refused() -> None:
    text = "R[i+1, j+1] = R[i, j] + A[i, j] ; R[0, j] = 0 ; R[i, 0] = 0"
    with pytest.raises(CoverageError, match="one iterative rank"):
        evaluate(parse(text, sizes={"i": 2, "j": 2}), {"A": np.ones((2, 2))})
