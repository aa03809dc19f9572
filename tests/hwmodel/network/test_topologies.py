"""Generated and shipped topologies: sizes by hand, files, refusals."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import networkx
import pytest

from hwmodel.hardware.catalogue import device
from hwmodel.network.topologies import (
    cluster,
    dragonfly,
    fat_tree,
    node,
    of_hardware,
    pcie_tree,
    topologies,
    topology,
    torus,
)
from hwmodel.network.topology import Port, Topology
from hwmodel.quantity.errors import CoverageError, InputError, UnknownNameError

PORT = Port(bandwidth_bytes_per_s=1e9)


def counts(made: Topology) -> tuple[int, int, int]:
    """Devices, other nodes, links."""
    return len(made.devices), len(made.nodes) - len(made.devices), len(made.links)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        pytest.param(node(8, PORT), (8, 1, 8), id="node"),
        pytest.param(pcie_tree(7, 4, PORT, PORT), (7, 3, 9), id="pcie tree"),
        pytest.param(cluster(1, 8, PORT, PORT), (8, 10, 24), id="one node: cards, switch, leaf"),
        pytest.param(cluster(3, 1, PORT, PORT), (3, 4, 6), id="one device a node needs no switch"),
        pytest.param(
            cluster(4, 2, PORT, PORT, nodes_per_leaf=2, spines=3), (8, 17, 30), id="leaves, spines"
        ),
        pytest.param(fat_tree(4, PORT), (16, 20, 48), id="Al-Fares 2008: k=4"),
        pytest.param(fat_tree(6, PORT), (54, 45, 162), id="Al-Fares 2008: k=6"),
        pytest.param(torus([4, 4], PORT), (16, 0, 32), id="4 x 4"),
        pytest.param(torus([2, 3, 1], PORT), (6, 0, 9), id="a side of two is one link"),
        pytest.param(dragonfly(9, 4, 2, PORT, PORT, PORT), (72, 36, 162), id="Kim 2008: p=2 a=4"),
    ],
)
def test_shapes_have_the_parts_that_they_are_known_for(
    made: Topology, expected: tuple[int, int, int]
) -> None:
    assert counts(made) == expected


def test_dragonfly_links_groups_evenly() -> None:
    """9 groups of 4 routers, h = 2: each router has 2 links to other groups, any two groups one."""
    made = dragonfly(9, 4, 2, PORT, PORT, Port(bandwidth_bytes_per_s=2e9))
    far = [link.between for link in made.links if link.bandwidth_bytes_per_s == 2e9]
    assert set(Counter(end for ends in far for end in ends).values()) == {2}
    assert len({tuple(sorted(end.split(".")[0] for end in ends)) for ends in far}) == 36


def test_a_torus_is_as_wide_as_half_its_sides() -> None:
    assert networkx.diameter(torus([4, 5], PORT).graph()) == 2 + 2


def test_nodes_of_a_cluster_are_boxes() -> None:
    assert cluster(2, 3, PORT, PORT).groups == ((0, 1, 2), (3, 4, 5))


def test_leaves_reach_spines_as_fast_as_their_cards_by_default() -> None:
    made = cluster(4, 2, PORT, PORT, nodes_per_leaf=2, spines=2)
    up = [link for link in made.links if link.between[1].startswith("spine")]
    assert {link.bandwidth_bytes_per_s for link in up} == {2e9}


def test_a_hardware_switch_joins_as_many_as_its_link_says() -> None:
    made = of_hardware(device("h200"))
    assert len(made.devices) == 8
    assert made.links[0].bandwidth_bytes_per_s == 450e9
    assert len(of_hardware(device("h200"), 2).devices) == 2
    with pytest.raises(CoverageError, match="has no link"):
        of_hardware(device("h200").but(link=None))


@pytest.mark.parametrize("name", topologies())
def test_shipped_topologies_say_where_each_number_comes_from(name: str) -> None:
    made = topology(name)
    if made.sides:
        assert {"link", "dimensions"} <= set(made.sources)
        assert topology(name, shape="3x2").sides == (3, 2)
        return
    assert {"link", "nic", "library"} <= set(made.sources)
    assert made.library is not None
    assert made.library.source
    one = len(topology(name, nodes=1).devices)
    assert len(topology(name, nodes=3).devices) == 3 * one
    assert "nodes 3" in topology(name, nodes=3).title


def test_shipped_nodes_stay_below_their_datasheets() -> None:
    """NVLink 3 and 4: 300 and 450 GB/s in each direction."""
    for name, peak in (("dgx-a100", 300e9), ("dgx-h100", 450e9)):
        assert max(link.bandwidth_bytes_per_s for link in topology(name).links) <= peak


def test_a_file_spells_a_topology_out(tmp_path: Path) -> None:
    data: dict[str, Any] = {
        "name": "home",
        "nodes": [{"name": n} for n in ("phone", "laptop")] + [{"name": "ap", "kind": "switch"}],
        "links": [
            {"between": [n, "ap"], "bandwidth": "300 Mb/s", "latency": "1 ms", "duplex": "half"}
            for n in ("phone", "laptop")
        ],
    }
    path = tmp_path / "home.json"
    path.write_text(json.dumps(data))
    made = topology(path)
    assert made.devices == ("phone", "laptop")
    assert made.links[0].bandwidth_bytes_per_s == 37.5e6


RECIPE = """
name: boxes
generate: cluster
with: {nodes: 2, devices_per_node: 4, link: {bandwidth: 450 GB/s}, nic: {bandwidth: 400 Gb/s}}
"""


def test_a_file_has_its_topology_generated(tmp_path: Path) -> None:
    path = tmp_path / "boxes.yaml"
    path.write_text(RECIPE)
    assert len(topology(path).devices) == 8
    assert len(topology(path, nodes=5).devices) == 20
    assert topology(path).name == "boxes"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[1, 2]", "expected a table with nodes and links, found"),
        ("name: {", r", line \d+: no valid YAML"),
        ("name: a", "expected the field 'nodes', found none"),
        (RECIPE.replace("cluster", "clutser"), "unknown generator 'clutser' .did you mean"),
        (RECIPE.replace("nodes: 2", "nods: 2"), "with: unknown argument of cluster 'nods'"),
        (RECIPE.replace("nodes: 2, ", ""), "with: expected nodes, found"),
        (RECIPE.replace("nodes: 2", "nodes: 0"), "with: nodes: expected a number above 0"),
        (RECIPE.replace("nodes: 2", "nodes: many"), "with: nodes: expected a plain number"),
        (RECIPE.replace("450 GB/s", "450 GHz"), "with.link: Port.bandwidth: expected a bandwidth"),
        (RECIPE.replace("450 GB/s", "-1 GB/s"), "with.link: bandwidth_bytes_per_s: expected"),
        (RECIPE + "extra: 1", "extra: Extra inputs"),
    ],
)
def test_bad_files_are_refused_with_the_place(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"bad\.yaml.*" + said):
        topology(path)


def test_unknown_names_and_missing_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'dgx-h100'"):
        topology("dgx-h10")
    with pytest.raises(InputError, match="cannot be read"):
        topology(tmp_path / "none.yaml")
    path = tmp_path / "pair.yaml"
    path.write_text("{name: p, nodes: [{name: a}]}")
    with pytest.raises(InputError, match="nodes: the file spells its topology out"):
        topology(path, nodes=2)


def test_odd_fat_trees_are_refused() -> None:
    with pytest.raises(InputError, match="k: expected an even number of ports a switch, found 5"):
        fat_tree(5, PORT)
    with pytest.raises(InputError, match="shape: expected a number above 0"):
        torus([4, 0], PORT)


def test_a_recipe_says_how_paths_are_chosen() -> None:
    ports = {name: {"bandwidth": "50 GB/s"} for name in ("link", "nic")}
    table = {"name": "pods", "generate": "cluster", "paths": "hashed"}
    made = topology({**table, "with": {"nodes": 2, "devices_per_node": 2, **ports}})
    assert made.paths == "hashed"
    assert topology("dgx-h100").paths == "even"
    with pytest.raises(InputError, match="paths"):
        topology({**table, "paths": "odd", "with": {"nodes": 2, "devices_per_node": 2, **ports}})


def test_tori_of_a_machine_have_sides_that_its_links_lead_along() -> None:
    assert topology("tpu-v5e").title == "TPU v5e, 4 x 4 torus"
    assert topology("tpu-v4:shape=8x8x4").title == "TPU v4, 8 x 8 x 4 torus"
    assert topology("tpu-v5e:shape=1x8").sides == (1, 8)
    with pytest.raises(InputError, match=r"at most 2 sides above 1.*found 4 x 4 x 4"):
        topology("tpu-v5e:shape=4x4x4")
    with pytest.raises(InputError, match=r"at most 256 devices \(`pod`\), found 32 x 16"):
        topology("tpu-v6e:shape=32x16")
