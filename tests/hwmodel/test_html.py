"""Answers in notebooks: self-contained tables, every text escaped."""

from html.parser import HTMLParser
from typing import Any

import pytest

import hwmodel as hw
from hwmodel.html import answer_html

GEMM = hw.workloads.gemm(M=128, N=256, K=256)


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
        pytest.param(lambda: hw.map(GEMM, "peer-a2"), id="map"),
        pytest.param(lambda: hw.map(GEMM, "h200"), id="tiles"),
    ],
)
def test_answers_are_tables(answer: Any) -> None:
    assert "table" in checked(answer())


def test_an_estimate_has_a_row_for_each_kernel_and_one_for_their_sum() -> None:
    estimate = hw.predict(hw.model("llama-3.1-8b").decode(batch=1, context=128), "h200")
    shown: str = getattr(estimate, "_repr_html_")()  # noqa: B009
    body = shown.split("<tbody>")[1].split("</tbody>")[0]
    assert body.count("<tr>") == len(estimate.parts) + 1


def test_texts_are_escaped() -> None:
    shown = answer_html("a < b", [(("<head>",), [["<cell>"]])], ["<note>"])
    for text in ("a &lt; b", "&lt;head&gt;", "&lt;cell&gt;", "&lt;note&gt;"):
        assert text in shown
