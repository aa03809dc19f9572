"""Streams through one memory: traffic worked out by hand, and never below the bounds."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hwmodel as hw
from hwmodel.bounds.bound import bound_of
from hwmodel.einsum.cascade import Cascade
from hwmodel.machines.streaming import Machine, leaves, two_factors, wider


def machine(resident: float, tile: float) -> Machine:
    return Machine(
        unit_of_product=lambda a, b: ("matrix", wider(a, b)),
        plain=("vector", "fp32"),
        resident_bytes=resident,
        tile_bytes=tile,
        fast="cache",
    )


def moved(cascade: Any, resident: float, tile: float) -> tuple[float, float]:
    found = leaves(cascade, machine(resident, tile))
    reads = sum(work.read["dram"] for work in found)
    return float(reads), float(sum(work.written["dram"] for work in found))


@pytest.mark.parametrize(
    ("sizes", "tile", "read"),
    [
        ((64, 64, 64), 4096, 2 * 4096),  # one operand whole
        ((64, 64, 64), 1024, 4096 + 4 * 4096),  # in four tiles, the other four times
        ((64, 64, 4096), 1024, 8 * 262_144),  # 16 x 16 tiles of sums: each operand four times
        ((8, 64, 64), 512, 512 + 4096),  # the small operand whole
    ],
)
def test_a_product_reads_what_its_best_order_reads(
    sizes: tuple[int, int, int], tile: int, read: int
) -> None:
    m, n, k = sizes
    product = hw.workloads.gemm(M=m, N=n, K=k, dtype="int8", out_dtype="int8")
    assert moved(product, 0, tile) == (read, m * n)


def test_a_batch_is_run_one_by_one() -> None:
    """Ten products of 4 KiB operands: tiles of 4 KiB hold one operand of each."""
    product = hw.workloads.gemm(M=64, N=64, K=64, batch=10, dtype="int8", out_dtype="int8")
    assert moved(product, 0, 4096) == (10 * 8192, 10 * 4096)


def test_rows_stay_for_all_of_a_row_operation() -> None:
    """Softmax of 1,000 rows of 512 in bf16: in and out once where a row fits, else in between."""
    softmax = hw.workloads.softmax(rows=1000, cols=512)
    assert moved(softmax, 4096, 4096) == (1_024_000, 1_024_000)
    read, written = moved(softmax, 64, 64)
    assert read > 2 * 1_024_000
    assert written > 1_024_000


def test_a_convolution_reads_image_and_filters_once_where_either_fits() -> None:
    conv = hw.workloads.conv2d(1, 3, 16, 34, 34, 3, dtype="int8", out_dtype="int8")
    image, filters, out = 34 * 34 * 3, 16 * 27, 32 * 32 * 16
    assert moved(conv, 0, filters) == (image + filters, out)
    assert moved(conv, 0, filters / 2) == (2 * image + filters, out)
    assert two_factors(conv.einsums[0]) is not None


CASES = [
    hw.workloads.gemm(M=96, N=80, K=112, dtype="int8"),
    hw.workloads.attention(batch=2, heads=3, queries=40, keys=56, head_dim=16),
    hw.workloads.conv2d(2, 8, 12, 18, 18, 3, dtype="int8"),
    hw.workloads.rmsnorm(rows=50, cols=300),
    hw.workloads.mlp(tokens=20, hidden=48, intermediate=96),
    hw.workloads.moe(24, 8, 2, 32, 48),
]


@pytest.mark.parametrize("cascade", CASES, ids=[case.name for case in CASES])
@given(log_bytes=st.integers(5, 20))
def test_traffic_is_never_below_the_bound_and_falls_with_memory(
    cascade: Cascade, log_bytes: int
) -> None:
    size = 2.0**log_bytes
    few, many = (sum(moved(cascade, room, room)) for room in (size, 2 * size))
    assert many <= few
    assert few >= float(bound_of(cascade, 2 * size).bytes) * (1 - 1e-12)


def test_sizes_may_be_arrays() -> None:
    rows = np.array([8.0, 100.0, 4096.0])
    many = leaves(hw.workloads.gemm(M=rows, N=256, K=512, dtype="int8"), machine(0, 2**14))
    for at, size in enumerate((8, 100, 4096)):
        (one,) = leaves(hw.workloads.gemm(M=size, N=256, K=512, dtype="int8"), machine(0, 2**14))
        found: Any = many[0].read["dram"]
        assert found[at] == one.read["dram"]
