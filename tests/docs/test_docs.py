"""The guides are programs: every block runs, in order, and prints what stands below it.

Of a page's fenced blocks, `python` is executed (all blocks of a page share their names), `console`
holds commands (`$ hwmodel ...`) with what they print, `yaml` whose first line is a comment with a
file's name is written to that file, and `text` is what the block above it printed ('...' stands for
lines left out).
"""

import contextlib
import io
import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hwmodel.cli import app
from tests.shown import missing

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = sorted(page.name for page in DOCS.glob("*.md") if page.name != "studies.md")
PICTURES = sorted(path.name for path in (DOCS / "pictures").glob("*.png"))
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LARGEST_PICTURE_BYTES = 150_000
LINK = re.compile(r"\]\(([^)#]+)(?:#[^)]*)?\)")


def console(block: str) -> str:
    """Run the commands of a block; what they print."""
    printed: list[str] = []
    for line in block.splitlines():
        if not line.startswith("$ "):
            continue
        words = shlex.split(line[2:], comments=True)
        assert words[0] == "hwmodel", line
        result = CliRunner().invoke(app, words[1:])
        assert result.exit_code == 0, (line, result.output, result.exception)
        printed.append(result.output)
    return "\n".join(printed)


@pytest.mark.parametrize("page", PAGES)
def test_every_block_runs_and_prints_what_is_shown(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = (DOCS / page).read_text(encoding="utf-8")
    names: dict[str, object] = {"__name__": "docs"}
    printed = ""
    for block in FENCE.finditer(text):
        language, body = block.groups()
        where = f"{page}, line {text[: block.start()].count(chr(10)) + 1}"
        if language == "python":
            out = io.StringIO()
            source = "\n" * (where.count("\n")) + body
            with contextlib.redirect_stdout(out):
                exec(compile(source, where, "exec"), names)
            printed = out.getvalue()
        elif language == "yaml":
            name = body.splitlines()[0].removeprefix("# ")
            Path(name).write_text(body, encoding="utf-8")
        elif language == "console":
            shown = "\n".join(line for line in body.splitlines() if not line.startswith("$ "))
            printed = console(body)
            assert not missing(shown, printed), (where, printed)
        elif language != "mermaid":  # the drawing of the house: tests/test_house.py
            assert language == "text", f"{where}: {language!r} is no language of these pages"
            assert not missing(body, printed), (where, printed)


@pytest.mark.parametrize("page", [*PAGES, "studies.md"])
def test_links_lead_somewhere(page: str) -> None:
    text = FENCE.sub("", (DOCS / page).read_text(encoding="utf-8"))
    targets = [target for target in LINK.findall(text) if "://" not in target]
    assert [target for target in targets if not (DOCS / target).exists()] == []


@pytest.mark.parametrize("picture", PICTURES)
def test_every_picture_is_shown_and_small(picture: str) -> None:
    pages = "".join(page.read_text(encoding="utf-8") for page in DOCS.glob("*.md"))
    assert f"(pictures/{picture})" in pages
    assert (DOCS / "pictures" / picture).stat().st_size < LARGEST_PICTURE_BYTES
