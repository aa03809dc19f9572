"""What cuBLAS takes off 16 bytes: kernels of launches, and any sizes."""

import csv
import re

import numpy as np
import pytest

from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import limits
from hwmodel.machines.gpu.schedules.cublas_copied_choice import chosen
from hwmodel.machines.gpu.schedules.gemm import GemmProblem
from hwmodel.validation.rows import DATA

H200 = limits(device("h200"))


TILE = re.compile(r"(wmma|80|75)_tensorop\w*?_(\d+)x(\d+)_(?:(\d+)x(\d))?")
VECTOR_TILE = re.compile(r"f32f32_f32f32_f32_tn_n_tilesize(\d+)x(\d+)x8")
"""Of xmma, rows first."""


def test_most_kernels_that_were_traced_are_named() -> None:
    """Products of a seed whose answers no tree saw: kind and tile, of wmma depth and stages."""
    path = DATA / "h200" / "2026-11-30-az" / "launches.csv"
    met: dict[str, list[bool]] = {"bf16": [], "fp16": []}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            m, n, k = (int(float(row[name])) for name in "MNK")
            name, dtype = TILE.search(row["name"]), row["dtype"]
            if m == 1 or dtype not in met or name is None or len(met[dtype]) == 300:
                continue
            kind = {"80": "mma", "75": "single"}.get(name[1], "wmma")
            told = f"{kind} {name[2]}x" + (f"{name[4]}x{name[5]}" if kind == "wmma" else name[3])
            width = 2 if (k % 2 or n % 2) else 4
            problem = GemmProblem(m, n, k, dtype_a=dtype, dtype_b=dtype, dtype_out=dtype)
            found = chosen(problem, dtype, width, H200)
            met[dtype].append(found.names[int(found.kernel[0])] == told)
    assert np.mean(met["bf16"]) > 0.85
    assert np.mean(met["fp16"]) > 0.8


def test_most_tiles_of_the_vector_units_are_named() -> None:
    path = DATA / "h200" / "2026-11-30-az" / "launches.csv"
    met: list[bool] = []
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            name = VECTOR_TILE.search(row["name"])
            if row["dtype"] != "fp32" or name is None or row["launch"] != "0":
                continue
            sizes = (int(float(row[size])) for size in "MNK")
            problem = GemmProblem(*sizes, dtype_a="fp32", dtype_b="fp32", dtype_out="fp32")
            found = chosen(problem, "fp32", 4, H200)
            met.append(found.names[int(found.kernel[0])] == f"ffma {name[2]}x{name[1]}")
            if len(met) == 300:
                break
    assert np.mean(met) > 0.85


@pytest.mark.parametrize("dtype", ["bf16", "fp16"])
def test_many_rows_pass_the_matrix_units_and_all_sizes_find_a_kernel(dtype: str) -> None:
    m = np.array([1.0, 7.0, 100.0, 1e4, 1e6])
    problem = GemmProblem(m, m[::-1] + 1, 3 * m, dtype_a=dtype, dtype_b=dtype, dtype_out=dtype)
    for width in (2, 4):
        found = chosen(problem, dtype, width, H200)
        assert found.kernel.shape == (5,)
        assert not found.narrow[2:].any()
