"""Structure: the same answer whatever the names, sizes and form."""

import re
from typing import Any

import numpy as np
import pytest

from hwmodel.einsum.attention_shape import attention
from hwmodel.einsum.notation import parse
from hwmodel.einsum.structure import contraction, dependencies, intermediates, row_operation
from hwmodel.einsum.workloads import attention as workload
from hwmodel.einsum.workloads.dispatch import top_k
from hwmodel.einsum.workloads.mlp import mlp
from hwmodel.einsum.workloads.moe import moe
from hwmodel.einsum.workloads.rows import add, layernorm, softmax

SHAPE: dict[str, Any] = {
    **{"batch": 2, "heads": 12, "kv_heads": 4, "queries": 32, "keys": 100},
    **{"head_dim": 16, "value_dim": 8},
}
FORMS: list[dict[str, Any]] = [
    {"passes": 3},
    {"passes": 2},
    {"passes": 1},
    {"splits": 3},
    {"passes": 2, "stable": False},
    {"passes": 1, "stable": False},
]


def test_ranks_of_a_product_fall_into_four_classes() -> None:
    text = "Z[b, i, j] = X[b, i, u, v] * Y[v, j, b, u] / sqrt(I)"
    cascade = parse(text, sizes={"b": 2, "i": 3, "j": 5, "u": 7, "v": 11})
    found = contraction(cascade.einsums[0], cascade)
    assert found is not None
    assert (found.a, found.b, found.out) == ("X", "Y", "Z")
    assert (found.batch, found.m, found.n, found.k) == (2, 3, 5, 77)
    assert (found.batch_ranks, found.k_ranks) == (("b",), ("u", "v"))


def test_a_matrix_times_a_vector_is_a_contraction() -> None:
    cascade = parse("Z[i] = A[i, k] * X[k]", sizes={"i": 3, "k": 5})
    found = contraction(cascade.einsums[0], cascade)
    assert found is not None
    assert (found.m, found.n, found.k) == (3, 1, 5)


@pytest.mark.parametrize(
    "text",
    [
        "Z[i] = A[i, k] * A[i, k]",  # a sum of squares by row
        "Z[i, j] = A[i] * B[j]",  # nothing is summed
        "Z[i, j] = max(k) A[i, k] * B[j, k]",
        "Z[i, j] = A[i, k] + B[j, k]",
        "Z[i, j] = A[i, k] / B[j, k]",
        "Z[i, j] = A[i, k] * B[j, k] * C[k]",
        "Z[i, j] = exp(A[i, k]) * B[j, k]",
        "Z[i, j] = A[i, l] * B[j]",  # l is summed, and stands in one factor alone
    ],
)
def test_anything_else_is_no_contraction(text: str) -> None:
    cascade = parse(text, sizes={r: 4 for r in "ijkl" if f"{r}" in text.split("=")[1]})
    assert contraction(cascade.einsums[0], cascade) is None


def test_a_convolution_is_no_contraction() -> None:
    cascade = parse(
        "tensor I[c, w]\nO[k, y] = I[c, y+r] * F[k, c, r]",
        sizes={"c": 2, "w": 9, "k": 3, "y": 7, "r": 3},
    )
    assert contraction(cascade.einsums[0], cascade) is None


def test_routed_rows_make_a_grouped_product() -> None:
    cascade = moe(tokens=50, experts=8, top_k=2, hidden=16, intermediate=32, routing="uniform")
    found = contraction(cascade.einsum("H"), cascade)
    assert found is not None
    assert (found.batch, found.m, found.n, found.k) == (1, 100, 64, 16)
    assert found.members == 8
    assert found.routing is not None
    assert found.routing.kind == "uniform"


def test_the_side_with_routed_rows_comes_first() -> None:
    text = "rank t(x) ~ balanced(tokens)\nC[x, t, n] = W[x, n, k] * A[x, t, k]"
    cascade = parse(text, sizes={"x": 4, "n": 3, "k": 5, "tokens": 20})
    found = contraction(cascade.einsums[0], cascade)
    assert found is not None
    assert (found.a, found.b, found.m, found.n) == ("A", "W", 20, 3)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("mask", [{}, {"causal": True}, {"causal": True, "window": 9}])
def test_attention_is_seen_in_each_of_its_forms(form: dict[str, Any], mask: dict[str, Any]) -> None:
    cascade = workload.attention(**SHAPE, tile=16, **form, **mask)
    found = attention(cascade)
    assert found is not None
    assert (found.query, found.key, found.value, found.output) == ("Q", "K", "V", "AV")
    assert (found.batch, found.kv_heads, found.group) == (2, 4, 3)
    assert (found.heads, found.batch_heads) == (12, 24)
    assert (found.queries, found.keys, found.head_dim, found.value_dim) == (32, 100, 16, 8)
    assert (found.causal, found.window) == (bool(mask), mask.get("window"))
    assert found.passes == form.get("passes", 1)


def test_attention_is_recognised_under_other_names() -> None:
    text = """
    SCORE[n, q, k] = LEFT[n, k, d] * RIGHT[n, q, d] | k <= q
    TOP[n, q] = max(k) SCORE[n, q, k] | k <= q
    E[n, q, k] = exp(SCORE[n, q, k] - TOP[n, q]) | k <= q
    SUM[n, q] = E[n, q, k] | k <= q
    P[n, q, k] = E[n, q, k] / SUM[n, q] | k <= q
    OUT[n, q, f] = VALUE[n, k, f] * P[n, q, k] | k <= q
    """
    found = attention(parse(text, sizes={"n": 2, "q": 6, "k": 6, "d": 3, "f": 4}))
    assert found is not None
    assert (found.query, found.key, found.value) == ("RIGHT", "LEFT", "VALUE")
    assert (found.kv_heads, found.queries, found.keys) == (2, 6, 6)
    assert found.causal


