"""The list of systems: each once, with a reason, and those that are modelled have claims."""

from pathlib import Path

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
