"""Weights of which two in each four are zero: bytes, rates, bounds, and who refuses them."""

import csv
from functools import cache
from typing import Any

import numpy as np
import pytest

import hwmodel as hw
from hwmodel.quantity.errors import CoverageError, HwmodelError
from hwmodel.spine.estimate import Estimate
from hwmodel.validation.rows import DATA


def made(m: Any, n: Any, k: Any, weight: str | None = "bf16~2:4", on: Any = "h200") -> Estimate:
    dtype = (weight or "bf16").partition("~")[0]
    return hw.predict(hw.workloads.gemm(M=m, N=n, K=k, dtype=dtype, weight_dtype=weight), on=on)


@pytest.mark.parametrize("on", ["a100", "h100", "h200", "b200", "l40s", "rtx-4090", "mi300x"])
@pytest.mark.parametrize("dtype", ["bf16", "int8"])
def test_thousands_of_rows_take_less_time_than_dense_ones_and_more_than_half(
    on: str, dtype: str
) -> None:
    some = made(8192, 8192, 8192, f"{dtype}~2:4", on)
    dense = hw.workloads.gemm(M=8192, N=8192, K=8192, dtype=dtype)
    every = hw.predict(dense, on=on)
    assert 0.45 * every.time_s <= some.time_s < every.time_s
    assert some.time_s >= some.bound_s
    assert some.time_low_s < some.time_s < some.time_high_s


@cache
def measured() -> list[dict[str, str]]:
    """Rows of two H200s that no fit has seen: cuSPARSELt 0.8, with the algorithm of its search."""
    found: list[dict[str, str]] = []
    for path in sorted((DATA / "h200").glob("*/zeros.csv")):
        with path.open(encoding="utf-8", newline="") as stream:
            found += [row for row in csv.DictReader(stream) if row["part"] == "held"]
    return found


@pytest.mark.parametrize(("formats", "most"), [(("bf16",), 0.08), (("fp8", "int8"), 0.1)])
def test_times_are_near_those_that_were_measured(formats: tuple[str, ...], most: float) -> None:
    rows = [row for row in measured() if row["dtype"] in formats]
    errors: list[float] = []
    inside = 0
    for row in rows:
        m, n, k = (int(row[name]) for name in "MNK")
        found = made(m, n, k, f"{row['dtype']}~2:4")
        time_s = float(row["time_s"])
        errors.append(abs(found.time_s / time_s - 1))
        inside += found.time_low_s < time_s < found.time_high_s
    assert len(rows) >= 20
    assert np.mean(errors) < most
    assert inside >= 0.85 * len(rows)


def test_few_rows_read_nine_bits_for_each_sixteen() -> None:
    # A 2:4 bf16 weight is half of the values, 16 bits each, and 2 bits for the place of each.
    some, every = made(16, 14336, 4096), made(16, 14336, 4096, weight=None)
    saved = every.dram_bytes_read - some.dram_bytes_read
    assert saved == pytest.approx(14336 * 4096 * (16 - 9) / 8)


def test_datasheets_rate_with_sparsity_bounds_large_products() -> None:
    # 2 x 8192^3 operations at the 1,979 TFLOP/s of an H200's datasheet for bf16 with sparsity.
    assert made(8192, 8192, 8192).bound_s == pytest.approx(2 * 8192**3 / 1978.9e12, rel=1e-3)
    assert made(8192, 8192, 8192).flop == 2 * 8192**3


def test_arrays_of_sizes_are_as_each_alone() -> None:
    rows = np.array([16, 512, 8192])
    swept = made(rows, 4096, 4096).time_s
    alone = [float(made(int(m), 4096, 4096).time_s) for m in rows]
    assert np.asarray(swept) == pytest.approx(alone)


@pytest.mark.parametrize(
    ("weight", "on", "told"),
    [
        ("bf16~1:4", "h200", "keep 2:4"),
        ("int8~2:4", "t4", "turing"),
        ("fp16~2:4", "mi210", "cdna2"),
        ("int8~2:4", "peer-a3", "2 of 4 k"),
        ("int8~2:4", "u250", "modelled on GPUs"),
        ("fp32~2:4", "h200", "no operand that keeps 2:4"),
    ],
)
def test_what_no_unit_skips_is_refused(weight: str, on: str, told: str) -> None:
    with pytest.raises(CoverageError, match=told):
        made(256, 256, 256, weight, on)


def test_a_machine_whose_units_skip_nothing_refuses() -> None:
    plain = hw.device("h200").but(matrix={"structured": 1})
    with pytest.raises(CoverageError, match="no unit of this machine skips"):
        made(256, 256, 256, on=plain)
    assert made(4096, 4096, 4096, weight=None, on=plain).time_s == pytest.approx(
        made(4096, 4096, 4096, weight=None).time_s
    )


def test_activations_windows_and_other_libraries_refuse() -> None:
    both = hw.workloads.gemm(M=64, N=64, K=64, dtype="bf16~2:4")
    slid = hw.workloads.conv2d(
        batch=1, channels=64, filters=64, height=15, width=15, window=3, dtype="bf16"
    )
    with pytest.raises(CoverageError, match="multiplies no operand"):
        hw.predict(both, on="h200")
    work = hw.workloads.gemm(M=64, N=64, K=64, weight_dtype="bf16~2:4")
    with pytest.raises(CoverageError, match="cusparselt"):
        hw.predict(work, on="h200", kernel="cublas")
    with pytest.raises(CoverageError, match="are dense"):
        hw.predict(hw.workloads.gemm(M=64, N=64, K=64), on="h200", kernel="cusparselt")
    with pytest.raises(HwmodelError):
        hw.predict(slid, on="h200", kernel="cusparselt")


def test_models_store_and_multiply_such_weights() -> None:
    model, gpu = hw.model("llama-3.1-8b"), hw.device("h200")
    dense = hw.predict(model.decode(16, 1024), on=gpu)
    some = hw.predict(model.but(weight_dtype="bf16~2:4").decode(16, 1024), on=gpu)
    long, dense_long = (
        hw.predict(each.prefill(8192, 1), on=gpu)
        for each in (model.but(weight_dtype="bf16~2:4"), model)
    )
    assert some.dram_bytes_read < 0.7 * dense.dram_bytes_read
    assert dense.time_s < some.time_s < 2 * dense.time_s
    assert 0.6 * dense_long.time_s < long.time_s < 0.95 * dense_long.time_s
