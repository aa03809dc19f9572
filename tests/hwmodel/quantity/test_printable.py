"""What is shown cannot steer a terminal, nor flood it."""

import re
from pathlib import Path

import hwmodel as hw
from hwmodel.hardware.catalogue import CATALOGUE
from hwmodel.quantity.errors import InputError
from hwmodel.quantity.printable import printable, shown

SMALL = hw.workloads.gemm(M=64, N=64, K=64)


def test_nothing_that_a_terminal_obeys_gets_through() -> None:
    assert printable("a\x1b[2Jb\x07\r\u202ec\ud800") == "a\\x1b[2Jb\\x07\\r\\u202ec\\ud800"
    assert printable("µs, 4 × 4\nsecond line") == "µs, 4 × 4\nsecond line"


def test_values_are_cut_and_never_fail() -> None:
    assert shown("x" * 1000, 10) == "'xxxxxxxxx... (1002 characters)"
    assert shown(10**5000) == "a whole number of some 5000 digits"
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    assert shown(deep) == "list (RecursionError)"
    while deep:  # taken apart by hand: some interpreters fall over so deep a list
        deep = deep.pop()  # pyright: ignore[reportAssignmentType]
    assert shown([10**5000]) == "list (ValueError)"


def test_messages_quote_files_safely() -> None:
    assert str(InputError("a\x1b]0;title\x07: " + "x" * 10_000)).startswith("a\\x1b]0;title\\x07: ")
    assert len(str(InputError("x" * 10_000))) < 4_100


def test_titles_of_files_cannot_steer_a_terminal(tmp_path: Path) -> None:
    text = (CATALOGUE / "h200.yaml").read_text("utf-8")
    title = re.search(r"^title: (.*)$", text, re.M)
    assert title is not None
    path = tmp_path / "device.yaml"
    path.write_text(text.replace(title[0], 'title: "a\\e[31mb"', 1), "utf-8")
    machine = hw.device(path)
    answer = hw.predict(hw.workloads.gemm(M=64, N=64, K=64, name="c\x1b[2J"), machine)
    for shown_text in map(str, (machine, answer, hw.compare(SMALL, [machine, "b200"]))):
        assert "\x1b" not in shown_text
    assert "a\\x1b[31mb" in str(answer)
    assert "c\\x1b[2J" in str(answer)
