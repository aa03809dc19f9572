"""Rounds of messages: closed forms and routed costs against an event simulation of messages."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from hwmodel.hardware.catalogue import device
from hwmodel.network.algorithms import ADDED, ALGORITHMS, GRID, closed_form, schedule
from hwmodel.network.flows import carried
from hwmodel.network.nccl import fastest
from hwmodel.network.rounds import Round
from hwmodel.network.routes import all_to_all_s, load_bytes, routes
from hwmodel.network.topologies import (
    cluster,
    dragonfly,
    fat_tree,
    node,
    of_hardware,
    pcie_tree,
    torus,
)
from hwmodel.network.topology import Port, Topology
from hwmodel.network.ways import boxed, ways_on
from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.spine.activity import fold
from tests.hwmodel.network.messages import Message, heard, messages_of, simulate

SIZE = 5040.0
PORT = Port(bandwidth_bytes_per_s=100.0, latency_s=0.25, message_s=0.5)
SLOW = Port(bandwidth_bytes_per_s=10.0, latency_s=2.0)
EVERY = [
    (op, name) for op, names in ALGORITHMS.items() for name in names if name not in (*ADDED, GRID)
]
PIPELINED = [("all_reduce", "tree"), ("broadcast", "ring")]
ROUNDED = [pair for pair in EVERY if pair not in PIPELINED]


def schedule_s(rounds: tuple[Round, ...], size: Any, network: Topology) -> Any:
    """Seconds of a schedule between all devices of a topology."""
    return fold(*carried(rounds, size, network)).time_s


def cheapest_on(
    op: str,
    size: Any,
    network: Topology,
    *,
    devices: Sequence[int] | None = None,
    algorithms: Sequence[str] | None = None,
) -> tuple[Any, str | None]:
    """Seconds of the fastest algorithm, and its name if all sizes take the same one."""
    every = range(len(network.devices)) if devices is None else devices
    tree, rates, name = fastest(ways_on(op, size, network, *boxed(network, [every]), algorithms))
    return fold(tree, rates).time_s, name


def closed_s(
    op: str, name: str, ranks: int, per_box: int, size: float, *, travel_s: float, message_s: float
) -> float:
    """The table's closed form where a message travels `travel_s` and holds a port; 100 B/s."""
    found = closed_form(op, name, ranks, per_box)
    waits_s = float(found.rounds * travel_s + found.messages * message_s)
    return waits_s + float(found.sent_bytes(size, ranks)) / 100.0


def per_box(name: str, ranks: int) -> int:
    return max(m for m in range(1, ranks) if ranks % m == 0) if name == "hierarchical" else 1


@pytest.mark.parametrize("ranks", range(2, 10))
@pytest.mark.parametrize(("op", "name"), ROUNDED)
def test_closed_forms_and_routed_costs_equal_the_simulation_on_one_switch(
    op: str, name: str, ranks: int
) -> None:
    topology, boxes = node(ranks, PORT), per_box(name, ranks)
    rounds = schedule(op, name, ranks, boxes)
    simulated = simulate(messages_of(rounds, SIZE), topology)
    closed = closed_s(op, name, ranks, boxes, SIZE, travel_s=0.5, message_s=0.5)
    assert_allclose(closed, simulated, rtol=1e-12)
    assert_allclose(schedule_s(rounds, SIZE, topology), simulated, rtol=1e-12)


@pytest.mark.parametrize("shape", [(2, 2), (3, 2), (2, 4)])
@pytest.mark.parametrize("op", ["all_reduce", "all_gather", "reduce_scatter", "all_to_all"])
def test_hierarchical_costs_equal_the_simulation_between_boxes(
    op: str, shape: tuple[int, int]
) -> None:
    boxes, inside = shape
    topology = cluster(boxes, inside, PORT, SLOW)
    rounds = schedule(op, "hierarchical", boxes * inside, inside)
    simulated = simulate(messages_of(rounds, SIZE), topology)
    assert_allclose(schedule_s(rounds, SIZE, topology), simulated, rtol=1e-12)


