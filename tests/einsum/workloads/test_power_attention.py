"""Attention by powers of scores: values against all pairs, and what is stored."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from hwmodel.einsum.counts import footprint_bytes
from hwmodel.einsum.evaluate import evaluate
from hwmodel.einsum.workloads.power_attention import power_attention
from hwmodel.quantity.errors import InputError


def test_chunks_add_up_to_all_pairs_of_tokens_normalised() -> None:
    random = np.random.default_rng(2)
    q, k, v = (random.normal(size=(1, 2, 3, 8, width)) for width in (4, 4, 5))
    found = evaluate(power_attention(1, 24, 2, 4, 5, chunk=8), {"Q": q, "K": k, "V": v})["Y"]
    flat = [each.reshape(1, 2, 24, -1) for each in (q, k, v)]
    scores = flat[0] @ flat[1].swapaxes(-1, -2)
    weights = np.tril(1 + scores + scores**2 / 2)
    want = weights @ flat[2] / weights.sum(-1, keepdims=True)
    assert_allclose(found.reshape(1, 2, 24, 5), want, rtol=1e-9)


def test_only_queries_keys_values_and_results_are_stored() -> None:
    cascade = power_attention(2, 128, 4, 16, 112)
    names = (*cascade.inputs, *cascade.outputs)
    assert names == ("Q", "K", "V", "Y")
    each = 2 * 4 * 128 * 2
    assert [footprint_bytes(name, cascade) for name in names] == [
        each * width for width in (16, 16, 112, 112)
    ]


def test_bad_sizes_name_the_argument() -> None:
    with pytest.raises(InputError, match="power_attention: features: expected"):
        power_attention(1, 24, 2, 0, 5)
