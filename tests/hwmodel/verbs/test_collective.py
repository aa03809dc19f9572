"""`collective`: topologies by name and as values."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

import hwmodel
from hwmodel.cli import app
from hwmodel.network.topologies import topology


def test_a_collective_takes_a_topology_by_name_or_as_a_value() -> None:
    by_name = hwmodel.collective("all_gather", 2**20, 8, "h100", topology="dgx-h100")
    by_value = hwmodel.collective("all_gather", 2**20, 8, "h100", topology=topology("dgx-h100"))
    assert by_name.time_s == by_value.time_s
    assert "DGX H100" in by_name.device


def test_a_topology_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    words = ["collective", "all_gather", "1MiB", "--ranks", "8", "--on", "h100", "--picture"]
    path = tmp_path / "network.png"
    run = CliRunner().invoke(app, [*words, str(path), "--topology", "dgx-h100"])
    assert run.exit_code == 0
    assert path.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(hwmodel.InputError, match="expected --topology with it"):
        CliRunner().invoke(app, [*words, str(path)], catch_exceptions=False)
