"""Bindings as data: what ships is whole, and a schedule that makes no sense is refused."""

from pathlib import Path
from typing import Any

import pytest

import hwmodel as hw
from hwmodel.einsum.workloads.attention import attention
from hwmodel.machines.spatial.binding import BINDINGS, binding, bindings, check
from hwmodel.quantity.errors import InputError, UnknownNameError


def leaves(node: Any) -> list[str]:
    if isinstance(node, str):
        return [node]
    found: list[str] = []
    for kind, children in node.items():
        if kind in ("serial", "overlap"):
            found += [name for child in children for name in leaves(child)]
    return found


@pytest.mark.parametrize("name", bindings())
def test_every_einsum_of_the_cascade_is_scheduled_once_on_an_array(name: str) -> None:
    bound = binding(name)
    cascade = attention(1, 1, 512, 512, 64, passes=bound.passes)
    einsums = [einsum.name for einsum in cascade.einsums]
    assert sorted(leaves(bound.schedule)) == sorted(einsums)
    assert set(bound.arrays) == set(einsums)
    assert set(bound.arrays.values()) <= {"matrix", "vector"}
    tensors = set(cascade.tensors)
    assert {*bound.held, *bound.streamed, *bound.homes, *bound.alternating} <= tensors


def test_an_unknown_binding_names_those_that_exist() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'fusemax'"):
        binding("fusmax")


def test_a_binding_of_the_users_is_a_file(tmp_path: Path) -> None:
    """FuseMax's schedule without interleaving: SPNV after SLNV, 64 steps a tile more."""
    mine = tmp_path / "mine.yaml"
    shipped = (BINDINGS / "fusemax.yaml").read_text(encoding="utf-8")
    serial = shipped.replace("- overlap: [SLNV, SPNV]", "- SLNV\n        - SPNV")
    mine.write_text(serial, encoding="utf-8")
    work = attention(1, 1, 1024, 1024, 64)
    ours, theirs = (hw.predict(work, on="fusemax", kernel=k) for k in (str(mine), "fusemax"))
    tiles = (1024 / 256) ** 2
    assert ours.time_s - theirs.time_s == pytest.approx(64 * tiles / 940e6)
    assert any("'mine'" in said for said in ours.assumptions)
    with pytest.raises(InputError, match=r"none\.yaml"):
        binding(str(tmp_path / "none.yaml"))


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ("QQ", "Einsum in the schedule of here"),
        ({"parallel": ["QK"]}, "expected a node of serial, overlap"),
        ({"serial": ["QK"], "overlap": ["LM"]}, "expected a node"),
        ({"serial": ["QK", {"fill": "QQ"}]}, "unknown Einsum"),
        (["QK"], "expected a node"),
    ],
)
def test_a_schedule_that_makes_no_sense_is_refused(schedule: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check(schedule, binding("fusemax"), "here")
