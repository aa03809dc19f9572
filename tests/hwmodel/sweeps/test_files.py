"""Folders of sweeps: parts that were harmed, torn or left behind, and functions that changed."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hwmodel as hw
from hwmodel.quantity.errors import InputError
from hwmodel.sweeps.files import open_sweep
from hwmodel.sweeps.run import sweep

AXES = {"x": np.arange(50.0), "y": hw.each([1.0, 2.0, 3.0])}
"""Three blocks, hence three parts in chunks of 50 rows."""


def product(x: Any, y: float) -> Any:
    return {"z": np.square(x) * y}


def swept(tmp_path: Path) -> Path:
    sweep(product, AXES, chunk=50, out=tmp_path / "s")
    return tmp_path / "s"


@pytest.mark.parametrize("verb", ["open", "again"])
@pytest.mark.parametrize("harm", ["empty", "flipped", "replaced"])
def test_a_part_that_is_not_what_was_written_is_named(tmp_path: Path, harm: str, verb: str) -> None:
    folder = swept(tmp_path)
    part, other = folder / "part-000001.parquet", folder / "part-000000.parquet"
    held = part.read_bytes()
    part.write_bytes(
        {
            "empty": b"",
            "flipped": held[:40] + bytes([held[40] ^ 1]) + held[41:],
            "replaced": other.read_bytes(),
        }[harm]
    )
    read = {
        "open": lambda: open_sweep(folder),
        "again": lambda: sweep(product, AXES, chunk=50, out=folder),
    }[verb]
    with pytest.raises(InputError, match=r"part-000001\.parquet: expected the [\d,]+ bytes that"):
        read()
    part.unlink()
    assert sweep(product, AXES, chunk=50, out=folder).complete
    assert part.read_bytes() == held


def test_what_a_killed_sweep_leaves_behind_is_swept_away(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    folder.mkdir()
    (folder / ".sweep.json.0123.tmp").write_text("{")
    assert sweep(product, {"x": np.arange(5.0), "y": [1.0]}, out=folder).complete
    found = sorted(path.name for path in folder.iterdir())
    assert found == ["part-000000.parquet", "parts.jsonl", "sweep.json"]


def test_a_note_that_was_torn_is_none(tmp_path: Path) -> None:
    folder = swept(tmp_path)
    whole = (folder / "parts.jsonl").read_text()
    (folder / "parts.jsonl").write_text(whole[:-20])
    assert len(open_sweep(folder).parts) == 2
    assert sweep(product, AXES, chunk=50, out=folder).complete
    assert (folder / "parts.jsonl").read_text() == whole


def test_a_part_that_was_not_noted_is_made_anew(tmp_path: Path) -> None:
    folder = swept(tmp_path)
    held = (folder / "part-000002.parquet").read_bytes()
    lines = (folder / "parts.jsonl").read_text().splitlines(keepends=True)
    (folder / "parts.jsonl").write_text("".join(lines[:2]))
    (folder / "part-000002.parquet").write_bytes(b"half")
    sweep(product, AXES, chunk=50, out=folder)
    assert (folder / "part-000002.parquet").read_bytes() == held


def test_a_function_that_changed_is_noticed_though_its_first_answer_is_the_same(
    tmp_path: Path,
) -> None:
    def made(power: int) -> Any:
        def function(x: Any) -> Any:
            return {"y": x**power}

        return function

    sweep(made(2), {"x": np.arange(50.0)}, chunk=20, out=tmp_path / "s")
    with pytest.raises(InputError, match=r"sweep\.json: function: holds another sweep"):
        sweep(made(3), {"x": np.arange(50.0)}, chunk=20, out=tmp_path / "s")


def test_rows_that_come_out_otherwise_are_noticed_where_the_code_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, whole = swept(tmp_path), np.square

    def later(x: Any) -> Any:
        return np.where(np.asarray(x) > 41, -1.0, whole(x))

    monkeypatch.setattr(np, "square", later)
    with pytest.raises(InputError, match=r"part-000000\.parquet: z: the function gives other"):
        sweep(product, AXES, chunk=50, out=folder)
