"""Devices of the user's own have names, and never take those that come along."""

from pathlib import Path

import pytest

import hwmodel as hw
from hwmodel.hardware.catalogue import CATALOGUE
from hwmodel.hardware.own import folder, own
from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.verbs.ask import question

VARIANT = """
extends: h200
name: My-Card
title: A card of mine
memories: {dram: {bandwidth: [1 TB/s, guess]}}
sources: {guess: "assumed: for a test"}
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    made = tmp_path / "hwmodel" / "devices"
    made.mkdir(parents=True)
    return made


def test_a_file_is_a_device_by_its_name(mine: Path) -> None:
    (mine / "My-Card.yaml").write_text(VARIANT)
    assert "my-card" in hw.devices()
    assert hw.device("my-card").memory("dram").bandwidth_bytes_per_s == 1e12
    assert hw.device("MY-CARD * 4").devices == 4


def test_a_folder_with_a_calibration_is_a_device_with_it(mine: Path) -> None:
    made = mine / "bench-card"
    made.mkdir()
    (made / "device.yaml").write_text(VARIANT)
    calibration = CATALOGUE / "calibration" / "h200.yaml"
    (made / "calibration.yaml").write_text(calibration.read_text())
    found = hw.device("bench-card").calibration
    assert found is not None
    assert found == hw.device("h200").calibration


def test_the_name_of_a_shipped_device_is_refused(mine: Path) -> None:
    (mine / "h200.yaml").write_text(VARIANT)
    with pytest.raises(InputError, match=r"h200.yaml: expected a name of its own.*my-h200"):
        hw.device("h200")
    assert hw.device("h100").name == "h100"


def test_what_is_no_device_has_no_name(mine: Path) -> None:
    (mine / "notes.txt").write_text("none")
    (mine / "empty").mkdir()
    assert own() == {}
    with pytest.raises(UnknownNameError, match="notes"):
        hw.device("notes")


def test_without_a_folder_there_are_the_shipped_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "absent"))
    assert own() == {}
    assert len(hw.devices()) == len(list(CATALOGUE.glob("*.yaml")))


def test_a_relative_folder_of_settings_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", "settings")
    assert folder() == Path("~/.config/hwmodel/devices").expanduser()


def test_a_file_that_cannot_be_read_hides_no_other_device(mine: Path) -> None:
    (mine / "my-board.yaml").write_text(VARIANT)  # whose name in the file is another
    (mine / "broken.yaml").write_text("name: broken")
    asked = question("devices").read({})
    told = asked.text(asked.answer())
    assert "\nmy-board " in told
    assert "not read: broken: " in told
    assert "expected a table `sources`" in told
