"""The radix-2 transform: its value against NumPy's, and its operations against the textbook's."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from hwmodel.einsum.counts import cascade_counts
from hwmodel.einsum.evaluate import evaluate
from hwmodel.einsum.workloads.fft import fft, twiddles
from hwmodel.quantity.errors import InputError


@pytest.mark.parametrize("stages", [1, 2, 3, 5])
def test_the_value_is_the_discrete_transform(stages: int) -> None:
    points, bits = 2**stages, (2,) * stages
    random = np.random.default_rng(stages)
    x = random.normal(size=(3, points)) + 1j * random.normal(size=(3, points))
    given = {"R0": x.real.reshape(3, *bits), "I0": x.imag.reshape(3, *bits), **twiddles(points)}
    made = evaluate(fft(points, batch=3), given)
    found = made[f"R{stages}"] + 1j * made[f"I{stages}"]
    assert_allclose(found.reshape(3, points), np.fft.fft(x), atol=1e-12)


def test_a_butterfly_takes_ten_operations_and_four_changes_of_sign() -> None:
    """Cooley and Tukey: n/2 log2(n) butterflies, each a complex product and two complex sums."""
    counts = cascade_counts(fft(64, batch=5))
    butterflies = 5 * 32 * 6
    assert sum(counts.values()) == (10 + 4) * butterflies
    assert counts["multiply", "fp32"] == (4 + 4) * butterflies


@pytest.mark.parametrize("points", [0, 1, 12, 2**21])
def test_lengths_that_are_no_power_of_two_are_refused(points: Any) -> None:
    with pytest.raises(InputError, match=r"^fft: points: expected"):
        fft(points)
