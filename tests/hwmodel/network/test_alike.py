"""Two boxes for all: seconds are those of every message routed, and other shapes are left whole."""

from typing import Any

import pytest

from hwmodel.einsum.fan import Fan
from hwmodel.network import ways
from hwmodel.network.alike import represented
from hwmodel.network.topologies import cluster, mesh
from hwmodel.network.topology import Port
from hwmodel.network.ways import boxed, ways_on
from hwmodel.spine.activity import fold

LINK = Port(bandwidth_bytes_per_s=100.0, latency_s=0.5, message_s=0.25)
CARD = Port(bandwidth_bytes_per_s=10.0, latency_s=2.0, message_s=1.0)


def seconds(network: Any, fan: Fan | None) -> dict[str, float]:
    count = len(network.devices)
    placed, per_box = boxed(network, [range(count)])
    found = ways_on("all_to_all", 5040.0, network, placed, per_box, fan=fan)
    return {way.algorithm: float(fold(way.tree, way.rates).time_s) for way in found}


def whole(*asked: Any) -> None:
    """No boxes that stand for others."""


@pytest.mark.parametrize("fan", [None, Fan(4, 36)])
def test_two_boxes_take_what_all_take(fan: Fan | None, monkeypatch: pytest.MonkeyPatch) -> None:
    network = cluster(6, 3, LINK, CARD)
    few = seconds(network, fan)
    monkeypatch.setattr(ways, "represented", whole)
    assert few == pytest.approx(seconds(network, fan))
    assert set(few) == {"direct", "pairwise", "doubling", "hierarchical"}


def test_shared_links_and_boxes_that_differ_are_routed_whole() -> None:
    every = [range(8)]
    assert represented(cluster(4, 2, LINK, CARD), every, 2) is not None
    assert represented(cluster(4, 2, LINK, CARD, nodes_per_leaf=2), every, 2) is None
    assert represented(mesh(8, LINK), every, 1) is None
    assert represented(cluster(4, 2, LINK, CARD), [range(6)], 2) is None
    odd = cluster(4, 2, LINK, CARD)
    slow = odd.links[0].but(bandwidth_bytes_per_s=1.0)
    assert represented(odd.but(links=(slow, *odd.links[1:])), every, 2) is None
