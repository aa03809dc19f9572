"""The list of systems: each once, with a reason, and those that are modelled have claims."""

import re
from pathlib import Path

import pytest

from hwmodel.validation.papers import claim
from hwmodel.validation.papers.coverage import MODELLED, SYSTEMS


def test_each_system_is_listed_once_with_a_reason() -> None:
    names = [system.name for system in SYSTEMS]
    assert len(names) == len(set(names))
    assert all(system.name and system.why for system in SYSTEMS)
    assert {system.how for system in SYSTEMS} == {"modelled", "partly", "not modelled"}


def test_what_is_modelled_is_claimed_somewhere() -> None:
    """`test_claim.py` has the other side: what is claimed is listed as modelled."""
    folder = Path(claim.__file__ or "").parent
    texts = [path.read_text(encoding="utf-8") for path in folder.glob("*.py")]
    told = "\n".join(text for text in texts if "PROGRAMS = " in text)
    assert [system.name for system in MODELLED if f'"{system.name}"' not in told] == []


FACTS = Path(__file__).resolve().parents[4] / "shared" / "facts"
NOTES = ("seed_rows.md", *(f"papers_{of}.md" for of in ("attention", "distributed", "edge")))
KINDS = ("Convolution", "Reductions", "any CNN", "LoRA-style")
"""Named as systems are: kinds of kernels, which are measured, of networks and of tuning."""


@pytest.mark.skipif(not FACTS.exists(), reason="the notes on papers are not there")
def test_every_system_of_the_notes_is_listed() -> None:
    """Each name in bold of the table of systems, each that is noted only, and each arXiv number."""
    told = " ".join(f"{each.name} {each.paper} {each.why}" for each in SYSTEMS).lower()
    rows, *_ = texts = [(FACTS / name).read_text(encoding="utf-8") for name in NOTES]
    bold = [name for name in re.findall(r"\*\*([^*]+?)\*\*", rows) if not re.match(r"M\d ", name)]
    noted = rows.split("## Low-value")[1].split("\n")[1].split(": ")[0]
    split = [each.strip() for name in bold for each in name.split(" / ")]
    named = {*split, *re.sub(r"\([^)]*\)", "", noted).split(",")} - {*KINDS}
    assert len(named) > 90
    words = {name: re.findall(r"[\w.\-!&]+", name.lower()) for name in named}
    assert {n for n, parts in words.items() if not all(part in told for part in parts)} == set()
    numbers = {found for text in texts for found in re.findall(r"\b2\d{3}\.\d{5}\b", text)}
    assert len(numbers) > 30
    assert {number for number in numbers if number not in told} == set()
