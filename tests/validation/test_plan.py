"""`hwmodel calibrate` with a fake GPU: rows made by the model come back as its parameters."""

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from hwmodel.hardware.catalogue import device, load_device
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.gpu.libraries.shipped import family_of
from hwmodel.quantity.errors import InputError
from hwmodel.validation import fit
from hwmodel.validation.calibrate import PRIORS, load_calibration
from hwmodel.validation.fit import predicted_s
from hwmodel.validation.measure.shapes import streams
from hwmodel.validation.plan import Outcome, Stage, calibrate_device
from hwmodel.validation.rows import Row, groups
from hwmodel.validation.users_gpu import own_device

FACTS: Mapping[str, Any] = {
    "device": "NVIDIA H100 PCIe", "board": "0badcafe", "driver": "580.1", "cuda": "13.0",
    "torch": "2.11", "capability": (9, 0), "streaming_multiprocessors": 114,
    "max_sm_clock_hz": 1.755e9, "max_memory_clock_hz": 1.593e9, "memory_bus_bits": 5120,
    "memory_bytes": 85_029_158_912, "l2_bytes": 52_428_800, "power_limit_w": 350.0,
    "idle_power_w": 48.0, "date": "2026-11-22",
}  # fmt: skip
"""An H100 PCIe: 114 SMs, HBM2e at 1593 MHz over 5120 bits (NVIDIA H100 datasheet: 2 TB/s)."""
PLAN = (Stage("first", ("rows",), 1.0, 1), Stage("second", ("decode-flash",), 1.0, 2))
PLANTED = {"dram": 0.8, "launch": 1.7}
CASES, NOISE = 40, 0.01


def planted(family: str) -> dict[str, float]:
    values = {n: p.value for n, p in family_of(load_calibration(PRIORS), family).parameters.items()}
    return values | PLANTED


class FakeGpu:
    """Answers with the model's own times under planted parameters, and a little noise."""

    def __init__(self, interrupt_in: str = "") -> None:
        self.measured: list[str] = []
        self.interrupt_in = interrupt_in

    def find(self) -> Mapping[str, Any]:
        return FACTS

    def __call__(
        self, stages: Sequence[str], seconds: float, seed: int, name: str, folder: Path,
        advance: Callable[[int], None],
    ) -> None:  # fmt: skip
        self.measured.append(name)
        folder.mkdir(parents=True)
        rng = np.random.default_rng(seed)
        hardware = own_device(FACTS, device("h100"))
        with (folder / "rows.jsonl").open("w") as file:
            for stage in stages:
                cases = list(islice(streams(seed)[stage], CASES))
                for line in timed(cases, hardware, rng):
                    file.write(json.dumps({"stage": stage, **line}) + "\n")
                    advance(1)
        if name == self.interrupt_in:
            raise KeyboardInterrupt
        header = {**FACTS, "sitting": name, "counters_refused": "no permission\nERR_NVGPUCTRPERM"}
        (folder / "header.json").write_text(json.dumps(header))


def timed(
    cases: Sequence[Any], hardware: Hardware, rng: np.random.Generator
) -> list[dict[str, Any]]:
    heads = [{"family": c.family, "kernel": c.kernel, "dtype": c.dtype, **c.shape} for c in cases]
    lines: list[dict[str, Any]] = []
    for group in groups([Row("s", "b", head) for head in heads]):
        family = group.calls[0].family
        times = predicted_s(group, hardware, family, planted(family), {})
        times = times * np.exp(NOISE * rng.standard_normal(len(times)))
        lines += [{**r.columns, "time_s": float(t)} for r, t in zip(group.rows, times, strict=True)]
    return lines


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, FakeGpu, FakeGpu, Outcome]:
    """A run killed in its second stage, and the run that went on."""
    folder = tmp_path_factory.mktemp("calibrate") / "my_gpu"
    killed, resumed = FakeGpu(interrupt_in="second"), FakeGpu()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit, "FOLDS", 2)  # of five, each of which is fitted again
        with pytest.raises(KeyboardInterrupt):
            calibrate_device(folder, plan=PLAN, find=killed.find, measure=killed)
        half = device(folder).calibration
        assert half is not None
        assert half.family("rows:torch").origin == "measured"
        assert family_of(half, "decode:flash-attention-2").origin != "measured"
        outcome = calibrate_device(folder, plan=PLAN, find=resumed.find, measure=resumed)
    return folder, killed, resumed, outcome


