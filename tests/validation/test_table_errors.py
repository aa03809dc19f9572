"""Errors on tables of times: those of planted times, fitted and left out."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import hwmodel as hw
from hwmodel.validation.kernel_tables import kernel_rows
from hwmodel.validation.table_errors import lines

H100 = hw.device("h100")


def table(folder: Path, factor: float) -> Path:
    draw = np.random.default_rng(5)
    sizes = np.exp2(draw.integers((4, 7, 7), (12, 13, 13), (140, 3)))
    time_s = hw.predict(hw.workloads.gemm(*sizes.T), H100, kernel="cublas", l2="warm").time_s
    path = folder / "times.csv"
    with path.open("w", newline="") as text:
        writer = csv.writer(text)
        writer.writerow(("M", "N", "K", "kernel", "l2", "time_s"))
        rows = zip(sizes, factor * np.asarray(time_s), strict=True)
        writer.writerows([*map(int, each), "cublas", "warm", t] for each, t in rows)
    return path


def test_a_line_has_the_errors_of_its_kernel_and_format(tmp_path: Path) -> None:
    (line,) = lines(H100, kernel_rows(table(tmp_path, 1.25)))
    assert (line.device, line.kernel, line.form) == ("h100", "cublas", "bf16")
    assert line.fitted == pytest.approx(0.2)
    assert line.left_out == pytest.approx(0.2)
    assert line.p90 == pytest.approx(0.2)


def test_rows_that_take_activations_in_turn_are_told_so_on_the_line_of_the_others(
    tmp_path: Path,
) -> None:
    plain = kernel_rows(table(tmp_path, 1.0))
    turned = [replace(row, columns={**row.columns, "rotated": True}) for row in plain]
    (alone,), (both,) = lines(H100, turned), lines(H100, [*plain, *turned])
    assert alone.left_out > 1e-3  # times are of activations that are found again
    assert both.left_out == pytest.approx(alone.left_out / 2)
