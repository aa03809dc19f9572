"""Libraries of a user's own by the name of a module or the path of a file."""

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

import hwmodel as hw
import tests.toy_library
from hwmodel.cli import app
from hwmodel.machines.gpu.libraries.importable import imported
from hwmodel.quantity.errors import InputError
from hwmodel.sweeps.workers import processes
from tests.toy_library import NAME

ROWS = hw.workloads.add(rows=4096, cols=4096)
ONE = "from tests.toy_library import TOY\n"


@pytest.fixture(autouse=True)
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copy(tests.toy_library.__file__, tmp_path / "mine.py")
    (tmp_path / "one.py").write_text(ONE)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "mine.py"


def test_a_file_is_a_library_by_its_path(mine: Path) -> None:
    expected = hw.predict(ROWS, "h200", kernel=NAME).time_s
    for name in ("./mine.py:TOY", f"{mine}:TOY", "one.py", {"rows": "./mine.py:TOY"}):
        assert hw.predict(ROWS, "h200", kernel=name).time_s == expected


def test_the_command_line_takes_a_file_beside_it() -> None:
    words = ["predict", "add", "rows=4096", "cols=4096", "--on", "h200", "--json", "--kernel"]
    for name in ("./one.py", "mine.py:TOY", "rows=./mine.py:TOY"):
        run = CliRunner().invoke(app, [*words, name], catch_exceptions=False)
        assert run.exit_code == 0, run.output
        assert f'"time_s": {hw.predict(ROWS, "h200", kernel=NAME).time_s}' in run.stdout


def rows_of(rows: float) -> hw.Estimate:
    return hw.predict(hw.workloads.add(rows=rows, cols=64), "h200", kernel="./mine.py:TOY")


def test_worker_processes_read_the_file_too() -> None:
    with processes(2) as executor:
        found = hw.sweep(rows_of, rows=hw.each([64, 128, 256, 512]), executor=executor).table
    alone = [rows_of(rows).time_s for rows in (64, 128, 256, 512)]
    assert found["time_s"].to_list() == pytest.approx(alone)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("./none.py", "none.py: expected a file with a library of kernels, found none"),
        ("./mine.py", r"mine.py: expected mine.py:NAME of a library, one of .*TOY"),
        ("./mine.py:NONE", r"mine.py: has no 'NONE'; libraries in it: .*TOY"),
        ("./mine.py:NAME", "expected a Library, found 'tests.toy_library:TOY'"),
        ("./bad.py", r"bad.py: cannot be loaded: ZeroDivisionError: 'division by zero'"),
        ("mine:TOY", r"No module named 'mine'; a file is named by its path: ./mine.py:TOY"),
        ("nowhere:TOY", "or a file such as ./mine.py:NAME; No module named 'nowhere'"),
        (":TOY", "expected module:NAME of a Library"),
    ],
)
def test_what_is_no_library_says_how_to_name_one(name: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("1 / 0\n")
    with pytest.raises(InputError, match=said):
        hw.predict(ROWS, "h200", kernel=name)


def test_two_files_of_one_name_do_not_mix(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "one.py").write_text("from tests.toy_library import PRODUCTS\n")
    assert imported("one.py") is not imported("other/one.py")
