"""Rounds as activities: kinds of links, groups that share them, protocols and pipelined levels."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from hwmodel.einsum.workloads.collective import collective
from hwmodel.machines.driver import predict
from hwmodel.network.algorithms import schedule
from hwmodel.network.flows import Protocol, carried
from hwmodel.network.routes import routes
from hwmodel.network.topologies import cluster, mesh, node
from hwmodel.network.topology import Edge, Node, Port, Topology
from hwmodel.spine.activity import fold, totals

FAST = Port(bandwidth_bytes_per_s=100.0, message_s=0.5)
SLOW = Port(bandwidth_bytes_per_s=10.0, latency_s=2.0)
BOXES = cluster(2, 2, FAST, SLOW)


def test_each_kind_of_link_is_a_resource_of_its_own() -> None:
    """Two boxes of 2, 120 bytes each: reduced inside, exchanged through the cards, gathered."""
    tree, rates = carried(schedule("all_reduce", "hierarchical", 4, 2), 120.0, BOXES)
    folded = fold(tree, rates)
    inside_s = 0.5 + 60 / 100  # one message of half the buffer, each way
    between_s = 4.0 + 30 / 10  # two cards of 2 s; a quarter of the buffer at 10 B/s
    assert_allclose(folded.time_s, 2 * inside_s + 2 * between_s)
    assert_allclose(folded.busy_s["nic"], 2 * 30 / 10 + 2 * 4.0)  # what is on its way counts too
    assert_allclose(folded.busy_s["link"], 2 * inside_s)
    assert totals(tree).messages == {"link": (2, 120), "nic": (2, 60)}


@pytest.mark.parametrize("groups", [[[0, 2], [1, 3]], [[0, 2]]])
def test_groups_at_once_share_what_they_have_in_common(groups: list[list[int]]) -> None:
    """Two devices behind each of two switches, and one uplink of 10 B/s that all must cross."""
    up = Port(bandwidth_bytes_per_s=10.0)
    named = [Node(name=f"d{i}") for i in range(4)]
    switches = [Node(name=f"s{i}", kind="switch") for i in range(2)]
    links = [Edge(between=(f"d{i}", f"s{i // 2}"), bandwidth_bytes_per_s=100.0) for i in range(4)]
    joined = Edge(between=("s0", "s1"), **up.model_dump(exclude_unset=True))
    both = Topology(name="pair", nodes=(*named, *switches), links=(*links, joined))
    tree, rates = carried(schedule("p2p", "direct", 2), 50.0, both, groups)
    assert_allclose(fold(tree, rates).time_s, len(groups) * 50 / 10)
    assert rates.messages["uplink"] == (0.0, 10.0)


def test_a_pipeline_over_levels_lies_between_their_sum_and_the_longest() -> None:
    rounds = schedule("all_reduce", "hierarchical", 4, 2)
    times = [
        float(fold(*carried(rounds, 120.0, BOXES, None, Protocol(overlap=part))).time_s)
        for part in (0.0, 0.25, 1.0)
    ]
    assert_allclose(times[0] - times[2], 2 * (0.5 + 60 / 100))  # what hides: the shorter level
    assert_allclose(times[1], 0.75 * times[0] + 0.25 * times[2])


def test_a_protocol_has_its_share_of_links_and_its_latency() -> None:
    rounds = schedule("all_gather", "ring", 4)
    tree, rates = carried(rounds, 400.0, node(4, FAST), None, Protocol("LL", 0.5, 0.2))
    assert_allclose(fold(tree, rates).time_s, 3 * (0.1 + 100 / 50))
    assert totals(tree).messages == {"link:LL": (3, 300)}
    assert "link" in fold(tree, rates).busy_s


def test_links_of_several_speeds_are_told_apart_by_number() -> None:
    mixed = Topology(
        name="mixed",
        nodes=tuple(Node(name=f"d{i}") for i in range(3)),
        links=(
            Edge(between=("d0", "d1"), bandwidth_bytes_per_s=10.0),
            Edge(between=("d1", "d2"), bandwidth_bytes_per_s=20.0),
        ),
    )
    assert routes(mixed).kinds == {"link0": (0.0, 10.0), "link1": (0.0, 20.0)}
    tree, rates = carried(schedule("p2p", "direct", 3), np.array([20.0, 40.0]), mixed)
    # Rank 2 sends to rank 0 over both links, ranks 0 and 1 to their neighbours.
    assert_allclose(fold(tree, rates).time_s, [2.0, 4.0])


ADDING = cluster(
    2,
    4,
    Port(bandwidth_bytes_per_s=100.0, reduction_bytes_per_s=50.0, message_s=0.5),
    Port(bandwidth_bytes_per_s=10.0, reduction_bytes_per_s=10.0, latency_s=2.0),
)


def test_switches_that_add_take_each_buffer_once_and_a_part_more() -> None:
    """80 bytes: 5/4 of them at 50 B/s after two messages; a quarter between the boxes."""
    inside_s = 2 * 0.5 + 1.25 * 80 / 50
    ring_s = 2 * (4.0 + 10 / 10)  # two steps of an eighth, 2 s from card to leaf and 2 s back
    tree, rates = carried(schedule("all_reduce", "in-switch", 8, 4), 80.0, ADDING)
    assert_allclose(fold(tree, rates).time_s, inside_s + ring_s)
    tree, rates = carried(schedule("all_reduce", "in-network", 8, 4), 80.0, ADDING)
    assert_allclose(fold(tree, rates).time_s, inside_s + 20 / 10)
    assert totals(tree).messages == {"link:adding": (2, 100), "nic2:adding": (2, 20)}


def test_a_box_alone_needs_nothing_between() -> None:
    (only,) = schedule("all_reduce", "in-switch", 4, 4)
    assert only.adds == "link"
    assert only.share.tolist() == [1.25] * 4


@pytest.mark.parametrize(
    ("paths", "flows", "seconds"), [("even", 1, 10.0), ("hashed", 1, 20.0), ("hashed", 2, 17.5)]
)
def test_hashed_paths_collide_where_planned_ones_share(
    paths: str, flows: int, seconds: float
) -> None:
    """A leaf a node, two spines at 5 B/s each: 100 bytes take one of them, or half of both.

    In two flows those of one direction take one in half of all cases, of either in three quarters.
    """
    leaves = cluster(2, 1, FAST, Port(bandwidth_bytes_per_s=10.0), nodes_per_leaf=1, spines=2)
    tree, rates = carried(schedule("p2p", "direct", 2), 100.0, leaves.but(paths=paths, flows=flows))
    assert_allclose(fold(tree, rates).time_s, seconds)


def test_a_mesh_sends_over_all_of_its_links_at_once() -> None:
    """Eight Instinct at 64 GB/s a link: a part of 1/8 over each of seven, there and back."""
    xgmi = mesh(8, Port(bandwidth_bytes_per_s=64e9))
    assert len(xgmi.links) == 28
    direct, ring = (
        float(fold(*carried(schedule("all_reduce", name, 8), 2.0**30, xgmi)).time_s)
        for name in ("direct", "ring")
    )
    assert_allclose(direct, 2 * 2**30 / 8 / 64e9)
    assert_allclose(ring, 7 * direct)
    found = predict(collective("all_reduce", 2**30, 8), "mi300x", topology=xgmi)
    assert found.parts[0].name == "all_reduce, direct"
