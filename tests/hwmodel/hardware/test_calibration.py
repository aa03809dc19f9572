"""Calibrations: families by name, parameters inside bounds, priors that say so."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from hwmodel.hardware.calibration import Calibration
from hwmodel.hardware.catalogue import CATALOGUE, device, load_calibration
from hwmodel.quantity.errors import InputError, UnknownNameError

PARAMETER = {"value": 0.8, "meaning": "share of the peak", "low": 0.3, "high": 1.0}
FAMILY = {"parameters": {"matrix": PARAMETER}, "interval": (0.9, 1.1), "origin": "measured"}
DATA: dict[str, Any] = {
    "name": "test",
    "device": "h200",
    "source": "test",
    "families": {"gemm": FAMILY},
}
SHIPPED = sorted((CATALOGUE / "calibration").glob("*.yaml"))


def test_families_go_by_name() -> None:
    found = Calibration.build(DATA, where="test")
    assert found.values("gemm") == {"matrix": 0.8}
    with pytest.raises(UnknownNameError, match=r"'gem' \(did you mean 'gemm'\?\)"):
        found.family("gem")


@pytest.mark.parametrize("missing", ["meaning", "low", "high", "value"])
def test_a_parameter_has_a_meaning_and_bounds(missing: str) -> None:
    bare = {key: value for key, value in PARAMETER.items() if key != missing}
    data = DATA | {"families": {"gemm": FAMILY | {"parameters": {"matrix": bare}}}}
    with pytest.raises(InputError, match=f"families.gemm.parameters.matrix: .*'{missing}'"):
        Calibration.build(data, where="test")


def test_there_are_priors_for_devices_without_measurements() -> None:
    assert "uncalibrated" in [path.stem for path in SHIPPED]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_parameters_lie_within_their_bounds(path: Any) -> None:
    found = load_calibration(path)
    assert found.source
    for name, family in found.families.items():
        low, high = family.interval
        assert 0 < low < 1 < high, name
        for parameter in family.parameters.values():
            assert parameter.low <= parameter.value <= parameter.high, (name, parameter.meaning)
            assert parameter.meaning
        if family.origin == "measured":
            assert family.rows > 0, name


def test_a_format_that_no_fit_saw_has_a_wider_interval() -> None:
    measured = FAMILY | {"formats": ["bf16"], "intervals": {"bf16": (0.95, 1.05)}}
    data = DATA | {"families": {"any": FAMILY, "gemm": measured}}
    found = Calibration.build(data, where="test")
    narrow = found.family("gemm")
    assert found.family("any").interval_of(("fp8",)) == (0.9, 1.1)
    assert narrow.interval_of(("bf16",)) == (0.95, 1.05)
    assert narrow.interval_of(("bf16", "fp16")) == pytest.approx((0.95**2, 1.05**2))
    assert narrow.interval_of(("bf16", "fp8")) == (0.6, 2.0)
    assert narrow.interval_of(("bf16@64:8",)) == (0.6, 2.0)
    assert narrow.unseen(("bf16", "fp8")) == ("fp8",)


CALIBRATION = """
name: mine
device: h200
source: a test
families:
  gemm:
    origin: measured
    interval: [0.9, 1.1]
    ranges: {M: [1, 8192]}
    parameters:
      matrix: {value: 0.8, low: 0.3, high: 1.0, meaning: share of the peak, standard_error: 0.01}
"""


def test_a_calibration_file_loads(tmp_path: Path) -> None:
    path = tmp_path / "calibration.yaml"
    path.write_text(CALIBRATION)
    found = load_calibration(path)
    assert found.values("gemm") == {"matrix": 0.8}
    assert found.family("gemm").interval == (0.9, 1.1)


def test_a_bad_calibration_file_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "calibration.yaml"
    path.write_text(CALIBRATION.replace("origin: measured", "origin: guessed"))
    with pytest.raises(InputError, match=r"calibration\.yaml: families\.gemm\.origin"):
        load_calibration(path)


def test_a_folder_carries_its_own_calibration(tmp_path: Path) -> None:
    folder = tmp_path / "my_gpu"
    folder.mkdir()
    shutil.copy(CATALOGUE / "h200.yaml", folder / "device.yaml")
    (folder / "calibration.yaml").write_text(CALIBRATION)
    found = device(folder)
    assert found.calibration is not None
    assert found.calibration.name == "mine"
    assert device(folder / "device.yaml") == found
