"""The patch mapper: at least as good as published schedules, and as a search written anew."""

import json

import pytest

import hwmodel as hw
from hwmodel.einsum.workloads.cnn import cnn
from hwmodel.hardware.catalogue import device
from hwmodel.mappers.patches import OBJECTIVES, certified, map_patches
from hwmodel.quantity.errors import CapacityError, InputError, UnknownNameError
from hwmodel.spine.estimate import Estimate
from hwmodel.verbs.ask import ask
from tests.thorough import but_first

H743 = device("stm32h743")
MOBILE = cnn("mobilenetv2")
WORDS = cnn("mcunet-vww1")


def test_within_171_5_kib_nothing_beats_the_published_split_of_mobilenetv2() -> None:
    published = hw.predict(cnn("mobilenetv2", patches=4, split=13), on=H743)
    found = certified(map_patches, MOBILE, H743, sram_bytes=published.stores[0].needed_bytes)
    assert found.estimate.time_s <= published.time_s
    assert found.certificate.optimal_in_mapspace
    assert found.peak_bytes <= 171.5 * 1024


def test_the_leanest_schedule_of_the_example_is_no_larger_than_the_published_one() -> None:
    published = hw.predict(cnn("mcunet-vww1", patches=2, split=5), on=H743)
    limit = published.stores[0].needed_bytes
    found = certified(map_patches, WORDS, H743, sram_bytes=limit)
    assert found.estimate.time_s <= published.time_s
    assert certified(map_patches, WORDS, H743, objective="sram").peak_bytes <= limit


def test_python_and_the_command_line_minimise_the_same() -> None:
    """mobilenetv2 x 0.35 in 320 KiB: 4 patches of least latency hold less than those of traffic."""
    network = cnn("mobilenetv2", resolution=192, width=0.35, classes=2)
    found = hw.map(network, on="stm32f746")
    sizes = {"resolution": 192, "width": 0.35, "classes": 2}
    told = ask("patches", network="mobilenetv2", on="stm32f746", **sizes)
    records = [
        answer.record()
        for answer in (found, told, certified(map_patches, network, device("stm32f746")))
    ]
    for record in records:
        record.pop("solve_time_s")
    assert records[0] == records[1] == records[2]
    assert records[0]["objective"] == "latency"


def _value(objective: str, found: Estimate) -> float:
    if objective == "sram":
        return float(found.stores[0].needed_bytes)
    fields = {"latency": "time_s", "energy": "energy_j", "traffic": "dram_bytes_read"}
    return float(getattr(found, fields[objective]))


@pytest.mark.parametrize("objective", but_first(1, sorted(OBJECTIVES)))
def test_the_answer_is_the_best_that_predictions_one_by_one_find(objective: str) -> None:
    small = cnn("mcunet-vww1", resolution=24)
    limit, seen = 6_000, [hw.predict(small, on=H743)]
    for split in range(1, 50):
        for grid in range(2, 13):
            try:
                seen.append(hw.predict(small.but(patches=grid, split=split), on=H743))
            except InputError:
                continue
    best = min(_value(objective, e) for e in seen if e.stores[0].needed_bytes <= limit)
    found = certified(map_patches, small, H743, objective=objective, sram_bytes=limit)
    assert found.certificate.value == pytest.approx(best, rel=1e-12)
    assert found.certificate.candidates == len(seen)
    assert found.certificate.bound <= best


def test_what_fits_runs_layer_by_layer() -> None:
    found = certified(map_patches, WORDS, H743)
    assert found.schedule.grid == 1
    assert found.certificate.gap_to_bound == pytest.approx(0, abs=1e-12)


def test_a_smaller_sram_is_never_faster() -> None:
    times = [
        certified(map_patches, WORDS, H743, sram_bytes=f"{kib} KiB").estimate.time_s
        for kib in (90, 60, 40, 30, 25)
    ]
    assert times == sorted(times)
    assert times[-1] > times[0]


def test_where_nothing_fits_the_least_that_would_is_named() -> None:
    with pytest.raises(CapacityError, match=r"within 50.0 KiB.*the leanest.*needs 146.2 KiB"):
        certified(map_patches, MOBILE, H743, sram_bytes="50 KiB")


def test_a_library_that_does_not_work_in_place_needs_more() -> None:
    ours, plain = (
        certified(map_patches, WORDS, H743, objective="sram", kernel=k) for k in (None, "cmsis-nn")
    )
    assert plain.peak_bytes > ours.peak_bytes


def test_hw_map_maps_networks_on_microcontrollers() -> None:
    found = hw.map(WORDS, on="stm32f412", objective="latency")
    assert "layer by layer" in str(found)
    record = json.loads(json.dumps(found.record(), allow_nan=False))
    assert record["optimal_in_mapspace"] is True
    assert record["estimate"]["stores"][0]["name"] == "sram"
    with pytest.raises(UnknownNameError, match=r"objective 'speed'"):
        hw.map(WORDS, on="stm32f412", objective="speed")
