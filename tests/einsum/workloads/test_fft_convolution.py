"""Convolution by products with matrices of a transform: values, orders, and refusals."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray

from hwmodel.einsum.counts import cascade_counts
from hwmodel.einsum.evaluate import evaluate
from hwmodel.einsum.workloads.fft_convolution import factors_of, fft_convolution
from hwmodel.quantity.errors import InputError


def turns(rows: int, columns: int, n: int) -> NDArray[np.complex128]:
    return np.exp(-2j * np.pi / n * np.outer(np.arange(rows), np.arange(columns)))


@pytest.mark.parametrize("gated", [False, True])
def test_two_sequences_are_convolved_as_by_numpys_transform(gated: bool) -> None:
    random = np.random.default_rng(1)
    u, k, before, after = (random.normal(size=(2, 256)) for _ in range(4))
    k = k[0]
    matrix, twiddle = turns(16, 16, 16) / math.sqrt(16), turns(16, 16, 256)
    spectrum = np.fft.fft(k).reshape(16, 16).T
    given = {f"RE{at}": matrix.real for at in "kl"} | {f"IM{at}": matrix.imag for at in "kl"}
    given |= {"TRk": twiddle.real, "TIk": twiddle.imag}
    given |= {"FR": spectrum.real[None], "FI": spectrum.imag[None]}
    for name, value in (("U", u), *((("V", before), ("W", after)) if gated else ())):
        given |= {name + part: value[i].reshape(1, 1, 16, 16) for i, part in enumerate("RI")}
    found = evaluate(fft_convolution(2, 1, 256, gated=gated), given)
    if not gated:
        before = after = np.ones_like(u)
    want = np.fft.ifft(np.fft.fft(u * before) * np.fft.fft(k)).real * after
    assert_allclose(found["YR"].ravel(), want[0], atol=1e-9)
    assert_allclose(found["YI"].ravel(), want[1], atol=1e-9)


@pytest.mark.parametrize(
    ("length", "factors"),
    [(256, (16, 16)), (16384, (128, 128)), (32768, (16, 32, 64)), (1 << 21, (128, 128, 128))],
)
def test_a_length_is_two_products_until_a_block_is_full_and_then_three(
    length: int, factors: tuple[int, ...]
) -> None:
    assert factors_of(length) == factors
    assert math.prod(factors) == length


def test_a_complex_product_is_four_real_ones_there_and_back() -> None:
    """Of 3 x 1024 numbers: four products of 32 points, twice both ways; three turns of four."""
    counts = cascade_counts(fft_convolution(2, 3, 1024))
    multiplied = sum(count for (kind, _), count in counts.items() if kind == "multiply")
    assert multiplied == 3 * 1024 * (2 * 2 * 4 * 32 + 3 * 4)


def test_bad_arguments_are_named() -> None:
    with pytest.raises(InputError, match="length: expected a power of two, 256 to 2097152"):
        fft_convolution(2, 1, 1000)
    with pytest.raises(InputError, match="batch: expected an even number, found 3"):
        fft_convolution(3, 1, 256)
