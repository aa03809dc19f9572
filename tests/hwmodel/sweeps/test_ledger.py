"""What a killed search left is gone on with, to the bit, and another question's is not."""

from pathlib import Path

import pytest

from hwmodel.einsum.workloads.model import model
from hwmodel.quantity.errors import InputError
from hwmodel.sweeps.ledger import LEDGER, Ledger, digest_of_values


def test_numbers_are_read_back_bit_for_bit(tmp_path: Path) -> None:
    each = [0.1, 1 / 3, 2.0**-1074, 1.7976931348623157e308]
    made = Ledger(tmp_path / "new", "q")
    assert made.first is None
    made["one"] = {"seconds": each}
    again = Ledger(tmp_path / "new", "q")
    assert again["one"] == {"seconds": each}
    assert (again.first, len(again), list(again)) == ("one", 1, ["one"])


def test_a_line_that_a_kill_cut_short_is_dropped_and_written_anew(tmp_path: Path) -> None:
    made = Ledger(tmp_path, "q")
    made["one"], made["two"] = {"x": 1.0}, {"x": 2.0}
    whole = (tmp_path / LEDGER).read_bytes()
    (tmp_path / LEDGER).write_bytes(whole[:-3])
    again = Ledger(tmp_path, "q")
    assert list(again) == ["one"]
    again["two"] = {"x": 2.0}
    assert (tmp_path / LEDGER).read_bytes() == whole


def test_another_questions_is_refused(tmp_path: Path) -> None:
    Ledger(tmp_path, "q")["one"] = {"x": 1.0}
    with pytest.raises(InputError, match="found another's"):
        Ledger(tmp_path, "p")
    with pytest.raises(TypeError):
        del Ledger(tmp_path, "q")["one"]


def test_digests_tell_models_apart() -> None:
    first, again = (digest_of_values(model("qwen3-0.6b").config) for _ in range(2))
    assert first == again != digest_of_values(model("qwen3-1.7b").config)
