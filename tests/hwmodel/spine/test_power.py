"""Joules, watts, and a power limit that stretches time."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from hwmodel.quantity.errors import InputError
from hwmodel.spine.activity import (
    Rates,
    Repeat,
    Waves,
    Work,
)
from hwmodel.spine.power import components_j, energy_j, sustained_s
from tests.hwmodel.spine.test_activity import MACHINE, matrix


def test_power_limit_stretches_time_until_the_joules_fit() -> None:
    """100 flops of 5 J in 100 s are 5 W; with 2 W idle under a 4 W limit they take 250 s."""
    rates = replace(
        MACHINE, operation_j={("matrix", "flop", "bf16"): 5.0}, static_w=2.0, limit_w=4.0
    )
    assert_allclose(sustained_s(matrix(100), rates, 100.0), 250)
    assert sustained_s(matrix(100), replace(rates, limit_w=8.0), 100.0) == 100
    assert_allclose(sustained_s(matrix(100), replace(rates, limit_w=2.5), 100.0), 1000)


def test_a_power_limit_below_what_is_always_drawn_is_refused() -> None:
    rates = replace(MACHINE, static_w=2.0, limit_w=2.0)
    with pytest.raises(InputError, match=r"expected more than the 2 W that .* found 2 W"):
        sustained_s(matrix(100), rates, 100.0)


def test_live_units_draw_watts_while_the_work_lasts() -> None:
    """Three of four slots busy at 5 W each, 2 W idle, for 10 s: 170 J."""
    rates = replace(MACHINE, static_w=2.0, live_w={"processors": 5.0})
    tiles = Waves(3, 4, Work(live={"processors": 1}))
    assert_allclose(energy_j(tiles, rates, 10.0), 170)


@pytest.mark.parametrize("limit_w", [np.inf, 3.0])
def test_energy_by_component_sums_to_the_energy(limit_w: float) -> None:
    """Below and at the power limit; a component that nothing prices takes nothing."""
    work = Work(
        operations={("matrix", "flop", "bf16"): 100, ("vector", "flop", "fp32"): 10},
        read={"dram": 7},
        written={"dram": 5},
        messages={"wire": (2, 30)},
    )
    rates = Rates(
        operation_j={("matrix", "flop", "bf16"): 0.5},
        byte_j={"dram": 2.0, "wire": 0.25},
        static_w=1.5,
        limit_w=limit_w,
    )
    found = components_j(Repeat(3, work), rates, 40.0)
    assert sum(found.values()) == pytest.approx(energy_j(Repeat(3, work), rates, 40.0))
    assert found["vector"] == 0
    assert found["dram"] / found["matrix"] == pytest.approx(24 / 50)
    assert found["static"] / found["wire"] == pytest.approx(60 / 22.5)
