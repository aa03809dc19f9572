"""Sensitivities: equal to finite differences, to laws of the model, to swings predicted apart."""

import json
import math
from functools import cache

import pytest

import hwmodel as hw
from hwmodel.hardware.catalogue import device
from hwmodel.hardware.parameters import changed, numbers
from hwmodel.quantity.errors import InputError
from hwmodel.whatif.sensitivity import Sensitivity, sensitivity

H200 = device("h200")
GEMM = hw.workloads.gemm(M=2048, N=4096, K=4096)
DECODE = hw.model("llama-3.1-8b").decode(batch=32, context=2048)


@cache
def found_of(name: str) -> Sensitivity:
    return sensitivity({"gemm": GEMM, "decode": DECODE}[name], H200)


@pytest.mark.parametrize("name", ["gemm", "decode"])
@pytest.mark.parametrize("path", ["dram.bandwidth", "matrix.rate.bf16", "clock", "launch.graph"])
def test_elasticities_are_central_differences_of_separate_predictions(name: str, path: str) -> None:
    workload = {"gemm": GEMM, "decode": DECODE}[name]
    step, value = 1e-4, numbers(H200)[path].value
    low, high = (
        hw.predict(workload, changed(H200, {path: value * (1 + s)})) for s in (-step, step)
    )
    try:
        effect = found_of(name).effect(path)
    except InputError:
        assert low.time_s == high.time_s
        return
    wide = math.log((1 + step) / (1 - step))
    for up, down, after, before in (
        (effect.time_up, effect.time_down, high.time_s, low.time_s),
        (effect.energy_up, effect.energy_down, high.energy_j, low.energy_j),
    ):
        assert (up + down) / 2 == pytest.approx(math.log(after / before) / wide, abs=2e-4)


@pytest.mark.parametrize("name", ["gemm", "decode"])
def test_a_machine_that_is_faster_in_everything_is_that_much_faster(name: str) -> None:
    """Time is homogeneous in seconds: elasticities to latencies less those to rates sum to one.

    Rates of units and of memories that processors have for themselves go with the clock.
    """
    total = 0.0
    followers = ("matrix", "vector", "exp", "shared", "l1", "register")
    for effect in found_of(name).effects:
        if effect.number.path.startswith(followers):
            continue
        if effect.number.dimension == "s":
            total += effect.time_up
        elif effect.number.dimension in ("hz", "bytes_per_s", "flop_per_s", "per_s"):
            total -= effect.time_up
    assert total == pytest.approx(1, abs=1e-3)


def test_swings_are_predictions_with_the_number_a_fifth_lower_and_higher() -> None:
    effect = found_of("decode").effect("dram.bandwidth")
    for factor, time_s, energy_j in (
        (0.8, effect.time_low_s, effect.energy_low_j),
        (1.2, effect.time_high_s, effect.energy_high_j),
    ):
        apart = hw.predict(DECODE, H200.but(hbm={"bandwidth_bytes_per_s": 4.8e12 * factor}))
        assert (time_s, energy_j) == (apart.time_s, apart.energy_j)


def test_whole_numbers_move_by_whole_steps() -> None:
    effect = found_of("gemm").effect("processors.count")
    more = hw.predict(GEMM, H200.but(sms={"count": 133}))
    slope = math.log(more.time_s / hw.predict(GEMM, H200).time_s) / math.log(133 / 132)
    assert effect.time_up == pytest.approx(slope, rel=1e-9)


def test_rows_fall_in_width_and_what_has_no_effect_is_named() -> None:
    found = sensitivity(GEMM, "h200")
    widths = [
        round(max(abs(e.time_low_s / found.time_s - 1), abs(e.time_high_s / found.time_s - 1)), 9)
        for e in found.effects
    ]
    assert widths == sorted(widths, reverse=True)
    assert "link.bandwidth" in found.inert
    assert {e.number.path for e in found.effects} | {*found.inert} == {*numbers(H200)}


def test_a_machine_whose_model_takes_no_arrays_is_asked_point_by_point() -> None:
    """A microcontroller that computes all the time: its time goes as one over its rate."""
    effect = sensitivity(
        hw.workloads.cnn("mobilenetv2", resolution=96, width=0.35), "stm32f746"
    ).effect("vector.rate.int8")
    assert (effect.time_up, effect.time_down) == pytest.approx((-1, -1), abs=1e-3)


def test_a_change_that_leaves_nothing_running_has_no_time() -> None:
    found = sensitivity(GEMM, H200.but(power={"idle_w": 400}), swing=0.5)
    assert math.isnan(found.effect("power.limit").time_low_s)
    assert "cannot run" in str(found)


def test_text_json_and_html_hold_the_answer() -> None:
    found = found_of("gemm")
    assert "matrix.rate.bf16" in str(found)
    record = json.loads(json.dumps(found.record(), allow_nan=False))
    assert record["effects"][0]["number"] == found.effects[0].number.path
    assert "<table" in getattr(found, "_repr_html_")()  # noqa: B009


@pytest.mark.parametrize("swing", [0, 1, -0.5])
def test_a_swing_is_a_share(swing: float) -> None:
    with pytest.raises(InputError, match="swing: expected a share between 0 and 1"):
        sensitivity(GEMM, H200, swing=swing)


def test_a_sweep_is_refused() -> None:
    with pytest.raises(InputError, match="expected one point, found 3"):
        sensitivity(hw.workloads.gemm(M=hw.linspace(1, 3, 3), N=64, K=64), H200)


@pytest.mark.thorough
def test_an_engines_step_follows_the_drams_bandwidth_as_two_predictions_do() -> None:
    found = sensitivity(DECODE, H200, engine="vllm").effect("dram.bandwidth")
    wider = changed(H200, {"dram.bandwidth": 1.2 * numbers(H200)["dram.bandwidth"].value})
    assert found.time_high_s == pytest.approx(
        float(hw.predict(DECODE, wider, engine="vllm").time_s), rel=1e-9
    )
    assert -1 < found.time_up < -0.5
