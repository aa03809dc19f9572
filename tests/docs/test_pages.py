"""The site's pages: links lead to where pages stand there, and every page is in its menu."""

import re

import pytest

from docs.writing.links import linked, placed
from docs.writing.pages import pages, text
from tests.house import arrows, questions
from tests.snippets import ROOT


@pytest.mark.parametrize(
    ("page", "text", "shown"),
    [
        ("docs/accuracy.md", "[a](../validation/effects.md#x)", "[a](validation/effects.md#x)"),
        ("docs/accuracy.md", "[a](../README.md)", "[a](index.md)"),
        ("docs/start/student.md", "[a](../concepts.md)", "[a](../concepts.md)"),
        ("CONTRIBUTING.md", "[a](docs/concepts.md#the-house)", "[a](concepts.md#the-house)"),
        ("validation/effects.md", "[a](../docs/accuracy.md)", "[a](../accuracy.md)"),
        ("docs/a.md", "[a](https://b.org/c.md)", "[a](https://b.org/c.md)"),
        ("docs/a.md", "```text\n[a](../README.md)\n```\n", "```text\n[a](../README.md)\n```\n"),
    ],
)
def test_links_lead_to_where_pages_stand_on_the_site(page: str, text: str, shown: str) -> None:
    assert linked(text, page) == shown


def test_the_house_is_drawn_with_who_leads_above_whom_it_leads_to() -> None:
    house = text("docs/concepts.md")
    assert "```mermaid" not in house
    shown = re.findall(r'y="(\d+)" width.*?<text [^>]*>(\w+)</text>', house)
    height = {name: int(y) for y, name in shown}
    assert set(height) == set(questions())
    assert height["cli"] < height["verbs"] < height["machines"] < height["quantity"]
    assert all(height[a] < height[b] for a, others in arrows().items() for b in others)


def test_every_page_is_in_the_menu_once_and_none_else() -> None:
    menu = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").split("\nnav:\n")[1]
    entries = re.findall(r"\S+\.md$", menu, re.MULTILINE)
    assert sorted(entries) == sorted(map(placed, pages()))


def test_readme_has_no_page_of_its_own_on_the_site() -> None:
    assert placed("README.md") in map(placed, pages())
