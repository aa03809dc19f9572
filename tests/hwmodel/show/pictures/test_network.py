"""Pictures of topologies: written for every kind of shape, with and without bytes."""

from pathlib import Path

import numpy as np
import pytest

from hwmodel.network.topologies import cluster, dragonfly, node, torus
from hwmodel.network.topology import Port, Topology
from hwmodel.show.pictures.network import draw

PORT = Port(bandwidth_bytes_per_s=1e9)


@pytest.mark.parametrize(
    "topology",
    [cluster(2, 2, PORT, PORT), torus([3, 3], PORT), dragonfly(3, 2, 1, PORT, PORT, PORT)],
    ids=lambda topology: topology.name,
)
def test_every_shape_can_be_drawn(topology: Topology, tmp_path: Path) -> None:
    draw(topology, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_bytes_of_the_user_can_be_drawn_even_none(tmp_path: Path) -> None:
    radio = PORT.but(duplex="half")
    draw(node(3, radio), tmp_path / "a.png", np.zeros((3, 3)))
    assert (tmp_path / "a.png").stat().st_size > 1000
