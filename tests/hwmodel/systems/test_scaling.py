"""Scaling of networks: the paper's table of exponents, and layers counted."""

import csv
from pathlib import Path

import numpy as np
import pytest

from hwmodel.einsum.workloads.resnet import resnet
from hwmodel.quantity.errors import InputError
from hwmodel.systems.scaling import activations, fast, runtime_coefficients, scaled

DATA = Path(__file__).resolve().parents[4] / "shared/data/edge/pycls_v100_flops_acts_infer.csv"

# Strategy, shares of depth, width, resolution -> exponents of weights and activations
# (arXiv 2103.06877, table 1).
TABLE = [
    ("d", (1, 0, 0), 1, 1),
    ("w", (0, 1, 0), 1, 0.5),
    ("r", (0, 0, 1), 0, 1),
    ("dw", (0.5, 0.5, 0), 1, 0.75),
    ("dwr", (1 / 3, 1 / 3, 1 / 3), 2 / 3, 5 / 6),
    ("dWr", (0.1, 0.8, 0.1), 0.9, 0.6),
]


@pytest.mark.parametrize(("name", "shares", "weights", "acts"), TABLE)
def test_strategies_scale_as_the_paper_says(
    name: str, shares: tuple[float, float, float], weights: float, acts: float
) -> None:
    for factor in (2.0, 10.0, 100.0):
        found = scaled(factor, *shares)
        assert found.flop == pytest.approx(factor), name
        assert found.weights == pytest.approx(factor**weights), name
        assert found.activations == pytest.approx(factor**acts), name


def test_fast_scaling_is_the_last_row() -> None:
    assert fast(16.0).activations == pytest.approx(16**0.6)
    assert fast(16.0, alpha=0.5).activations == pytest.approx(16**0.75)


def test_activations_of_resnet_50_are_those_published() -> None:
    """11.1 million (arXiv 2003.13678, table of models)."""
    assert activations(resnet("resnet50")) == pytest.approx(11.1e6, rel=5e-3)


def test_shares_have_to_sum_to_one() -> None:
    with pytest.raises(InputError, match="that sum to 1, found 1, 1, 0"):
        scaled(2.0, 1, 1, 0)


def test_runtime_that_follows_activations_alone_is_fitted_so() -> None:
    """Two coefficients from three networks, by hand: 3 ms a million activations, none a MAC."""
    acts, macs = np.array([1.0, 2.0, 4.0]), np.array([5.0, 1.0, 3.0])
    assert runtime_coefficients(acts, macs, 3 * acts) == pytest.approx((3, 0), abs=1e-9)
    assert runtime_coefficients(acts, macs, 2 * acts + macs) == pytest.approx((2, 1))


@pytest.mark.skipif(not DATA.is_file(), reason="needs ../shared/data/edge")
def test_a_fit_to_other_families_ranks_a_family_left_out() -> None:
    """Two coefficients, of activations and of MACs, fitted without EfficientNets predict these."""
    rows = list(csv.DictReader(DATA.read_text().splitlines()))
    sizes = np.array([[float(r["acts_m"]), float(r["gmacs"])] for r in rows])
    time_ms = np.array([float(r["infer_ms_64img_v100"]) for r in rows])
    held = np.array([r["model"].startswith("EfficientNet") for r in rows])
    found = runtime_coefficients(sizes[~held, 0], sizes[~held, 1], time_ms[~held])
    assert min(found) > 0
    predicted = sizes[held] @ np.array(found)
    assert held.sum() >= 4
    assert np.max(np.abs(predicted / time_ms[held] - 1)) < 0.35
