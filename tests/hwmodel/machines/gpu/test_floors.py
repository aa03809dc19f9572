"""What no prediction goes below: bytes that any schedule moves, and every peak at once."""

import math

import pytest

import hwmodel
from hwmodel.spine.activity import Work
from hwmodel.spine.estimate import UNKNOWN, Estimate, Part

COPY = "Y[m, n] = X[m, n]"


def moved(estimate: Estimate) -> float:
    return float(estimate.dram_bytes_read) + float(estimate.dram_bytes_written)


def test_a_declared_tensor_that_nothing_reads_moves_no_bytes() -> None:
    sizes = {"m": 256, "n": 512}
    plain = hwmodel.parse(COPY, sizes=sizes)
    spare = hwmodel.parse(f"tensor U[n, k]: weight\n{COPY}", sizes={**sizes, "k": 4096})
    for cascade in (plain, spare):
        estimate = hwmodel.predict(cascade, on="h200")
        assert estimate.bound_bytes == moved(estimate) == 2 * 256 * 512 * 2
    assert spare.inputs == ("X",)


@pytest.mark.parametrize("kernel", ["torch", "triton"])
def test_a_bias_is_read_once(kernel: str) -> None:
    """A, W, C and the bias of 3970 elements in bf16, nothing of which is ever read again."""
    gemm = hwmodel.workloads.gemm(M=4, N=3970, K=4, bias=True)
    estimate = hwmodel.predict(gemm, on="a100", kernel=kernel)
    assert moved(estimate) == estimate.bound_bytes == 2 * (4 * 4 + 3970 * 4 + 4 * 3970 + 3970)


def test_a_row_that_no_block_holds_is_read_in_every_pass() -> None:
    """Three passes over rows of 512 MiB, ten times the L2, and one result."""
    softmax = hwmodel.workloads.softmax(rows=4, cols=2**28)
    estimate = hwmodel.predict(softmax, on="h200", kernel="triton")
    assert moved(estimate) == (3 + 1) * 4 * 2**28 * 2
    assert moved(estimate) >= float(estimate.bound_bytes)


def test_a_product_beyond_the_chip_reads_no_less_than_its_bound() -> None:
    """What the L2 forgets between waves is read again; a closed form once fell below the bound."""
    estimate = hwmodel.predict(hwmodel.workloads.gemm(M=1176, N=62623, K=84655), on="h200")
    assert 2.0 > moved(estimate) / float(estimate.bound_bytes) > 1.0
    assert sum(estimate.energy_by_j.values()) == pytest.approx(float(estimate.energy_j))


@pytest.mark.parametrize(
    ("device", "dtype", "peak"), [("b200", "bf16", 2250e12), ("a100", "bf16", 312e12)]
)
def test_the_fast_end_of_an_interval_beats_no_peak(device: str, dtype: str, peak: float) -> None:
    for size in (4096, 16384):
        gemm = hwmodel.workloads.gemm(M=size, N=size, K=size, dtype=dtype)
        estimate = hwmodel.predict(gemm, on=device)
        assert 2 * size**3 / float(estimate.time_low_s) <= peak * (1 + 1e-9)
        assert estimate.time_low_s <= estimate.time_s


def test_the_fast_end_of_a_collective_beats_no_link() -> None:
    """An all-reduce of S bytes on n ranks sends 2 S (n - 1) / n from each, at 300 GB/s."""
    size = 2**24
    estimate = hwmodel.collective("all_reduce", size, 4, "a100")
    assert float(estimate.time_low_s) >= 2 * size * 3 / 4 / 300e9


def test_an_unknown_interval_stays_unknown() -> None:
    part = Part("a", "b", 1, Work(), 2.0, 2.0, {}, 1.0, UNKNOWN)
    estimate = Estimate("a", "b", (part,), bound_bytes=0, bound_s=1.0)
    assert math.isnan(float(estimate.time_low_s))
    assert math.isnan(float(estimate.time_high_s))
