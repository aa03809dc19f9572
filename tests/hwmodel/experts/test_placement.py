"""Costs of placements against walks over the tokens; placements that cannot be."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from hwmodel.experts.placement import (
    Placement,
    contiguous,
    crossings,
    device_loads,
    flows,
    hop_cost,
    link_cost,
    load_imbalance,
    placement,
    read_placement,
)
from hwmodel.experts.statistics import from_traces, planted
from hwmodel.quantity.errors import InputError

TRACE = planted(layers=3, experts=8, group=2, share=0.5, tokens=300, seed=5)
ROUTING = from_traces([TRACE], experts=8)
TABLE = np.array([[0, 1, 2, 3, 0, 1, 2, 3], [3, 2, 1, 0, 0, 1, 2, 3], [0, 0, 1, 1, 2, 2, 3, 3]])
PLACED = placement(ROUTING.layers, 4, TABLE)


def test_costs_are_those_of_walking_each_token() -> None:
    cost = hop_cost(4, 2)
    crossed, hops = 0, 0.0
    for token in TRACE[:, :, 0]:
        devices = [int(TABLE[layer, expert]) for layer, expert in enumerate(token)]
        for here, there in itertools.pairwise(devices):
            crossed += here != there
            hops += 0 if here == there else 1 if here // 2 == there // 2 else 2
    assert crossings(ROUTING, PLACED) == crossed
    assert link_cost(ROUTING, PLACED, cost) == hops
    assert sum(table.sum() for table in flows(ROUTING, PLACED).values()) == 2 * len(TRACE)


def test_loads_are_those_of_walking_each_token() -> None:
    expected = np.zeros((3, 4))
    for token in TRACE[:, :, 0]:
        for layer, expert in enumerate(token):
            expected[layer, TABLE[layer, expert]] += 1
    assert (device_loads(ROUTING, PLACED) == expected).all()
    assert load_imbalance(ROUTING, PLACED) == expected.max(axis=1).sum() / (3 * 300 / 4)


def test_contiguous_experts_are_dealt_in_runs() -> None:
    assert contiguous((0,), 8, 4).assignment == ((0, 0, 1, 1, 2, 2, 3, 3),)
    assert contiguous((0,), 5, 2).assignment == ((0, 0, 0, 1, 1),)


def test_a_placement_survives_its_file(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    path.write_text(json.dumps({"placement": PLACED.record()}))
    assert read_placement(path) == PLACED
    path.write_text('{"devices": 4}')
    with pytest.raises(InputError, match=r"p\.json: expected .*KeyError"):
        read_placement(path)


@pytest.mark.parametrize(
    ("layers", "devices", "table", "words"),
    [
        ((0, 1), 2, ((0, 1),), "a row for each of 2 layers"),
        ((0, 1), 2, ((0, 1), (0,)), "layer 1: expected 2 experts, found 1"),
        ((0,), 2, ((0, 2),), "layer 0, expert 1: expected a device of 0 to 1, found 2"),
    ],
)
def test_impossible_placements_are_refused(
    layers: tuple[int, ...], devices: int, table: tuple[tuple[int, ...], ...], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        Placement(layers, devices, table)


def test_a_placement_of_another_model_is_refused() -> None:
    with pytest.raises(InputError, match=r"expected 8 experts in layers \[0, 1, 2\]"):
        crossings(ROUTING, contiguous((0, 1), 8, 4))
    with pytest.raises(InputError, match="divisor of 4 devices, found 3"):
        hop_cost(4, 3)
