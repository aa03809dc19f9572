"""Experts whose rows DeepEP brings: DeepGEMM's products, and no sorting beside the exchange."""

from typing import Any

import pytest

import hwmodel as hw

MODEL = hw.model("deepseek-v3").but(num_hidden_layers=4)


def parts(on: str = "h100", **how: Any) -> dict[str, Any]:
    asked = {"dp": 16, "ep": 16, **how}
    work = MODEL.decode(2048, 1024, parallel=asked)
    if how.get("dispatch") == "once":
        work = MODEL.prefill(16, 1024, parallel=asked)
    made = hw.predict(work, hw.device(on) * 16, engine="sglang", topology="h800-cx7:nodes=2")
    return {part.name: part for part in made.parts}


def test_what_the_exchange_does_is_not_done_again() -> None:
    """Of low latency: rows lie in their places, and sums come back."""
    plain, brought = parts(), parts(dispatch="low-latency")
    assert {"rows align", "rows place", "experts sum"} <= plain.keys()
    assert not {"rows align", "rows place", "rows together", "experts sum"} & brought.keys()
    assert brought["experts gate-up"].family == "grouped:deep-gemm"
    assert plain["experts gate-up"].family == "grouped:vllm:experts-fp8-block"


def test_rows_that_come_once_are_copied_to_each_expert() -> None:
    """1,024 tokens of 8 experts, a byte for each of 7,168 columns, read and written."""
    found = parts(dispatch="once")
    assert not {"rows align", "rows place"} & found.keys()
    assert "experts sum" in found
    written = found["rows together"].counts.written["dram"]
    assert written == pytest.approx(1024 * 8 * 7168)


def test_other_gpus_and_formats_keep_the_engine_s_own() -> None:
    blackwell = parts("b200", dispatch="low-latency")
    assert blackwell["experts gate-up"].family != "grouped:deep-gemm"
    work = hw.model("mixtral-8x7b").but(num_hidden_layers=2)
    asked = {"dp": 8, "ep": 8, "dispatch": "low-latency"}
    step = work.decode(512, 1024, parallel=asked)
    made = hw.predict(step, hw.device("h100") * 8, engine="vllm", topology="h800-cx7:nodes=1")
    named = {part.name: part.family for part in made.parts}
    assert named["experts gate-up"] != "grouped:deep-gemm"