@pytest.mark.thorough
def test_an_interrupted_run_goes_on_where_it_stopped(finished: Any) -> None:
    _, killed, resumed, _ = finished
    assert killed.measured == ["first", "second"]
    assert resumed.measured == ["second"]


def test_a_finished_run_measures_nothing_again(finished: Any) -> None:
    folder, _, _, before = finished
    idle = FakeGpu()
    again = calibrate_device(folder, plan=PLAN, find=idle.find, measure=idle)
    assert idle.measured == []
    assert again.errors == before.errors


@pytest.mark.parametrize("family", ["rows:torch", "decode:flash-attention-2"])
def test_planted_parameters_come_back(finished: Any, family: str) -> None:
    calibration = device(finished[0]).calibration
    assert calibration is not None
    assert calibration.family(family).origin == "measured"
    assert_allclose(calibration.values(family)["dram"], PLANTED["dram"], rtol=0.06)
    low, high = calibration.family(family).interval
    assert 0.9 < low < 1 < high < 1.1


def test_errors_on_rows_left_out_are_near_the_noise(finished: Any) -> None:
    errors = {line.family: line for line in finished[3].errors}
    assert set(errors) == {"rows:torch", "decode:flash-attention-2"}
    assert all(line.mean < 4 * NOISE for line in errors.values())


def test_what_was_not_measured_is_inherited_and_wider(finished: Any) -> None:
    calibration, relative = device(finished[0]).calibration, device("h100").calibration
    assert calibration is not None
    assert relative is not None
    measured = {line.family for line in finished[3].errors}
    for name, family in relative.families.items():
        if name in measured:
            continue
        mine = calibration.family(name)
        assert mine.parameters == family.parameters
        assert mine.interval[0] <= family.interval[0]
        assert mine.interval[1] >= family.interval[1]
        assert mine.origin == ("prior" if family.origin == "prior" else "inherited")


def test_the_outcome_tells_errors_refused_counters_and_how_to_use_it(finished: Any) -> None:
    text = str(finished[3])
    assert "rows:torch" in text
    assert "hardware counters were skipped: ERR_NVGPUCTRPERM" in text
    assert f"hw.device('{finished[0]}')" in text


def test_nothing_half_written_stays_behind(finished: Any) -> None:
    left = {path.name for path in finished[0].rglob("*") if path.is_file()}
    assert left == {
        *("device.yaml", "calibration.yaml", "errors.json", "header.json"),
        *("rows.csv", "attention.csv"),
    }
    assert not (finished[0] / "measuring").exists()


def test_a_folder_of_another_gpu_is_refused(finished: Any) -> None:
    other = {**FACTS, "device": "NVIDIA H200"}
    with pytest.raises(InputError, match="holds the calibration of NVIDIA H100 PCIe, but this GPU"):
        calibrate_device(finished[0], plan=PLAN, find=lambda: other, measure=FakeGpu())


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "taken"
    path.write_text("")
    with pytest.raises(InputError, match="expected a folder, found a file"):
        calibrate_device(path, plan=PLAN, find=FakeGpu().find, measure=FakeGpu())


def test_the_device_file_is_complete_before_anything_is_measured(tmp_path: Path) -> None:
    class Broken(FakeGpu):
        def __call__(self, *given: Any, **named: Any) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        calibrate_device(tmp_path / "mine", plan=PLAN, find=FakeGpu().find, measure=Broken())
    assert load_device(tmp_path / "mine" / "device.yaml").processors.count == 114
    assert device(tmp_path / "mine").calibration is not None
