"""Errors by family and GPU: of planted times, fitted and left out, and by rows that are fitted."""

import csv
from pathlib import Path

import numpy as np
import pytest

import hwmodel as hw
from hwmodel.validation.family_errors import curve, lines, table
from hwmodel.validation.kernel_tables import kernel_rows
from hwmodel.validation.rows import Row

FAMILY = "grouped:vllm:experts-marlin"
L40S = hw.device("l40s")


def planted(folder: Path, factor: float) -> list[Row]:
    """Experts in int4 that take so many times what is predicted."""
    draw = np.random.default_rng(7)
    names = ("tokens", "experts", "top_k", "hidden", "intermediate")
    sizes = np.exp2(draw.integers((0, 5, 0, 9, 7), (13, 8, 4, 13, 12), (80, 5)))
    path = folder / "times.csv"
    work = hw.workloads.moe(*sizes.T, weight_dtype="int4@32:16")
    found = hw.predict(work, L40S, kernel="vllm:experts-marlin", l2="warm")
    times = factor * np.asarray(found.time_s)
    heads = ("workload", *names, "weight_dtype", "kernel", "l2", "time_s")
    with path.open("w", newline="") as text:
        writer = csv.writer(text)
        writer.writerow(heads)
        told = ("int4@32:16", "vllm:experts-marlin", "warm")
        for each, time_s in zip(sizes, times, strict=True):
            writer.writerow(("moe", *map(int, each), *told, time_s))
    return kernel_rows(path)


def test_a_family_has_the_errors_of_its_rows_told_as_per_cents(tmp_path: Path) -> None:
    rows = planted(tmp_path, 1.25)
    (line,) = lines(L40S, rows)
    assert (line.device, line.family, line.starred) == ("l40s", FAMILY, False)
    assert line.fitted == pytest.approx(np.full(len(line.fitted), 0.2))
    assert len(line.fitted) + len(line.left_out) == 80
    text = table([line])
    assert "| `vllm:experts-marlin` | grouped | 20, 20 (" in text
    assert f"Of {len(line.left_out)} rows left out the mean is 20.0 %" in text


def test_rows_that_are_as_predicted_lie_in_their_interval(tmp_path: Path) -> None:
    (line,) = lines(L40S, planted(tmp_path, 1.0))
    assert line.inside.all()
    assert "between 100 and 100 % by kernel" in table([line])


def test_a_curve_goes_from_what_the_device_has_to_all_rows(tmp_path: Path) -> None:
    found, rows = curve(FAMILY, L40S, planted(tmp_path, 1.0))
    assert L40S.calibration is not None
    assert rows == L40S.calibration.families[FAMILY].rows
    assert list(found.curve) == [25, 50]  # of three quarters of eighty
    assert found.mean == pytest.approx(0, abs=1e-6)  # the shipped family made these times
    assert found.curve[25] < found.before / 2
