"""`collective`: topologies by name and as values."""

import hwmodel
from hwmodel.network.topologies import topology


def test_a_collective_takes_a_topology_by_name_or_as_a_value() -> None:
    by_name = hwmodel.collective("all_gather", 2**20, 8, "h100", topology="dgx-h100")
    by_value = hwmodel.collective("all_gather", 2**20, 8, "h100", topology=topology("dgx-h100"))
    assert by_name.time_s == by_value.time_s
    assert "DGX H100" in by_name.device
