"""Which network devices of a division exchange over, and which part of it stands for all."""

import pytest

from hwmodel.einsum.division import Division
from hwmodel.hardware.catalogue import device
from hwmodel.network import collectives
from hwmodel.network.spans import groups_of, joined, within
from hwmodel.network.topologies import topology

H200, FOUR = device("h200"), topology("dgx-h100", nodes=4)


@pytest.mark.parametrize("over", ["tp", "cp", "ep", "etp"])
def test_groups_inside_a_box_need_no_other_network(over: str) -> None:
    ways = Division.of({"tp": 4, "cp": 2, "dp": 4, "ep": 2, "etp": 4})
    assert joined(ways, over, H200, None) == (None, None, ())


def test_groups_between_boxes_say_what_is_assumed_of_their_network() -> None:
    network, groups, told = joined(Division.of({"tp": 2, "dp": 8}), "dp", H200, None)
    assert network is not None
    assert len(network.devices) == 16
    assert groups == tuple(tuple(range(first, 16, 2)) for first in range(2))
    assert "16 devices stand in boxes of 8, joined as H100" in told[0]


def test_boxes_that_no_group_joins_are_left_out() -> None:
    """Pairs of boxes: of four boxes two are looked at, with half of the groups."""
    ways = Division.of({"tp": 16, "dp": 2})
    small, groups = within(FOUR, ways.groups("tp"))
    assert len(small.devices) == 16
    assert groups == (tuple(range(16)),)
    inside, groups = within(FOUR, Division.of({"tp": 4, "dp": 8}).groups("tp"))
    assert len(inside.devices) == 8
    assert groups == ((0, 1, 2, 3), (4, 5, 6, 7))
    every = Division.of({"tp": 8, "dp": 4}).groups("dp")
    assert within(FOUR, every) == (FOUR, every)


@pytest.mark.parametrize("op", ["all_reduce", "all_to_all", "all_gather"])
def test_a_part_of_the_network_answers_as_all_of_it(op: str) -> None:
    """Pairs of boxes do not meet: all four boxes at once take what two do."""
    groups = Division.of({"tp": 16, "dp": 2}).groups("tp")
    from hwmodel.machines.run import timed

    times: list[float] = []
    for network, those in ((FOUR, groups), within(FOUR, groups)):
        cost = collectives.cost(op, 1e6, 16, device("h100"), network, groups=those)
        part = timed(cost.name, "collective", 1, cost.tree, cost.rates, None, cost.interval)
        times.append(float(part.time_s))
    assert times[0] == pytest.approx(times[1], rel=1e-12)


def test_stages_of_a_pipeline_send_over_their_slowest_boundary() -> None:
    inside = groups_of(Division.of({"tp": 2, "pp": 4}), "pp")
    assert inside == ((0, 2), (1, 3))
    crossing = groups_of(Division.of({"tp": 2, "pp": 8}), "pp")
    assert crossing == ((6, 8), (7, 9))
