"""Predictions of sweeps: each point as if it were alone, whatever the shape of the arrays."""

import math
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from hwmodel.einsum.notation import parse
from hwmodel.einsum.workloads.attention import attention
from hwmodel.einsum.workloads.gemm import gemm
from hwmodel.einsum.workloads.model import model
from hwmodel.einsum.workloads.rows import rmsnorm, softmax
from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.driver import predict
from hwmodel.machines.gpu.chunks import CHUNK
from hwmodel.quantity.errors import CoverageError, InputError
from hwmodel.spine.outside import EXTRAPOLATED

H200 = device("h200")
ANSWERS = ("time_s", "time_low_s", "energy_j", "dram_bytes_read", "dram_bytes_written", "bound_s")


def made(cascade: Any, hardware: Hardware = H200, kernel: str | None = None) -> Any:
    return predict(cascade, hardware, kernel=kernel)


def assert_same(sweep: Any, place: Any, alone: Any) -> None:
    """One point of a sweep against the answer for that point alone."""
    for name in ANSWERS:
        values = np.broadcast_to(getattr(sweep, name), np.shape(sweep.time_s))
        assert_allclose(values[place], getattr(alone, name), rtol=1e-12, err_msg=name)
    assert np.broadcast_to(sweep.bottleneck, np.shape(sweep.time_s))[place] == alone.bottleneck


@pytest.mark.parametrize("points", [1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 3])
def test_sweeps_are_the_same_on_both_sides_of_a_chunk(points: int) -> None:
    rows: Any = 1 + np.arange(points) * 7919.0 % 9000
    sweep = made(gemm(M=rows, N=4096, K=1024))
    assert np.shape(sweep.time_s) == (points,)
    for place in {0, points // 2, min(CHUNK, points) - 1, points - 1}:
        assert_same(sweep, place, made(gemm(M=int(rows[place]), N=4096, K=1024)))


def test_row_kernels_and_attention_sweep_the_same() -> None:
    cols: Any = 64 + np.arange(CHUNK + 1) * 31.0 % 12000
    sweep = made(softmax(512, cols))
    tokens = np.array([1.0, 2048.0, 300.0])
    mixed = made(attention(2, 16, tokens, 4096, 128, kv_heads=4))
    for place in (0, 17, CHUNK):
        assert_same(sweep, place, made(softmax(512, int(cols[place]))))
    for place, count in enumerate(tokens):
        assert_same(mixed, place, made(attention(2, 16, int(count), 4096, 128, kv_heads=4)))


@pytest.mark.parametrize(
    ("left", "right", "shape"),
    [
        ((3, 1), (1, 4), (3, 4)),
        ((3, 1), (4,), (3, 4)),
        ((2, 1, 1), (3, 1), (2, 3, 1)),
        ((1, 1), (4,), (1, 4)),
        ((1, 1), (), (1, 1)),
        ((70, 1), (1, 80), (70, 80)),
    ],
)
def test_sizes_of_any_shape_broadcast(
    left: tuple[int, ...], right: tuple[int, ...], shape: tuple[int, ...]
) -> None:
    m: Any = 1 + 100 * np.arange(math.prod(left), dtype=np.float64).reshape(left)
    n: Any = 128 + 8 * np.arange(math.prod(right), dtype=np.float64).reshape(right)
    sweep = made(gemm(M=m, N=n if right else 128, K=512))
    assert np.shape(sweep.time_s) == shape
    wide_m, wide_n = np.broadcast_arrays(m, n)
    for place in {(0,) * len(shape), tuple(s - 1 for s in shape)}:
        alone = made(gemm(M=int(wide_m[place]), N=int(wide_n[place]), K=512))
        assert_same(sweep, place, alone)


def test_hardware_numbers_sweep_like_sizes() -> None:
    bandwidths = np.array([2.4e12, 4.8e12, 9.6e12])
    rows = np.array([[1.0], [8192.0]])
    machine = H200.but(hbm={"bandwidth_bytes_per_s": bandwidths})
    sweep = made(gemm(M=rows, N=4096, K=4096), machine)
    assert np.shape(sweep.time_s) == (2, 3)
    for i, m in enumerate((1, 8192)):
        for j, bandwidth in enumerate(bandwidths):
            one = H200.but(hbm={"bandwidth_bytes_per_s": float(bandwidth)})
            assert_same(sweep, (i, j), made(gemm(M=m, N=4096, K=4096), one))
    assert np.all(np.diff(sweep.time_s, axis=1) <= 0)


def test_arrays_that_do_not_broadcast_are_refused() -> None:
    machine = H200.but(hbm={"bandwidth_bytes_per_s": np.array([2e12, 4e12])})
    with pytest.raises(InputError, match=r"shapes \[\(2,\), \(3,\)\] do not broadcast"):
        made(gemm(M=np.array([1.0, 2.0, 3.0]), N=64, K=64), machine)


def test_a_device_without_calibration_is_refused() -> None:
    with pytest.raises(CoverageError, match="has no calibration"):
        made(gemm(M=8, N=8, K=8), H200.but(calibration=None))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("mi300x", "gemm:cublas: efficiencies are priors, not measurements"),
        ("a30", "gemm:cublas: efficiencies are inherited from NVIDIA A100"),
    ],
)
def test_what_was_never_measured_is_said(name: str, words: str) -> None:
    (warning,) = made(gemm(M=64, N=4096, K=4096), device(name)).warnings
    assert warning.startswith("uncalibrated: ")
    assert words in warning


