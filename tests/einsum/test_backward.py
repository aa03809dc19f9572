"""Gradients of cascades, counted by hand."""

from typing import Any

import pytest

import hwmodel as hw
from hwmodel.einsum.attention_shape import attention_gradient
from hwmodel.einsum.backward import backward
from hwmodel.einsum.counts import flops
from hwmodel.einsum.structure import contraction
from hwmodel.einsum.workloads.attention import attention
from hwmodel.einsum.workloads.gemm import gemm
from hwmodel.einsum.workloads.moe import grouped_gemm
from hwmodel.einsum.workloads.rows import add, copy, gelu, rmsnorm, silu


def test_a_product_becomes_two_of_as_many_flops_and_keeps_its_rows() -> None:
    """C[512, 96] = A[512, 64] W[96, 64]: dA is [512, 64] over 96, dW is [96, 64] over 512."""
    found = backward(gemm(512, 96, 64))
    (inputs,), (weights,) = found.inputs, found.weights
    shapes = [contraction(made.einsums[0], made) for made in (inputs, weights)]
    assert [(s.m, s.n, s.k) for s in shapes if s] == [(512, 64, 96), (96, 64, 512)]
    assert flops(inputs) == flops(weights) == 2 * 512 * 96 * 64
    assert found.kept == {"A": 512 * 64 * 2}
    assert weights.tensors["C"].dtype == "fp32"


def test_grouped_products_too() -> None:
    found = backward(grouped_gemm(tokens=128, experts=8, top_k=2, N=96, K=64))
    (inputs,), (weights,) = found.inputs, found.weights
    assert flops(inputs) == flops(weights) == 2 * 256 * 96 * 64
    assert found.kept_bytes == 256 * 64 * 2


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("kv_heads", [8, 2])
def test_attention_becomes_one_kernel_of_five_products(causal: bool, kv_heads: int) -> None:
    sizes: dict[str, Any] = {"batch": 3, "heads": 8, "kv_heads": kv_heads}
    sizes |= {"queries": 64, "keys": 64}
    forward = attention(**sizes, head_dim=32, causal=causal)
    found = backward(forward)
    (made,), pairs = found.inputs, 64 * 65 / 2 if causal else 64 * 64
    products = [each for each in made.einsums if contraction(each, made)]
    assert len(products) == 5
    assert found.kept_bytes == 3 * 64 * (8 + 2 * kv_heads) * 32 * 2 + 3 * 8 * 64 * 4
    shape = attention_gradient(made)
    assert shape is not None
    assert (shape.batch, shape.kv_heads, shape.group) == (3, kv_heads, 8 // kv_heads)
    assert (shape.queries, shape.keys, shape.head_dim, shape.causal) == (64, 64, 32, causal)
    assert flops(made) > 5 * 2 * 3 * 8 * pairs * 32
    assert attention_gradient(forward) is None


def test_a_window_masks_the_gradients_as_it_masked_the_scores() -> None:
    """16 keys of the last 64: 1 + ... + 16 pairs, then 48 queries of 16 each."""
    sizes: dict[str, Any] = {"batch": 1, "heads": 1, "queries": 64, "keys": 64, "head_dim": 32}
    (made,) = backward(attention(**sizes, causal=True, window=16)).inputs
    (whole,) = backward(attention(**sizes, causal=True)).inputs
    shape = attention_gradient(made)
    assert shape is not None
    assert shape.window == 16
    pairs = 16 * 17 / 2 + 48 * 16
    assert flops(whole) - flops(made) == pytest.approx(
        (64 * 65 / 2 - pairs) * (10 * 32 + 4), rel=0.02
    )


def test_a_recurrence_runs_twice_more_and_keeps_what_it_read() -> None:
    (layer,) = (
        stage.cascade
        for stage in hw.model("nemotron-3-nano-30b-a3b").prefill(1, 64).stages
        if stage.name == "linear recurrence"
    )
    found = backward(layer)
    assert [flops(each) for each in found.inputs] == [flops(layer)] * 2
    assert set(found.kept or {}) == set(layer.inputs)
    assert not found.weights


def test_row_operations_keep_what_they_read_unless_they_are_linear() -> None:
    for made in (rmsnorm(16, 32), gelu(16, 32), silu(16, 32)):
        found = backward(made)
        assert found.kept_bytes == 16 * 32 * 2
        assert len(found.inputs) == 1
    for made in (add(16, 32), copy(16, 32)):
        assert not backward(made).kept
        assert len(backward(made).inputs) == 1
