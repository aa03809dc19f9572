"""Profiles that nobody here wrote: torch's own traces and Nsight Compute's CSV of small networks.

`files/` holds what the tools wrote on 2026-11-29 on an NVIDIA H200 (driver 580.159.04; Python
3.12.3, torch 2.11.0+cu130, Triton 3.6.0, ncu 2025.3.1), of a block of a decoder (4 x 1024 tokens of
2048), of a small convolutional network with a transposed convolution (32 images of 224 x 224), both
eager, and of the block as `torch.compile` makes it; the CSVs of ncu are cut to their first kernels.
Results of vLLM 0.22.1's benchmarks (Qwen3-0.6B with random weights, the same board and day) are
whole but for what was generated.
"""

from pathlib import Path
from typing import Any

import pytest

import hwmodel as hw
from hwmodel.einsum.counts import flops
from hwmodel.validation.readers.operators import Operator, operator_of
from hwmodel.validation.readers.profiles import Op, profile_of

FILES = Path(__file__).parent / "files"


def asked(name: str, *shapes: list[int], values: tuple[str, ...] = ()) -> Operator:
    rest = len(values)
    dims, kinds = (*shapes, *([] for _ in range(rest))), ("c10::Half",) * len(shapes)
    told = ("",) * len(shapes) + values
    found = operator_of(Op(f"aten::{name}", dims, kinds + ("Scalar",) * rest, told))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("name", "predicted", "within"),
    [("torch_block", 0.99, 0.8), ("torch_cnn", 0.99, 0.3), ("torch_compiled", 0.8, 0.8)],
)
def test_most_of_a_real_trace_is_predicted(name: str, predicted: float, within: float) -> None:
    """What fused kernels of Inductor compute no trace says: they are told by their names."""
    found: Any = hw.profile(FILES / f"{name}.json.gz", on="h200")
    assert found.measured_on == "NVIDIA H200"
    assert found.warnings == ()
    assert found.share("predicted") > predicted
    assert found.share("within") > within
    assert all(line.of_bound > 1 for line in found.lines if line.bound_s)


@pytest.mark.parametrize("page", ["ncu_raw", "ncu_details"])
def test_both_pages_of_nsight_compute_are_read(page: str) -> None:
    found = profile_of(FILES / f"{page}.csv.gz")
    assert len(found.kernels) == 3
    assert found.kernels[0].seconds == pytest.approx(14e-6, rel=0.05)
    assert "vectorized_layer_norm_kernel" in found.kernels[0].name
    if page == "ncu_raw":
        assert found.device == "NVIDIA H200"
        assert found.kernels[0].dram_bytes == pytest.approx(2 * 4096 * 2048 * 2, rel=0.6)


def test_an_operator_without_a_workload_is_its_kernels() -> None:
    pool = asked("max_pool2d_with_indices", [2, 8, 16, 16], values=("[2, 2]", "[2, 2]", "[0, 0]"))
    assert pool.said == "max_pool2d_with_indices 2x8x16x16 dtype=fp16"
    assert sum(flops(stage.cascade) for stage in pool.work.stages) == 2 * 8 * 64 * 4
    sides = ("[0, 0]", "[0, 0]", "[2, 2]", "[1, 1]", "1")
    turned = asked("cudnn_convolution_transpose", [1, 6, 5, 5], [6, 4, 2, 2], values=sides)
    assert sum(flops(s.cascade) for s in turned.work.stages) == 2 * 6 * 25 * 4 * 4
    bias = asked("add_", [2, 8, 4, 4], [1, 8, 1, 1], values=("1",))
    (stage,) = bias.work.stages
    assert stage.cascade.tensors["Z"].ranks == ("b",)


def test_what_says_no_sizes_or_moves_nothing_is_no_operator() -> None:
    assert operator_of(Op("aten::relu", ([],), ("Scalar",), ("1",))) is None
    assert operator_of(Op("aten::view", ([2, 3],), ("float",))) is None
    assert operator_of(Op("mine::relu", ([2, 3],), ("float",))) is None