def test_a_format_that_was_never_measured_is_said() -> None:
    work = attention(batch=1, heads=8, kv_heads=8, queries=64, keys=64, head_dim=64, dtype="fp8")
    (warning,) = made(work).warnings
    assert "uncalibrated: prefill:quantised: efficiencies are priors" in warning
    (warning,) = made(work.but(dtype="fp16")).warnings
    assert "prefill:flash-attention-2 in fp16: measured in bf16 only" in warning


def test_what_was_measured_has_no_warning() -> None:
    found = made(gemm(M=64, N=4096, K=4096))
    assert found.warnings == ()
    assert any("calibration: h200" in words for words in found.assumptions)


def test_inherited_intervals_are_wider() -> None:
    work = attention(batch=8, heads=8, kv_heads=8, queries=2048, keys=2048, head_dim=128)
    own, near, far = (made(work, device(name)).parts[0] for name in ("h200", "h100", "a100"))
    lows, highs = zip(*(part.interval for part in (own, near, far)), strict=True)
    assert lows[0] > lows[1] > lows[2]
    assert highs[0] < highs[1] < highs[2]


def test_extrapolation_is_said_point_by_point() -> None:
    calibration = H200.calibration
    assert calibration is not None
    least, most = calibration.family("gemm:cublas").ranges["M"]
    rows = np.array([least, most, most + 1])
    sweep = made(gemm(M=rows, N=4096, K=4096))
    assert list(sweep.extrapolated) == [False, False, True]
    (told,) = sweep.warnings
    assert told.startswith(f"{EXTRAPOLATED}: gemm:cublas: M 16,385 is 0.01% outside 1 to 16,384")
    assert made(gemm(M=int(most), N=4096, K=4096)).extrapolated is False
    assert made(gemm(M=int(most) + 1, N=4096, K=4096)).extrapolated is True


def test_an_interval_is_wider_beyond_what_was_measured() -> None:
    calibration = H200.calibration
    assert calibration is not None
    family = calibration.family("gemm:cublas")
    _, most = family.ranges["M"]
    """To the power 2 at the edge, and one more at twice and at four times the edge."""
    rows = np.array([most, most + 1, 2 * most, 4 * most])
    (part,) = made(gemm(M=rows, N=4096, K=4096)).parts
    low, high = family.interval_of(("bf16",), "copied in bulk")
    assert (part.interval[0][0], part.interval[1][0]) == (low, high)
    assert_allclose(part.interval[0][1:], [low**2, low**3, low**4], rtol=1e-4)
    assert_allclose(part.interval[1][1:], [high**2, high**3, high**4], rtol=1e-4)


@pytest.mark.parametrize("dtype", ["bf16", "fp32"])
def test_farther_outside_is_never_narrower(dtype: str) -> None:
    """Also once the roofline is all that speaks for the fast end."""
    sums: Any = 2.0 ** np.arange(8, 29)
    found = made(gemm(M=1, N=128, K=sums, dtype=dtype))
    (part,) = found.parts
    low, high = part.interval
    assert np.all(np.diff(low) <= 0)
    assert np.all(np.diff(high) >= 0)
    assert_array_equal(found.extrapolated, sums > 32_640)
    inside = sums <= 32_640
    assert len(set(low[inside])) == len(set(high[inside])) == 1
    assert_array_equal(found.time_low_s[-1], found.bound_s[-1])


