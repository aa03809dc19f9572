"""Rules of an engine: fusions, padding to graphs."""

import numpy as np
import pytest

import hwmodel as hw
from hwmodel.einsum.cascade import Stage
from hwmodel.machines.gpu.engines.engine import Fusion, Graphs
from hwmodel.machines.gpu.engines.vllm import ENGINE

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
