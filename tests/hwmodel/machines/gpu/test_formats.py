"""Number formats on a GPU: fewer bytes, the right pitch, the rate of what is multiplied."""

import csv
import itertools
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pytest

import hwmodel as hw
from hwmodel.machines.gpu.units import product_unit
from hwmodel.quantity.dtypes import base_of, element_bytes

TABLES = Path(__file__).resolve().parents[5] / "shared" / "data" / "tables"
H200 = hw.device("h200")


def product(M: int, N: int = 28672, K: int = 8192, on: Any = H200, **formats: Any) -> Any:
    return hw.predict(hw.workloads.gemm(M=M, N=N, K=K, **formats), on)


def decode(kv_dtype: str = "bf16", keys: int = 8192) -> Any:
    shape: dict[str, Any] = {"batch": 64, "heads": 32, "kv_heads": 8, "queries": 1, "head_dim": 128}
    work = hw.workloads.attention(**shape, keys=keys, kv_dtype=kv_dtype)
    return hw.predict(work, H200)


def test_scales_are_bytes_and_no_pitch() -> None:
    assert (element_bytes("fp8@16384:32"), element_bytes("int4@128:20")) == (1, 0.5)
    assert (base_of("int4@128:20"), base_of("bf16")) == ("int4", "bf16")
    assert product_unit("fp8@16384:32", "fp8") == ("matrix", "fp8")


@pytest.mark.parametrize("M", [1, 16, 300])
def test_block_scales_cost_their_bytes_and_no_alignment(M: int) -> None:
    plain = product(M, dtype="fp8")
    scaled = product(M, dtype="fp8", weight_dtype="fp8@16384:32")
    assert scaled.parts[0].tile == plain.parts[0].tile
    scales = 4 * 28672 * 8192 / 16384
    assert scaled.dram_bytes_read - plain.dram_bytes_read == pytest.approx(scales, rel=0.02)
    assert scaled.time_s == pytest.approx(plain.time_s, rel=0.01)


def test_a_block_scaled_product_lies_where_engines_measure_it() -> None:
    # 4096^3 on an H200: 145 to 148 us by vLLM, SGLang and TensorRT-LLM
    found = product(4096, 4096, 4096, dtype="fp8", weight_dtype="fp8@16384:32")
    assert 0.6 * 145e-6 < found.time_s < 1.3 * 148e-6
    assert found.time_low_s < 145e-6 < 148e-6 < found.time_high_s
    assert "fp8@16384:32" in found.warnings[0]


@pytest.mark.parametrize(("stored", "share"), [("int8", 1 / 2), ("fp8", 1 / 2), ("int4", 1 / 4)])
def test_a_few_rows_times_narrow_weights_take_the_share_of_the_bytes(
    stored: str, share: float
) -> None:
    plain, narrow = product(16), product(16, weight_dtype=stored)
    assert plain.bottleneck == "dram"
    assert narrow.dram_bytes_read / plain.dram_bytes_read == pytest.approx(share, rel=0.02)
    assert share < narrow.time_s / plain.time_s < share + 0.08


def test_many_rows_times_narrow_weights_run_at_the_activations_rate() -> None:
    plain, narrow = product(8192), product(8192, weight_dtype="int4@128:20")
    assert narrow.time_s == pytest.approx(plain.time_s, rel=0.1)
    assert ("matrix", "flop", "bf16") in narrow.parts[0].counts.operations


def test_weight_only_products_are_a_named_prior() -> None:
    found = product(16, weight_dtype="int4@128:20")
    assert found.parts[0].family == "gemm:weight-only"
    assert found.parts[0].interval == (0.6, 2.0)
    assert "uncalibrated: gemm:weight-only: efficiencies are priors" in found.warnings[0]


def test_narrow_experts_of_a_mixture_get_faster() -> None:
    work: dict[str, Any] = {
        "tokens": 128,
        "experts": 8,
        "top_k": 2,
        "hidden": 4096,
        "intermediate": 14336,
    }
    asked: dict[str, dict[str, Any]] = {
        "bf16": {},
        "fp8 wholly": {"dtype": "fp8"},
        "fp8": {"weight_dtype": "fp8"},
        "int4": {"weight_dtype": "int4"},
    }
    times = {
        name: float(hw.predict(hw.workloads.moe(**work, **formats), H200).time_s)
        for name, formats in asked.items()
    }
    # torch._scaled_grouped_mm on an H200: 475 us for 64 tokens, 476 for 160 (board d025b8a8)
    assert times["fp8 wholly"] == pytest.approx(475.5e-6, rel=0.05)
    assert times["int4"] < times["fp8"] < 0.6 * times["bf16"]


def test_a_mixture_decodes_faster_from_narrow_weights() -> None:
    steps = {w: hw.model("qwen3-30b-a3b", weight_dtype=w).decode(16, 4096) for w in ("bf16", "fp8")}
    found = {w: hw.predict(step, H200) for w, step in steps.items()}
    assert found["fp8"].dram_bytes_read < 0.6 * found["bf16"].dram_bytes_read
    assert found["fp8"].time_s < 0.75 * found["bf16"].time_s


