"""Exchanges between boxes: paths that a hash chooses, counted by hand."""

import math

from hwmodel.network.topologies import topology
from hwmodel.network.topology import Topology
from hwmodel.systems.training.fabric import collided


def cluster(paths: str, spines: int) -> Topology:
    """Two boxes of four, a leaf each."""
    return topology(
        {
            **{"name": "two", "generate": "cluster", "paths": paths},
            "with": {
                **{"nodes": 2, "devices_per_node": 4, "nodes_per_leaf": 1, "spines": spines},
                **{"link": {"bandwidth": "300 GB/s"}, "nic": {"bandwidth": "25 GB/s"}},
            },
        }
    )


def test_flows_that_a_hash_puts_together_take_as_long_as_the_fullest_path() -> None:
    """Four flows on two paths: the fuller has 2, 3 or 4 with chances of 6, 8 and 2 in 16."""
    fullest = (2 * 6 + 3 * 8 + 4 * 2) / 16
    assert collided(cluster("even", 2)) == 1
    assert collided(cluster("hashed", 1)) == 1
    assert math.isclose(collided(cluster("hashed", 2)), fullest / 2, rel_tol=1e-3)
