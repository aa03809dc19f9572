"""Regimes: which calls have an interval of their own, alone and in sweeps."""

import numpy as np
import pytest

import hwmodel as hw
from hwmodel.hardware.calibration import Family
from hwmodel.hardware.hardware import limits
from hwmodel.machines.gpu.regimes import Regime, ends, names

H200 = hw.device("h200")
ROOM = limits(H200)
FAMILY = Family(
    parameters={},
    interval=(0.5, 2.0),
    intervals={"bf16": (0.8, 1.3), "long": (0.9, 1.2), "bf16, long": (0.95, 1.1)},
    origin="measured",
)
REGIMES = (
    Regime("short", lambda rows, tile, limits: rows < 2),
    Regime("long", lambda rows, tile, limits: rows > 9),
)


def of(rows: object, *used: str) -> list[list[float]]:
    return np.array(ends(FAMILY, used, REGIMES, rows, None, ROOM)).T.tolist()


def test_the_narrowest_key_that_is_there_tells_the_interval() -> None:
    rows = np.array([1, 5, 10])
    assert of(rows, "bf16") == [[0.8, 1.3], [0.8, 1.3], [0.95, 1.1]]
    assert of(rows, "fp16") == [[0.5, 2.0], [0.5, 2.0], [0.9, 1.2]]
    assert of(10, "bf16") == [0.95, 1.1]
    assert names(REGIMES, rows, None, ROOM, 3).tolist() == ["short", "", "long"]


def test_products_that_threads_copy_have_wider_intervals_than_those_in_bulk() -> None:
    """A sweep that crosses regimes says of each point what the point alone says."""
    columns = np.array([4096, 4095, 65536])
    swept = hw.predict(hw.workloads.gemm(M=4096, N=columns, K=4096), H200)
    width = np.asarray(swept.time_high_s) / np.asarray(swept.time_low_s)
    assert width[1] > width[0] == pytest.approx(width[2])
    for each, n in zip(width, columns, strict=True):
        alone = hw.predict(hw.workloads.gemm(M=4096, N=int(n), K=4096), H200)
        assert each == pytest.approx(float(alone.time_high_s / alone.time_low_s))
