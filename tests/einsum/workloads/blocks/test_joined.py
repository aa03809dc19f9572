"""Stages of layers that differ, in one order."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hwmodel.einsum.cascade import Stage
from hwmodel.einsum.workloads.blocks.joined import interleaved
from hwmodel.einsum.workloads.rows import copy

KINDS = "abcdef"


def stages(names: str, layer: int, rows: object = 8) -> list[Stage]:
    return [Stage(copy(rows, 4, name=name), 2, role=name, layers=(layer,)) for name in names]  # pyright: ignore[reportArgumentType]


def said(found: list[Stage]) -> list[tuple[str, int]]:
    return [(stage.name, int(stage.times)) for stage in found]


def test_what_layers_share_is_one_stage_and_the_rest_stands_between() -> None:
    found = interleaved([stages("abcf", 0), stages("abdf", 1)])
    assert said(found) == [("a", 4), ("b", 4), ("c", 2), ("d", 2), ("f", 4)]
    assert found[0].layers == (0, 1)
    assert found[3].layers == (1,)


def test_arrays_of_sizes_are_compared_by_value() -> None:
    sizes, others = np.array([1, 2]), np.array([1, 3])
    assert len(interleaved([stages("a", 0, sizes), stages("a", 1, sizes.copy())])) == 1
    assert len(interleaved([stages("a", 0, sizes), stages("a", 1, others)])) == 2


@given(st.lists(st.permutations(KINDS).map("".join), min_size=1, max_size=3))
def test_each_kind_of_layer_keeps_its_order_and_nothing_is_lost(kinds: list[str]) -> None:
    found = interleaved([stages(names, layer) for layer, names in enumerate(kinds)])
    for layer, names in enumerate(kinds):
        assert "".join(s.name for s in found if layer in s.layers) == names
    assert sum(stage.times for stage in found) == 2 * len(KINDS) * len(kinds)
