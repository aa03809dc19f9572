"""Reports: pages that stand by themselves, with the numbers of answers, for screens and paper."""

import html
import re
import shlex
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import hwmodel as hw
from hwmodel import cli
from hwmodel.quantity.errors import InputError
from hwmodel.verbs.report import Report, Reported
from hwmodel.whatif import explanation
from tests import browser

WORDS = {"workload": "llm", "config": "llama-3.2-1b", "phase": "decode", "batch": 8}
STUDY = "case: {workload: gemm, K: 512, N: 512}\naxes: {M: [64, 512, 4096], on: [h200, a100]}\n"


class Balanced(HTMLParser):
    """Every tag is closed, and nothing is loaded from elsewhere or run."""

    ALONE = ("meta", "br", "img")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        assert tag not in ("script", "link", "iframe", "img")
        for name, value in attrs:
            assert name not in ("src", "onload")
            assert "href" not in name or str(value).startswith("#")
        if tag not in self.ALONE:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.ALONE:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def words_of(page: str) -> str:
    """What a reader reads."""
    body = page.split("<body>")[1]
    return html.unescape(re.sub(r"<[^>]+>", " ", body))


EXPLAINED: list[hw.Explanation] = []


@pytest.fixture(scope="module")
def decode() -> Reported:
    asked = explanation.explain

    def kept(*given: Any, **named: Any) -> hw.Explanation:
        EXPLAINED.append(asked(*given, **named))
        return EXPLAINED[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(explanation, "explain", kept)
        return hw.ask("report", **WORDS, context=2048, on="h200", against="a100,b200")


@pytest.fixture(scope="module")
def pages(decode: Reported, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Reported]:
    study = tmp_path_factory.mktemp("study") / "rows.yaml"
    study.write_text(STUDY)
    step = hw.workloads.training(
        config="llama-3.2-1b", global_batch=8, micro_batch=1, sequence=512, dp=8
    )
    told = explanation.explain(hw.predict(step, "h200"))

    def at_once(*_: Any, **__: Any) -> hw.Explanation:
        return told  # without variants, which take seconds

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(explanation, "explain", at_once)
        training = hw.report(step, "h200", against="none")
    return {
        "decode": decode,
        "study": hw.report(study=str(study)),
        "training": training,
        "network": hw.report(hw.workloads.cnn("mcunet-vww1"), "stm32f746", against="none"),
    }


@pytest.mark.parametrize("name", ["decode", "study", "training", "network"])
def test_a_page_stands_by_itself(pages: dict[str, Reported], name: str) -> None:
    page = pages[name].html
    parser = Balanced()
    parser.feed(page)
    assert not parser.open
    assert "http" not in re.sub(r'xmlns(:\w+)?="[^"]*"', "", page)
    assert "prefers-color-scheme:dark" in page
    assert "@media print" in page
    assert len(page) < 300_000


def test_a_page_has_the_numbers_of_the_answers(decode: Reported) -> None:
    work = hw.model("llama-3.2-1b").decode(batch=8, context=2048)
    found = hw.predict(work, "h200")
    text = words_of(decode.html)
    assert str(found).split("\n\n")[0].split(": ")[1].split(" (")[0] in text
    held = found.serving
    assert held is not None
    assert str(held.memory) in text
    (longest,) = [max(found.parts, key=lambda part: part.times * part.time_s)]
    assert f"{longest.times * longest.time_s / found.time_s:.1%}" in text
    for sentence in EXPLAINED[0].sentences[:3]:
        assert sentence in text
    assert "NVIDIA B200" in text
    calibration = hw.device("h200").calibration
    assert calibration is not None
    assert f"{calibration.families['gemm:cublas'].rows:,}" in text
    assert all(assumption in text for assumption in found.assumptions)
    assert decode.headings == (
        *("In numbers", "Memory", "Where the time goes", "Roofline", "How sure this is"),
        *("What would help", "On other machines", "What this rests on", "To repeat it"),
    )


@pytest.mark.thorough
def test_the_command_of_a_page_makes_the_same_page(
    decode: Reported, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    command = re.findall(r"<pre>(.*?)</pre>", decode.html)[-1]
    words = shlex.split(html.unescape(command))
    assert words[:2] == ["hwmodel", "report"]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert not end.value.code
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == decode.html


def test_a_study_shows_its_fastest_rows_and_its_text(pages: dict[str, Reported]) -> None:
    text = words_of(pages["study"].html)
    fastest = hw.predict(hw.workloads.gemm(M=64, N=512, K=512), "h200")
    assert "6 points" in text
    assert f"{fastest.time_s * 1e6:.3g} us" in text
    assert "M: [64, 512, 4096]" in text


def test_a_study_stands_by_itself_wherever_it_is_said(tmp_path: Path) -> None:
    path = str(tmp_path / "study.yaml")
    Path(path).write_text(STUDY)
    for words in ({"what": path}, {"study": path}):
        assert Report.said(words).study == path
    with pytest.raises(InputError, match="expected a study by itself, found on beside"):
        Report.said({"what": path, "on": "h200"})
    with pytest.raises(InputError, match="expected one study, found "):
        Report.said({"what": path, "study": path})


def test_a_name_from_outside_is_text(tmp_path: Path) -> None:
    (tmp_path / "<b>x.yaml").write_text(STUDY)
    found = hw.report(study=str(tmp_path / "<b>x.yaml"))
    assert "<h1>&lt;b&gt;x</h1>" in found.html
    framed: str = getattr(found, "_repr_html_")()  # noqa: B009
    assert framed.startswith("<iframe srcdoc=")


def test_what_makes_no_page_is_refused(tmp_path: Path) -> None:
    gemm = hw.workloads.gemm(M=hw.logspace(64, 4096, 3), N=512, K=512)
    with pytest.raises(InputError, match="expected one point, found 3"):
        hw.report(gemm, "h200")
    with pytest.raises(InputError, match="expected a workload and a machine, or a study"):
        hw.report()
    one = hw.workloads.gemm(M=64, N=512, K=512)
    with pytest.raises(InputError, match="expected a place to write to"):
        hw.report(one, "h200", against="none", out=str(tmp_path / "absent" / "page.html"))


@browser.needed
def test_no_page_is_wider_than_a_phone_or_a_window(
    pages: dict[str, Reported], tmp_path: Path
) -> None:
    assert not any(browser.beyond([found.html for found in pages.values()], tmp_path))


def test_a_page_is_called_as_pages_are(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"x\.pdf: expected a page's name, which ends in \.html"):
        hw.report(
            hw.workloads.gemm(64, 64, 64), "h200", against="none", out=str(tmp_path / "x.pdf")
        )