@pytest.mark.parametrize("size", [10.0, SIZE, 1e6])
def test_two_level_all_to_all_by_hand(size: float) -> None:
    """2 boxes of 4: 3 messages of n/4 at 0.5 s and 100 B/s; then 1 of n/2 at 10 B/s.

    The first are 0.5 s on the way, the second 4 s.
    """
    rounds = schedule("all_to_all", "hierarchical", 8, 4)
    by_hand = (0.5 + 3 * (0.5 + size / 4 / 100)) + (4 + size / 2 / 10)
    assert_allclose(schedule_s(rounds, size, cluster(2, 4, PORT, SLOW)), by_hand)


@pytest.mark.parametrize("op_name", ROUNDED, ids=str)
def test_waiting_for_all_ranks_is_never_faster_than_the_simulation(
    op_name: tuple[str, str],
) -> None:
    """Between boxes a flat algorithm's ranks run ahead of one another; rounds do not let them."""
    topology = cluster(2, 3, PORT, SLOW)
    rounds = schedule(*op_name, 6, 3 if op_name[1] == "hierarchical" else 1)
    simulated = simulate(messages_of(rounds, SIZE), topology)
    routed = schedule_s(rounds, SIZE, topology)
    if op_name[1] in (
        "direct",
        "star",
        "one-shot",
    ):  # queues behind a busy link are not seen by a round
        assert 0.5 * simulated <= routed <= 1.01 * simulated
    else:
        assert simulated * (1 - 1e-12) <= routed <= 2 * simulated


@pytest.mark.parametrize("ranks", [2, 3, 5, 8])
def test_a_chain_of_small_chunks_approaches_the_pipelined_broadcast(ranks: int) -> None:
    chunks, topology = 400, node(ranks, Port(bandwidth_bytes_per_s=100.0, latency_s=0.25))
    messages: list[Message] = []
    for chunk, hop in itertools.product(range(chunks), range(ranks - 1)):
        after = [len(messages) - 1] if hop else []
        messages.append(Message(hop, hop + 1, SIZE / chunks, after))
        assert len(messages) == chunk * (ranks - 1) + hop + 1
    simulated = simulate(messages, topology)
    routed = schedule_s(schedule("broadcast", "ring", ranks), SIZE, topology)
    assert routed * (1 - 1e-12) <= simulated <= 1.03 * routed


def up_and_down(parents: dict[int, int], size: float, messages: list[Message]) -> None:
    """Append the messages of one chunk: up a tree to its root, then down again."""
    (root,) = set(parents.values()) - set(parents)

    def children(rank: int) -> list[int]:
        return [child for child, parent in parents.items() if parent == rank]

    def climb(rank: int) -> list[int]:
        below = [index for child in children(rank) for index in climb(child)]
        if rank == root:
            return below
        messages.append(Message(rank, parents[rank], size, below))
        return [len(messages) - 1]

    def descend(rank: int, after: list[int]) -> None:
        for child in children(rank):
            messages.append(Message(rank, child, size, after))
            descend(child, [len(messages) - 1])

    descend(root, climb(root))


@pytest.mark.parametrize(
    ("ranks", "limit"),
    [(2, 1.01), (3, 1.01), (4, 1.01), (6, 1.01), (7, 1.26), (8, 1.26), (13, 1.26)],
)
def test_small_chunks_in_two_trees_approach_the_pipelined_all_reduce(
    ranks: int, limit: float
) -> None:
    """Full bandwidth needs the order of Sanders et al.; first come first served loses a quarter."""
    (both,) = schedule("all_reduce", "tree", ranks)
    topology, chunks = node(ranks, Port(bandwidth_bytes_per_s=100.0, latency_s=0.01)), 100
    edges = list(zip(both.source.tolist(), both.destination.tolist(), strict=True))
    trees = [dict(edges[k * (ranks - 1) : (k + 1) * (ranks - 1)]) for k in (0, 2)]
    messages: list[Message] = []
    for _, parents in itertools.product(range(chunks), trees):
        up_and_down(parents, SIZE / 2 / chunks, messages)
    simulated = simulate(messages, topology)
    routed = schedule_s(schedule("all_reduce", "tree", ranks), SIZE, topology)
    closed = closed_s("all_reduce", "tree", ranks, 1, SIZE, travel_s=0.02, message_s=0.0)
    assert_allclose(routed, closed)
    assert 0.999 * routed <= simulated <= limit * routed


