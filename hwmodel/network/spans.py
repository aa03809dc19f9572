"""Which network joins devices that exchange something: their own switch, a part of a topology.

All groups of devices along an axis exchange at once. Groups that share no box do not meet (but on
links between switches, which are counted as if all of them were there), so that the boxes that one
set of groups joins stand for all others: of thousands of devices few are looked at.
"""

from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from hwmodel.einsum.division import Division
from hwmodel.hardware.hardware import Hardware
from hwmodel.network.topologies import cluster, topology
from hwmodel.network.topology import Port, Topology
from hwmodel.quantity.errors import CoverageError

Groups: TypeAlias = tuple[tuple[int, ...], ...]
Array: TypeAlias = NDArray[np.intp]

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
    boxes = groups // size
    if np.all(boxes == boxes[:, :1]):
        return None, None, ()
    told = (
        f"assumed: {ways.devices} devices stand in boxes of {size}, joined as those of"
        f" {USUAL.get(machine.name, 'one card of 400 Gb/s each')!r}; say what joins them by a"
        " topology"
    )
    widest = boxes[_widest(boxes)]
    touched, counts = np.unique(widest, return_counts=True)
    if np.all(counts == counts[0]):  # links are a device's own: other groups do not meet this one
        made = usual(machine, len(touched), int(counts[0]))
        return made, (tuple(range(len(widest))),), (told,)
    place: Array = np.asarray(np.searchsorted(touched, widest), dtype=np.intp)
    ranks = place * size + groups[_widest(boxes)] % size
    return usual(machine, len(touched), size), (tuple(ranks.tolist()),), (told,)


def _widest(boxes: Array) -> int:
    """The group that stands in most boxes."""
    ordered = np.sort(boxes, axis=1)
    return int(np.argmax((np.diff(ordered, axis=1) > 0).sum(axis=1)))


def pattern(ways: Division, over: str) -> tuple[str, int, int, int]:
    """What groups along axes depend on: how far apart devices are, how many, and of how many."""
    stride = {"cp": ways.tp, "dp": ways.tp * ways.cp, "ep": ways.expert_tp, "pp": ways.width}
    degree = 1
    for axis in over.split(","):
        degree *= ways.degree(axis)
    return ("pp" if over == "pp" else ""), stride.get(over, 1), degree, ways.devices


def boxed(machine: Hardware, devices: int) -> int:
    """Devices that one switch joins."""
    if machine.link is None or not isinstance(machine.link.max_devices, (int, float)):
        return devices
    return int(machine.link.max_devices)


def groups_of(ways: Division, over: str) -> Array:
    """Devices that exchange something along axes, `[group, device]`.

    Of a pipeline each stage's with the next's: stages send at once; of their boundaries those
    between boxes of eight count, if any is.
    """
    if over != "pp":
        return ways.grid(*over.split(","))
    step, last = ways.width, ways.pp - 1
    first = next((s for s in range(last) if _far(s, step)), 0)
    ranks = first * step + np.arange(step)
    return np.stack((ranks, ranks + step), axis=1)


def _far(stage: int, step: int, box: int = 8) -> bool:
    """Whether a stage and the next stand in several boxes."""
    return stage * step // box != ((stage + 1) * step) // box


def usual(machine: Hardware, boxes: int, inside: int) -> Topology:
    """So many boxes of a device as they are usually joined, with so many devices of each."""
    link = machine.link
    if link is None:
        raise CoverageError(f"{machine.name}: has no link to others of its kind; use one device")
    if machine.name in USUAL:
        return _shipped(USUAL[machine.name], boxes, inside)
    port = Port.build(
        {"bandwidth_bytes_per_s": link.bandwidth_bytes_per_s, "message_s": link.latency_s},
        where=f"{machine.name}: link",
    )
    return cluster(boxes, inside, port, CARD)


@lru_cache(maxsize=64)
def _shipped(name: str, boxes: int, inside: int) -> Topology:
    return topology(name, nodes=boxes, devices_per_node=inside)


def within(network: Topology, groups: Array) -> tuple[Topology, Groups]:
    """The boxes that some of the groups join, and these groups on them; all where they all meet."""
    places = box_of(network)
    if groups.max() >= len(places):
        return network, listed(groups)  # refused where it is used
    if apart(network):
        widest = np.sort(groups[_widest(places[groups])])
        if len(widest) == len(places):
            return network, listed(groups)
        return some_of(network, tuple(widest.tolist())), (tuple(range(len(widest))),)
    mine, touched = largest(places[groups])
    if len(touched) == len(network.groups):
        return network, listed(groups)
    small = _part(network, tuple(touched.tolist()))
    if small is None:
        return network, listed(groups)
    ranks = np.flatnonzero(np.isin(places, touched))
    return small, listed(np.searchsorted(ranks, groups[mine]))


@lru_cache(maxsize=16)
def apart(network: Topology) -> bool:
    """Whether every link is a device's own, or its card's: groups of devices then never meet."""
    kind = {node.name: node.kind for node in network.nodes}
    cards: dict[str, int] = {}
    for link in network.links:
        ends = {kind[name] for name in link.between}
        if len(ends) == 1:  # between switches; or devices, which pass on what is others'
            return False
        if ends == {"device", "nic"}:
            card = next(name for name in link.between if kind[name] == "nic")
            cards[card] = cards.get(card, 0) + 1
    return all(count == 1 for count in cards.values())


@lru_cache(maxsize=64)
def some_of(network: Topology, ranks: tuple[int, ...]) -> Topology:
    """Some devices of a topology whose links are their own, with their cards and all switches."""
    kind = {node.name: node.kind for node in network.nodes}
    mine = {network.devices[rank] for rank in ranks}
    near = {name for link in network.links if mine & set(link.between) for name in link.between}
    kept = mine | {name for name in near if kind[name] == "nic"}
    kept |= {name for name, what in kind.items() if what == "switch"}
    nodes = tuple(node for node in network.nodes if node.name in kept)
    links = tuple(link for link in network.links if set(link.between) <= kept)
    joined = {name for link in links for name in link.between} | mine
    nodes = tuple(node for node in nodes if node.name in joined)
    return network.model_copy(update={"nodes": nodes, "links": links})


@lru_cache(maxsize=16)
def box_of(network: Topology) -> Array:
    """The box of each device, by number."""
    found = np.zeros(len(network.devices), dtype=np.intp)
    for place, box in enumerate(network.groups):
        found[list(box)] = place
    return found


def largest(boxes: Array) -> tuple[Array, Array]:
    """Of groups in these boxes, `[group, device]`, most that meet: their numbers, and the boxes."""
    label: Array = np.arange(boxes.max() + 1, dtype=np.intp)
    while True:
        least: Array = label[boxes].min(axis=1)
        before: Array = label.copy()
        np.minimum.at(label, boxes, least[:, None])
        if np.array_equal(label, before):
            break
    touched = np.unique(boxes)
    sizes = np.bincount(label[touched])
    chosen = int(np.argmax(sizes))
    return np.flatnonzero(label[boxes[:, 0]] == chosen), touched[label[touched] == chosen]


def listed(groups: Array) -> Groups:
    """Groups as tuples."""
    return tuple(map(tuple, groups.tolist()))


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
