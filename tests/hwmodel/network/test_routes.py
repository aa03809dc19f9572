"""Routing and contention: loads by hand and by enumeration of paths; refusals."""

import itertools

import networkx
import numpy as np
import pytest
from numpy.testing import assert_allclose

from hwmodel.network.routes import all_to_all_s, busiest, collisions, flows_s, load_bytes, routes
from hwmodel.network.topologies import cluster, dragonfly, fat_tree, node, pcie_tree, torus
from hwmodel.network.topology import Port, Topology
from hwmodel.quantity.errors import InputError

PORT = Port(bandwidth_bytes_per_s=100.0, latency_s=0.25, message_s=0.5)


def everyone(topology: Topology) -> np.ndarray:
    count = len(topology.devices)
    return np.ones((count, count)) - np.eye(count)


def walked_load(topology: Topology) -> dict[str, float]:
    """Load of each link when every device sends one byte to every other, path by path."""
    graph = networkx.DiGraph(topology.graph())
    load: dict[str, float] = {}
    for a, b in itertools.permutations(topology.devices, 2):
        paths = list(networkx.all_shortest_paths(graph, a, b))
        for path in paths:
            for ends in itertools.pairwise(path):
                load[" > ".join(ends)] = load.get(" > ".join(ends), 0.0) + 1 / len(paths)
    return load


@pytest.mark.parametrize(
    "topology",
    [
        node(5, PORT),
        pcie_tree(6, 2, PORT, PORT),
        cluster(4, 2, PORT, PORT, nodes_per_leaf=2, spines=3),
        fat_tree(4, PORT),
        torus([3, 4], PORT),
        torus([2, 2, 2], PORT),
        dragonfly(4, 3, 1, PORT, PORT, PORT),
    ],
    ids=lambda topology: topology.name,
)
def test_loads_are_those_of_a_walk_over_all_shortest_paths(topology: Topology) -> None:
    known = routes(topology)
    found = dict(zip(known.links, load_bytes(everyone(topology), known), strict=True))
    walked = walked_load(topology)
    assert_allclose([found[link] for link in walked], list(walked.values()))
    assert sum(found.values()) == pytest.approx(sum(walked.values()))


@pytest.mark.parametrize("side", [4, 6, 8])
def test_a_torus_carries_a_uniform_all_to_all_evenly(side: int) -> None:
    """Of side k, k even: each directed link carries k * k^2 / 8 pairs (Dally, Towles 2004)."""
    topology = torus([side, side], PORT)
    assert_allclose(load_bytes(everyone(topology), topology), side**3 / 8)


def test_a_fat_tree_has_full_bisection() -> None:
    """Nothing is fuller than the devices' own links: 15 bytes, one for each other device."""
    assert load_bytes(everyone(fat_tree(4, PORT)), fat_tree(4, PORT)).max() == 15


def test_parallel_links_share_evenly_and_hops_choose() -> None:
    text = {"bandwidth": "100 B/s"}
    nodes = [{"name": n} for n in "abc"]
    links = [
        {"between": ["a", "b"], **text},
        {"between": ["a", "b"], **text},
        {"between": ["b", "c"], **text},
        {"between": ["a", "c"], "hops": 3, **text},
    ]
    topology = Topology.build({"name": "t", "nodes": nodes, "links": links}, where="t")
    matrix = np.zeros((3, 3))
    matrix[0, 2] = 8.0
    load = load_bytes(matrix, topology)
    assert load.tolist() == [4.0, 0.0, 4.0, 0.0, 8.0, 0.0, 0.0, 0.0]
    assert busiest(matrix, topology) == ("b > c", 0.08)


def test_a_radio_carries_both_directions_together() -> None:
    full, half = (Port(bandwidth_bytes_per_s=100.0, duplex=kind) for kind in ("full", "half"))
    both_ways = np.array([[0.0, 300.0], [300.0, 0.0]])
    assert all_to_all_s(both_ways, node(2, full)) == 3.0
    assert all_to_all_s(both_ways, node(2, half)) == 6.0


def test_unequal_bytes_by_hand() -> None:
    """Device 0 sends 100 and 200 bytes, 2 takes in 500 in two messages: 0.5 + 2 x 0.5 + 5 s."""
    matrix = [[9e9, 100, 200], [0, 0, 300], [0, 0, 0]]
    assert all_to_all_s(matrix, node(3, PORT)) == pytest.approx(0.5 + 1.0 + 5.0)
    flows = {("gpu0", "gpu1"): 100.0, ("gpu0", "gpu2"): 200.0, ("gpu1", "gpu2"): 300.0}
    assert flows_s(flows, node(3, PORT)) == pytest.approx(6.5)
    assert all_to_all_s(matrix, node(3, PORT), share=0.5) == pytest.approx(0.5 + 1.0 + 10.0)


