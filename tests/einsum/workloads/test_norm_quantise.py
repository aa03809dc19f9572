"""Residual, norm and quantisation in one: values, and bytes that are stored."""

import numpy as np
from numpy.testing import assert_allclose

from hwmodel.einsum.counts import footprint_bytes
from hwmodel.einsum.evaluate import evaluate
from hwmodel.einsum.workloads.norm_quantise import norm_quantise


def test_the_largest_number_of_a_row_becomes_the_formats_largest() -> None:
    x, z, gain = (np.random.default_rng(i).normal(size=size) for i, size in
                  enumerate([(5, 8), (5, 8), 8]))  # fmt: skip
    found = evaluate(norm_quantise(5, 8, dtype_out="fp32"), {"X": x, "Z": z, "GAIN": gain})
    assert_allclose(found["H"], x + z)
    normal = (x + z) * gain / np.sqrt(np.mean((x + z) ** 2, 1, keepdims=True) + 1e-6)
    assert_allclose(np.abs(found["Q"]).max(1), 448)
    assert_allclose(found["Q"] * found["SCALE"][:, None], normal, rtol=1e-9)


def test_a_number_is_written_in_two_bytes_and_one() -> None:
    cascade = norm_quantise(100, 64)
    written = {name: footprint_bytes(name, cascade) for name in cascade.outputs}
    assert written == {"H": 100 * 64 * 2, "Q": 100 * 64, "SCALE": 400}
