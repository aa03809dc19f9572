"""Which of an engine's experts run on which generation of GPUs, and in which format."""

import pytest

import hwmodel as hw


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


def test_weights_of_experts_stream_no_faster_than_the_dram() -> None:
    """256 experts of three matrices of 3072 x 1024 in bf16, 64 of them touched: 1.2 GB."""
    made = hw.workloads.moe(8, 256, 8, 3072, 1024, routing="balanced")
    for on in ("l40s", "h100", "b200"):
        found = hw.predict(made, on=on, kernel="vllm")
        read = 64 * 3 * 3072 * 1024 * 2
        assert found.dram_bytes_read >= read
        assert found.time_s > read / hw.device(on).memory("dram").bandwidth_bytes_per_s
