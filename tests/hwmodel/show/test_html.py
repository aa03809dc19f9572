"""Answers in notebooks: self-contained tables, every text escaped."""

import json
import re
import sys
from functools import cache
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import hwmodel as hw
from hwmodel.network.topologies import topology
from hwmodel.text.markup import answer_html
from tests import browser

GEMM = hw.workloads.gemm(M=128, N=256, K=256)


def squared(n: Any) -> dict[str, Any]:
    return {"n2": n * n}


class Checked(HTMLParser):
    """Counts what opens and closes; nothing may be loaded from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        assert not {"src", "href"} & {name for name, _ in attrs}
        self.open.append(tag)
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def checked(answer: Any) -> list[str]:
    parser = Checked()
    parser.feed(answer._repr_html_())
    assert not parser.open
    return parser.seen


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(lambda: hw.predict(GEMM, "h200"), id="estimate"),
        pytest.param(lambda: hw.bound(GEMM, "h200"), id="limit"),
        pytest.param(lambda: hw.compare(GEMM, ["h200", "b200"]), id="comparison"),
        pytest.param(lambda: hw.device("h200"), id="device"),
        pytest.param(lambda: hw.model("llama-3.2-1b"), id="model"),
        pytest.param(lambda: hw.model("llama-3.2-1b").decode(hw.logspace(1, 8), 9), id="stack"),
        pytest.param(lambda: hw.sweep(squared, n=[1.0, 2.0]), id="sweep"),
    ],
)
def test_answers_are_tables(answer: Any) -> None:
    assert "table" in checked(answer())


@pytest.mark.parametrize("on", ["peer-a2", "h200"])
def test_a_mapping_keeps_its_loops_and_columns(on: str) -> None:
    answer = hw.map(GEMM, on)
    assert checked(answer).count("pre") == 1
    shown = unescape(getattr(answer, "_repr_html_")())  # noqa: B009
    assert str(answer).partition("\n\n")[2] in shown
    assert "font-family:monospace" in shown


def test_numbers_stay_in_a_line_and_columns_of_nothing_are_left_out() -> None:
    rows = [["a", "1.52 ms to 1.94 ms", "", "8 heads"], ["b", "-", "", "a long text that begins"]]
    shown = answer_html("", [(("name", "interval", "none", "words"), rows)])
    styles = re.findall(r'<td style="([^"]*)">([^<]*)', shown)
    assert [text for _, text in styles] == ["a", *rows[0][1::2], "b", *rows[1][1::2]]
    assert [text for style, text in styles if "nowrap" in style] == ["1.52 ms to 1.94 ms", "-"]
    assert "none" not in shown


def test_a_datasheet_opens_with_few_numbers_and_holds_all() -> None:
    h200 = hw.device("h200")
    shown: str = getattr(h200, "_repr_html_")()  # noqa: B009
    first, *folded = shown.split("<details>")
    assert "memories.dram.bandwidth" in first
    assert first.count("<tr>") < 40
    assert all(f"\n{path} " in folded[0] for path in h200.sources)
    assert all(source in " ".join(unescape(folded[0]).split()) for source in h200.sources.values())
    assert h200.calibration is not None
    assert all(f"\n{family} " in folded[1] for family in h200.calibration.families)


def test_an_estimate_has_a_row_for_each_kernel_and_one_for_their_sum() -> None:
    estimate = hw.predict(hw.model("llama-3.1-8b").decode(batch=1, context=128), "h200")
    shown: str = getattr(estimate, "_repr_html_")()  # noqa: B009
    body = shown.split("<tbody>")[1].split("</tbody>")[0]
    assert body.count("<tr>") == len(estimate.parts) + 1


def test_texts_are_escaped() -> None:
    shown = answer_html("a < b", [(("<head>",), [["<cell>"]])], ["<note>"])
    for text in ("a &lt; b", "&lt;head&gt;", "&lt;cell&gt;", "&lt;note&gt;"):
        assert text in shown


@cache
def many(answer: str) -> Any:
    steps = hw.model("llama-3.2-1b").decode(hw.logspace(1, 256, 200), 1000)
    h200 = hw.device("h200")
    return {
        "estimate": lambda: hw.predict(steps, h200),
        "limit": lambda: hw.bound(steps, h200),
        "comparison": lambda: hw.compare(GEMM, ["h200", "b200"]),
        "map": lambda: hw.map(GEMM, "peer-a2"),
        "explanation": lambda: hw.explain(GEMM, h200),
        "sensitivity": lambda: hw.sensitivity(GEMM, h200),
        "sweep": lambda: hw.sweep(squared, n=hw.logspace(1, 1000, 100)),
        "device": lambda: h200.but(hbm={"bandwidth": hw.linspace("1 TB/s", "9 TB/s", 999)}),
        "model": lambda: hw.model("llama-3.2-1b"),
        "calibration": lambda: h200.calibration,
        "family": lambda: h200.calibration and h200.calibration.families["gemm:cublas"],
        "stack": lambda: steps,
        "cascade": lambda: hw.workloads.gemm(M=hw.logspace(1, 256, 200), N=8, K=8),
    }[answer]()


@pytest.mark.parametrize(
    "answer",
    [
        *("estimate", "limit", "comparison", "map", "explanation", "sensitivity", "sweep"),
        *("device", "model", "stack", "cascade", "calibration", "family"),
    ],
)
def test_a_repr_is_one_short_line(answer: str) -> None:
    shown = repr(many(answer))
    assert shown.startswith("<")
    assert len(shown) < 250
    assert "\n" not in shown


def test_in_a_notebook_a_text_keeps_its_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rich, where it finds a notebook, displays what it prints and returns nothing."""
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    estimate = hw.predict(GEMM, "h200")
    assert "kernel" in str(estimate)
    assert "gemm" in str(hw.bound(GEMM, "h200"))


