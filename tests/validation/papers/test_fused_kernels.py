"""Fused kernels: what was measured on an H200 is near what the claims predict there."""

import pytest

from hwmodel.einsum.workloads.rational_backward import rational_backward
from hwmodel.hardware.catalogue import device
from hwmodel.machines.driver import predict
from hwmodel.validation.papers.fused_kernels import assignment, gradients
from hwmodel.validation.papers.given import Given

GIVEN = Given()


def test_an_assignment_is_predicted_near_its_measured_time() -> None:
    """Measured: 5.13 ms, and 104.5 ms with `torch.cdist` (sitting 2026-11-29-x)."""
    fused, faster = assignment(GIVEN)
    assert fused.ours == pytest.approx(5.13e-3, rel=0.1)
    assert faster.ours == pytest.approx(104.5 / 5.13, rel=0.25)


def test_gradients_that_every_element_adds_are_a_hundred_times_slower() -> None:
    """Measured of 12,608 rows of 768: 90.8 ms. What is published stands to both times alike."""
    ratio, alone, blocks = gradients(GIVEN)
    assert alone.ours == pytest.approx(90.8 * 16, rel=0.05)
    assert ratio.ours == pytest.approx(alone.ours / blocks.ours)
    assert ratio.holds
    assert not alone.holds
    assert not blocks.holds


def test_blocks_that_fit_into_registers_are_many_times_faster() -> None:
    """Measured of 201,728 rows of 768 by our own blocks: 0.81 ms, no block of which spills."""
    fits = predict(rational_backward(1024 * 197, 768, 8), device("h200"), kernel="triton")
    assert float(fits.time_s) == pytest.approx(0.81e-3, rel=0.1)
    assert gradients(GIVEN)[2].ours > 10 * 1e3 * float(fits.time_s)
