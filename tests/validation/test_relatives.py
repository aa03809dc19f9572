"""Parameters of a relative, on planted times: worse than the device's own, told by kind."""

import csv
from pathlib import Path

import numpy as np
import pytest

import hwmodel as hw
from hwmodel.validation.kernel_tables import kernel_rows
from hwmodel.validation.relatives import KINDS, RELATIVES, Lent, by_kind, lent_errors

H100 = hw.device("h100")


def test_a_relatives_parameters_are_worse_than_a_devices_own(tmp_path: Path) -> None:
    draw = np.random.default_rng(5)
    sizes = np.exp2(draw.integers((4, 7, 7), (12, 13, 13), (140, 3)))
    time_s = hw.predict(hw.workloads.gemm(*sizes.T), H100, kernel="cublas", l2="warm").time_s
    path = tmp_path / "times.csv"
    with path.open("w", newline="") as text:
        writer = csv.writer(text)
        writer.writerow(("M", "N", "K", "kernel", "l2", "time_s"))
        rows = zip(sizes, 1.0 * np.asarray(time_s), strict=True)
        writer.writerows([*map(int, each), "cublas", "warm", t] for each, t in rows)
    (line,) = lent_errors("h100", "h200", kernel_rows(path))
    assert (line.family, line.device, line.relative) == ("gemm:cublas", "h100", "h200")
    assert line.own == pytest.approx(0, abs=1e-6)  # the shipped family made these times
    assert 0.005 < line.lent < 0.3
    assert line.few < line.lent


def test_families_of_a_kind_count_by_their_rows() -> None:
    one = Lent("prefill:a", "l40s", "a100", 30, 0.2, 0.1, 0.05)
    other = Lent("prefill:b", "l40s", "a100", 10, 0.4, np.nan, 0.05)
    (line,) = by_kind([one, other])
    assert line == ("attention, prompts", "l40s", "a100", 40, pytest.approx(0.25), 0.1, 0.05)


def test_a_relative_is_another_device_that_was_fitted() -> None:
    for on, near in RELATIVES.items():
        assert on not in near
        assert set(near) <= set(RELATIVES)
    assert len({kind for kind, _ in KINDS}) == len(KINDS)