def test_masks_that_the_fused_form_lacks_are_not_attention() -> None:
    text = workload.attention(**SHAPE, passes=3, causal=True)
    assert attention(text) is not None
    two_sided = """
    S[q, k] = Q[q, d] * K[k, d] | -4 <= k - q <= 4
    N[q, k] = exp(S[q, k]) | -4 <= k - q <= 4
    D[q] = N[q, k] | -4 <= k - q <= 4
    A[q, k] = N[q, k] / D[q] | -4 <= k - q <= 4
    O[q, f] = A[q, k] * V[k, f] | -4 <= k - q <= 4
    """
    assert attention(parse(two_sided, sizes={"q": 9, "k": 9, "d": 3, "f": 4})) is None


def test_two_layers_are_not_attention() -> None:
    assert attention(mlp(4, 8, 16)) is None
    assert attention(softmax(4, 8)) is None


def test_sizes_of_attention_may_be_arrays() -> None:
    keys = np.array([100.0, 200.0])
    sizes: dict[str, Any] = {**SHAPE, "keys": keys}
    found = attention(workload.attention(**sizes, causal=True))
    assert found is not None
    assert found.causal
    assert np.array_equal(found.keys, keys)


def test_norms_and_maps_are_row_operations() -> None:
    norm = row_operation(layernorm(7, 20))
    assert norm is not None
    assert (norm.rows, norm.cols, norm.passes) == (7, 20, 3)
    assert set(norm.inputs) == {"X", "GAIN", "SHIFT"}
    assert norm.outputs == ("Y",)
    plain = row_operation(add(7, 20))
    assert plain is not None
    assert (plain.rows, plain.cols, plain.passes) == (7, 20, 1)
    assert plain.operations == {("add", "bf16"): 140}
    chosen = row_operation(top_k(5, 64, 2))
    assert chosen is not None
    assert (chosen.rows, chosen.cols) == (10, 64)


def test_products_and_mixed_rows_are_no_row_operation() -> None:
    assert row_operation(mlp(4, 8, 16)) is None
    text = "S[c] = sum(r) X[r, c]\nY[r, c] = X[r, c] - S[c]\nT[r] = sum(c) Y[r, c]"
    assert row_operation(parse(text, sizes={"r": 3, "c": 4})) is None


@pytest.mark.parametrize(
    "text",
    [
        "Z[m, n] = min(k) A[m, k] + B[k, n]",
        "Z[i, l] = A[i, j] * B[j, k] * C[k, l]",
        "tensor I[c, w]\nO[f, y] = I[c, 2*y+r] * F[f, c, r]",
    ],
    ids=["min-plus product", "chain of three", "convolution"],
)
def test_rows_that_share_what_they_read_are_no_row_operation(text: str) -> None:
    """Their inputs are read once per tile, not once: a row kernel would count too few bytes."""
    sizes = dict.fromkeys("mnk" if "[m" in text else "ijkl" if "[i" in text else "cfyr", 8)
    sizes |= {"w": 22} if "w" in text else {}
    assert row_operation(parse(text, sizes=sizes)) is None


def test_dependencies_and_intermediates_follow_the_tensors() -> None:
    cascade = softmax(4, 8)
    assert dependencies(cascade) == {
        "PEAK": (),
        "NUM": ("PEAK",),
        "SUM": ("NUM",),
        "Y": ("NUM", "SUM"),
    }
    assert intermediates(cascade) == ("PEAK", "NUM", "SUM")


@pytest.mark.parametrize("query", ["q", "a", "z"])
@pytest.mark.parametrize("mask", ["k - q <= 4", "q - k >= -4"])
def test_a_mask_may_be_written_from_either_side(mask: str, query: str) -> None:
    """10 queries, 14 keys: query q sees the keys up to q + 4, however that is put and named."""
    text = f"""
    S[q, k] = Q[q, d] * K[k, d] | {mask}
    T[q] = max(k) S[q, k] | {mask}
    N[q, k] = exp(S[q, k] - T[q]) | {mask}
    D[q] = N[q, k] | {mask}
    A[q, k] = N[q, k] / D[q] | {mask}
    O[q, f] = A[q, k] * V[k, f] | {mask}
    """
    text = re.sub(r"\bq\b", query, text)
    found = attention(parse(text, sizes={query: 10, "k": 14, "d": 3, "f": 4}))
    assert found is not None
    assert (found.causal, found.window) == (True, None)


@pytest.mark.parametrize("query", ["q", "a", "z"])
@pytest.mark.parametrize("mask", ["-2 <= k - q <= 4", "-4 <= q - k <= 2"])
def test_a_window_may_be_written_from_either_side(mask: str, query: str) -> None:
    """From 2 keys before query q to 4 beyond it: seven keys."""
    text = f"""
    S[q, k] = Q[q, d] * K[k, d] | {mask}
    T[q] = max(k) S[q, k] | {mask}
    N[q, k] = exp(S[q, k] - T[q]) | {mask}
    D[q] = N[q, k] | {mask}
    A[q, k] = N[q, k] / D[q] | {mask}
    O[q, f] = A[q, k] * V[k, f] | {mask}
    """
    text = re.sub(r"\bq\b", query, text)
    found = attention(parse(text, sizes={query: 10, "k": 14, "d": 3, "f": 4}))
    assert found is not None
    assert (found.causal, found.window) == (True, 7)
