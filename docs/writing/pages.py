"""Writes the pages of the site: `python -m docs.writing.pages`, then `mkdocs build`.

Pages of docs/ and a few from elsewhere go into build/pages with their links led there, pictures
beside them; pages of the reference are written from the records that they are of. What builds the
site reads that folder and mkdocs.yml alone, so that another builder can take its place.
"""

import shutil
import sys
from pathlib import Path

from docs.writing.links import DOCS, OUTSIDE, linked, placed

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "build" / "pages"


def pages() -> dict[str, str]:
    """The text of every page, by its path on the site."""
    own = (path.relative_to(ROOT).as_posix() for path in sorted((ROOT / DOCS).rglob("*.md")))
    texts = {page: (ROOT / page).read_text(encoding="utf-8") for page in (*own, *OUTSIDE)}
    return {placed(page): linked(text, page) for page, text in texts.items()}


def write(out: Path = PAGES) -> None:
    """Write all pages and pictures into a folder, anew."""
    shutil.rmtree(out, ignore_errors=True)
    for page, text in pages().items():
        path = out / page
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    shutil.copytree(ROOT / DOCS / "pictures", out / "pictures")


if __name__ == "__main__":
    write(*map(Path, sys.argv[1:2]))
