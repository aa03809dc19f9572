"""Formats that nobody said, and what an answer tells of them."""

import pytest

import hwmodel as hw


@pytest.mark.parametrize(
    ("on", "expected"), [("h200", "bf16"), ("v100", "fp16"), ("stm32f746", "int8")]
)
def test_network_without_a_format_computes_in_the_machines(on: str, expected: str) -> None:
    work = hw.workloads.cnn("mobilenetv2", resolution=64, width=0.35)
    found = hw.predict(work, on)
    assert f"formats: {expected}" in found.assumptions
    said = hw.predict(work.but(dtype=expected), on)
    assert said.time_s == found.time_s
    assert any("width" not in line for line in said.assumptions if line.startswith("defaults"))


def test_formats_are_told_by_what_the_numbers_are() -> None:
    step = hw.model("llama-3.2-1b", kv_dtype="fp8").decode(batch=2, context=64)
    told = hw.predict(step, "h200", engine="vllm").assumptions
    assert "formats: weights bf16, activations bf16, cache fp8" in told
    assert not any(line.startswith("defaults") for line in told)


def test_defaults_are_told_unless_said_otherwise() -> None:
    plain = hw.workloads.attention(batch=1, heads=8, queries=64, keys=64, head_dim=64)
    told = [n for n in hw.predict(plain, "h200").assumptions if n.startswith("defaults: ")]
    assert "causal=False" in told[0]
    masked = hw.predict(plain.but(causal=True), "h200").assumptions
    assert not any("causal" in line for line in masked)
