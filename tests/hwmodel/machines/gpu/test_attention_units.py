"""What limits attention by machine and head dimension, what tricks buy, and its picture."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hwmodel.cli import app
from hwmodel.hardware.catalogue import device
from hwmodel.machines.gpu.attention_units import HEAD_DIMS, survey, survey_text, units
from hwmodel.quantity.errors import CapacityError, InputError
from hwmodel.show.pictures.attention_units import draw

FOUND = {
    (each.machine, each.head_dim): each
    for each in survey([device(name) for name in ("h100", "h200", "b200", "b300")])
}


def test_limits_by_machine_and_head_dimension() -> None:
    """Matrix and exp tie at 64 on Hopper, and again on B300, which doubled exp (the paper)."""
    narrow = {name: FOUND[name, 64].limits for name in ("h100", "h200", "b200", "b300")}
    assert narrow["h100"] == narrow["h200"] == narrow["b300"] == ("matrix", "exp")
    assert narrow["b200"] == ("exp",)
    for name, head_dim in FOUND:
        if head_dim > 64:
            assert FOUND[name, head_dim].limits == ("matrix",)


def test_matrix_clocks_are_flop_over_width() -> None:
    for (name, head_dim), found in FOUND.items():
        wide = 4096 if name.startswith("h") else 8192
        assert found.clocks["matrix"] == 4 * 128 * 128 * head_dim / wide


def test_no_trick_slows_the_kernel_down_and_emulation_buys_most_where_exp_limits() -> None:
    gains: dict[tuple[str, int], float] = {}
    for at, found in FOUND.items():
        best = found.rates_flop_per_s["as it is"]
        assert all(rate <= best * (1 + 1e-12) for rate in found.rates_flop_per_s.values())
        if len(found.rates_flop_per_s) > 1:
            gains[at] = best / found.rates_flop_per_s["no emulated exp"]
    assert {name for name, _ in gains} == {"b200", "b300"}
    assert max(gains, key=lambda at: gains[at]) == ("b200", 64)
    assert gains["b300", 64] == 1


def test_a_machine_without_the_shared_memory_is_refused() -> None:
    with pytest.raises(CapacityError, match="flash-attention-4"):
        units(device("a100"), 128)


@pytest.mark.parametrize("head_dim", [0, 512])
def test_a_head_that_the_kernel_has_not_is_refused(head_dim: int) -> None:
    with pytest.raises(InputError, match="1 to 256"):
        units(device("b200"), head_dim)


def test_the_text_has_a_row_for_each_machine_and_head_dimension() -> None:
    text = survey_text(tuple(FOUND.values()))
    rows = [line.split() for line in text.splitlines()]
    assert rows.count(["b200", "64", "512", "896", "592", "384", "192", "12.5%", "exp"]) == 1
    assert sum(row[:1] == ["h100"] and row[-4:] == ["-"] * 4 for row in rows) == len(HEAD_DIMS)


def test_the_command_prints_what_the_survey_finds() -> None:
    arguments = ["attention-units", "--on", "b200", "--head-dim", "128", "--json"]
    done = CliRunner().invoke(app, arguments)
    (record,) = json.loads(done.stdout)
    assert done.exit_code == 0
    assert record["clocks"]["exp"] == (1 - 0.1875) * 1024


def test_the_picture_has_a_panel_for_each_head_dimension(tmp_path: Path) -> None:
    draw(tuple(FOUND.values()), tmp_path / "units.svg")
    text = (tmp_path / "units.svg").read_text()
    assert all(f"<!-- head dimension {head_dim} -->" in text for head_dim in HEAD_DIMS)
