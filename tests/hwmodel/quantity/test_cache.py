"""What is kept across processes: the same answers, for the same code, of this user alone."""

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hwmodel.quantity import cache
from hwmodel.quantity.cache import across, keep

ROOT = Path(__file__).resolve().parents[3]
CALLS: list[str] = []

ANSWER = """
import sys
from hwmodel.quantity.cache import keep
keep()
from hwmodel.einsum.notation import parse
from hwmodel.hardware.catalogue import device
text = "Z[m, n] = A[m, k] * B[n, k]"
seen = dict.fromkeys(parse(text, sizes=dict.fromkeys("mnk", 4)).einsums[0].reads, 1)
from hwmodel.einsum.cascade import Access, Index
again = Access("A", (Index((("m", 1),)), Index((("k", 1),))))
print(dict(device("stm32h743")), seen.get(again), *seen)
print("lark" in sys.modules, "yaml" in sys.modules)
"""


@across
def doubled(text: str) -> str:
    CALLS.append(text)
    return 2 * text


@pytest.fixture
def file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where this process keeps from now on; each `anew` is a process that starts."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(cache, "_store", None)
    CALLS.clear()
    return tmp_path / "hwmodel" / "kept"


def anew(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What a process that starts now takes up."""
    store = vars(cache)["_store"]
    if store is not None:
        store.write()
    monkeypatch.setattr(cache, "_store", None)
    keep()
    return vars(cache)["_store"]


def test_a_second_process_answers_the_same_without_reading(tmp_path: Path) -> None:
    """Texts have other hashes there: what was kept must be found by values made anew."""
    said: list[list[str]] = []
    for seed in ("1", "2"):
        more = {"XDG_CACHE_HOME": str(tmp_path), "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
        run = subprocess.run(
            [sys.executable, "-c", ANSWER],
            env={**os.environ, **more},
            capture_output=True,
            text=True,
            check=True,
        )
        said.append(run.stdout.splitlines())
    assert said[0][0] == said[1][0]
    assert " 1 Access" in said[0][0]
    assert [lines[1] for lines in said] == ["True True", "False False"]


def test_what_nobody_asked_to_keep_is_worked_out_each_time(file: Path) -> None:
    assert [doubled("a"), doubled("a")] == ["aa", "aa"]
    assert CALLS == ["a", "a"]
    assert not file.exists()


def test_what_is_kept_is_worked_out_once(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    anew(monkeypatch)
    assert doubled("a") == "aa"
    anew(monkeypatch)
    assert [doubled("a"), doubled("b")] == ["aa", "bb"]
    assert CALLS == ["a", "b"]
    assert file.stat().st_mode & 0o077 == 0


def test_other_code_reads_anew(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    anew(monkeypatch)
    doubled("a")
    vars(cache)["_store"].write()
    monkeypatch.setattr(cache, "_code", lambda: "another")
    anew(monkeypatch)
    doubled("a")
    assert CALLS == ["a", "a"]
    assert file.exists()


@pytest.mark.parametrize("harm", ["cut", "strange", "open to others"])
def test_a_file_that_cannot_be_trusted_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, file: Path, harm: str
) -> None:
    anew(monkeypatch)
    doubled("a")
    vars(cache)["_store"].write()
    if harm == "cut":
        file.write_bytes(file.read_bytes()[:-7])
    elif harm == "strange":
        file.write_bytes(pickle.dumps("nothing of the kind"))
    else:
        file.chmod(0o666)
    monkeypatch.setattr(cache, "_store", None)
    keep()
    assert doubled("a") == "aa"
    assert CALLS == ["a", "a"]


def test_it_can_be_switched_off(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    monkeypatch.setenv("HWMODEL_CACHE", "0")
    assert anew(monkeypatch) is None
    assert doubled("a") == "aa"
    assert not file.exists()


def test_a_folder_that_cannot_be_written_keeps_nothing(
    monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    file.parent.parent.joinpath("hwmodel").write_text("a file where the folder should be")
    anew(monkeypatch)
    assert doubled("a") == "aa"
    vars(cache)["_store"].write()
    assert not file.exists()


def test_a_changed_file_changes_the_mark(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(cache, "ROOT", tmp_path)
    marks: list[str] = []
    for text in ("x: 1", "x: 12"):
        (tmp_path / "device.yaml").write_text(text)
        marks.append(vars(cache)["_code"].__wrapped__())
    assert marks[0] != marks[1]
