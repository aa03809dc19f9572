"""Which of an engine's experts run on which generation of GPUs, and in which format."""

import pytest

import hwmodel as hw
from hwmodel.quantity.errors import CoverageError


@pytest.mark.parametrize(
    ("on", "dtype", "named"),
    [
        ("l40s", "bf16", "grouped:vllm:experts"),
        ("l40s", "fp8", "grouped:vllm:experts"),
        ("h100", "bf16", "grouped:vllm:experts"),
        ("h100", "fp8", "grouped:vllm:scaled-experts"),
        ("b200", "fp8", "grouped:vllm:experts"),
        ("rtx-pro-6000", "fp8", "grouped:vllm:scaled-experts"),
        ("h200", "fp8", "grouped:vllm"),  # measured there, under that name
    ],
)
def test_vllm_runs_what_its_rows_name(on: str, dtype: str, named: str) -> None:
    made = hw.workloads.moe(64, 16, 2, 1024, 512, dtype=dtype)
    families = {part.family for part in hw.predict(made, on=on, kernel="vllm").parts}
    assert named in families


@pytest.mark.parametrize(
    ("on", "dtype", "weight_dtype", "named"),
    [
        ("a100", "bf16", "int4@32:16", "grouped:vllm:experts-marlin"),
        ("h200", "bf16", "int4@32:16", "grouped:vllm:experts-marlin"),
        ("h200", "bf16", "mxfp4", "grouped:matmul-ogs"),
        ("l40s", "bf16", "mxfp4", "grouped:vllm:experts-marlin"),
        ("b200", "bf16", "mxfp4", "grouped:vllm:experts-mxfp4"),
        ("b200", "fp8", "mxfp4", "grouped:vllm:experts-fp8-mxfp4"),
        ("b200", "nvfp4", None, "grouped:vllm:experts-nvfp4"),
        ("rtx-pro-6000", "nvfp4", None, "grouped:vllm:experts-cutlass"),
        ("h100", "fp8", "fp8@16384:32", "grouped:vllm:experts-fp8-block"),
        ("mi300x", "bf16", "int4@32:16", "grouped:weight-only"),
    ],
)
def test_vllm_has_experts_of_every_format(
    on: str, dtype: str, weight_dtype: str | None, named: str
) -> None:
    made = hw.workloads.moe(64, 16, 2, 1024, 512, dtype=dtype, weight_dtype=weight_dtype)
    families = {part.family for part in hw.predict(made, on=on, kernel="vllm").parts}
    assert named in families


def test_formats_without_a_kernel_are_refused_by_name() -> None:
    for on in ("h200", "a100"):
        with pytest.raises(CoverageError, match=r"nvfp4 .*; it has on blackwell"):
            hw.predict(hw.workloads.moe(8, 16, 2, 1024, 512, dtype="nvfp4"), on=on, kernel="vllm")


def test_narrow_weights_are_read_as_they_are_stored() -> None:
    """Of few tokens the weights are all: int4 with a scale for 32 is 4.5 bits, bf16 16."""
    narrow, wide = (
        hw.predict(
            hw.workloads.moe(8, 64, 8, 4096, 2048, weight_dtype=form), on="h100", kernel="vllm"
        )
        for form in ("int4@32:16", "bf16")
    )
    share = float(narrow.dram_bytes_read) / float(wide.dram_bytes_read)
    assert share == pytest.approx(4.5 / 16, rel=0.01)


def test_weights_of_experts_stream_no_faster_than_the_dram() -> None:
    """256 experts of three matrices of 3072 x 1024 in bf16, 64 of them touched: 1.2 GB."""
    made = hw.workloads.moe(8, 256, 8, 3072, 1024, routing="balanced")
    for on in ("l40s", "h100", "b200"):
        found = hw.predict(made, on=on, kernel="vllm")
        read = 64 * 3 * 3072 * 1024 * 2
        assert found.dram_bytes_read >= read
        assert found.time_s > read / hw.device(on).memory("dram").bandwidth_bytes_per_s