class Cell:
    """Stands in for what IPython shows below a cell."""

    def __init__(self, text: Any = "", **options: Any) -> None:
        self.texts, self.options = [text], options

    def update(self, text: Any) -> None:
        self.texts.append(text)


def test_a_sweep_draws_its_progress_in_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    cells: list[Cell] = []

    def display(text: Any, **options: Any) -> Cell:
        cells.append(Cell(text, **options))
        return cells[-1]

    shell = SimpleNamespace(kernel=object())
    shown = SimpleNamespace(HTML=str, display=display)
    python = SimpleNamespace(get_ipython=lambda: shell, display=shown)
    monkeypatch.setitem(sys.modules, "IPython", python)
    hw.sweep(squared, n=hw.linspace(1, 4, 10), progress=True)
    (cell,) = cells
    assert cell.options == {"display_id": True}
    assert '<progress value="0" max="10">' in cell.texts[0]
    assert "10 of 10 points" in cell.texts[-1]
    cells.clear()
    hw.sweep(squared, n=hw.linspace(1, 4, 10), progress=False)
    assert not cells


ANSWERS = (
    *("estimate", "limit", "comparison", "map", "explanation", "sensitivity", "sweep"),
    *("device", "model", "stack", "cascade"),
)


def test_a_notebook_of_thirty_answers_takes_less_than_a_megabyte() -> None:
    """As a notebook's file holds them: the text of each and its HTML, as JSON."""
    made = [many(name) for name in ANSWERS]
    made += [hw.models(), hw.ask("doctor"), hw.ask("models", name="gpt2"), topology("dgx-h100")]
    sizes = [
        len(json.dumps({"text/plain": repr(each), "text/html": each._repr_html_()}))
        for each in made
    ]
    assert max(sizes) < 60_000
    assert 30 * sum(sizes) / len(sizes) < 1_000_000
    assert all(len(repr(each).splitlines()) <= 20 for each in made)


def test_a_notebook_with_thirty_datasheets_stays_below_a_megabyte() -> None:
    longest = {name: len(hw.device(name)._repr_html_()) for name in hw.devices()}  # pyright: ignore[reportPrivateUsage]
    assert sum(sorted(longest.values())[-30:]) < 1_000_000, longest


SHOWN: dict[str, Any] = {
    "estimate": lambda: hw.predict(hw.model("deepseek-v3").decode(batch=64, context=4096), "h200"),
    "limit": lambda: hw.bound(GEMM, "h200"),
    "comparison": lambda: hw.compare(GEMM, ["h200", "b200"]),
    "map": lambda: hw.map(GEMM, "peer-a2"),
    "device": lambda: hw.device("h200"),
    "model": lambda: hw.model("deepseek-v3"),
    "stack": lambda: hw.model("llama-3.2-1b").decode(8, 9),
    "cascade": lambda: hw.workloads.attention(batch=1, heads=2, queries=64, keys=64, head_dim=64),
    "sweep": lambda: hw.sweep(squared, n=[1.0, 2.0]),
    "explanation": lambda: hw.explain(GEMM, "h200"),
    "sensitivity": lambda: hw.sensitivity(GEMM, "h200"),
    "library": lambda: hw.libraries.cublas,
    "engine": lambda: hw.engines.vllm,
}


@pytest.mark.thorough
@browser.needed
def test_no_answer_is_wider_than_a_phone_or_a_window(tmp_path: Path) -> None:
    """Wide tables and texts scroll by themselves; a notebook's page does not."""
    pages = [f"<!doctype html><body>{each()._repr_html_()}</body>" for each in SHOWN.values()]
    assert not any(browser.beyond(pages, tmp_path)), list(SHOWN)
