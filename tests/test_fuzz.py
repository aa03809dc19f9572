"""A short run of `benchmarks/fuzz.py`: random input ends in an answer or one line, everywhere."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks import fuzz
from benchmarks.fuzzing.entrances import Fuzz
from tests.thorough import thorough

CASES = 2_000
"""Where tests are thorough; half of them otherwise."""
SECONDS = 60.0
"""Most that a case may take on a machine that runs other tests beside it."""


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("cases", [CASES // 2, thorough(CASES)])
@pytest.mark.parametrize("entrance", fuzz.ENTRANCES)
def test_random_input_is_answered_or_refused_in_one_line(entrance: str, cases: int) -> None:
    share = fuzz.SHARES[entrance] / sum(fuzz.SHARES.values())
    faults, counts = fuzz.fuzzed(round(cases * share), 7, (entrance,), seconds=SECONDS)
    assert [(fault.number, fault.what, fault.where) for fault in faults] == []
    assert sum(counts[entrance][kind] for kind in ("answered", "refused")) == round(cases * share)


def test_a_fault_is_found_and_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError("x")

    monkeypatch.setattr("hwmodel.quantity.units.amount", broken)
    found = fuzz.one(Fuzz(tmp_path), "quantity", 0, 0, SECONDS)
    assert isinstance(found, fuzz.Fault)
    assert found.what.startswith("ZeroDivisionError")
    again = fuzz.one(Fuzz(tmp_path), "quantity", 0, 0, SECONDS)
    assert isinstance(again, fuzz.Fault)
    assert again.shown == found.shown


def endless(seconds: float) -> None:
    with fuzz.limited(seconds):
        while True:
            pass


def test_a_case_that_takes_too_long_is_a_fault() -> None:
    with pytest.raises(fuzz.TookTooLong, match=r"more than 0\.01 s"):
        endless(0.01)
