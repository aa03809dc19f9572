"""`bound`: below predictions, and there without kernels too."""

import json
from pathlib import Path
from typing import Any

import pytest
from numpy.testing import assert_allclose

import hwmodel
from hwmodel.bounds.limit import Limit
from hwmodel.hardware.catalogue import device
from hwmodel.quantity.errors import CoverageError

H200 = device("h200")
CONFIGS = Path(hwmodel.__file__).parent / "einsum" / "workloads" / "configs"
GEMM = hwmodel.workloads.gemm(M=64, N=64, K=64)


def test_the_bound_of_a_workload_is_below_its_prediction() -> None:
    limit = hwmodel.bound(GEMM, on=H200)
    assert isinstance(limit, Limit)
    assert limit.dram_bytes == 3 * 64 * 64 * 2
    # 24,576 bytes at 4.8 TB/s take 5.12 ns; the kernel moves no more, and takes some 2.7 us.
    assert float(limit.gap_to_bound) == 0
    took_s = float(hwmodel.predict(GEMM, on=H200).time_s)
    assert_allclose(limit.time_over_limit, took_s / 5.12e-9)


def test_the_gap_is_the_share_of_the_traffic_that_the_bound_does_not_ask_for() -> None:
    """Row blocks of a tall product read B again: 16 x 16 waves from an L2 of 50 MB."""
    tall = hwmodel.workloads.gemm(M=65536, N=16384, K=16384)
    limit, found = hwmodel.bound(tall, on=H200), hwmodel.predict(tall, on=H200)
    assert isinstance(limit, Limit)
    moved = float(found.dram_bytes_read + found.dram_bytes_written)
    assert moved > 1.5 * float(limit.dram_bytes)
    assert_allclose(limit.gap_to_bound, 1 - float(limit.dram_bytes) / moved)


def test_what_no_kernel_computes_has_a_bound_all_the_same() -> None:
    """A min-plus product, 4 x 5 of 4 x 6 and 6 x 5: 24 + 30 + 20 elements of 2 bytes."""
    text = "Z[m, n] = min(k) A[m, k] + B[k, n]"
    work = hwmodel.parse(text, sizes={"m": 4, "n": 5, "k": 6}, dtypes={"*": "bf16"})
    found: Any = hwmodel.bound(work, "h200")
    assert found.bound.dram_bytes == 2 * (24 + 30 + 20)
    with pytest.raises(CoverageError, match="no GPU schedule computes it"):
        hwmodel.bound(work, "h200", kernel="triton")
    with pytest.raises(CoverageError, match="no GPU schedule computes it"):
        hwmodel.predict(work, "h200")


def test_an_engines_step_is_held_to_the_bound_of_its_model() -> None:
    """The same bytes whatever runs it, and less above them than the plain stack moves."""
    step = hwmodel.model("llama-3.1-8b").prefill(1, 4096)
    plain, engine = hwmodel.bound(step, on=H200), hwmodel.bound(step, on=H200, engine="vllm")
    assert isinstance(plain, Limit)
    assert isinstance(engine, Limit)
    assert engine.dram_bytes == plain.dram_bytes
    assert 0 < float(engine.gap_to_bound) < float(plain.gap_to_bound)
    assert float(engine.time_s) < float(engine.estimate.time_s)


def test_a_bound_is_of_the_formats_that_an_engine_loads(tmp_path: Path) -> None:
    """VLLM loads a checkpoint of fp32 in bf16: half the bytes of weights and cache."""
    config = json.loads((CONFIGS / "llama-3.2-1b.json").read_text()) | {"torch_dtype": "float32"}
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))
    step = hwmodel.model(path).decode(1, 4096)
    plain, engine = hwmodel.bound(step, on=H200), hwmodel.bound(step, on=H200, engine="vllm")
    assert isinstance(plain, Limit)
    assert isinstance(engine, Limit)
    assert_allclose(engine.dram_bytes / plain.dram_bytes, 0.5, rtol=1e-3)
