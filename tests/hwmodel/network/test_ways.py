"""Which algorithms run between which devices of a topology."""

import pytest

from hwmodel.network.topologies import cluster
from hwmodel.network.topology import Port
from hwmodel.network.ways import boxed, ways_on
from hwmodel.quantity.errors import InputError

PORT = Port(bandwidth_bytes_per_s=100.0)


def test_devices_of_uneven_boxes_gather_in_rings_alone() -> None:
    topology = cluster(2, 4, PORT, PORT)
    assert boxed(topology, [[7, 0, 4, 3]]) == ([[0, 3, 4, 7]], (2, 2))
    assert boxed(topology, [[0, 4, 5]]) == ([[4, 5, 0]], (2, 1))
    assert boxed(topology, [[0, 1, 4], [2, 5, 6]])[1] == (2, 1)
    with pytest.raises(InputError, match="boxes of equally many, found 3 devices in boxes of 2"):
        ways_on("all_gather", 8, topology, *boxed(topology, [[0, 1, 4]]), ["hierarchical"])
    with pytest.raises(InputError, match="in several boxes, found 3 devices in boxes of 3"):
        ways_on("all_reduce", 8, topology, *boxed(topology, [[0, 1, 2]]), ["hierarchical"])


@pytest.mark.parametrize("name", ["in-switch", "in-network"])
def test_sums_in_switches_are_refused_where_none_adds(name: str) -> None:
    topology = cluster(2, 4, PORT, PORT)
    with pytest.raises(InputError, match=f"{name}: expected switches"):
        ways_on("all_reduce", 8, topology, *boxed(topology, [range(8)]), [name])
