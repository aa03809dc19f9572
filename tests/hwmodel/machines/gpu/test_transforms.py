"""Fourier transforms on a GPU: a kernel for as many stages as shared memory holds."""

import pytest

import hwmodel as hw
from hwmodel.machines.gpu.lower import lower
from hwmodel.machines.gpu.transforms import butterflies


@pytest.mark.parametrize(
    ("points", "kind", "kernels"),
    [
        (2, "fp32", 1),
        (2**14, "fp32", 1),
        (2**15, "fp32", 2),
        (2**13, "fp16", 1),
        (2**17, "fp16", 3),
    ],
)
def test_a_transform_is_as_many_kernels_as_were_traced(
    points: int, kind: str, kernels: int
) -> None:
    (call,) = lower(hw.workloads.fft(points, 4, dtype=kind))
    assert (call.schedule, call.times) == ("rows", kernels)


def test_a_transform_takes_what_was_measured() -> None:
    """2^16 of 2^10 points on an H200, torch.fft: 258 us, one kernel (48 kernels took 8 ms)."""
    found = hw.predict(hw.workloads.fft(2**10, 2**16), on="h200")
    assert found.time_s == pytest.approx(258e-6, rel=0.1)
    assert found.flop == pytest.approx(10 * 2**9 * 2**16 * 14)  # butterflies, of 14 operations
    assert any("cuFFT" in told for told in found.warnings)


def test_other_pairs_of_planes_are_no_transform_and_other_kernels_run_stages() -> None:
    sizes = {"n": 2, "a": 2, "b": 2}
    text = """
    R1[n, b] = R[n, a] * C[a, b]
    I1[n, b] = I[n, a] * C[a, b]
    """
    assert butterflies(hw.parse(text, sizes=sizes)) == ()
    assert len(lower(hw.workloads.fft(16), "triton")) > 4
