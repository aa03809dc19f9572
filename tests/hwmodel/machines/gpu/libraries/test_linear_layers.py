"""Layers of engines: which library runs a format where, and errors on public rows left out."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hwmodel as hw
from hwmodel.hardware.catalogue import device
from hwmodel.quantity.errors import CoverageError
from hwmodel.validation.fit import is_test
from hwmodel.validation.kernel_tables import kernel_rows
from hwmodel.validation.rows import Row

TABLES = Path(__file__).resolve().parents[6] / "shared/data/tables"
BLOCK: dict[str, Any] = {"dtype": "fp8", "weight_dtype": "fp8@16384:32"}
WORST = 0.36
"""Mean error of any engine, format and GPU; most are a third of it (docs/accuracy/tables.md)."""

GPUS = {
    "a100": "a100_sxm",
    "h100": "h100_sxm",
    "h200": "h200_sxm",
    "b200": "b200_sxm",
    "b300": "b300_sxm",
    "gb200": "gb200",
    "l40s": "l40s",
    "rtx-pro-6000": "rtx_pro_6000_server",
}


@pytest.mark.parametrize(
    ("kernel", "form", "family"),
    [
        ("vllm", {"dtype": "bf16"}, "gemm:cublas"),
        ("vllm", {"dtype": "fp8"}, "gemm:vllm:fp8"),
        ("vllm", BLOCK, "gemm:vllm:fp8-block"),
        ("vllm:cutlass", {"dtype": "fp8"}, "gemm:vllm:cutlass"),
        ("sglang", {"dtype": "fp8"}, "gemm:sglang:fp8"),
        ("sglang", BLOCK, "gemm:sglang:fp8-block"),
        ("trtllm", {"dtype": "bf16", "weight_dtype": "int4@128:16"}, "gemm:trtllm:weight-only"),
        ("trtllm", {"dtype": "int8"}, "gemm:trtllm:int8"),
        ("trtllm", BLOCK, "gemm:trtllm:fp8-block"),
    ],
)
def test_an_engine_has_a_library_for_each_format(
    kernel: str, form: dict[str, Any], family: str
) -> None:
    found = hw.predict(hw.workloads.gemm(64, 4096, 4096, **form), "h200", kernel=kernel)
    assert [part.family for part in found.parts] == [family]


@pytest.mark.parametrize(
    ("on", "kernel", "form", "said"),
    [
        ("h200", "trtllm", {"dtype": "nvfp4"}, "has no nvfp4 on hopper; it has on blackwell"),
        ("a100", "vllm", {"dtype": "fp8"}, "has no fp8 on ampere"),
        ("l40s", "sglang", BLOCK, "has no fp8 on ada; it has on hopper, blackwell"),
        ("h200", "vllm:fp8", BLOCK, "takes fp8 without a scale for each block"),
        ("h200", "vllm:fp8-block", {"dtype": "fp8"}, "takes fp8 with a scale for each block"),
    ],
)
def test_what_a_gpu_has_no_kernel_for_is_refused(
    on: str, kernel: str, form: dict[str, Any], said: str
) -> None:
    work = hw.workloads.gemm(64, 4096, 4096, **form)
    with pytest.raises(CoverageError, match=said):
        hw.predict(work, on, kernel=kernel)


def test_a_layer_outside_of_a_graph_waits_for_its_host() -> None:
    small, large = (
        hw.predict(hw.workloads.gemm(M, 8192, 8192, **BLOCK), "b200", kernel="vllm")
        for M in (1, 65536)
    )
    assert small.bottleneck == "host" != large.bottleneck
    assert small.time_s > 10e-6


def left_out(on: str) -> dict[str, list[Row]]:
    """Rows of shapes that no fit saw, by engine and format."""
    path = TABLES / f"{GPUS[on]}.gemm.csv"
    if not path.is_file():
        pytest.skip(f"{path.name} is not here")
    found: dict[str, list[Row]] = {}
    for row in filter(is_test, kernel_rows(path)):
        found.setdefault(" ".join(row.form), []).append(row)
    return found


@pytest.mark.parametrize("on", GPUS)
def test_errors_and_intervals_hold_on_public_rows_that_no_fit_saw(on: str) -> None:
    hardware = device(on)
    for name, rows in left_out(on).items():
        M, N, K = (np.array([float(row.columns[size]) for row in rows]) for size in "MNK")
        told = rows[0].columns
        form: dict[str, Any] = {n: told[n] for n in ("dtype", "weight_dtype") if n in told}
        kernel = str(told["kernel"])
        work = hw.workloads.gemm(M, N, K, **form)
        found: Any = hw.predict(work, hardware, kernel=kernel, l2="warm")
        measured = np.array([row.time_s for row in rows])
        error = np.abs(found.time_s / measured - 1).mean()
        held = (found.time_low_s <= measured) & (measured <= found.time_high_s)
        inside = float(np.mean(np.asarray(held)))
        assert error < WORST, (on, name, error)
        assert 0.8 < inside, (on, name, inside)


@pytest.mark.parametrize(
    ("on", "kernel", "form"),
    [
        ("b200", "vllm", {"dtype": "nvfp4"}),
        ("rtx-pro-6000", "trtllm", {"dtype": "nvfp4"}),
        ("h100", "sglang", BLOCK),
        ("l40s", "trtllm", BLOCK),
    ],
)
def test_products_by_block_never_split_long_sums(
    on: str, kernel: str, form: dict[str, Any]
) -> None:
    work = hw.workloads.gemm(128, 512, 65536, **form)
    splits = [part.tile.split for part in hw.predict(work, on=on, kernel=kernel).parts]
    assert np.max(splits) == 1
    whole = hw.predict(hw.workloads.gemm(128, 512, 65536), on=on, kernel="cublas").parts[0]
    assert np.max(whole.tile.split) > 1