def test_nothing_sent_takes_no_time() -> None:
    assert all_to_all_s(np.zeros((3, 3)), node(3, PORT)) == 0
    assert all_to_all_s(np.eye(3), node(3, PORT)) == 0
    assert all_to_all_s([[5.0]], node(1, PORT)) == 0


def test_many_matrices_cost_what_each_costs_alone() -> None:
    topology = cluster(3, 2, PORT, PORT)
    rng = np.random.default_rng(1)
    many = rng.integers(0, 3, size=(3, 100, 6, 6)) * rng.random((3, 100, 6, 6))
    together = all_to_all_s(many, topology)
    assert together.shape == (3, 100)
    alone = [float(all_to_all_s(many[i], routes(topology))) for i in np.ndindex(3, 100)]
    assert_allclose(together.ravel(), alone, rtol=1e-12)


def test_latency_is_that_of_the_slowest_path_and_a_byte_takes_its_narrowest_link() -> None:
    slow = Port(bandwidth_bytes_per_s=10.0, latency_s=2.0)
    known = routes(cluster(2, 2, PORT, slow))
    assert known.latency_s.tolist() == [
        [0.0, 0.5, 4.0, 4.0],
        [0.5, 0.0, 4.0, 4.0],
        [4.0, 4.0, 0.0, 0.5],
        [4.0, 4.0, 0.5, 0.0],
    ]
    assert_allclose(known.byte_s[0], [0.0, 0.01, 0.1, 0.1])


@pytest.mark.parametrize(
    ("matrix", "said"),
    [
        (np.ones((2, 2)), r"expected a matrix 3 x 3 .* found shape \(2, 2\)"),
        (np.ones(3), r"found shape \(3,\)"),
        (np.full((3, 3), -1.0), r"\(0, 0\): expected 0 or more, found -1"),
        (
            np.array([[0, 1, 2], [3, 4, np.nan], [5, 6, 7]]),
            r"\(1, 2\): expected 0 or more, found n",
        ),
        (
            np.array([[0, 1, 2], [3, 4, 5], [np.inf, 6, 7]]),
            r"\(2, 0\): expected 0 or more, found i",
        ),
    ],
)
def test_impossible_bytes_are_refused_with_the_place(matrix: np.ndarray, said: str) -> None:
    with pytest.raises(InputError, match=said):
        all_to_all_s(matrix, node(3, PORT))


def test_flows_of_unknown_devices_are_refused() -> None:
    with pytest.raises(InputError, match=r"expected devices of .* found 'gpu9'"):
        flows_s({("gpu0", "gpu9"): 1.0}, node(3, PORT))


def test_only_links_that_say_so_take_time_for_a_message() -> None:
    """Two bytes over one link of 100 B/s and two messages of half a second over another: 1.02 s."""
    quick = {"bandwidth": "100 B/s", "duplex": "one-way"}
    nodes = [{"name": n} for n in "abc"]
    ends = [["a", "b"], ["b", "c"], ["c", "a"]]
    links = [{"between": each, **quick} for each in ends]
    links[1]["message"] = "0.5 s"
    topology = Topology.build({"name": "t", "nodes": nodes, "links": links}, where="t")
    matrix = np.zeros((3, 3))
    matrix[0, 2] = matrix[1, 2] = 1.0
    assert all_to_all_s(matrix, topology) == pytest.approx(2 * 0.5 + 2 / 100)


@pytest.mark.parametrize(("flows", "paths"), [(2, 2), (3, 2), (5, 3), (4, 4), (7, 2), (1, 3)])
def test_collisions_are_those_of_all_choices_counted_one_by_one(flows: int, paths: int) -> None:
    every = itertools.product(range(paths), repeat=flows)
    fullest = [max(choice.count(path) for path in range(paths)) for choice in every]
    expected = sum(fullest) / len(fullest) * paths / flows
    assert collisions(flows, paths) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("flows", "paths", "throws", "least"), [(2, 2, 3, 0.0), (3, 2, 2, 1.2), (2, 3, 2, 2.0)]
)
def test_the_fullest_of_several_throws_binds_from_what_counts_on(
    flows: int, paths: int, throws: int, least: float
) -> None:
    """Every choice of every throw, one by one."""
    each = [
        max(c.count(p) for p in range(paths)) for c in itertools.product(range(paths), repeat=flows)
    ]
    every = [
        max(*several, least * flows / paths) for several in itertools.product(each, repeat=throws)
    ]
    expected = sum(every) / len(every) * paths / flows
    assert collisions(flows, paths, throws, least) == pytest.approx(expected, rel=1e-12)


def test_many_flows_collide_less_and_evenly_spread_ones_never() -> None:
    found = [collisions(flows, 8) for flows in (8, 64, 256, 300, 4096)]
    assert found == sorted(found, reverse=True)
    assert found[0] == pytest.approx(2.5972, abs=1e-4)
    assert found[2] - 1 == pytest.approx((found[4] - 1) * 4, rel=1e-9)
    assert collisions(100, 1) == 1.0
