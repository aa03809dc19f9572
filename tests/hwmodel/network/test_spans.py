"""Which network devices of a division exchange over, and which part of it stands for all."""

from itertools import product

import pytest

from hwmodel.einsum.division import Division
from hwmodel.hardware.catalogue import device
from hwmodel.machines.run import timed
from hwmodel.network import collectives
from hwmodel.network.spans import groups_of, joined, listed, pattern, within
from hwmodel.network.topologies import topology
from hwmodel.network.topology import Topology

H200, FOUR = device("h200"), topology("dgx-h100", nodes=4)
LEAVES = topology("dgx-h100", nodes=4, devices_per_node=2, nodes_per_leaf=2, spines=2)


@pytest.mark.parametrize("over", ["tp", "cp", "ep", "etp"])
def test_groups_inside_a_box_need_no_other_network(over: str) -> None:
    ways = Division.of({"tp": 4, "cp": 2, "dp": 4, "ep": 2, "etp": 4})
    assert joined(ways, over, H200, None) == (None, None, ())


def test_groups_between_boxes_say_what_is_assumed_of_their_network() -> None:
    network, groups, told = joined(Division.of({"tp": 2, "dp": 8}), "dp", H200, None)
    assert network is not None
    assert [len(box) for box in network.groups] == [4, 4]  # one of two groups, half of each box
    assert groups == (tuple(range(8)),)
    assert "16 devices stand in boxes of 8, joined as those of 'h100-ndr'" in told[0]


def test_devices_that_no_link_joins_to_a_group_are_left_out() -> None:
    """Cards are each a device's own, so that one group stands for all that do the same."""
    small, groups = within(FOUR, Division.of({"tp": 16, "dp": 2}).grid("tp"))
    assert len(small.devices) == 16
    assert groups == (tuple(range(16)),)
    inside, groups = within(FOUR, Division.of({"tp": 4, "dp": 8}).grid("tp"))
    assert inside.devices == ("gpu0", "gpu1", "gpu2", "gpu3")
    assert groups == ((0, 1, 2, 3),)
    apart, groups = within(FOUR, Division.of({"tp": 8, "dp": 4}).grid("dp"))
    assert apart.devices == ("gpu0", "gpu8", "gpu16", "gpu24")
    assert groups == ((0, 1, 2, 3),)


def test_boxes_whose_uplinks_groups_share_are_looked_at_together() -> None:
    """Two boxes on a leaf share its uplinks: groups that cross leaves meet there."""
    crossing = Division.of({"tp": 2, "dp": 4}).grid("dp")
    assert within(LEAVES, crossing) == (LEAVES, listed(crossing))
    pairs, groups = within(LEAVES, Division.of({"tp": 4, "dp": 2}).grid("tp"))
    assert len(pairs.devices) == 4
    assert groups == ((0, 1, 2, 3),)


@pytest.mark.parametrize("op", ["all_reduce", "all_to_all", "all_gather"])
@pytest.mark.parametrize(
    ("whole", "table", "over"),
    [
        (FOUR, {"tp": 16, "dp": 2}, "tp"),
        (FOUR, {"tp": 8, "dp": 4}, "dp"),
        (FOUR, {"tp": 4, "dp": 8}, "dp"),
        (LEAVES, {"tp": 4, "dp": 2}, "tp"),
        (LEAVES, {"tp": 2, "dp": 4}, "dp"),
    ],
)
def test_a_part_of_the_network_answers_as_all_of_it(
    op: str, whole: Topology, table: dict[str, int], over: str
) -> None:
    """All groups at once, on all boxes, take what those take that are looked at."""
    ways = Division.of(table)
    groups, times = ways.grid(over), list[float]()
    for network, those in ((whole, listed(groups)), within(whole, groups)):
        ranks = ways.degree(over)
        cost = collectives.cost(op, 1e6, ranks, device("h100"), network, groups=those)
        part = timed(cost.name, "collective", 1, cost.tree, cost.rates, None, cost.interval)
        times.append(float(part.time_s))
    assert times[0] == pytest.approx(times[1], rel=1e-12)


def test_stages_of_a_pipeline_send_over_their_slowest_boundary() -> None:
    inside = groups_of(Division.of({"tp": 2, "pp": 4}), "pp")
    assert inside.tolist() == [[0, 2], [1, 3]]
    crossing = groups_of(Division.of({"tp": 2, "pp": 8}), "pp")
    assert crossing.tolist() == [[6, 8], [7, 9]]


@pytest.mark.parametrize("over", ["tp", "cp", "dp", "ep", "etp", "etp,ep", "pp"])
def test_divisions_of_one_pattern_have_the_same_groups(over: str) -> None:
    found: dict[object, set[object]] = {}
    for tp, cp, dp, pp in product((1, 2, 4), (1, 2), (1, 2, 4), (1, 2)):
        for ep, etp in product((1, 2, 4), (1, 2)):
            if tp * cp * dp % (ep * etp) == 0 and tp % etp == 0 and (ep > 1 or etp == tp):
                table = {"tp": tp, "cp": cp, "dp": dp, "pp": pp, "ep": ep, "etp": etp}
                ways = Division.of(table)
                if ways.devices == 16 and (over != "pp" or pp > 1):
                    found.setdefault(pattern(ways, over), set()).add(listed(groups_of(ways, over)))
    assert found
    assert all(len(groups) == 1 for groups in found.values())
