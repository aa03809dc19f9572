"""The field `scales` of a request: what it stands for, and what contradicts it."""

from typing import Any

import pytest

from hwmodel.quantity.errors import InputError
from hwmodel.verbs.request import answerer, read
from hwmodel.verbs.scales import unfolded

GEMM = {"workload": "gemm", "M": 16, "N": 55296, "K": 5120, "dtype": "fp8", "on": "h200"}
MOE = {
    **{"workload": "moe", "tokens": 64, "experts": 8, "top_k": 2, "hidden": 4096},
    **{"intermediate": 14336, "dtype": "fp8", "on": "h200"},
}


def time_s(given: dict[str, Any]) -> float:
    request = read(given)
    return float(answerer(request.form)(request.sizes).time_s)


def test_a_scale_for_each_row_is_a_kernel_of_its_own() -> None:
    """112 us measured (board d025b8a8), more than with one scale for each operand."""
    by_row = time_s({**GEMM, "scales": "row"})
    assert by_row == time_s({**GEMM, "kernel": "cublas-row-scales"})
    assert by_row == pytest.approx(111.6e-6, rel=0.12)
    assert time_s({**GEMM, "scales": "tensor"}) == time_s(GEMM) < by_row


def test_fast_sums_keep_being_fast() -> None:
    kernel = unfolded("gemm", {**GEMM, "scales": "row", "kernel": "cublas-fast-accum"})["kernel"]
    assert kernel == "cublas-row-scales-fast-accum"


def test_experts_have_a_scale_for_each_row_as_it_is() -> None:
    """Torch has no other kernel for them; 474.7 us measured."""
    assert time_s({**MOE, "scales": "row"}) == time_s(MOE) == pytest.approx(474.7e-6, rel=0.1)


def test_blocks_are_a_format_of_the_weights() -> None:
    assert unfolded("gemm", {**GEMM, "scales": "block"})["weight_dtype"] == "fp8@16384:32"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"scales": "column"}, "scales"),
        ({"scales": 3}, "scales"),
        ({"scales": "row", "dtype": "bf16"}, "expected dtype 'fp8', found"),
        ({"scales": "block", "weight_dtype": "int4"}, "means weight_dtype"),
        ({"scales": "row", "kernel": "triton"}, "expected a kernel of cublas, .*torch"),
    ],
)
def test_contradictions_are_named(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        read({**GEMM, **changes})


def test_workloads_without_products_take_no_scales() -> None:
    with pytest.raises(InputError, match="scales"):
        read({"workload": "softmax", "rows": 4, "cols": 4, "on": "h200", "scales": "row"})
