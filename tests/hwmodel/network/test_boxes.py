"""Schedules through boxes of any numbers of ranks: who hears of what, over which cards."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from hwmodel.network.algorithms import ALGORITHMS, EQUAL, schedule
from hwmodel.network.topologies import cluster
from hwmodel.network.topology import Port
from hwmodel.network.ways import boxed, ways_on
from hwmodel.spine.activity import fold
from tests.hwmodel.network.messages import heard

PORT = Port(bandwidth_bytes_per_s=100.0, latency_s=0.25, message_s=0.5)
SLOW = Port(bandwidth_bytes_per_s=10.0, latency_s=2.0)

UNEVEN = [
    (op, name)
    for op in ("all_reduce", "all_gather", "reduce_scatter", "all_to_all", "broadcast")
    for name in ("ring", "tree", "hierarchical")
    if name in ALGORITHMS[op] and (name != "hierarchical" or op not in EQUAL)
]


@pytest.mark.parametrize("boxes", [(8, 4), (3, 3), (5, 1), (4, 2, 2), (2, 1, 1, 1)], ids=str)
@pytest.mark.parametrize("op_name", UNEVEN, ids=str)
def test_boxes_of_any_use_exchange_all_that_they_need(
    op_name: tuple[str, str], boxes: tuple[int, ...]
) -> None:
    """Every rank hears of all; each box takes in what is not its own, over as many cards as go."""
    op, name = op_name
    ranks, few = sum(boxes), min(boxes)
    rounds = schedule(op, name, ranks, boxes)
    known = heard(rounds, ranks)
    assert all(one >= ({0} if op == "broadcast" else set(range(ranks))) for one in known)
    if op == "broadcast" or len(boxes) < 2:
        return
    box, arrived = np.repeat(np.arange(len(boxes)), boxes), np.zeros(ranks)
    for each in rounds:
        far = box[each.source] != box[each.destination]
        np.add.at(arrived, each.destination[far], each.times * each.share[far])
    for number, inside in enumerate(boxes):
        others = {
            "all_reduce": 1.0,
            "all_gather": (ranks - inside) / ranks,
            "reduce_scatter": inside / ranks,
            "all_to_all": inside * (ranks - inside) / ranks,
        }[op]
        mine = arrived[box == number]
        assert mine.sum() >= others * (1 - 1e-12)
        cards = np.count_nonzero(mine)  # a ring that turns back uses one on either side
        assert cards == inside if op == "all_to_all" else few <= cards <= few + 1


@pytest.mark.parametrize("op", ["all_reduce", "all_gather", "reduce_scatter"])
def test_as_many_cards_carry_a_ring_as_the_smallest_box_has(op: str) -> None:
    """Long buffers on 8 and 4 ranks go at the rate of 4 and 4, on 5 and 1 at that of one card."""
    topology = cluster(2, 8, PORT, SLOW)

    def rate(first: int, second: int) -> float:
        devices = [*range(first), *range(8, 8 + second)]
        ranks = first + second
        (way,) = ways_on(op, 1e9, topology, *boxed(topology, [devices]), ["ring"])
        sent = (2 if op == "all_reduce" else 1) * (ranks - 1) / ranks * 1e9
        return sent / float(fold(way.tree, way.rates).time_s)

    assert_allclose(rate(8, 4), 4 * 10.0, rtol=0.01)
    assert_allclose(rate(6, 6), 6 * 10.0, rtol=0.01)
    assert_allclose(rate(5, 1), 10.0, rtol=0.01)
