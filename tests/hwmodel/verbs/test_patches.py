"""`hwmodel patches` and `hwmodel predict cnn`: texts, exit status, refusals."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hwmodel.cli import app
from hwmodel.quantity.errors import CapacityError, HwmodelError, InputError, UnknownNameError


def run(*words: str) -> tuple[int, str]:
    found = CliRunner().invoke(app, list(words))
    if isinstance(found.exception, HwmodelError):
        raise found.exception
    return found.exit_code, found.stdout


def test_patches_are_chosen_printed_and_drawn(tmp_path: Path) -> None:
    picture = tmp_path / "sram.svg"
    given = ("mcunet-in2", "--on", "stm32f746", "--sram", "120 KiB", "--picture", str(picture))
    status, text = run("patches", *given)
    assert status == 0
    assert "of 120.0 KiB" in text
    assert picture.is_file()


def test_json_has_every_field() -> None:
    status, text = run("patches", "mcunet-vww1", "--on", "stm32f412", "--json")
    record = json.loads(text)
    assert status == 0
    assert {"patches", "split", "tile", "overhead", "peak_bytes", "layers"} <= set(record)


def test_what_does_not_fit_ends_with_status_3_and_says_how_much_is_short() -> None:
    status, text = run("predict", "cnn", "network=mobilenetv2", "--on", "stm32h743")
    assert status == CapacityError.exit_status
    assert "short by 860.0 KiB" in text
    with pytest.raises(CapacityError, match=r"KiB more"):
        run("patches", "mobilenetv2", "--on", "stm32f412", "--sram", "60KiB")


def test_a_network_that_fits_ends_with_status_0() -> None:
    status, text = run("predict", "cnn", "network=mcunet-vww1", "--on", "nrf52840")
    assert status == 0
    assert "87.5 KiB" in text


def test_other_machines_and_fields_are_refused() -> None:
    with pytest.raises(InputError, match=r"expected a microcontroller, found h200"):
        run("patches", "mcunet-vww1", "--on", "h200")
    with pytest.raises(UnknownNameError, match=r"did you mean 'resolution'"):
        run("patches", "mobilenetv2", "resolutoin=96", "--on", "stm32f746")