def test_a_quantised_cache_is_read_in_fewer_bytes_and_less_time() -> None:
    plain, narrow = decode(), decode("fp8")
    assert narrow.dram_bytes_read / plain.dram_bytes_read == pytest.approx(0.5, abs=0.01)
    assert narrow.parts[0].family == "decode:quantised"
    by_same_kernel = hw.predict(plain.parts[0].work, H200, kernel="cudnn")
    assert 0.5 < narrow.time_s / by_same_kernel.time_s < 0.75


def test_formats_of_a_b200_differ() -> None:
    b200 = hw.device("b200")
    stored = ("bf16", "fp8", "nvfp4")
    times = [product(16, on=b200, weight_dtype=name).time_s for name in stored]
    assert times[0] > 1.5 * times[1] > 1.5 * 1.2 * times[2]


def ratios(file: str, keys: tuple[str, ...], form: str, one: str, other: str) -> dict[Any, float]:
    """Time of one format over that of another at sizes that a table has both of, by engine."""
    path = TABLES / file
    if not path.is_file():
        pytest.skip(f"{file} is not here")
    times: dict[Any, dict[str, float]] = defaultdict(dict)
    with path.open() as lines:
        for row in csv.DictReader(lines):
            at = (row["framework"], *(int(row[key]) for key in keys))
            times[at][row[form]] = float(row["latency_us"])
    return {at: t[one] / t[other] for at, t in times.items() if one in t and other in t}


@pytest.mark.parametrize(("form", "stored"), [("int8_wo", "int8"), ("int4_wo", "int4@128:16")])
def test_weight_only_gains_are_those_of_an_a100s_tables(form: str, stored: str) -> None:
    found = ratios("a100_sxm.gemm.csv", ("m", "n", "k"), "gemm_dtype", form, "bfloat16")
    a100 = hw.device("a100")
    few = [k[1:] for k in found if k[1] <= 16 and k[2] * k[3] > 2**25]
    ours = [
        product(*size, on=a100, weight_dtype=stored).time_s / product(*size, on=a100).time_s
        for size in few
    ]
    theirs = [ratio for at, ratio in found.items() if at[1:] in few]
    assert median(ours) == pytest.approx(median(theirs), abs=0.12)


WIDTHS = ("bf16", "fp8", "int4@128:20", "int4")
"""Formats of weights, each of fewer bytes than the one before."""


@pytest.mark.parametrize("kind", ["gemm", "grouped_gemm", "decode"])
def test_fewer_bytes_are_never_more_traffic_nor_slower_where_the_dram_binds(kind: str) -> None:
    draw = np.random.default_rng(7)
    wide = {"gemm": "weight_dtype", "grouped_gemm": "weight_dtype", "decode": "kv_dtype"}[kind]
    small, large = (2 ** draw.uniform(0, 9, 300) // 1 for _ in range(2))
    sizes = 2 ** draw.uniform(8, 15, (2, 300)) // 16 * 16  # rows that bulk copies can fetch
    shapes: dict[str, dict[str, Any]] = {
        "gemm": {"M": small, "N": sizes[0], "K": sizes[1]},
        "grouped_gemm": {"tokens": small, "experts": 64, "top_k": 4, "N": sizes[0], "K": sizes[1]},
        "decode": {
            **{"batch": large, "heads": 32, "kv_heads": 8, "queries": 1, "keys": sizes[0]},
            "head_dim": 128,
        },
    }
    name = "attention" if kind == "decode" else kind
    formats = WIDTHS if kind != "decode" else ("fp8", "int4")
    found = [
        hw.predict(hw.workloads.workload(name, **shapes[kind], **{wide: each}), H200)
        for each in formats
    ]
    for before, after in itertools.pairwise(found):
        read = np.asarray(after.dram_bytes_read) - np.asarray(before.dram_bytes_read)
        assert np.all(read <= 1e-9 * np.asarray(before.dram_bytes_read))
        bound = (np.asarray(before.bottleneck) == "dram") & (np.asarray(after.bottleneck) == "dram")
        slower = np.asarray(after.time_s) > np.asarray(before.time_s) * (1 + 1e-9)
        assert not np.any(bound & slower)
        assert kind == "decode" or np.sum(bound) > 10  # rows padded to a tile bind narrow decodes


def test_row_kernels_warn_of_formats_that_nobody_computes_in() -> None:
    """A cast takes any format; arithmetic in fp8, four bits or fp64 was never measured."""
    cast = hw.parse(
        "Y[r, c] = cast(X[r, c])", sizes={"r": 512, "c": 4096}, dtypes={"X": "fp8", "Y": "bf16"}
    )
    made = {
        kind: hw.predict(hw.workloads.softmax(rows=512, cols=4096, dtype=kind), on="h200")
        for kind in ("bf16", "fp8", "fp64")
    }
    assert not hw.predict(cast, on="h200").warnings
    assert not made["bf16"].warnings
    for kind in ("fp8", "fp64"):
        assert f"rows:torch in {kind}" in " ".join(made[kind].warnings)
        assert made[kind].time_high_s / made[kind].time_s > 1.5
