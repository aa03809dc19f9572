"""Tori in closed form against ways counted path by path, and laws of all-to-alls."""

import math
from collections import defaultdict
from unittest.mock import Mock

import numpy as np
import pytest
from numpy.testing import assert_allclose

from hwmodel.network import flows, ways
from hwmodel.network.algorithms import ALGORITHMS
from hwmodel.network.routes import Array, routes
from hwmodel.network.topologies import torus
from hwmodel.network.topology import Port
from hwmodel.network.tori import Torus, torus_of
from hwmodel.network.ways import boxed, ways_on
from hwmodel.spine.activity import fold

LINK = Port(bandwidth_bytes_per_s=50e9, latency_s=1e-6, message_s=3e-7)


def by_name(known: Torus, loads: Array) -> dict[str, Array]:
    """Loads of links by their names, both of a pair that is one."""
    found: dict[str, Array] = defaultdict(lambda: np.zeros(len(loads)))
    for link, load in enumerate(loads.T):
        (side, way), place = divmod(link // known.number, 2), link % known.number
        at = list(np.unravel_index(place, known.sides))
        to = [*at[:side], (at[side] + 1 - 2 * way) % known.sides[side], *at[side + 1 :]]
        names = ("gpu" + ".".join(map(str, each)) for each in (at, to))
        found[" > ".join(names)] += load
    return found


@pytest.mark.parametrize("sides", [(4,), (5,), (2, 2), (4, 1, 2), (2, 3, 4), (4, 4, 4)], ids=str)
def test_messages_load_what_all_their_shortest_paths_do(sides: tuple[int, ...]) -> None:
    network, draw = torus(sides, LINK), np.random.default_rng(7)
    known, paths, many = torus_of(network), routes(network), math.prod(sides)
    assert known is not None
    start, end = draw.integers(0, many, (2, 40))
    weights = draw.random((2, 40))
    found = by_name(known, known.loads(start, end, weights))
    assert_allclose(known.hops(start, end) * 1e-6, paths.latency_s[start, end], rtol=1e-12)
    counted = (paths.share[:, start * many + end] @ weights.T).tolist()
    for name, load in zip(paths.links, counted, strict=True):
        assert_allclose(found[name], load, atol=1e-12, err_msg=name)


@pytest.mark.parametrize(("sides", "strided"), [((4, 4), 1), ((2, 3, 4), 1), ((4, 4), 4)], ids=str)
def test_collectives_are_those_of_paths(
    sides: tuple[int, ...], strided: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of all devices, or of groups that exchange at once."""
    network, every = torus(sides, LINK), np.arange(math.prod(sides))
    groups = every.reshape(-1, strided).T.tolist()

    def times() -> list[tuple[str, float]]:
        placed = boxed(network, groups)
        found = [way for op in ALGORITHMS for way in ways_on(op, 1e8, network, *placed)]
        return [(way.algorithm, float(fold(way.tree, way.rates).time_s)) for way in found]

    closed = times()
    flows._load.cache_clear()  # pyright: ignore[reportPrivateUsage]
    for module in (flows, ways):
        monkeypatch.setattr(module, "torus_of", Mock(return_value=None))
    for (name, time_s), (_, counted_s) in zip(closed, times(), strict=True):
        assert_allclose(time_s, counted_s, rtol=1e-12, err_msg=name)


def test_an_exchange_of_all_loads_each_link_with_an_eighth_of_its_side() -> None:
    """Of a k-ary n-cube with both directions: N k / 8 messages a link (Dally and Towles, 3.3)."""
    known = torus_of(torus((8, 8, 4), LINK))
    assert known is not None
    others = np.arange(1, 256)
    loads = known.loads(0 * others, others, np.ones((1, 255)), everywhere=True)
    assert_allclose(loads.reshape(3, -1), np.tile([[256.0], [256.0], [128.0]], 512))


def test_links_that_differ_are_counted_path_by_path() -> None:
    network = torus((3, 3), LINK)
    first, *others = network.links
    slower = (first.model_copy(update={"bandwidth_bytes_per_s": 1e9}), *others)
    assert torus_of(network.model_copy(update={"links": slower})) is None
    assert torus_of(network.model_copy(update={"links": tuple(others)})) is None
    assert torus_of(network.model_copy(update={"paths": "hashed"})) is None
    assert torus_of(torus((3, 3), LINK.but(duplex="half"))) is None
