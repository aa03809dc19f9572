"""The fit of an engine: its samples at the values that are shipped."""

import numpy as np
import pytest

import hwmodel as hw
from hwmodel.validation import engine_fit
from hwmodel.validation.engine_rows import fits, read_busy

H200 = hw.device("h200")
BUSY = [each for each in read_busy("h200") if fits(each.step)]


@pytest.mark.parametrize(("schedule", "error"), [("decode", 0.06), ("gemm", 0.03)])
def test_classes_of_kernels_are_near_the_time_that_the_gpu_was_busy(
    schedule: str, error: float
) -> None:
    calibration = H200.calibration
    assert calibration is not None
    family = "gemm:vllm:cutlass" if schedule == "gemm" else f"{schedule}:vllm"
    every = [
        launched[name]
        for each in BUSY[:14]
        for launched in [engine_fit.launched(each, H200)]
        for name in engine_fit.CLASSES[schedule]
        if name in launched
    ]
    sample = engine_fit.kernel_sample(family, every, H200, calibration)
    ratios = sample.predict(calibration.values(family)) / sample.measured_s
    assert np.abs(ratios - 1).mean() < error


def test_shipped_families_are_measured() -> None:
    calibration = H200.calibration
    assert calibration is not None
    names = [f"{schedule}:vllm" for schedule in ("decode", "prefill", "grouped", "rows", "host")]
    names.append("gemm:vllm:cutlass")
    assert {calibration.families[name].origin for name in names} == {"measured"}
    assert set(calibration.families["host:vllm"].intervals) == {"decode", "prefill", "host"}
