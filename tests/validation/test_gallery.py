"""The page of claims: what it counts, shows and escapes."""

import re

import pytest

from hwmodel.validation.gallery import bars, number, page, spread
from hwmodel.validation.papers.claim import Claim, Move
from hwmodel.validation.papers.coverage import System

MOVES = (Move("tokens", "2 to 4", 1.0), Move("h200: clock", "twice", -0.25))
GOOD = Claim("A", "seconds", 2.0, 2.1, 0.1, "table 1", within="a clock", moves=MOVES, tried=3)
BAD = Claim("A", "bytes <sent>", 4e9, 1e9, 0.0, "abstract", "least", cause="keys & values stay")
BELOW = Claim("A", "slower", 0.8, -0.2, 0.0, "table 2")
SYSTEMS = (
    System("A", "arXiv 1", "modelled", "by its cascade"),
    System("B", "arXiv 2", "not modelled", "has no workload"),
)


def test_counts_and_verdicts_are_told() -> None:
    text = page((GOOD, BAD), SYSTEMS)
    counts = re.findall(r"<li><b>(.*?)</b>(.*?)</li>", text)
    assert counts == [
        ("2", "published figures"),
        ("1", "systems with figures"),
        ("1", "hold"),
        ("1", "missed"),
        ("1 of 2", "systems modelled"),
    ]
    assert text.index("bytes &lt;sent&gt;") < text.index("<h3>seconds</h3>")
    assert "keys &amp; values stay" in text
    assert "has no workload" in text
    assert "tokens, 2 to 4: +100.0%<br>h200: clock, twice: -25.0%<br>2 of 3 inputs move it" in text


def test_nothing_is_loaded_from_elsewhere() -> None:
    text = page((GOOD, BAD), SYSTEMS)
    assert not re.search(r"(src|href)=\"(?!#)|url\(|@import|<script", text)


def test_bars_are_on_one_scale_with_the_tolerance_as_a_band() -> None:
    """The longest, 2.2, is 400 wide: published ends at 363.64, ours at 381.82."""
    drawn = re.findall(r'<rect class="(\w+)" x="([\d.]+)" y="\d+" width="([\d.]+)"', bars(GOOD))
    assert drawn == [
        ("band", "327.27", "72.73"),
        ("theirs", "0", "363.64"),
        ("ours", "0", "381.82"),
    ]
    least = re.findall(r'class="band" x="([\d.]+)" y="0" width="([\d.]+)"', bars(BAD))
    assert least == [("400.0", "1.50")]
    assert bars(Claim("A", "slices", 0, 0, 0.0, "table 1")) == ""
    below = re.findall(r'"(\w+)" x="([\d.]+)" y="\d+" width="([\d.]+)" height="14"', bars(BELOW))
    assert below == [("theirs", "80", "320.0"), ("ours", "0", "80.0")]


def test_columns_hold_claims_by_how_far_apart_figures_are() -> None:
    """One is 5 % off, one short of what is claimed at the least, one above such a figure."""
    above = Claim("A", "rate", 2, 9, 0.0, "abstract", "least")
    told = re.findall(r"<text[^>]*>([^<]*)</text>", spread((GOOD, BAD, above)))
    assert told[::2] == ["1", "0", "0", "1", "0", "0", "1 (1 missed)"]
    assert told[1::2][:2] == ["the same", "within 1 %"]


@pytest.mark.parametrize(("value", "said"), [
    (0, "0"), (1372, "1,372"), (0.0625, "0.0625"), (6.02e9, "6.02 × 10<sup>9</sup>"),
    (2.5e-6, "2.5 × 10<sup>-6</sup>"),
])  # fmt: skip
def test_numbers_are_told_as_people_write_them(value: float, said: str) -> None:
    assert number(value) == said
