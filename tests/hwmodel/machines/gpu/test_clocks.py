"""Clocks per unit: widths that datasheets round, and the units that limit."""

import pytest

from hwmodel.hardware.catalogue import device
from hwmodel.machines.gpu.clocks import clocks, limiting, width, widths
from hwmodel.quantity.errors import InputError
from hwmodel.spine.activity import Work


@pytest.mark.parametrize(
    ("name", "matrix", "exp"),
    [("a100", 2048, 16), ("h100", 4096, 16), ("h200", 4096, 16), ("b200", 8192, 16)],
)
def test_widths_are_those_that_the_architecture_states(name: str, matrix: int, exp: int) -> None:
    found = widths(device(name))
    assert found.operations["matrix", "flop", "bf16"] == matrix
    assert found.operations["exp", "exp", "fp32"] == exp
    assert found.read["shared"] == 128


def test_b300_has_twice_the_exponentials_of_b200() -> None:
    one, two = (widths(device(name)).operations["exp", "exp", "fp32"] for name in ("b200", "b300"))
    assert two == 2 * one


@pytest.mark.parametrize(("rate", "whole"), [(8191.1, 8192), (0.4999, 0.5), (96.3, 96), (3, 3)])
def test_a_width_has_few_significant_bits(rate: float, whole: float) -> None:
    assert width(rate) == whole


@pytest.mark.parametrize("rate", [0.0, -1.0, float("inf")])
def test_a_rate_that_is_none_is_refused(rate: float) -> None:
    with pytest.raises(InputError, match="positive"):
        width(rate)


def test_clocks_do_not_depend_on_how_many_processors_there_are() -> None:
    work = Work(operations={("exp", "exp", "fp32"): 1600}, read={"shared": 1280})
    b200 = device("b200")
    fewer = b200.but(
        sms={"count": 74},
        exp={"rate_per_s": {"fp32": 4.65e12 / 2}},
        shared={"bandwidth": "18.6 TB/s"},
    )
    assert clocks(work, b200) == clocks(work, fewer) == {"exp": 100, "shared": 10}


def test_units_within_a_twentieth_limit_together() -> None:
    assert limiting({"matrix": 1000, "exp": 960, "shared": 940}) == ("matrix", "exp")
