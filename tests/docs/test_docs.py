"""The guides are programs (`tests/snippets.py`), their links lead somewhere, pictures are shown."""

import posixpath
import re
from pathlib import Path

import pytest

from tests.snippets import FENCE, ROOT, run
from tests.thorough import but

DOCS = ROOT / "docs"
PAGES = sorted(page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md"))
STUDIES = "studies.md"
"""What its scripts print is held by tests/examples."""

LONG = (
    *(
        "accuracy.md",
        "accuracy/networks.md",
        "asking.md",
        "deploying.md",
        "mapping.md",
        "programs.md",
        "serving.md",
    ),
    *("systems.md", "training.md", "why.md"),
)
"""Pages whose blocks take seconds."""
PICTURES = sorted(path.name for path in (DOCS / "pictures").glob("*.png"))
LARGEST_PICTURE_BYTES = 150_000
LINK = re.compile(r"\]\(([^)#]*)(#[^)]*)?\)")


@pytest.mark.parametrize("page", but(LONG, [page for page in PAGES if page != STUDIES]))
def test_every_block_runs_and_prints_what_is_shown(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run(DOCS / page, tmp_path)


@pytest.mark.parametrize("page", [page for page in PAGES if page.startswith("start/")])
def test_a_first_hour_needs_no_more_than_its_page(page: str) -> None:
    """Nothing of the checkout: what it reads it has written itself."""
    text = (DOCS / page).read_text(encoding="utf-8")
    assert "examples/" not in text
    assert text.count("```console") >= 2
    assert text.count("```python") >= 3


@pytest.mark.parametrize("page", ["README.md", *(f"docs/{page}" for page in PAGES)])
def test_links_lead_somewhere(page: str) -> None:
    text = FENCE.sub("", (ROOT / page).read_text(encoding="utf-8"))
    targets = [target for target, _ in LINK.findall(text) if target and "://" not in target]
    own = posixpath.dirname(page)
    assert [target for target in targets if not (ROOT / own / target).exists()] == []


@pytest.mark.parametrize("picture", PICTURES)
def test_every_picture_is_shown_and_small(picture: str) -> None:
    pages = "".join(page.read_text(encoding="utf-8") for page in DOCS.rglob("*.md"))
    assert f"(pictures/{picture})" in pages
    assert (DOCS / "pictures" / picture).stat().st_size < LARGEST_PICTURE_BYTES
