"""Calls of ATen as kernels: operations counted by hand, bytes by footprint, refusals."""

from typing import Any

import pytest

from hwmodel.einsum.counts import flops, footprint_bytes, operation_counts
from hwmodel.einsum.importers.aten import RULES, kernels
from hwmodel.einsum.importers.calls import Call
from hwmodel.einsum.importers.strided import View
from hwmodel.quantity.errors import CoverageError


def dense(*shape: int, dtype: str = "bf16", role: str = "activation") -> View:
    strides = [1]
    for size in reversed(shape[1:]):
        strides.insert(0, strides[0] * size)
    return View(shape, tuple(strides[: len(shape)]), dtype, role)


def swapped(view: View, one: int, other: int) -> View:
    shape, strides = list(view.shape), list(view.strides)
    for each in (shape, strides):
        each[one], each[other] = each[other], each[one]
    return View(tuple(shape), tuple(strides), view.dtype, view.role)


def call(op: str, out: View, **given: Any) -> Call:
    return Call(f"aten.{op}", {n.rstrip("_"): v for n, v in given.items()}, (out,), op)


X, W = dense(2, 8, 64), dense(96, 64, role="weight")
IMAGE = dense(2, 16, 12, 10)
HEADS = dense(2, 4, 8, 16)

COUNTED = [
    # 2 M N K of all rows together, with a bias one more for each result.
    (call("linear", dense(2, 8, 96), input=X, weight=W), 2 * 16 * 96 * 64),
    (
        call("linear", dense(2, 8, 96), input=X, weight=W, bias=dense(96)),
        2 * 16 * 96 * 64 + 16 * 96,
    ),
    (call("mm", dense(16, 96), self=dense(16, 64), mat2=dense(64, 96)), 2 * 16 * 96 * 64),
    (
        call("matmul", dense(2, 4, 8, 8), self=HEADS, other=swapped(HEADS, 2, 3)),
        2 * 2 * 4 * 8 * 8 * 16,
    ),
    # 12 x 10 with 1 of padding and steps of 2: 6 x 5 places, 3 x 3 windows of 16 channels.
    (
        call(
            *("conv2d", dense(2, 32, 6, 5)),
            **{"input": IMAGE, "weight": dense(32, 16, 3, 3), "stride": [2, 2], "padding": [1, 1]},
        ),
        2 * 2 * 32 * 6 * 5 * 9 * 16,
    ),
    (
        call(
            *("convolution", dense(2, 16, 12, 10)),
            **{"input": IMAGE, "weight": dense(16, 1, 3, 3), "padding": [1, 1], "groups": 16},
        ),
        2 * 2 * 16 * 12 * 10 * 9,
    ),
    (
        call(
            *("conv1d", dense(2, 32, 50)),
            **{"input": dense(2, 8, 100), "weight": dense(32, 8, 4), "stride": [2]},
            **{"padding": [1]},
        ),
        2 * 2 * 32 * 50 * 4 * 8,
    ),
    (  # 3 windows of 4 x 5 x 6 places at steps of 1, 2 x 2 x 2 taps of 3 channels
        call(
            *("conv3d", dense(1, 7, 3, 4, 5)),
            **{"input": dense(1, 3, 4, 5, 6), "weight": dense(7, 3, 2, 2, 2)},
        ),
        2 * 7 * 3 * 4 * 5 * 8 * 3,
    ),
    (  # each of 12 x 10 places of 16 channels reaches 4 x 4 of 8 filters
        call(
            *("conv_transpose2d", dense(2, 8, 24, 20)),
            **{"input": IMAGE, "weight": dense(16, 8, 4, 4), "stride": [2, 2], "padding": [1, 1]},
        ),
        2 * 2 * 16 * 12 * 10 * 8 * 4 * 4,
    ),
    (  # 2 x 2 apart: no place is reached twice
        call(
            *("conv_transpose2d", dense(2, 8, 24, 20)),
            **{"input": IMAGE, "weight": dense(16, 8, 2, 2), "stride": 2},
        ),
        2 * 2 * 16 * 12 * 10 * 8 * 4,
    ),
    (call("avg_pool3d", dense(2, 3, 2, 2, 2), self=dense(2, 3, 4, 4, 4), kernel_size=2), 48 * 8),
    (call("hardtanh_", X, self=X, min_val=0, max_val=6), 2 * 16 * 64),
    (call("einsum", dense(8, 8), equation="bij,bkj->ik", tensors=[X, X]), 2 * 2 * 8 * 8 * 64),
    (  # two products of 4 gates, of 5 steps of 2 sequences; 15 operations of 32 units, 3 a sigmoid
        call(
            *("lstm", dense(5, 2, 32)),
            **{"input": dense(5, 2, 64), "has_biases": False, "batch_first": False},
            params=[dense(128, 64, role="weight"), dense(128, 32, role="weight")],
        ),
        2 * 10 * 128 * (64 + 32) + 5 * 2 * 32 * 15,
    ),
    (call("add", X, self=X, other=X), 16 * 64),
    (call("mul", X, self=X, other=0.5), 16 * 64),
    (call("where", X, condition=X, self=X, other=0), 16 * 64),
    (call("pow", X, self=X, exponent=3), 2 * 16 * 64),
    (call("sum", dense(2, 64), self=X, dim=[1]), 2 * 64 * 8),
    (call("max_pool2d", dense(2, 16, 6, 5), self=IMAGE, kernel_size=[2, 2]), 2 * 16 * 30 * 4),
]


