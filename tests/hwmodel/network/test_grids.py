"""The bucket algorithm on tori: who hears of what, and all links busy at once."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose

from hwmodel.network.algorithms import GRID, schedule
from hwmodel.network.grids import sides_of
from hwmodel.network.topologies import torus
from hwmodel.network.topology import Port
from hwmodel.network.ways import boxed, ways_on
from hwmodel.quantity.errors import InputError
from hwmodel.spine.activity import fold
from tests.hwmodel.network.messages import heard

LINK = Port(bandwidth_bytes_per_s=50e9)


def seconds(op: str, sides: tuple[int, ...], groups: list[list[int]]) -> float:
    network = torus(sides, LINK)
    (way,) = ways_on(op, 2**30, network, *boxed(network, groups), [GRID])
    return float(fold(way.tree, way.rates).time_s)


@pytest.mark.parametrize("sides", [(4,), (4, 4), (4, 4, 4), (8, 8)], ids=str)
def test_equal_sides_go_at_the_rate_of_all_links(sides: tuple[int, ...]) -> None:
    """2 D links of 50 GB/s: 300 GB/s of a TPU v4 in a cube, 100 along one side."""
    ranks = math.prod(sides)
    gathered_s = seconds("all_gather", sides, [list(range(ranks))])
    assert_allclose((ranks - 1) / ranks * 2**30 / gathered_s, 2 * len(sides) * 50e9)
    assert_allclose(seconds("reduce_scatter", sides, [list(range(ranks))]), gathered_s)
    assert_allclose(seconds("all_reduce", sides, [list(range(ranks))]), 2 * gathered_s)


def test_groups_along_other_sides_do_not_meet() -> None:
    """Four rings of a square at once, as tensor parallelism along a side has them."""
    rows = np.arange(16).reshape(4, 4)
    alone = seconds("all_gather", (4,), [[0, 1, 2, 3]])
    assert_allclose(seconds("all_gather", (4, 4), rows.tolist()), alone)
    assert_allclose(seconds("all_gather", (4, 4), rows.T.tolist()), alone)


@pytest.mark.parametrize("sides", [(2, 3), (4, 1, 2), (3, 3), (5,)], ids=str)
def test_every_device_hears_of_all(sides: tuple[int, ...]) -> None:
    ranks = math.prod(sides)
    for op in ("all_gather", "reduce_scatter", "all_reduce"):
        rounds = schedule(op, GRID, ranks, sides)
        assert heard(rounds, ranks) == [set(range(ranks))] * ranks
        must = (2 if op == "all_reduce" else 1) * (ranks - 1)
        assert_allclose(sum(each.share.sum() for each in rounds), must)


def test_what_is_no_grid_is_refused() -> None:
    assert sides_of([[0, 1, 4, 5]], (4, 4)) == ((2, 2), [[0, 1, 4, 5]])
    assert sides_of([[0, 1, 5]], (4, 4)) is None
    assert sides_of([[0, 1], [4, 8]], (4, 4)) is None
    with pytest.raises(InputError, match="expected devices that are a grid of a torus, found 3"):
        seconds("all_gather", (4, 4), [[0, 1, 5]])
