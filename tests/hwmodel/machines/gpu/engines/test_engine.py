"""Rules of an engine: fusions, padding to graphs."""

import numpy as np
import pytest

import hwmodel as hw
from hwmodel.einsum.cascade import Stage
from hwmodel.machines.gpu.engines.engine import Aside, Fusion, Graphs
from hwmodel.machines.gpu.engines.vllm import ENGINE
from hwmodel.spine.activity import Work
from hwmodel.spine.estimate import Part

A, B, C = (Stage(hw.workloads.add(4, 4, name=name)) for name in "abc")
GRAPHS = Graphs((1, 2, 4, 8, 16))


def test_a_fusion_stands_where_the_first_of_its_stages_was() -> None:
    made = Stage(hw.workloads.add(4, 4, name="ac"))
    fusion = Fusion("ac", ("a", "c"), lambda stages: (made,))
    assert [stage.name for stage in fusion.applied((A, B, C))] == ["ac", "b"]


def test_a_fusion_whose_stages_are_not_all_there_changes_nothing() -> None:
    fusion = Fusion("ac", ("a", "c"), lambda stages: ())
    assert fusion.applied((A, B)) == (A, B)


@pytest.mark.parametrize(
    ("tokens", "padded"), [(1, 1), (3, 4), (8, 8), (9, 16), (16, 16), (17, 17)]
)
def test_steps_are_padded_to_the_next_captured_size(tokens: int, padded: int) -> None:
    assert GRAPHS.padded(tokens) == padded
    assert list(np.asarray(GRAPHS.padded(np.array([float(tokens)])))) == [padded]


def test_no_graph_holds_more_than_the_largest_captured() -> None:
    assert GRAPHS.holds(16)
    assert not GRAPHS.holds(17)


def test_an_unknown_field_of_an_engine_is_refused() -> None:
    with pytest.raises(hw.HwmodelError, match="unknown field of engine vllm 'graph'"):
        ENGINE.but(graph=GRAPHS)


def _named(names: list[str]) -> list[Stage]:
    return [Stage(hw.workloads.add(4, 4, name=name)) for name in names]


ASIDE = Aside("own", after="sum", before="add", beneath=("choice",))


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("choice sum up down add head", "choice sum own up own down add head"),
        ("choice sum up down head", "choice sum up down head"),
        ("up down add", "up down add"),
    ],
)
def test_stages_between_two_others_run_aside(given: str, found: str) -> None:
    made = [stage.name for stage in ASIDE.applied(_named(given.split()))]
    assert " ".join(made) == found


def test_what_runs_aside_is_hidden_as_far_as_others_last() -> None:
    """Two of 3 us beside 4 us: 2 of their 6 us are seen."""
    parts = [_part("choice", 4e-6), _part("own up", 3e-6), _part("own down", 3e-6)]
    seen = {part.name: part.time_s for part in ASIDE.exposed(parts)}
    assert seen == pytest.approx({"choice": 4e-6, "own up": 1e-6, "own down": 1e-6})


def _part(name: str, time_s: float) -> Part:
    return Part(
        name=name, family="rows:vllm", times=1, counts=Work(), time_s=time_s, sustained_s=time_s,
        busy_s={}, energy_j=0.0, interval=(0.9, 1.1),
    )  # fmt: skip
