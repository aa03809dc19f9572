"""A short run of `benchmarks/fuzz.py`: random input ends in an answer or one line, everywhere."""

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "benchmarks" / "fuzz.py"
CASES = 2_000
SECONDS = 60.0
"""Most that a case may take on a machine that runs other tests beside it."""


def loaded() -> Any:
    spec = importlib.util.spec_from_file_location("fuzz", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["fuzz"] = module
    spec.loader.exec_module(module)
    return module


FUZZ = loaded()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("entrance", FUZZ.ENTRANCES)
def test_random_input_is_answered_or_refused_in_one_line(entrance: str) -> None:
    share = FUZZ.SHARES[entrance] / sum(FUZZ.SHARES.values())
    faults, counts = FUZZ.fuzzed(round(CASES * share), 7, (entrance,), seconds=SECONDS)
    assert [(fault.number, fault.what, fault.where) for fault in faults] == []
    assert sum(counts[entrance][kind] for kind in ("answered", "refused")) == round(CASES * share)


def test_a_fault_is_found_and_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError("x")

    monkeypatch.setattr("hwmodel.quantity.units.amount", broken)
    found = FUZZ.one(FUZZ.Fuzz(tmp_path), "quantity", 0, 0, SECONDS)
    assert isinstance(found, FUZZ.Fault)
    assert found.what.startswith("ZeroDivisionError")
    assert FUZZ.one(FUZZ.Fuzz(tmp_path), "quantity", 0, 0, SECONDS).shown == found.shown


def endless(seconds: float) -> None:
    with FUZZ.limited(seconds):
        while True:
            pass


def test_a_case_that_takes_too_long_is_a_fault() -> None:
    with pytest.raises(FUZZ.TookTooLong, match=r"more than 0\.01 s"):
        endless(0.01)
