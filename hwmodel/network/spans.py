"""Which network joins devices that exchange something: their own switch, a part of a topology.

All groups of devices along an axis exchange at once. Groups that share no box do not meet (but on
links between switches, which are counted as if all of them were there), so that the boxes that one
set of groups joins stand for all others: of thousands of devices few are looked at.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import TypeAlias

from hwmodel.einsum.division import Division
from hwmodel.hardware.hardware import Hardware
from hwmodel.network.topologies import cluster, topology
from hwmodel.network.topology import Port, Topology
from hwmodel.quantity.errors import CoverageError

Groups: TypeAlias = tuple[tuple[int, ...], ...]

USUAL = {
    "a100": "dgx-a100",
    "h100": "h100-ndr",
    "h200": "h100-ndr",
    "b200": "p6-b200",
}
"""Device -> the shipped boxes that it usually stands in."""

CARD = Port(bandwidth_bytes_per_s=44.2e9, latency_s=2.5e-6, message_s=1e-6)
"""A network card of 400 Gb/s for each device, as the shipped boxes have it."""


def joined(
    ways: Division, over: str, machine: Hardware, network: Topology | None
) -> tuple[Topology | None, Groups | None, tuple[str, ...]]:
    """The topology of groups along axes (`over`, such as "tp" or "etp,ep"), the groups, warnings.

    None and None: behind the device's own switch, which no topology names.
    """
    groups = groups_of(ways, over)
    if network is not None:
        return (*within(network, groups), ())
    size = boxed(machine, ways.devices)
    if all(group[0] // size == group[-1] // size for group in groups):
        return None, None, ()
    assumed = usual(machine, -(-ways.devices // size))
    told = (
        f"assumed: {ways.devices} devices stand in boxes of {size}, joined as {assumed.title} are;"
        " say what joins them by a topology"
    )
    return (*within(assumed, groups), (told,))


def boxed(machine: Hardware, devices: int) -> int:
    """Devices that one switch joins."""
    if machine.link is None:
        return devices
    return (
        int(machine.link.max_devices)
        if isinstance(machine.link.max_devices, (int, float))
        else devices
    )


def groups_of(ways: Division, over: str) -> Groups:
    """Devices that exchange something along axes; of a pipeline, each stage's with the next's.

    Stages send at once; of their boundaries those between boxes of eight count, if any is.
    """
    axes = over.split(",")
    if axes != ["pp"]:
        return ways.groups(*axes)
    step, last = ways.width, ways.pp - 1
    first = next((s for s in range(last) if _far(s, step)), 0)
    return tuple((first * step + rank, (first + 1) * step + rank) for rank in range(step))


def _far(stage: int, step: int, box: int = 8) -> bool:
    """Whether a stage and the next stand in several boxes."""
    return stage * step // box != ((stage + 1) * step) // box


def usual(machine: Hardware, boxes: int) -> Topology:
    """So many boxes of a device, as they are usually joined."""
    link = machine.link
    if link is None:
        raise CoverageError(f"{machine.name}: has no link to others of its kind; use one device")
    if machine.name in USUAL:
        return _shipped(USUAL[machine.name], boxes)
    port = Port.build(
        {"bandwidth_bytes_per_s": link.bandwidth_bytes_per_s, "message_s": link.latency_s},
        where=f"{machine.name}: link",
    )
    return cluster(boxes, boxed(machine, 1), port, CARD)


@lru_cache(maxsize=32)
def _shipped(name: str, boxes: int) -> Topology:
    return topology(name, nodes=boxes)


def within(network: Topology, groups: Groups) -> tuple[Topology, Groups]:
    """The boxes that some of the groups join, and these groups on them; all where they all meet."""
    box_of = {rank: place for place, box in enumerate(network.groups) for rank in box}
    if max(map(max, groups)) >= len(box_of):
        return network, groups  # refused where it is used
    parts = _together([{box_of[rank] for rank in group} for group in groups])
    boxes = max(parts, key=len)
    if len(boxes) == len(network.groups):
        return network, groups
    small = _part(network, tuple(sorted(boxes)))
    if small is None:
        return network, groups
    kept = [group for group in groups if box_of[group[0]] in boxes]
    place = {rank: number for number, rank in enumerate(_ranks(network, boxes))}
    return small, tuple(tuple(place[rank] for rank in group) for group in kept)


def _together(touched: Sequence[set[int]]) -> list[frozenset[int]]:
    """Sets of boxes that groups join, directly or by others."""
    parts: list[set[int]] = []
    for boxes in touched:
        mine = set(boxes)
        apart: list[set[int]] = []
        for part in parts:
            if part & mine:
                mine |= part
            else:
                apart.append(part)
        parts = [*apart, mine]
    return [frozenset(part) for part in parts]


def _ranks(network: Topology, boxes: frozenset[int]) -> list[int]:
    """The devices of some boxes, in order."""
    return sorted(rank for place in boxes for rank in network.groups[place])


@lru_cache(maxsize=64)
def _part(network: Topology, boxes: tuple[int, ...]) -> Topology | None:
    """Some boxes of a topology; None where others' nodes may lie on their ways."""
    inside = {network.devices[rank] for place in boxes for rank in network.groups[place]}
    group = {node.name: node.group for node in network.nodes}
    kept = {group[name] for name in inside}
    if "" in kept:
        return None
    for link in network.links:
        ends = {group[name] for name in link.between}
        if len(ends) == 2 and "" not in ends:
            return None
    nodes = tuple(node for node in network.nodes if not node.group or node.group in kept)
    names = {node.name for node in nodes}
    links = tuple(link for link in network.links if set(link.between) <= names)
    return network.model_copy(update={"nodes": nodes, "links": links})
