"""Pages as programs: every fenced block of a page runs, in order, and prints what stands below it.

Of the blocks, `python` is executed as a cell of a notebook is (those of a page share their names,
and what a cell ends in is shown); `console` holds commands (`$ hwmodel ...`) with what they print;
`sh` holds commands, of which those of `hwmodel` have to end well (one whose comment says `needs a
GPU` is refused here); `yaml` and `json` whose first line is a comment with a file's name are
written to that file; `text` is what the block above printed ('...' stands for lines left out).
Commands marked `<!-- command: NAME -->` set up an environment, which others try; of them the last
part runs, where it is of `hwmodel`. Examples are found as from the root.

    python -m tests.snippets docs/start/*.md

walks through pages, each in a folder of its own, with the package that is installed. With --renew
it writes what is printed now in the place of `text` that is shown whole and has become another.
"""

import ast
import contextlib
import io
import os
import re
import shlex
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from typer.testing import CliRunner

from hwmodel.cli import app
from hwmodel.quantity.errors import HwmodelError
from tests.shown import missing

ROOT = Path(__file__).resolve().parents[1]
FENCE = re.compile(r"^(<!-- command: \w+ -->\n)?```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"(?:#|//) (\S+\.(?:ya?ml|jsonl?|csv))")
LARGEST_CELL = 1_000_000 // 30
"""Characters of HTML that a cell shows: a notebook with thirty answers stays below a megabyte."""

NO_GPU = "needs a GPU"
UNRUN = ("mermaid",)
"""Languages of drawings, which tests of their own hold (tests/test_house.py)."""


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    language: str
    body: str
    where: str
    marked: bool
    place: tuple[int, int]
    """Where its body stands in the page."""


def blocks(page: Path) -> Iterator[Block]:
    """The blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    for found in FENCE.finditer(text):
        mark, language, body = found.groups()
        line = text[: found.start(2)].count("\n") + 1
        where = f"{page.name}, line {line}"
        yield Block(language, body, where, mark is not None, found.span(3))


def command(line: str) -> str:
    """Run a command of `hwmodel`, as written; what it prints."""
    words = shlex.split(line, comments=True)
    assert words[0] == "hwmodel", line
    result = CliRunner().invoke(app, words[1:])
    if NO_GPU in line:
        assert isinstance(result.exception, HwmodelError), line
        assert re.search("GPU|torch", str(result.exception)), line
    else:
        assert result.exit_code == 0, (line, result.output, result.exception)
    return result.output


def cell(block: Block, names: dict[str, object]) -> str:
    """Run a cell of a notebook; what it prints, and shows at its end."""
    tree = ast.parse(block.body)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(tree, block.where, "exec"), names)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), block.where, "eval"), names)
            print("" if value is None else repr(value))
            html = getattr(value, "_repr_html_", lambda: "")() or ""
            assert len(html) <= LARGEST_CELL, (block.where, len(html))
    return out.getvalue()


def held(block: Block, shown: str, printed: str) -> None:
    """A page shows what is printed."""
    assert not missing(shown, printed), (block.where, printed)


def run(page: Path, folder: Path, told: Callable[[Block, str, str], None] = held) -> None:
    """Run a page's blocks in order, in a folder, which is the current one.

    `told` hears of each block that shows something: what it shows, and what was printed.
    """
    (folder / "examples").symlink_to(ROOT / "examples")
    names: dict[str, object] = {"__name__": "docs"}
    printed = ""
    for block in blocks(page):
        if block.marked and block.language == "sh":
            printed = command(block.body.split(".venv/bin/")[-1]) if "hwmodel" in block.body else ""
        elif block.language == "python":
            printed = cell(block, names)
        elif block.language in ("yaml", "json"):
            named = NAMED.match(block.body)
            assert named, f"{block.where}: expected a comment with a file's name in the first line"
            Path(named[1]).write_text(block.body, encoding="utf-8")
        elif block.language == "sh":
            lines = [line for line in block.body.splitlines() if line.startswith("hwmodel ")]
            printed = "\n".join(map(command, lines))
        elif block.language == "console":
            asked = [line for line in block.body.splitlines() if line.startswith("$ ")]
            shown = [line for line in block.body.splitlines() if not line.startswith("$ ")]
            printed = "\n".join(command(line[2:]) for line in asked)
            told(block, "\n".join(shown), printed)
        elif block.language not in UNRUN:
            assert block.language == "text", f"{block.where}: {block.language!r} is not run here"
            told(block, block.body, printed)


def renewed(page: Path, folder: Path) -> str:
    """A page whose whole print-outs are those of today, where they are not near enough."""
    heard: list[tuple[Block, str]] = []
    run(page, folder, lambda block, _, printed: heard.append((block, printed)))
    text = page.read_text(encoding="utf-8")
    for block, printed in reversed(heard):
        whole = block.language == "text" and "..." not in block.body.splitlines()
        if whole and missing(block.body, printed):
            start, end = block.place
            text = f"{text[:start]}{printed.strip()}\n{text[end:]}"
    return text


def main() -> None:
    """Walk through the pages that are named, or renew them."""
    anew = "--renew" in sys.argv
    for page in [Path(name).resolve() for name in sys.argv[1:] if name != "--renew"]:
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            if anew:
                page.write_text(renewed(page, Path(folder)), encoding="utf-8")
            else:
                run(page, Path(folder))
            os.chdir(page.parent)
        print(f"{page.stem}: {sum(1 for _ in blocks(page))} blocks run, and print what is shown")


if __name__ == "__main__":
    main()