@pytest.mark.parametrize("ranks", [*range(2, 18), 31, 64, 100])
def test_two_trees_load_no_port_with_more_than_twice_the_buffer(ranks: int) -> None:
    """Sanders et al.: no rank has two children in both; and the way up and down is 2 lg p long."""
    (both,) = schedule("all_reduce", "tree", ranks)
    for ends in (both.source, both.destination):
        assert np.bincount(ends, weights=both.share).max() == min(2.0, ranks / 2)
    assert both.depth == 2 * np.ceil(np.log2(ranks))


@pytest.mark.parametrize("ranks", [2, 3, 4, 6, 7, 12, 16])
@pytest.mark.parametrize(("op", "name"), [pair for pair in EVERY if pair[0] != "p2p"])
def test_every_rank_hears_of_all_that_it_needs(op: str, name: str, ranks: int) -> None:
    known = heard(schedule(op, name, ranks, per_box(name, ranks)), ranks)
    assert all(one >= ({0} if op == "broadcast" else set(range(ranks))) for one in known)


@pytest.mark.parametrize("ranks", [2, 3, 4, 6, 7, 12, 16])
@pytest.mark.parametrize(("op", "name"), EVERY)
def test_no_fewer_bytes_arrive_than_must(op: str, name: str, ranks: int) -> None:
    """Each of p ranks must take in (p - 1) n / p; for all_reduce twice that, on average."""
    least = {"all_reduce": 2 * (ranks - 1), "p2p": ranks}.get(op, ranks - 1)
    rounds = schedule(op, name, ranks, per_box(name, ranks))
    assert sum(each.times * each.share.sum() for each in rounds) >= least * (1 - 1e-12)


@pytest.mark.parametrize(
    ("name", "travels"), [("ring", 14), ("star", 2), ("halving", 6), ("doubling", 3)]
)
def test_waits_of_eight_ranks_on_slow_links(name: str, travels: int) -> None:
    """TPI-LLM: with t per hop and 4 hops between any two devices, a ring waits 56 t, a star 8 t.

    Recursive forms wait once for each of lg 8 steps, or twice.
    """
    topology = node(8, Port(bandwidth_bytes_per_s=1e30, latency_s=2e-3))
    waited = schedule_s(schedule("all_reduce", name, 8), 4.0, topology)
    assert_allclose(waited, travels * 4e-3)


# --- Laws.


@pytest.mark.parametrize("name", ["ring", "halving", "direct", "star"])
@pytest.mark.parametrize("ranks", [2, 3, 8])
def test_all_reduce_is_a_reduce_scatter_and_an_all_gather(name: str, ranks: int) -> None:
    """A star's whole-buffer all_reduce is the exception: it is faster than its two halves."""
    topology = node(ranks, PORT)
    whole = schedule_s(schedule("all_reduce", name, ranks), SIZE, topology)
    other = "doubling" if name == "halving" else name
    halves = schedule_s(schedule("reduce_scatter", name, ranks), SIZE, topology)
    halves += schedule_s(schedule("all_gather", other, ranks), SIZE, topology)
    if name == "star":
        assert whole <= halves
    else:
        assert_allclose(whole, halves, rtol=1e-12)


@st.composite
def topologies(draw: st.DrawFn) -> Topology:
    port, up = (
        Port(
            bandwidth_bytes_per_s=draw(st.sampled_from([1.0, 3.0, 10.0])),
            latency_s=draw(st.sampled_from([0.0, 0.1, 5.0])),
            message_s=draw(st.sampled_from([0.0, 0.3])),
        )
        for _ in range(2)
    )
    small = st.integers(2, 4)
    kind = draw(st.sampled_from(["node", "pcie", "cluster", "fat", "torus", "dragonfly"]))
    match kind:
        case "node":
            return node(draw(small), port)
        case "pcie":
            return pcie_tree(draw(small) + 1, 2, port, up)
        case "cluster":
            return cluster(draw(small), draw(small), port, up, nodes_per_leaf=2, spines=2)
        case "fat":
            return fat_tree(draw(st.sampled_from([2, 4])), port)
        case "torus":
            return torus([*draw(st.lists(st.integers(1, 4), min_size=1, max_size=2)), 2], port)
        case _:
            return dragonfly(draw(small), draw(small), 1, port, port, up)


