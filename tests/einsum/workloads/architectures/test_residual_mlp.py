"""Residual MLPs, hourglass and usual, by hand."""

from typing import Any

import pytest

import hwmodel as hw
from hwmodel.einsum.workloads.model import model
from hwmodel.quantity.errors import CoverageError
from hwmodel.spine.estimate import Estimate

HOURGLASS: dict[str, Any] = {
    **{"model_type": "residual_mlp", "inputs": 1024, "hidden_size": 4096},
    **{"intermediate_size": 512, "num_hidden_layers": 8, "outputs": 1024},
    "torch_dtype": "bfloat16",
}
USUAL = {**HOURGLASS, "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 4}
"""As many parameters in its blocks: 4 of 1024 x 4096 against 8 of 4096 x 512."""


def blocks(estimate: Estimate) -> tuple[float, float]:
    """FLOP of the products of all blocks, and bytes that pass between their kernels."""
    parts = [part for part in estimate.parts if part.name in ("up", "down")]
    flop = sum(float(part.times * (part.flop or 0)) for part in parts)
    return flop, sum(float(part.times * part.counts.written["dram"]) for part in parts)


def test_parameters_are_those_of_lift_blocks_and_readout() -> None:
    lift = readout = 1024 * 4096
    assert model(HOURGLASS).parameters == lift + 8 * 2 * 4096 * 512 + readout
    assert model({**HOURGLASS, "generated": True}).parameters == 8 * 2 * 4096 * 512 + readout
    assert model(USUAL).parameters == 4 * 2 * 1024 * 4096 + 1024 * 1024  # no lift


def test_equal_parameters_are_equal_operations_and_other_bytes() -> None:
    """What products write: (4096 + 512) 8 columns a row against (1024 + 4096) 4."""
    rows = 4096
    (flop, moved), (same, fewer) = (
        blocks(hw.predict(model(each).prefill(rows, 1), on="h200")) for each in (HOURGLASS, USUAL)
    )
    assert flop == same == 2 * rows * 8 * 2 * 4096 * 512
    assert moved / fewer == pytest.approx(8 * (4096 + 512) / (4 * (1024 + 4096)), rel=1e-6)


def test_the_hourglass_is_slower_where_rows_are_many() -> None:
    """Its blocks are deeper, and move more: 1.8 times as much."""
    for rows in (1, 64, 16384):
        deep, wide = (
            hw.predict(model(each).prefill(rows, 1), on="h200") for each in (HOURGLASS, USUAL)
        )
        assert deep.time_s > wide.time_s


def test_an_activation_that_is_not_known_is_refused() -> None:
    with pytest.raises(CoverageError, match="hidden_act: 'sine'"):
        model({**HOURGLASS, "hidden_act": "sine"})
