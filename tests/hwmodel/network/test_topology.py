"""Topologies: what a file may say and what is refused, with place, expectation and finding."""

from typing import Any

import pytest

from hwmodel.network.topology import Edge, Node, Port, Topology
from hwmodel.quantity.errors import InputError

PAIR: dict[str, Any] = {
    "name": "pair",
    "nodes": [{"name": "a"}, {"name": "b"}],
    "links": [{"between": ["a", "b"], "bandwidth": "25 GB/s", "latency": "2 us"}],
}


def build(**changes: Any) -> Topology:
    return Topology.build({**PAIR, **changes}, where="pair.yaml")


def test_a_link_is_read_with_its_units() -> None:
    (link,) = build().links
    assert (link.bandwidth_bytes_per_s, link.latency_s, link.message_s) == (25e9, 2e-6, 0.0)
    assert link.directions == (("a", "b"), ("b", "a"))


def test_devices_keep_their_order_and_boxes_their_devices() -> None:
    names = [("c", "x"), ("s", ""), ("a", "y"), ("b", "x")]
    kinds = {"s": "switch"}
    nodes = [{"name": n, "group": g, "kind": kinds.get(n, "device")} for n, g in names]
    links = [{"between": [n, "s"], "bandwidth": "1 GB/s"} for n in "abc"]
    topology = build(nodes=nodes, links=links)
    assert topology.devices == ("c", "a", "b")
    assert topology.groups == ((0, 2), (1,))


def test_devices_without_a_box_stand_alone() -> None:
    assert build().groups == ((0,), (1,))


def test_the_graph_has_an_edge_for_each_direction() -> None:
    one_way = {"between": ["a", "b"], "bandwidth": "1 GB/s", "duplex": "one-way"}
    graph = build(links=[*PAIR["links"], one_way]).graph()
    assert sorted((a, b) for a, b, _ in graph.edges) == [("a", "b"), ("a", "b"), ("b", "a")]
    assert graph["b"]["a"][0]["bandwidth_bytes_per_s"] == 25e9


def test_equal_topologies_are_equal_keys() -> None:
    assert build() == build()
    assert hash(build()) == hash(build())
    assert build() != build(title="other")


def test_a_what_if_is_a_new_value() -> None:
    topology = build()
    faster = topology.but(links=tuple(link.but(bandwidth="50 GB/s") for link in topology.links))
    assert faster.links[0].bandwidth_bytes_per_s == 50e9
    assert topology.links[0].bandwidth_bytes_per_s == 25e9


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"nodes": [{"name": "a"}, {"name": "a"}]}, "expected each name once, found 'a' again"),
        (
            {"nodes": [{"name": "a", "kind": "switch"}], "links": []},
            r"nodes: expected a device, found only \['switch'\]",
        ),
        ({"nodes": []}, "nodes: Tuple should have at least 1 item"),
        (
            {"links": [{"between": ["a", "z"], "bandwidth": "1 GB/s"}]},
            r"links.0.between: expected names of nodes \(a, b\), found 'z'",
        ),
        (
            {"links": [{"between": ["a", "a"], "bandwidth": "1 GB/s"}]},
            "links.0.between: expected two nodes, found 'a' twice",
        ),
        ({"links": []}, "expected a path from 'a' to 'b', found none; add a link"),
        (
            {"links": [{"between": ["b", "a"], "bandwidth": "1 GB/s", "duplex": "one-way"}]},
            "expected a path from 'a' to 'b', found none",
        ),
        (
            {"links": [{"between": ["a", "b"], "bandwidth": "1 GB/s", "duplex": "one-way"}]},
            "expected a path from 'b' to 'a', found none",
        ),
        (
            {"links": [{"between": ["a", "b"]}]},
            "links.0: expected the field 'bandwidth_bytes_per_s', found",
        ),
        (
            {"links": [{"between": ["a", "b"], "bandwidth": "1 GHz"}]},
            "links.0: Edge.bandwidth: expected a bandwidth such as",
        ),
        ({"links": [{"between": ["a", "b"], "bandwidth": 1}]}, "1 has no unit"),
        (
            {"links": [{"between": ["a", "b"], "bandwidth": "0 GB/s"}]},
            "links.0.bandwidth_bytes_per_s: expected a number above 0",
        ),
        (
            {"links": [{"between": ["a", "b"], "bandwidth": "1 GB/s", "latency": "-1 us"}]},
            "links.0.latency_s: expected a number of 0 or more",
        ),
        (
            {"links": [{"between": ["a", "b"], "bandwidth": "1 GB/s", "latecny": "1 us"}]},
            "links.0.latecny: Extra inputs",
        ),
        (
            {"links": [{"between": ["a", "b", "a"], "bandwidth": "1 GB/s"}]},
            "links.0.between: Tuple should have at most 2 items",
        ),
        ({"nodes": [{"name": "a", "kind": "gpu"}]}, "nodes.0.kind: expected 'device'"),
    ],
)
def test_impossible_topologies_are_refused_with_the_place(
    changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=r"^pair\.yaml: .*" + said):
        build(**changes)


def test_a_single_device_needs_no_link() -> None:
    assert build(nodes=[{"name": "a"}], links=[]).devices == ("a",)


def test_records_can_be_built_by_hand() -> None:
    port = Port(bandwidth_bytes_per_s=1e9)
    edge = Edge(between=("a", "b"), bandwidth_bytes_per_s=port.bandwidth_bytes_per_s)
    topology = Topology(name="t", nodes=(Node(name="a"), Node(name="b")), links=(edge,))
    assert topology.devices == ("a", "b")


@pytest.mark.parametrize("share", ["share", "share_direct"])
def test_no_library_reaches_more_than_its_links_carry(share: str) -> None:
    library = {"interval": [0.9, 1.1], "ranks": 2, "source": "by hand"}
    assert build(library={**library, share: 1.0}).library is not None
    with pytest.raises(InputError, match=rf"library\.{share}: .*less than or equal to 1"):
        build(library={**library, share: 1.01})
