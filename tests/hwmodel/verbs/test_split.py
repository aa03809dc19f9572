"""`hwmodel split`: its answer, its text, and what it refuses."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hwmodel.cli import app
from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.verbs.split import named, split

GIVEN = ["split", "bottlefit-3", "--on", "raspberry-pi-4", "--server", "xeon-8380"]


def test_the_answer_names_the_cut_and_the_crossovers() -> None:
    found = CliRunner().invoke(app, [*GIVEN, "--rate", "2MB/s"])
    assert found.exit_code == 0
    assert "fastest at 2 MB/s with cut after encoder 3" in found.output
    assert "2.52 kB" in found.output
    assert "all on the server" in found.output
    assert max(map(len, found.output.splitlines())) <= 100


def test_json_has_every_cut(tmp_path: Path) -> None:
    picture = tmp_path / "split.png"
    arguments = [*GIVEN, "--rate", "16Mb/s", "--json", "--picture", str(picture)]
    found = json.loads(CliRunner().invoke(app, arguments).output)
    assert found["rate_bytes_per_s"] == 2e6
    assert found["fastest"]["bytes"] == 2523
    assert [end["cut"] for end in found["crossovers"]] == ["device alone", "encoder 3", "image"]
    assert len(found["cuts"]) == found["device_alone"]["layers"] + 1
    assert picture.exists()


def test_networks_and_units_that_do_not_exist_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'resnet50'"):
        named("resnet150")
    with pytest.raises(InputError, match="--rate: expected a bandwidth"):
        split("resnet50", on="raspberry-pi-4", server="xeon-8380", rate="2 MHz")
    assert named("mobilenetv2").name == "mobilenetv2"
