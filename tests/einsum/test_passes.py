"""Passes: the unit tests of FuseMax (section III) and its taxonomy of attention (table I)."""

from typing import Any

import pytest

from hwmodel.einsum.notation import parse
from hwmodel.einsum.passes import live_footprint, passes
from hwmodel.einsum.workloads.attention import attention
from hwmodel.einsum.workloads.rows import layernorm, softmax
from hwmodel.quantity.errors import UnknownNameError

SHAPE: dict[str, Any] = {
    "batch": 1,
    "heads": 2,
    "queries": 4,
    "keys": 64,
    "head_dim": 8,
    "tile": 16,
}


def test_reading_a_tensor_again_after_its_sum_takes_two_passes() -> None:
    found = passes(parse("Y = A[k] * B[k]\nZ = Y * A[k]", sizes={"k": 8}))
    assert found["k", "A"] == 2
    assert found["k", "B"] == 1


def test_two_sums_side_by_side_take_one_pass() -> None:
    found = passes(parse("Y = A[k] * B[k]\nX = sum(k) A[k]\nZ = Y * X", sizes={"k": 8}))
    assert found["k", "A"] == 1


def test_running_sums_take_one_pass_with_more_compute() -> None:
    text = """
    RY[i+1] = RY[i] + A[i] * B[i] ; RY[0] = 0
    RZ[i+1] = RZ[i] * RY[i+1] / RY[i] + RY[i+1] * A[i] ; RZ[0] = 0
    Z = RZ[I]
    """
    found = passes(parse(text, sizes={"i": 8}))
    assert found["i", "A"] == found["i", "B"] == 1


def test_using_the_final_value_of_a_running_tensor_takes_another_pass() -> None:
    text = "R[i+1] = max(R[i], A[i]) ; R[0] = -inf\nZ[i] = A[i] - R[I]"
    assert passes(parse(text, sizes={"i": 8}))["i", "A"] == 2


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ({"passes": 3}, 3),
        ({"passes": 2}, 2),
        ({"passes": 1}, 1),
        ({"passes": 1, "splits": 2}, 1),
        ({"passes": 2, "stable": False}, 2),
        ({"passes": 1, "stable": False}, 1),
    ],
)
def test_attention_traverses_the_keys_as_often_as_its_class_says(
    form: dict[str, Any], expected: int
) -> None:
    found = passes(attention(**SHAPE, **form))
    assert found["m", "K"] == found["m", "QK"] == expected
    assert found["m", "V"] == 1


def test_softmax_is_three_passes_and_layernorm_too() -> None:
    assert passes(softmax(4, 8))["c", "X"] == 3
    assert passes(layernorm(4, 8))["c", "X"] == 3


def test_two_passes_keep_the_whole_fiber_live() -> None:
    live = live_footprint(attention(**SHAPE, passes=2), "m")
    assert live.elements == 64
    assert "QK" in live.tensors
    assert "2 passes over m" in live.reason


def test_one_pass_keeps_nothing_of_the_fiber() -> None:
    live = live_footprint(attention(**SHAPE), "m")
    assert (live.elements, live.tensors) == (1, ())


def test_an_unknown_rank_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="'q'"):
        live_footprint(softmax(4, 8), "q")