def out_bytes_per_s(topology: Topology) -> float:
    inside = set(topology.devices)
    ways = [(link, way) for link in topology.links for way in link.directions]
    return sum(link.bandwidth_bytes_per_s for link, (start, _) in ways if start in inside)


@given(topologies(), st.sampled_from(list(ALGORITHMS)), st.floats(1.0, 1e4))
@settings(max_examples=60, deadline=None)
def test_the_bytes_that_must_leave_are_never_beaten(
    topology: Topology, op: str, size: float
) -> None:
    """On one switch with equal ports this is 2 (p - 1) / p n / B for all_reduce."""
    p = len(topology.devices)
    least = {"all_reduce": 2 * (p - 1), "p2p": p}.get(op, p - 1) * size
    found_s, _ = cheapest_on(op, size, topology)
    assert float(found_s) >= least / out_bytes_per_s(topology) * (1 - 1e-9)


@given(topologies(), st.sampled_from(list(ALGORITHMS)), st.floats(1.0, 1e4))
@settings(max_examples=40, deadline=None)
def test_faster_links_are_never_slower(topology: Topology, op: str, size: float) -> None:
    def changed(bandwidth: float, travel: float) -> Topology:
        links = [
            link.but(
                bandwidth_bytes_per_s=link.bandwidth_bytes_per_s * bandwidth,
                latency_s=link.latency_s * travel,
            )
            for link in topology.links
        ]
        return topology.but(links=tuple(links))

    base = float(cheapest_on(op, size, topology)[0])
    assert float(cheapest_on(op, size, changed(2.0, 1.0))[0]) <= base * (1 + 1e-12)
    assert float(cheapest_on(op, size, changed(1.0, 0.5))[0]) <= base * (1 + 1e-12)
    assert_allclose(cheapest_on(op, 2 * size, changed(2.0, 1.0))[0], base, rtol=1e-9)


@pytest.mark.parametrize("op", ["all_reduce", "all_gather", "reduce_scatter"])
def test_rings_through_boxes_use_every_card(op: str) -> None:
    """Bytes that cross a card: 15/16 n of one ring, an eighth of that in eight; twice to reduce."""
    topology = cluster(2, 8, PORT, SLOW)
    flat, rails, levels = (
        schedule_s(schedule(op, name, 16, inside), 1e6, topology)
        for name, inside in (("ring", 1), ("ring", 8), ("hierarchical", 8))
    )
    assert_allclose(rails, flat / 8, rtol=0.02)
    assert levels < flat / 4


def test_gathering_in_boxes_gains_as_all_to_all_messages_get_small() -> None:
    """Tutel: 2D all-to-all wins for small messages, by more as the network grows."""
    nic = Port(bandwidth_bytes_per_s=25e9, message_s=5e-6)
    link = Port(bandwidth_bytes_per_s=300e9, message_s=1e-6)
    gains: list[float] = []
    for boxes in (2, 4, 8):
        topology = cluster(boxes, 8, link, nic)
        small, flat = (
            schedule_s(schedule("all_to_all", name, boxes * 8, inside), 2**20, topology)
            for name, inside in (("hierarchical", 8), ("direct", 1))
        )
        gains.append(float(flat) / float(small))
    assert gains[0] > 1.5
    assert gains == sorted(gains)
    large = cheapest_on("all_to_all", 2**34, cluster(2, 8, link, nic))
    assert large[1] == "direct"


@pytest.mark.parametrize(("op", "name"), [("all_reduce", "ring"), ("all_reduce", "tree"),
                                          ("all_gather", "ring"), ("reduce_scatter", "ring"),
                                          ("all_to_all", "direct"), ("p2p", "direct")])  # fmt: skip
