"""What a real browser makes of pages: by how many pixels each is wider than its window."""

import html
import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

PROGRAM = "chromium"
WIDTHS = (340, 800)
"""Pixels of a phone and of a window."""
WORDS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=2000")
SCRIPT = (
    "onload=()=>setTimeout(()=>{document.title=[...document.querySelectorAll('iframe')].map("
    "f=>{let d=f.contentDocument.documentElement;return d.scrollWidth-d.clientWidth})},200)"
)

needed = pytest.mark.skipif(shutil.which(PROGRAM) is None, reason="needs a browser")


def beyond(pages: Iterable[str], folder: Path, widths: Sequence[int] = WIDTHS) -> list[int]:
    """Pixels by which each page is wider than each window, page by page."""
    frames = "".join(
        f'<iframe style="width:{width}px;height:600px" srcdoc="{html.escape(page)}"></iframe>'
        for page in pages
        for width in widths
    )
    frame = folder / "frames.html"
    frame.write_text(f"<!doctype html><title>?</title>{frames}<script>{SCRIPT}</script>")
    run = subprocess.run(
        [PROGRAM, *WORDS, "--dump-dom", frame.as_uri()],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    (title,) = re.findall(r"<title>([^<]*)</title>", run.stdout.split("<iframe")[0])
    assert title != "?", run.stderr
    return [int(each) for each in title.split(",")]
