"""A measured run beside its prediction: what each call took, should take, and takes at least."""

import json
import re
from pathlib import Path
from typing import Any

import polars
import pytest

import hwmodel as hw
from tests.validation.readers.test_profiles import NCU, TRACE, written

GEMM = hw.workloads.gemm(M=32, N=32, K=64)


@pytest.fixture
def trace(tmp_path: Path) -> str:
    return str(written(tmp_path, json.dumps(TRACE), "trace.json"))


def test_launches_of_one_call_are_one_run_beside_its_prediction(trace: str) -> None:
    """7.5 us and 2.5 us of one product."""
    found: Any = hw.profile(trace, on="h200")
    line, lonely = found.lines
    expected = hw.predict(GEMM, "h200")
    assert line.call == "gemm M=32 N=32 K=64 dtype=bf16"
    assert line.kernels == "gemm, splitKreduce"
    assert (line.runs, line.measured_s) == (1, pytest.approx(10e-6))
    assert line.predicted_s == expected.time_s
    assert (line.predicted_low_s, line.predicted_high_s) == (
        expected.time_low_s,
        expected.time_high_s,
    )
    assert line.of_bound == pytest.approx(10e-6 / expected.bound_s)
    assert line.within is False
    assert (lonely.call, lonely.known, lonely.predicted_s) == ("lonely", False, None)
    assert found.share("known") == pytest.approx(10 / 11)
    assert found.of_predicted == pytest.approx(10e-6 / expected.time_s)
    assert "91% of the time predicted" in str(found)
    assert "measured on NVIDIA H200" in str(found)


@pytest.mark.parametrize(
    ("ran", "on", "told"),
    [
        ("NVIDIA H200", "h200", ""),
        ("NVIDIA A100-SXM4-40GB", "a100-40gb", ""),
        ("NVIDIA H200", "a100", "measured on NVIDIA H200, predicted for NVIDIA A100.*--on h200"),
        ("NVIDIA H100 PCIe", "h100", "measured on NVIDIA H100 PCIe, .*--on h100-pcie"),
        ("NVIDIA L4", "l40s", "--on l4"),
        ("NVIDIA Quadro K2", "h200", "measured on NVIDIA Quadro K2, .*`hwmodel calibrate`"),
    ],
)
def test_a_run_of_another_gpu_than_is_asked_for_is_a_warning(
    tmp_path: Path, ran: str, on: str, told: str
) -> None:
    text = json.dumps(TRACE).replace("NVIDIA H200", ran)
    found: Any = hw.profile(written(tmp_path, text, "trace.json"), on=on)
    assert len(found.warnings) == (1 if told else 0)
    assert re.search(told, " ".join(found.warnings))
    assert all(warning in str(found) for warning in found.warnings)


def test_a_time_within_the_interval_is_told(tmp_path: Path) -> None:
    near = hw.predict(GEMM, "h200").time_s * 1e6
    text = json.dumps(TRACE).replace('"dur": 2.5', '"dur": 0')
    text = text.replace('"dur": 7.5', f'"dur": {near}')
    found: Any = hw.profile(written(tmp_path, text, "trace.json"), on="h200")
    assert found.lines[0].of_predicted == pytest.approx(1)
    assert found.lines[0].within is True
    assert "100% of it in the interval" in " ".join(str(found).split())


def test_a_run_is_a_data_frame_and_a_record(trace: str) -> None:
    found: Any = hw.profile(trace, on="h200")
    table: polars.DataFrame = polars.DataFrame(found)
    assert table["runs"].to_list() == [1, 1]
    assert table["of_bound"][0] == found.lines[0].of_bound
    told = json.loads(json.dumps(found.record()))
    assert told["lines"][0]["call"] == found.lines[0].call
    assert repr(found).startswith("<Profiled: trace.json beside NVIDIA H200")


def test_a_call_that_nothing_covers_says_why(tmp_path: Path) -> None:
    text = json.dumps(TRACE).replace("c10::BFloat16", "c10::Float8_e4m3fn")
    found: Any = hw.profile(written(tmp_path, text, "trace.json"), on="a100")
    assert found.lines[0].predicted_s is None
    assert "fp8" in found.lines[0].why
    assert "no prediction: " in str(found)


def test_counted_bytes_are_a_limit_without_shapes(tmp_path: Path) -> None:
    """4.5 MB at 4.8 TB/s."""
    found: Any = hw.profile(written(tmp_path, NCU), on="h200")
    by_name = {line.call: line for line in found.lines}
    assert by_name["gemm"].bound_s == pytest.approx(4.5e6 / 4.8e12)
    assert by_name["gemm"].of_bound == pytest.approx(2.5e-6 / (4.5e6 / 4.8e12))


def test_fewer_lines_are_printed_where_fewer_are_asked_for(trace: str) -> None:
    found: Any = hw.profile(trace, on="h200", top=1)
    assert "lonely" not in str(found)
    assert "1 lines more" in str(found)
    with pytest.raises(hw.InputError, match="top: expected 1 or more, found 0"):
        hw.profile(trace, on="h200", top=0)


def test_a_trace_without_shapes_says_what_to_record(tmp_path: Path) -> None:
    kernel: dict[str, Any] = {"ph": "X", "cat": "kernel", "name": "mine", "ts": 0, "dur": 5.0}
    kernel["args"] = {}
    (tmp_path / "bare.json").write_text(json.dumps({"traceEvents": [kernel]}))
    assert "record_shapes=True" in str(hw.profile(tmp_path / "bare.json", on="h200"))
