"""Exchanges between boxes: paths that a hash chooses, counted by hand."""

import csv
import math
from itertools import combinations
from pathlib import Path

import pytest

from hwmodel.einsum.fan import Fan
from hwmodel.einsum.workloads.collective import collective
from hwmodel.hardware.catalogue import device
from hwmodel.machines.driver import predict
from hwmodel.network.topologies import topology
from hwmodel.network.topology import Topology
from hwmodel.quantity.errors import InputError
from hwmodel.systems.training.fabric import Fabric, collided
from hwmodel.systems.training.step import fabric_of

PUBLISHED = Path(__file__).resolve().parents[5] / "shared/data/systems/deepseek_kernels_and_ep"


def cluster(paths: str, spines: int) -> Topology:
    """Two boxes of four, a leaf each; a message is one flow."""
    return topology(
        {
            **{"name": "two", "generate": "cluster", "paths": paths, "flows": 1},
            "with": {
                **{"nodes": 2, "devices_per_node": 4, "nodes_per_leaf": 1, "spines": spines},
                **{"link": {"bandwidth": "300 GB/s"}, "nic": {"bandwidth": "25 GB/s"}},
            },
        }
    )


def test_flows_that_a_hash_puts_together_take_as_long_as_the_fullest_path() -> None:
    """Four flows on two paths, there and back: the fuller has 2, 3 or 4, of 6, 8 and 2 in 16."""
    each = 6 * [2] + 8 * [3] + 2 * [4]
    fullest = sum(max(there, back) for there in each for back in each) / 16**2
    assert collided(cluster("even", 2)) == 1
    assert collided(cluster("hashed", 1)) == 1
    assert math.isclose(collided(cluster("hashed", 2)), fullest / 2, rel_tol=1e-3)


@pytest.mark.parametrize(("groups", "picks", "experts"), [(4, 2, 8), (2, 3, 8), (8, 4, 8)])
def test_devices_that_a_token_reaches_are_those_of_all_choices_of_experts(
    groups: int, picks: int, experts: int
) -> None:
    """The mean over every choice, one by one."""
    found = [
        len({each * groups // experts for each in chosen})
        for chosen in combinations(range(experts), picks)
    ]
    assert Fan(picks, experts).reached(groups) == pytest.approx(sum(found) / len(found))


def test_a_token_crosses_to_a_box_once_and_copies_each_time() -> None:
    """Eight of 256 experts on four boxes of eight: 3.6 boxes, 7.3 devices, eight copies."""
    fabric, size = Fabric.of(device("h100")), 4096.0 * 7168 * 2
    once = fabric.routed(size, 8, 256, 32, dispatch="once")
    copies = fabric.routed(size, 8, 256, 32, dispatch="all-to-all")
    assert copies / once == pytest.approx(8 / Fan(8, 256).reached(4), rel=0.02)
    assert once == pytest.approx(size * Fan(8, 256).reached(4) * 0.75 / 44.2e9, rel=0.02)
    behind_a_switch = fabric.routed(size, 8, 256, 8, dispatch="once")
    assert behind_a_switch < once / 3


@pytest.mark.skipif(not PUBLISHED.is_dir(), reason="needs ../shared/data/systems")
def test_cards_carry_what_deepeps_kernels_reach_on_four_boxes_and_eight() -> None:
    """Rates that count what stays in a box, of ConnectX-7 cards of 400 Gb/s (DeepEP, README)."""
    with (PUBLISHED / "deepep.csv").open(encoding="utf-8", newline="") as stream:
        rows = [
            row
            for row in csv.DictReader(stream)
            if row["version"] == "V1" and row["mode"] == "normal" and int(row["nodes"]) >= 4
        ]
    assert len(rows) == 4
    for row in rows:
        nodes = int(row["nodes"])
        counted = Fabric.of(device("h100")).card_bytes_per_s * nodes / (nodes - 1) / 1e9
        assert counted == pytest.approx(float(row["bottleneck_bw_GBps"]), rel=0.05)


def test_exchanges_on_a_torus_are_the_collectives_of_its_links() -> None:
    """A side of 8, 64 such rings at once; a plane across; a neighbour eight devices on."""
    machine, cube = device("tpu-v4"), topology("tpu-v4:shape=8x8x8")
    fabric = fabric_of(machine, cube, 512)
    ring_s = fabric.seconds("all_gather", 2.0**30, 8)
    assert ring_s == pytest.approx(7 / 8 * 2**30 / 100e9, rel=0.01)
    plane_s = fabric.seconds("reduce_scatter", 2.0**30, 64, 8)
    assert plane_s == pytest.approx(63 / 64 * 2**30 / 200e9, rel=0.01)
    whole = collective("all_reduce", 2**30, 512)
    asked_s = predict(whole, machine, topology=cube).time_s
    assert fabric.seconds("all_reduce", 2.0**30, 512) == asked_s
    assert fabric.sent(2.0**30, 8) == pytest.approx(2**30 / 50e9, rel=0.01)
    copies = fabric.routed(2.0**20, 8, 256, 64, dispatch="all-to-all")
    assert fabric.routed(2.0**20, 8, 256, 64, dispatch="once") < copies
    with pytest.raises(InputError, match="expected a network of 512 devices or more"):
        fabric_of(machine, topology("tpu-v4"), 512).seconds("all_reduce", 2.0**30, 8)
