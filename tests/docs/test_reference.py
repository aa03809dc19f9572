"""The reference names all that files, commands and answers have, read off files and answers."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

import hwmodel as hw
from docs.writing.pages import pages, text
from docs.writing.reference import OPEN, WRITERS, written
from hwmodel.experts.traces import COUNT_COLUMNS, LOAD_COLUMNS, LOAD_NAMES, TRACE_COLUMNS
from hwmodel.verbs.ask import VERBS
from hwmodel.verbs.request import workloads
from hwmodel.verbs.study import FIELDS
from tests.snippets import ROOT

REFERENCE = ROOT / "docs" / "reference"
DEVICES = ROOT / "hwmodel" / "hardware" / "devices"
FREE = {
    *("rate", "energy", "cycles", "macs", "resources", "sources"),
    *("units", "memories", "arrays", "functions"),
}
"""Tables of a device whose entries have names of its own."""


def named(page: str) -> set[str]:
    """Fields that the tables of a page name."""
    return set(re.findall(r"^\| `(\w+)` \|", text(f"docs/reference/{page}"), re.MULTILINE))


def said(table: Any, *, free: bool = False) -> Iterator[str]:
    """Keys of a file that are fields of a record, and no names of its own."""
    if isinstance(table, dict):
        for name, value in cast(dict[str, Any], table).items():
            if not free:
                yield name
            yield from said(value, free=not free and name in FREE)


def test_every_field_of_a_shipped_device_is_in_the_reference() -> None:
    known = named("device.md")
    for path in DEVICES.glob("*.yaml"):
        told = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert set(said(told)) <= known, path.name


@pytest.mark.parametrize(
    ("page", "folder"), [("binding.md", "bindings"), ("topology.md", "topologies")]
)
def test_every_field_of_a_shipped_file_is_in_the_reference(page: str, folder: str) -> None:
    known = named(page) | {"generate", "with", "dimensions", "pod"}
    for path in (DEVICES / folder).glob("*.yaml"):
        assert set(yaml.safe_load(path.read_text(encoding="utf-8"))) <= known, path.name


def test_a_field_is_told_with_its_unit_its_default_and_what_it_means() -> None:
    told = text("docs/reference/device.md")
    assert "| `bandwidth` | a bandwidth such as '4.8 TB/s' | needed |" in told
    assert "| `count` | a count | needed |" in told
    assert "| `channels` | a positive number | `1` | Equal channels that" in told
    assert "| `kind` | `gpu` or `spatial` or" in told
    assert "[Processors](#processors)" in told
    assert "## Processors" in told


def test_the_fields_of_a_study_and_of_routing_are_those_that_are_read() -> None:
    assert named("study.md") == set(FIELDS)
    routing = (REFERENCE / "routing.md").read_text(encoding="utf-8")
    for name in (*COUNT_COLUMNS, *TRACE_COLUMNS, *LOAD_COLUMNS, *LOAD_NAMES):
        assert f"`{name}`" in routing


def test_every_workload_and_verb_has_its_words() -> None:
    cases, commands = (text(f"docs/reference/{page}.md") for page in ("cases", "commands"))
    assert set(workloads()) <= set(re.findall(r"^### (\w+)$", cases, re.MULTILINE))
    gemm = cases.split("### gemm\n")[1].split("\n### ")[0]
    assert re.findall(r"^\| `(\w+)` \| a size \| needed \|$", gemm, re.MULTILINE) == ["M", "N", "K"]
    assert set(VERBS) <= set(re.findall(r"^## (\S+)$", commands, re.MULTILINE))
    place = commands.split("## place\n")[1].split("\n## ")[0]
    assert "| `--pin` | `pinned` | LAYER:EXPERT=DEVICE; repeat. |" in place


def test_every_name_of_the_face_and_every_field_of_an_answer_is_told() -> None:
    python = text("docs/reference/python.md")
    for name in hw.__all__:
        assert re.search(rf"^(### hw\.{name}|## {name}|\| `{name}` \|)", python, re.MULTILINE), name
    assert "### hw.plot.roofline" in python
    answer = hw.ask("predict", workload="gemm", M=64, N=64, K=64, on="h200")
    assert set(answer.record()) <= named("answers.md")


def test_what_nobody_writes_is_an_error() -> None:
    with pytest.raises(KeyError, match="poems"):
        written("<!-- poems -->\n")


def test_claims_are_written_with_the_figures_of_the_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("docs.writing.reference.systems", lambda: ("mcunetv2",))
    told = WRITERS["claims"]()
    found = hw.papers("mcunetv2")
    missed = sum(not claim.holds for claim in found)
    assert told.count("\n| ") == len(found) + 2 + missed + 2
    assert "published figures hold" in told
    assert all(claim.quantity in told for claim in found)


def test_whatever_is_left_open_is_written_somewhere() -> None:
    asked = {
        name for page in pages() for name, _ in OPEN.findall(Path(ROOT / page).read_text("utf-8"))
    }
    assert asked == set(WRITERS)
