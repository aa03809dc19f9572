"""The MLP of a transformer layer."""

import numpy as np

from hwmodel.einsum.counts import footprint_bytes, operation_counts
from hwmodel.einsum.evaluate import evaluate
from hwmodel.einsum.workloads.mlp import mlp


def _products(gated: bool) -> int:
    made = mlp(3, 4, 5, gated=gated)
    counts = [operation_counts(made.einsum(name), made) for name in ("H", "Y")]
    return sum(int(c["multiply", "bf16"]) for c in counts)


def test_a_gated_mlp_has_three_matrices_and_a_plain_one_two() -> None:
    assert _products(gated=True) == 3 * 3 * 4 * 5
    assert _products(gated=False) == 2 * 3 * 4 * 5


def test_weights_are_read_whole() -> None:
    made = mlp(3, 4, 5)
    assert footprint_bytes("W", made) == 2 * 2 * 4 * 5
    assert footprint_bytes("WD", made) == 2 * 4 * 5


def test_it_computes_the_gated_mlp() -> None:
    random = np.random.default_rng(0)
    x, w = random.normal(size=(3, 4)), random.normal(size=(2, 5, 4))
    down = random.normal(size=(4, 5))
    gate, up = x @ w[0].T, x @ w[1].T
    expected = (gate / (1 + np.exp(-gate)) * up) @ down.T
    found = evaluate(mlp(3, 4, 5), {"X": x, "W": w, "WD": down})["Y"]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