def test_a_hardware_switch_costs_what_its_closed_form_says(op: str, name: str) -> None:
    h200 = device("h200")
    sizes = np.array([8.0, 2.0**20, 2.0**30])
    routed, _ = cheapest_on(op, sizes, of_hardware(h200), algorithms=[name])
    found = closed_form(op, name, 8)
    closed = 1.9e-6 * found.messages + found.sent_bytes(sizes, 8) / 450e9
    assert_allclose(routed, closed, rtol=1e-12)


def test_arrays_of_sizes_are_chosen_point_by_point() -> None:
    topology, sizes = cluster(2, 4, PORT, SLOW), np.array([1.0, 100.0, 1e5])
    together = cheapest_on("all_reduce", sizes, topology)
    alone = [cheapest_on("all_reduce", float(size), topology) for size in sizes]
    assert_allclose(together[0], [float(seconds) for seconds, _ in alone])
    assert together[1] is None
    assert len({name for _, name in alone}) > 1


# --- Unequal bytes, as routed.


@given(st.integers(2, 6), st.data())
@settings(max_examples=60, deadline=None)
def test_a_simulation_of_unequal_messages_stays_within_its_bounds(
    count: int, data: st.DataObject
) -> None:
    """At a switch the fullest port bounds below, and twice that and the latency above."""
    port = Port(bandwidth_bytes_per_s=100.0, latency_s=0.25)
    topology = node(count, port)
    sizes = st.integers(0, 1000)
    matrix = np.array([[data.draw(sizes) for _ in range(count)] for _ in range(count)], float)
    np.fill_diagonal(matrix, 0.0)
    messages = [Message(int(a), int(b), float(matrix[a, b])) for a, b in np.argwhere(matrix > 0)]
    simulated = simulate(messages, topology)
    expected = float(all_to_all_s(matrix, topology))
    latency_s = 0.5 if messages else 0.0
    assert expected - latency_s <= simulated + 1e-9
    assert simulated <= 2 * (expected - latency_s) + latency_s + 1e-9


@given(topologies(), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_more_bytes_are_never_faster_and_bytes_are_kept(topology: Topology, seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = len(topology.devices)
    matrix = rng.random((count, count)) * (rng.random((count, count)) < 0.5)
    more = matrix + rng.random((count, count)) * (rng.random((count, count)) < 0.5)
    assert all_to_all_s(matrix, topology) <= all_to_all_s(more, topology) + 1e-12
    known = routes(topology)
    out = {name: 0.0 for name in known.devices}
    for link, load in zip(known.links, load_bytes(matrix, known), strict=True):
        start, end = link.split(" > ")
        out[start] = out.get(start, 0.0) + load
        out[end] = out.get(end, 0.0) - load
    sent = matrix.sum(axis=1) - matrix.sum(axis=0)
    assert_allclose([out[name] for name in known.devices], sent, atol=1e-9)


# --- Refusals.


def test_one_rank_alone_sends_nothing() -> None:
    for op, name in EVERY:
        assert schedule(op, name, 1) == ()
        assert closed_s(op, name, 1, 1, SIZE, travel_s=1.0, message_s=1.0) == 0
        assert schedule_s((), SIZE, node(1, PORT)) == 0


def test_impossible_schedules_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'all_reduce'"):
        schedule("allreduce", "ring", 4)
    with pytest.raises(UnknownNameError, match="known: direct, doubling, hierarchical, pairwise"):
        schedule("all_to_all", "ring", 4)
    with pytest.raises(InputError, match="expected a divisor of 6 ranks, found 4"):
        schedule("all_gather", "hierarchical", 6, 4)
    with pytest.raises(InputError, match="ranks: expected a number above 0, found 0"):
        closed_form("all_gather", "ring", 0)
    topology = node(4, PORT)
    with pytest.raises(InputError, match="expected devices 0 to 3, found 4"):
        cheapest_on("p2p", 8, topology, devices=[0, 4])
    with pytest.raises(InputError, match=r"each once, found \[1, 1\]"):
        cheapest_on("p2p", 8, topology, devices=[1, 1])
