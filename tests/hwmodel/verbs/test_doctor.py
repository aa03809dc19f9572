"""What `doctor` finds: packages, GPUs by the driver's tool, devices of the user's own."""

from pathlib import Path

import pytest

import hwmodel as hw
from hwmodel.verbs.doctor import examined, gpus, read


def test_gpus_are_told_with_the_nearest_device() -> None:
    listed = "NVIDIA H200, 580.159.04, 9.0\nNVIDIA GeForce RTX 4090, 570.1, 8.9\nOld Card, 1, 3.5\n"
    h200, ada, old = read(listed)
    assert (h200.name, h200.driver, h200.device) == ("NVIDIA H200", "580.159.04", "h200")
    assert ada.device == "rtx-4090"
    assert "compute capability 3.5 has no relative" in old.device


def test_a_driver_that_fails_is_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\nexit 9\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    assert gpus() == ()
    tool.write_text("#!/bin/sh\necho 'NVIDIA B200, 580.1, 10.0'\n")
    assert [each.device for each in gpus()] == ["b200"]


def test_an_own_device_that_cannot_be_read_is_told_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    made = tmp_path / "hwmodel" / "devices"
    made.mkdir(parents=True)
    (made / "broken.yaml").write_text("title: no sources\n")
    found = examined()
    assert "expected a table `sources`" in found.own["broken"]
    assert "broken" in str(found)
    assert found.folder == str(made)


def test_it_answers_through_every_door() -> None:
    found = hw.ask("doctor")
    assert found.parts["numpy"]
    assert {"h200", "b200"} <= found.calibrations.keys()
    assert "h200" in str(found)
