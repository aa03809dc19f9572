"""Exported programs as stacks: calls that compute the same are one stage, refusals name calls."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

import hwmodel as hw
from hwmodel.cli import app
from hwmodel.quantity.errors import CoverageError
from tests.einsum.importers.test_exported_program import NODES, node, written


def test_calls_of_one_place_and_size_are_one_stage_and_the_example_is_told(tmp_path: Path) -> None:
    work = hw.workloads.exported(written(tmp_path / "net.pt2"))
    assert [(s.cascade.name, s.times) for s in work.stages] == [("up: linear", 2), ("silu", 1)]
    assert work.name == "net"
    assert work.but() == work
    (told,) = work.warnings
    assert "s77 is 2" in told
    larger = work.but(open_sizes={"s77": 4})
    assert larger.warnings == ()
    first, second = (hw.predict(each, on="h200") for each in (work, larger))
    # Rows are 16 and 32; each row of a linear layer is 2 * 96 * 64 operations, which silu's add to.
    assert second.flop == 2 * first.flop > 2 * 2 * 16 * 96 * 64


def test_the_command_reads_a_file_by_its_ending(tmp_path: Path) -> None:
    path = written(tmp_path / "net.pt2")
    ran = CliRunner().invoke(app, ["predict", path, 'open_sizes={"s77": 4}', "--on", "h200"])
    assert ran.exit_code == 0, ran.output
    assert "up: linear" in ran.output


def test_operators_without_a_rule_are_named_together(tmp_path: Path) -> None:
    odd = [node(f"aten.{name}.default", "z", self="y") for name in ("lgamma", "digamma", "lgamma")]
    with pytest.raises(
        CoverageError,
        match=r"net: lgamma: aten\.lgamma is not modelled; digamma: aten\.digamma is not modelled;",
    ):
        hw.workloads.exported(written(tmp_path / "net.pt2", [*NODES, *odd]))
