"""What differs between generations of GPUs beyond their datasheets' numbers."""

import csv
from pathlib import Path
from statistics import median
from typing import Any

import pytest

import hwmodel as hw

TABLE = Path(__file__).resolve().parents[5] / "shared/data/tables/b200_sxm.gemm.csv"
B200 = hw.device("b200")


def product(M: int, N: int, K: int, on: Any = B200) -> Any:
    return hw.predict(hw.workloads.gemm(M=M, N=N, K=K), on)


def attention(on: str, kernel: str | None = None) -> tuple[float, float, float]:
    """TFLOP/s of a long attention at head dimension 128: predicted, at worst, at best."""
    shape: dict[str, Any] = {"batch": 1, "heads": 16, "kv_heads": 16, "head_dim": 128}
    found = hw.predict(
        hw.workloads.attention(**shape, queries=16384, keys=16384), on, kernel=kernel
    )
    tera = 4 * 16 * 16384**2 * 128 / 1e12
    times = (found.time_s, found.time_high_s, found.time_low_s)
    slow, fast = tera / float(times[1]), tera / float(times[2])
    return tera / float(times[0]), slow, fast


def test_a_large_product_on_a_b200_lies_where_it_is_measured() -> None:
    # 8192^3 in bf16: 652 to 737 us
    found = product(8192, 8192, 8192)
    assert found.time_low_s < 652e-6 < 737e-6 < found.time_high_s
    assert 0.9 * 652e-6 < found.time_s < 1.05 * 737e-6
    assert found.warnings == ()


def test_pairs_of_processors_fetch_half_of_a_side_each() -> None:
    alone = product(8192, 8192, 8192, B200.but(processors={"pair": 1})).parts[0]
    pair = product(8192, 8192, 8192).parts[0]
    tile = pair.tile
    assert (tile.block_m, tile.block_n) == (128, 256)
    # shared memory: 128 rows and half of 256 columns, against two warpgroups' 128 + 2 x 256
    shared = pair.counts.read["shared"] / alone.counts.read["shared"]
    assert shared == pytest.approx((128 + 128) / (128 + 2 * 256))
    # the port: of 128 + 256 rows and columns, half of the longer side less
    assert pair.counts.read["port"] / alone.counts.read["port"] == pytest.approx(256 / 384)


def test_other_gpus_pair_nothing() -> None:
    for name in ("a100", "h100", "h200", "l40s", "mi300x"):
        assert hw.device(name).processors.pair == 1


def test_large_products_of_a_public_table_on_a_b200() -> None:
    if not TABLE.is_file():
        pytest.skip(f"{TABLE.name} is not here")
    with TABLE.open() as lines:
        rows = [
            (*(int(row[size]) for size in "mnk"), float(row["latency_us"]) * 1e-6)
            for row in csv.DictReader(lines)
            if (row["framework"], row["gemm_dtype"]) == ("vllm", "bfloat16")
        ]
    large = [row for row in rows if row[0] * row[1] * row[2] > 2**36]
    ratios, inside = list[float](), list[bool]()
    for M, N, K, measured_s in large:
        found = product(M, N, K)
        ratios.append(float(found.time_s) / measured_s)
        inside.append(bool(found.time_low_s < measured_s < found.time_high_s))
    assert sum(inside) > 0.8 * len(inside)
    assert median(ratios) == pytest.approx(1, abs=0.1)


def test_flash_attention_2_on_an_a100_reaches_what_its_paper_says() -> None:
    found, slow, fast = attention("a100")
    assert 0.5 * 312 < found < 0.73 * 312
    assert slow < 0.5 * 312
    assert fast > 0.73 * 312


def test_cudnn_on_a_b200_is_what_avo_timed_and_its_decode_a_hopper_s() -> None:
    found, slow, fast = attention("b200", "cudnn")
    assert found == pytest.approx(1668 / 1.021, rel=0.1)  # of 9.19.1, behind AVO's kernel
    assert slow < attention("b200", "flash-attention-4")[0] / 1.3 < found < fast
    work = hw.workloads.attention(batch=1, heads=8, queries=1, keys=4096, head_dim=128)
    told = hw.predict(work, "b200", kernel="cudnn").warnings
    assert any("its kernels on Hopper are costed" in words for words in told)
