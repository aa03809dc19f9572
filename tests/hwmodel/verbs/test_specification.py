"""`map --timeloop`: a mapping counted, a search, and what the answer says of both."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

import hwmodel as hw
from hwmodel.cli import main
from hwmodel.quantity.errors import InputError

FILES = Path(__file__).resolve().parents[3] / "examples" / "timeloop"


@pytest.fixture
def files() -> list[str]:
    return [str(FILES / name) for name in ("arch.yaml", "problem.yaml", "mapping.yaml")]


def test_a_mapping_is_counted(
    files: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Z once, A and B by tiles of 4 x 4 four times each: 256 + 2 x 4 x 256 bytes; 256 steps."""
    monkeypatch.setattr(sys, "argv", ["hwmodel", "map", "--timeloop", *files, "--json"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    record = json.loads(capsys.readouterr().out)
    assert record["value"] == 256 + 2 * 4 * 256
    found = hw.ask("map", timeloop=files)
    assert found.costs.counts.steps == 256
    assert found.hardware.area_m2 is not None


def test_without_a_mapping_ours_is_searched_and_what_is_joined_is_said(files: list[str]) -> None:
    found = hw.ask("map", timeloop=files[:2], objective="energy")
    assert found.certificate.optimal_in_mapspace
    assert found.hardware.memories["element"].capacity_bytes == 8
    assert "weights, rest are one memory of their bytes together" in str(found)
    assert found.value <= hw.ask("map", timeloop=files, objective="energy").value


def test_what_the_files_say_is_not_said_a_second_time(files: list[str]) -> None:
    with pytest.raises(InputError, match="map: on: expected none beside timeloop"):
        hw.ask("map", timeloop=files, on="fusemax")


def test_a_search_may_be_limited_and_what_never_binds_is_worth_nothing(files: list[str]) -> None:
    """Bytes of what does not fit, over a bandwidth without an end, are no seconds: no NaN."""
    with np.errstate(invalid="raise"):
        found = hw.ask("map", timeloop=files[:2], time_limit_s=60)
    assert found.certificate.optimal_in_mapspace
    assert "byte/s more" not in str(found)
    with pytest.raises(InputError, match="time_limit_s: expected none beside the files' own map"):
        hw.ask("map", timeloop=files, time_limit_s=60)
    with pytest.raises(InputError, match="time_limit_s: expected greater than or equal to 0"):
        hw.ask("map", timeloop=files[:2], time_limit_s=-1)


def test_a_size_of_no_rank_and_a_section_that_is_not_read_are_told(
    files: list[str], tmp_path: Path
) -> None:
    text = Path(files[1]).read_text(encoding="utf-8").replace("K: 16}", "K: 16, Wstrid: 2}")
    changed = tmp_path / "problem.yaml"
    changed.write_text(f"{text}\nmappin: []\n", encoding="utf-8")
    said = hw.ask("map", timeloop=[files[0], str(changed)]).notes
    assert "problem: instance: 'Wstrid' is no key that is known, and not read" in said
    assert "specification: 'mappin' is no key that is known, and not read; did you mean" in str(
        said
    )
