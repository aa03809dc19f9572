"""Calls of torch as workloads: sizes by hand, and no guess where arguments do not say them."""

from typing import Any

import pytest

from hwmodel.einsum.workloads.catalogue import workload
from hwmodel.validation.readers.calls import RULES, Call, call_of
from hwmodel.validation.readers.profiles import Op

HALF, WORD = "c10::BFloat16", "float"


def op(name: str, *dims: Any, types: Any = None, values: Any = ()) -> Op:
    return Op(f"aten::{name}", dims, tuple(types or [HALF] * len(dims)), tuple(values))


CONV = ("[1, 1]", "[2, 2]", "[1, 1]")


@pytest.mark.parametrize(
    ("asked", "kernel", "expected"),
    [
        (op("mm", [5, 7], [7, 9]), "", "gemm M=5 N=9 K=7 dtype=bf16"),
        (op("addmm", [9], [5, 7], [7, 9]), "", "gemm M=5 N=9 K=7 dtype=bf16"),
        (op("bmm", [3, 5, 7], [3, 7, 9]), "", "gemm M=5 N=9 K=7 batch=3 dtype=bf16"),
        (op("linear", [2, 5, 7], [9, 7], [9]), "", "gemm M=10 N=9 K=7 dtype=bf16"),
        (
            op("mm", [5, 7], [7, 9], types=[WORD, WORD]),
            "ampere_sgemm_tf32_128",
            "gemm M=5 N=9 K=7 dtype=tf32",
        ),
        (op("mm", [5, 7], [7, 9], types=[WORD, WORD]), "sgemm", "gemm M=5 N=9 K=7 dtype=fp32"),
        (
            op("_softmax", [2, 3, 11]), "", "softmax rows=6 cols=11 dtype=bf16",
        ),
        (op("add", [4, 6], [4, 6], []), "", "add rows=4 cols=6 dtype=bf16"),
        (
            op("_scaled_dot_product_flash_attention", [1, 8, 64, 16], [1, 2, 96, 16],
               values=("", "", "", "0.0", "True")),
            "",
            "attention batch=1 heads=8 kv_heads=2 queries=64 keys=96 head_dim=16 causal=True"
            " dtype=bf16",
        ),
        (
            op("_flash_attention_forward", [1, 64, 8, 16], [1, 96, 2, 16], [1, 96, 2, 16]),
            "",
            "attention batch=1 heads=8 kv_heads=2 queries=64 keys=96 head_dim=16 causal=False"
            " dtype=bf16",
        ),
        (
            op("cudnn_convolution", [2, 3, 32, 24], [16, 3, 5, 3],
               values=("", "", CONV[0], CONV[1], CONV[2], "1")),
            "",
            "conv2d batch=2 channels=3 filters=16 height=32 width=24 window=5 window_width=3"
            " stride=2 padding=1 dilation=1 groups=1 dtype=bf16",
        ),
    ],
)  # fmt: skip
def test_sizes_are_those_of_the_arguments(asked: Op, kernel: str, expected: str) -> None:
    found = call_of((asked,), kernel)
    assert isinstance(found, Call)
    assert found.said == expected
    assert workload(found.workload, **dict(found.fields))


def test_the_innermost_call_that_is_known_counts() -> None:
    outer = op("linear", [2, 5, 7], [9, 7])
    inner = op("mm", [10, 7], [7, 9])
    for ops in ((inner, outer), (op("view", [10, 7]), inner, outer)):
        found = call_of(ops, "")
        assert found is not None
        assert found.said == "gemm M=10 N=9 K=7 dtype=bf16"


@pytest.mark.parametrize(
    "asked",
    [
        op("mm"),
        op("mm", [5, 7], [7, 9], types=["Strange", "Strange"]),
        op("mm", [0, 7], [7, 9]),
        op("_flash_attention_forward", [640, 8, 16], [640, 8, 16]),
        op("cudnn_convolution", [2, 3, 32, 24], [16, 3, 5, 3]),
        op("nothing_that_is_known", [4, 6]),
    ],
)
def test_what_does_not_say_its_sizes_is_no_workload(asked: Op) -> None:
    assert call_of((asked,), "") is None


def test_libraries_that_calls_name_are_shipped() -> None:
    from hwmodel.machines.gpu.libraries.shipped import SHIPPED

    asked = op("_scaled_dot_product_cudnn_attention", [1, 2, 8, 16], [1, 2, 8, 16], [1, 2, 8, 16])
    found = call_of((asked,), "")
    assert found is not None
    assert found.kernel in SHIPPED
    assert len(RULES) > 20
