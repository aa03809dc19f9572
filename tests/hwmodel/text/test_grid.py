"""Tables as text: as wide as they may be, nothing lost, never shown by themselves."""

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwmodel.text import grid as module
from hwmodel.text.grid import NARROWEST, WIDTH, grid, hanging, width, wrapped
from tests.thorough import but_first

ROOT = Path(__file__).resolve().parents[3]
HEADS = ["name", *(f"column {i}" for i in range(12))]
ROWS = [
    ["one", *(f"{i}.25 MB/s" for i in range(12))],
    ["two", *(f"{i}.75 MB/s" for i in range(12))],
]


@pytest.fixture
def narrow() -> Iterator[None]:
    token = vars(module)["_width"].set(50)
    yield
    vars(module)["_width"].reset(token)


@pytest.mark.usefixtures("narrow")
def test_a_table_that_is_too_wide_is_cut_into_blocks_that_name_their_rows() -> None:
    text = grid(HEADS, ROWS, left=(0,))
    assert max(map(len, text.splitlines())) <= 50
    assert all(cell in text for row in ROWS for cell in row)
    blocks = text.split("\n\n")
    assert len(blocks) > 2
    assert all(block.startswith("name") and "\ntwo" in block for block in blocks)


@pytest.mark.usefixtures("narrow")
def test_words_are_folded_before_a_table_is_cut() -> None:
    words = "a sentence that is far longer than what one line of this screen can hold"
    text = grid(["name", "why"], [["one", words]], left=(0, 1))
    assert "\n\n" not in text
    assert max(map(len, text.splitlines())) <= 50
    assert text.count("name") == 1
    assert all(word in text for word in words.split())


@pytest.mark.usefixtures("narrow")
def test_paragraphs_keep_to_the_width() -> None:
    for text in (wrapped("  -", "word " * 40), hanging("time      " + "word " * 40)):
        lines = text.splitlines()
        assert len(lines) > 3
        assert max(map(len, lines)) <= 50
    assert lines[0].startswith("time      word")
    assert lines[1].startswith("          word")


def test_texts_are_as_wide_wherever_python_runs() -> None:
    assert width() == WIDTH


@pytest.mark.parametrize(
    ("columns", "most"), but_first(1, [("60", 60), ("7", NARROWEST), ("9999", 160)])
)
def test_the_command_line_fits_the_terminal(columns: str, most: int) -> None:
    leader, follower = pty.openpty()
    words = ["predict", "gemm", "M=4096", "N=4096", "K=4096", "--on", "h200"]
    environment = {**os.environ, "COLUMNS": columns, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-m", "hwmodel", *words], stdout=follower, env=environment, cwd=ROOT
    ) as run:
        run.wait(60)
    os.close(follower)
    text = os.read(leader, 100_000).decode().replace("\r", "")
    os.close(leader)
    assert "roofline" in text
    longest = max(map(len, text.splitlines()))
    assert longest <= most
    assert longest > most - 25 or most == 160


CELLS = st.text("ab 1.µ×─-", max_size=12) | st.sampled_from(["GB/s", "12.5 us", "漢字", "é\u0301"])
TABLES = st.integers(1, 5).flatmap(
    lambda n: st.tuples(
        st.lists(CELLS, min_size=n, max_size=n),
        st.lists(st.lists(CELLS, min_size=n, max_size=n), max_size=4),
        st.sets(st.integers(0, n - 1)).map(sorted),
    )
)


@given(TABLES)
def test_a_table_that_fits_looks_as_the_one_that_folds_words(table: Any) -> None:
    heads, rows, left = table
    assert vars(module)["_drawn"](heads, rows, left) == vars(module)["_folded"](heads, rows, left)
