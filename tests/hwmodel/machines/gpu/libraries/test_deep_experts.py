"""DeepGEMM's grouped products against published rows, to none of which it was fitted."""

import csv
from pathlib import Path
from typing import Any

import pytest

import hwmodel as hw

ROWS = (
    Path(__file__).resolve().parents[6]
    / "shared/data/systems/deepseek_kernels_and_ep/deepgemm_h800.csv"
)
KERNEL = {"grouped": "deep-gemm"}


def seconds(groups: int, rows: int, n: int, k: int) -> float:
    formats: Any = {"dtype": "fp8", "weight_dtype": "fp8@16384:32", "out_dtype": "bf16"}
    work = hw.workloads.grouped_gemm(groups * rows, groups, 1, n, k, **formats)
    return float(hw.predict(work, "h100", kernel=KERNEL).time_s)


@pytest.mark.skipif(not ROWS.exists(), reason="the published rows are not here")
def test_published_products_of_experts() -> None:
    """Of rows laid one after another within 10 %, of those in places of their own within 30."""
    errors: dict[str, list[float]] = {"contiguous": [], "masked": []}
    with ROWS.open() as file:
        for row in csv.DictReader(file):
            layout = next((each for each in errors if each in row["kind"]), "")
            if not layout or row["date"] != "2025-04-09":
                continue
            groups, rows, n, k = (int(row[key]) for key in ("groups", "m_per_group", "n", "k"))
            took_s = 2 * groups * rows * n * k / (float(row["tflops"]) * 1e12)
            errors[layout].append(abs(seconds(groups, rows, n, k) / took_s - 1))
    assert len(errors["contiguous"]) == 4
    assert len(errors["masked"]) == 6
    assert max(errors["contiguous"]) < 0.1
    assert max(errors["masked"]) < 0.3


def test_experts_multiply_whole_tiles_of_rows() -> None:
    """Each expert's rows are padded to 128: 600 take as long as 640, and 672 as 768."""
    took = {rows: seconds(8, rows, 4096, 7168) for rows in (600, 640, 672, 768)}
    assert took[600] == pytest.approx(took[640], rel=0.01)
    assert took[672] == pytest.approx(took[768], rel=0.01)
    assert took[768] > 1.1 * took[640]