@pytest.mark.parametrize(("m", "n", "k"), [(1, 1, 2**28), (65_536, 1, 4096)])
@pytest.mark.parametrize("dtype", ["bf16", "fp32"])
def test_far_outside_the_interval_holds_the_roofline(m: int, n: int, k: int, dtype: str) -> None:
    """A dot product or a matrix times a vector runs near the DRAM's rate, which no fit saw here."""
    found = made(gemm(M=m, N=n, K=k, dtype=dtype))
    least_s = (m + n) * k * (2 if dtype == "bf16" else 4) / 4.8e12
    assert found.time_low_s <= 1.001 * least_s < found.time_high_s


def test_a_small_kernel_far_outside_is_no_faster_than_a_launch() -> None:
    found = made(gemm(M=1, N=8, K=8))
    assert 1e-6 < found.time_low_s < found.time_s / 1.5


def test_the_farthest_size_is_told() -> None:
    (told,) = made(gemm(M=1, N=1, K=2**28)).warnings
    assert "gemm:cublas: K 268,435,456 is 8,224 times outside 128 to 32,640" in told
    (told,) = made(gemm(M=1, N=16, K=65_280)).warnings
    assert "gemm:cublas: N 16 is 8 times outside 128 to 152,064" in told


def test_a_map_inside_a_sum_says_that_it_is_fused() -> None:
    sizes = {"m": 8, "k": 65_536}
    mapped, bare = (
        made(parse(f"Y[m] = sum(k) {text}", sizes=sizes)) for text in ("exp(X[m, k])", "X[m, k]")
    )
    assert any("one fused kernel" in text for text in mapped.assumptions)
    assert not any("one fused kernel" in text for text in bare.assumptions)
    assert not any("one fused kernel" in text for text in made(softmax(64, 4096)).assumptions)


def test_groups_of_query_heads_were_measured_up_to_128() -> None:
    def decode(group: int) -> Any:
        return made(
            attention(batch=8, heads=8 * group, kv_heads=8, queries=1, keys=8192, head_dim=128)
        )

    assert [bool(decode(group).extrapolated) for group in (1, 8, 65, 129)] == [0, 0, 0, 1]
    few, many = (decode(group).time_s for group in (64, 65))
    assert few < many < 2 * few  # two blocks of rows for one, of the same keys


def test_a_kernel_that_does_not_run_at_a_point_extrapolates_nothing_there() -> None:
    """64 queries lie beyond what decode was fitted on, and 1 below what prefill was."""
    sweep = made(attention(4, 16, np.array([1.0, 64.0]), 1024, 128, kv_heads=4))
    assert not np.any(sweep.extrapolated)


def test_no_time_beats_the_roofline() -> None:
    m, n = np.meshgrid([1.0, 17.0, 512.0, 8192.0], [128.0, 4096.0, 16384.0])
    found = made(gemm(M=m, N=n, K=4096))
    assert np.all(found.time_s > found.bound_s)
    moved = found.dram_bytes_read + found.dram_bytes_written
    assert np.all(moved >= found.bound_bytes)


def test_a_product_larger_than_the_memory_does_not_fit() -> None:
    side = np.array([4096.0, 10.0**6])
    found = made(gemm(M=side, N=1_000_000, K=1_000_000))
    assert found.fits_by_point.tolist() == [False, False]
    alone = made(gemm(M=1_000_000, N=1_000_000, K=1_000_000))
    # 6 TB of bf16 operands and result, in 139.8 GiB
    assert alone.stores[0].needed_bytes == 6 * 10**12
    assert alone.stores[0].short_by_bytes == 6e12 - 139.8 * 2**30
    assert not alone.fits
    assert "does not fit: what gemm reads and writes is 5.85 TB more" in alone.warnings[-1]
    assert "short by 5.85 TB" in str(alone).replace("\n  ", " ")


def test_a_product_that_fits_is_told_so_beside_one_that_does_not() -> None:
    sizes = np.array([64.0, 10.0**6])
    found = made(gemm(M=64, N=sizes, K=sizes))
    assert found.fits_by_point.tolist() == [True, False]
    (note,) = found.notes
    assert [bool(said) for said in note.at(2)] == [False, True]
    assert made(gemm(M=64, N=64, K=64)).fits


def test_kernels_that_do_the_same_are_one_answer_under_several_names() -> None:
    """The norms of a decoder, and what its own call would answer."""
    step = model("llama-3.1-8b").decode(32, 2048)
    parts = {part.name: part for part in predict(step, on="h200").parts}
    norms = [parts[name] for name in ("attention norm", "mlp norm", "final norm")]
    (alone,) = predict(rmsnorm(32, 4096), on="h200").parts
    assert [each.time_s for each in norms] == [alone.time_s] * 3
    assert [each.times for each in norms] == [32, 32, 1]
    assert [each.work.name for each in norms if each.work] == [each.name for each in norms]
