"""Writes the pages of the site: `python -m docs.writing.pages`, then `mkdocs build`.

Pages of docs/ and a few from elsewhere go into build/pages with their links led there, pictures
beside them; pages of the reference are written from the records that they are of. What builds the
site reads that folder and mkdocs.yml alone, so that another builder can take its place.
"""

import shutil
import sys
from pathlib import Path

from docs.writing.drawing import drawn
from docs.writing.links import DOCS, OUTSIDE, linked, placed
from docs.writing.reference import written

ROOT = Path(__file__).resolve().parents[2]
STYLE, PICTURES = "site.css", "pictures"
PAGES = ROOT / "build" / "pages"


def pages() -> tuple[str, ...]:
    """Every page, by its path in the repository."""
    own = (path.relative_to(ROOT).as_posix() for path in sorted((ROOT / DOCS).rglob("*.md")))
    return (*own, *OUTSIDE)


def text(page: str) -> str:
    """A page as the site has it."""
    return drawn(written(linked((ROOT / page).read_text(encoding="utf-8"), page)))


def write(out: Path = PAGES) -> None:
    """Write all pages and pictures into a folder, anew."""
    shutil.rmtree(out, ignore_errors=True)
    for page in pages():
        path = out / placed(page)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text(page), encoding="utf-8")
    shutil.copy(ROOT / DOCS / STYLE, out / STYLE)
    shutil.copytree(ROOT / DOCS / PICTURES, out / PICTURES)


if __name__ == "__main__":
    write(*map(Path, sys.argv[1:2]))
