"""What limits attention by machine and head dimension, what tricks buy, and its picture."""

from pathlib import Path

import pytest

from hwmodel.errors import CapacityError
from hwmodel.gpu.attention_units import HEAD_DIMS, survey, units
from hwmodel.gpu.units_picture import draw
from hwmodel.registry import device

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
        gains[at] = best / found.rates_flop_per_s["no emulated exp"]
    assert max(gains, key=lambda at: gains[at]) == ("b200", 64)
    assert gains["b300", 64] == 1


def test_a_machine_without_the_shared_memory_is_refused() -> None:
    with pytest.raises(CapacityError, match="flash-attention-4"):
        units(device("a100"), 128)


def test_the_picture_has_a_panel_for_each_head_dimension(tmp_path: Path) -> None:
    draw(tuple(FOUND.values()), tmp_path / "units.svg")
    text = (tmp_path / "units.svg").read_text()
    assert all(f"<!-- head dimension {head_dim} -->" in text for head_dim in HEAD_DIMS)
