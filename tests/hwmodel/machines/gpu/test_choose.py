"""The chosen tile: no other of the menu is faster, found by trying each alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

import hwmodel as hw
from hwmodel.einsum.workloads.attention import attention
from hwmodel.einsum.workloads.gemm import gemm
from hwmodel.einsum.workloads.moe import grouped_gemm
from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import Limits, limits
from hwmodel.machines.gpu.choose import choose
from hwmodel.machines.gpu.libraries.shipped import family_of
from hwmodel.machines.gpu.lower import lower
from hwmodel.machines.gpu.rates import rates
from hwmodel.quantity.errors import CapacityError
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Rates as Speeds
from hwmodel.spine.activity import Work, fold

H200 = device("h200")
LIMITS = limits(H200)
TOY_RATES = Speeds(slots={"step": ("launch", 1.0)})


@dataclass(frozen=True)
class Width:
    """A tile of so many items; a turn takes one second for each, and three more."""

    width: Amount
    again: Amount = 0


def turns(items: Amount, tile: Width, limits: Limits) -> Work:
    return Work(slots={"step": np.ceil(items / tile.width) * (tile.width + 3)})


TOY = (Width(4), Width(5), Width(10))


def chosen(items: Any, menu: Sequence[Width] = TOY, resolve: Any = None) -> Width:
    return choose(turns, menu, items, LIMITS, TOY_RATES, resolve)


@pytest.mark.parametrize(("items", "width"), [(4, 4), (5, 5), (9, 10), (11, 4), (40, 10)])
def test_the_fastest_by_hand(items: int, width: int) -> None:
    """11 items take 3 turns of 7 s, 3 of 8 s or 2 of 13 s; 40 items 10 of 7, 8 of 8, 4 of 13."""
    found = chosen(items)
    assert found == Width(width)
    assert isinstance(found.width, int)


def test_each_point_of_a_sweep_has_its_own() -> None:
    found = chosen(np.array([4.0, 5.0, 9.0, 11.0, 40.0]))
    assert_allclose(found.width, [4, 5, 10, 4, 10])


def test_where_no_tile_changes_the_time_the_first_is_taken() -> None:
    def alike(items: Amount, tile: Width, limits: Limits) -> Work:
        return Work(slots={"step": 7 + 0 * items})

    assert choose(alike, TOY, 3, LIMITS, TOY_RATES, None) == TOY[0]
    points = choose(alike, TOY, np.array([4.0, 5.0]), LIMITS, TOY_RATES, None)
    assert_allclose(points.width, [4, 4])


def test_a_menu_of_one_is_the_answer() -> None:
    assert chosen(3, (Width(8),)) == Width(8)


def test_what_a_tile_leaves_open_is_filled_in_before_the_choice() -> None:
    def doubled(tile: Width, items: Amount, limits: Limits) -> Width:
        return replace(tile, width=2 * tile.width, again=items + 0 * tile.width)

    assert chosen(3, (Width(8),), doubled) == Width(16, 3)
    assert_allclose(chosen(np.array([10.0, 20.0]), TOY, doubled).width, [10, 20])
    assert_allclose(chosen(np.array([10.0, 20.0]), TOY, doubled).again, [10, 20])


def test_an_empty_menu_is_refused() -> None:
    with pytest.raises(CapacityError, match="no tile of the menu fits this device"):
        chosen(3, ())


SIZES = np.array([1.0, 8.0, 64.0, 129.0, 1000.0, 4096.0, 16384.0])
CASES: dict[str, Callable[[Any], Any]] = {
    "gemm": lambda n: gemm(M=n, N=4096, K=4096),
    "gemm of odd rows": lambda n: gemm(M=300, N=4096, K=n, dtype="fp16"),
    "gemm fp32": lambda n: gemm(M=n, N=512, K=256, dtype="fp32"),
    "grouped": lambda n: grouped_gemm(tokens=n, experts=16, top_k=2, N=1024, K=512),
    "prefill": lambda n: attention(1, 16, n + 8, n + 8, 128, kv_heads=4, causal=True),
    "decode": lambda n: attention(8, 32, 1, n, 64, kv_heads=8),
}


@pytest.mark.parametrize("case", CASES)
def test_no_tile_of_a_library_is_faster_than_the_one_chosen(case: str) -> None:
    """Every tile of the menu, alone and at each size; the sweep and the scalar agree with it."""
    calibration = H200.calibration
    assert calibration is not None

    def time_s(problem: Any, tile: Any) -> Any:
        return np.asarray(fold(call.activity(problem, tile, LIMITS), speeds).time_s)

    (call,) = lower(CASES[case](SIZES))
    family = family_of(calibration, call.family)
    speeds = rates(H200, {name: p.value for name, p in family.parameters.items()})

    def best(problem: Any) -> Any:
        tile = choose(call.activity, call.menu, problem, LIMITS, speeds, call.resolve)
        return time_s(problem, tile)

    sweep = best(call.problem)
    for place, size in enumerate(SIZES):
        (alone,) = lower(CASES[case](int(size)))
        each: list[float] = []
        for tile in alone.menu:
            filled = tile
            if alone.resolve is not None:
                filled = alone.resolve(tile, alone.problem, LIMITS)
            each.append(float(time_s(alone.problem, filled)))
        assert_allclose(float(best(alone.problem)), min(each), rtol=1e-12)
        assert_allclose(sweep[place], min(each), rtol=1e-12)


def test_where_no_tile_makes_a_difference_the_first_is_taken() -> None:
    """A product with one column streams its rows, whatever the tile."""
    for on in ("a100", "b200"):
        made = hw.predict(hw.workloads.gemm(M=1, N=1, K=1), on)
        swept = hw.predict(hw.workloads.gemm(M=np.array([1.0, 2.0]), N=1, K=1), on)
        assert np.asarray(swept.time_s)[0] == pytest.approx(float(made.time_s))
