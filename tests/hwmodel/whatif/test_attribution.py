"""Attribution: causes sum to the difference, and are Shapley's values by his own definition."""

import itertools
import json
import math
from collections.abc import Mapping
from typing import Any

import pytest

import hwmodel as hw
from hwmodel.hardware.catalogue import device
from hwmodel.hardware.parameters import changed
from hwmodel.quantity.errors import InputError
from hwmodel.whatif.attribution import attribute

H200 = device("h200")
GEMM = hw.workloads.gemm(M=512, N=4096, K=4096)
LLAMA = hw.model("llama-3.1-8b")
DECODE = LLAMA.decode(batch=32, context=2048)


@pytest.mark.parametrize(
    ("workload", "after"),
    [
        pytest.param(GEMM, device("b200"), id="other numbers"),
        pytest.param(GEMM, device("mi300x"), id="other structure"),
        pytest.param(DECODE, device("a100"), id="a model"),
        pytest.param(DECODE, H200.but(clock="1.2 GHz", l2={"capacity": "1 MiB"}), id="what-if"),
    ],
)
def test_causes_sum_to_the_difference(workload: Any, after: Any) -> None:
    found = attribute(workload, [H200, after])
    before, then = hw.predict(workload, H200), hw.predict(workload, after)
    apart_s, apart_j = then.time_s - before.time_s, then.energy_j - before.energy_j
    assert found.time_s == pytest.approx(apart_s, abs=1e-12 * float(before.time_s))
    assert found.energy_j == pytest.approx(apart_j, abs=1e-12 * float(before.energy_j))


def test_causes_are_effects_averaged_over_all_orders_of_the_changes() -> None:
    """A rate, a capacity and a count at once, each order walked with predictions of its own."""
    new: Mapping[str, float] = {
        "dram.bandwidth": 2e12,
        "matrix.rate.bf16": 3e14,
        "processors.count": 100,
    }
    after = changed(H200, new, alone=True)
    gains = dict.fromkeys(new, 0.0)
    for order in itertools.permutations(new):
        done: dict[str, float] = {}
        time_s = float(hw.predict(GEMM, H200).time_s)
        for path in order:
            done[path] = new[path]
            later_s = float(hw.predict(GEMM, changed(H200, done, alone=True)).time_s)
            gains[path] += (later_s - time_s) / math.factorial(len(new))
            time_s = later_s
    found = {cause.name: cause.time_s for cause in attribute(GEMM, [H200, after]).causes}
    assert found == pytest.approx(gains, rel=1e-9)


def test_one_change_is_all_of_the_difference() -> None:
    (cause,) = attribute(DECODE, [H200, H200.but(hbm={"bandwidth": "9.6 TB/s"})]).causes
    assert (cause.name, cause.before, cause.after) == ("dram.bandwidth", "4.8 TB/s", "9.6 TB/s")


def test_sizes_of_the_workload_are_causes_too() -> None:
    later = LLAMA.decode(batch=64, context=8192)
    found = attribute([DECODE, later], [H200, H200])
    assert {cause.name for cause in found.causes} == {"batch", "context"}
    assert found.time_s == pytest.approx(
        hw.predict(later, H200).time_s - hw.predict(DECODE, H200).time_s, rel=1e-12
    )


def test_a_machine_is_no_different_from_itself() -> None:
    assert attribute(GEMM, [H200, H200]).causes == ()


def test_more_devices_are_a_cause_of_their_own() -> None:
    (cause,) = attribute(DECODE, [H200, H200 * 8]).causes
    assert (cause.before, cause.after) == ("h200", "8 x h200")


def test_machines_of_two_kinds_and_wrong_numbers_of_them_are_refused() -> None:
    with pytest.raises(InputError, match="two machines of one kind, found gpu and spatial"):
        attribute(GEMM, [H200, "fusemax"])
    with pytest.raises(InputError, match="on: expected two of them, found 3"):
        attribute(GEMM, [H200, H200, H200])


def test_text_json_and_html_hold_every_cause() -> None:
    found = attribute(GEMM, ["h200", "b200"])
    record = json.loads(json.dumps(found.record()))
    assert [each["name"] for each in record["causes"]] == [each.name for each in found.causes]
    text, html = str(found), getattr(found, "_repr_html_")()  # noqa: B009
    assert all(cause.name in text and cause.name in html for cause in found.causes)
    assert "together" in text