@pytest.mark.parametrize(("asked", "operations"), COUNTED, ids=lambda v: getattr(v, "op", ""))
def test_operations_are_those_that_are_counted_by_hand(asked: Call, operations: int) -> None:
    assert sum(flops(each) for each in kernels(asked)) == operations


def test_attention_multiplies_the_pairs_that_are_not_masked() -> None:
    def scores(**given: Any) -> Any:
        asked = call(
            *("scaled_dot_product_attention", HEADS),
            **{"query": HEADS, "key": dense(2, 2, 8, 16), "value": dense(2, 2, 8, 16), **given},
        )
        (made,) = kernels(asked)
        return sum(operation_counts(made.einsums[0], made).values())

    assert scores() == 2 * 2 * 4 * 64 * 16
    assert scores(is_causal=True) == 2 * 2 * 4 * (8 * 9 // 2) * 16


def test_views_are_no_kernels_and_copies_are_where_elements_have_to_move() -> None:
    turned = swapped(HEADS, 1, 2)
    assert kernels(call("transpose", turned, self=HEADS)) == ()
    assert kernels(call("reshape", dense(2, 32, 16), self=HEADS)) == ()
    assert kernels(call("contiguous", HEADS, self=HEADS)) == ()
    assert kernels(call("to", HEADS, self=HEADS)) == ()
    (moved,) = kernels(call("reshape", dense(2, 8, 64), self=turned))
    assert footprint_bytes("X", moved) == footprint_bytes("Y", moved) == 1024 * 2
    (cast,) = kernels(call("to", dense(2, 4, 8, 16, dtype="fp32"), self=HEADS))
    assert (footprint_bytes("X", cast), footprint_bytes("Y", cast)) == (2048, 4096)


def test_a_gather_reads_the_rows_that_it_takes() -> None:
    table = dense(1000, 64, role="weight")
    asked = call("embedding", dense(2, 8, 64), weight=table, indices=dense(2, 8, dtype="int64"))
    (made,) = kernels(asked)
    assert footprint_bytes("Y", made) == 16 * 64 * 2
    by_truth = call("index", dense(5, 64), self=table, indices=[dense(1000, dtype="bool")])
    with pytest.raises(CoverageError, match="truth values, of which data says"):
        kernels(by_truth)


def test_the_largest_are_sought_along_the_dimension_that_is_asked() -> None:
    for given, rows, columns in (({"dim": 0}, 4000, 300), ({"dim": 1}, 300, 4000), ({}, 300, 4000)):
        (kernel,) = kernels(call("topk", dense(5, 1), self=dense(300, 4000), k=5, **given))
        assert kernel.sizes() == {"r": rows, "c": columns, "k": 5}


def test_what_has_no_rule_is_refused_by_name() -> None:
    with pytest.raises(CoverageError, match=r"aten\.svd is not modelled"):
        kernels(call("svd", X, self=X))
    four = call("convolution", X, input=dense(1, 2, 3, 4, 5, 6), weight=dense(2, 2, 1, 1, 1, 1))
    with pytest.raises(CoverageError, match="of 4 dimensions; those of 1 to 3"):
        kernels(four)
    three = call("einsum", X, equation="ab,bc,cd->ad", tensors=[X, X, X])
    with pytest.raises(CoverageError, match="einsum 'ab,bc,cd->ad': of one or two tensors"):
        kernels(three)


def test_a_transposed_convolution_computes_as_many_products_as_its_window_reaches() -> None:
    """Near the border a few more or less; steps that do not divide a window fill it with zeros."""
    for window, step, zeros in ((4, 2, 1), (6, 3, 2), (3, 1, 1), (2, 2, 0)):
        out = (60 - 1) * step - 2 * zeros + window
        turned = call(
            *("conv_transpose2d", dense(1, 4, out, out)),
            **{"input": dense(1, 6, 60, 60), "weight": dense(6, 4, window, window)},
            **{"stride": [step, step], "padding": [zeros, zeros]},
        )
        reached = 2 * 6 * 4 * 60 * 60 * window**2
        assert sum(flops(each) for each in kernels(turned)) == pytest.approx(reached, rel=0.05)


def test_rules_are_of_operators_without_overloads() -> None:
    assert all(name.startswith("aten.") and name.count(".") == 1 for name in RULES)
