"""Nearest centroids: the value against NumPy's, counts, and refusals."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from hwmodel.einsum.counts import cascade_counts
from hwmodel.einsum.evaluate import evaluate
from hwmodel.einsum.workloads.kmeans import kmeans
from hwmodel.quantity.errors import InputError


def test_every_point_gets_its_nearest_centroid() -> None:
    random = np.random.default_rng(1)
    x, c = random.normal(size=(50, 3)), random.normal(size=(7, 3))
    found = evaluate(kmeans(50, 7, 3), {"X": x, "C": c})["A"]
    assert_array_equal(found, np.linalg.norm(x[:, None] - c, axis=2).argmin(axis=1))


def test_a_distance_takes_three_operations_per_coordinate() -> None:
    once = ("subtract", "multiply", "add")
    counts = cascade_counts(kmeans(50, 7, 3))
    assert {kind: counts[kind, "fp32"] for kind in once} == dict.fromkeys(once, 50 * 7 * 3)
    assert counts["compare", "fp32"] == 50 * 7


def test_bad_sizes_name_the_argument() -> None:
    with pytest.raises(InputError, match=r"^kmeans: clusters: expected"):
        kmeans(50, 0, 3)
