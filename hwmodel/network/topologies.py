"""Topologies by name: generators of common shapes, the shipped ones, and the user's files.

    node        devices on one switch (NVSwitch), or at a radio hub
    pcie_tree   devices below PCIe switches below one root
    cluster     nodes of devices on a switch, a network card a device, leaves and spines above
    fat_tree    k-ary, k pods, k^3 / 4 devices, full bisection (Al-Fares et al., SIGCOMM 2008)
    mesh        devices each linked to every other one (XGMI between eight Instinct)
    torus       devices in a grid that wraps around, each linked to its neighbours
    dragonfly   groups of fully joined routers, one link between any two groups (Kim et al., 2008)

A file (YAML or JSON) spells a topology out (`nodes`, `links`) or has one generated:

    name: two-boxes
    generate: cluster
    with: {nodes: 2, devices_per_node: 4, link: {bandwidth: 450 GB/s, message: 1.9 us},
           nic: {bandwidth: 400 Gb/s, latency: 5 us}}
"""

import inspect
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from hwmodel.hardware.catalogue import CATALOGUE
from hwmodel.hardware.hardware import Hardware
from hwmodel.network.topology import FLOWS, CollectiveLibrary, Edge, Node, Port, Topology
from hwmodel.quantity.errors import CoverageError, InputError, UnknownNameError
from hwmodel.quantity.printable import shown
from hwmodel.quantity.reading import DEVICES, pairs
from hwmodel.quantity.units import counted
from hwmodel.quantity.value import Value
from hwmodel.quantity.yaml import table

LINKS = 16 * DEVICES

SHIPPED = CATALOGUE / "topologies"


def node(devices: int, link: Port, *, name: str = "node") -> Topology:
    """Devices on one switch, or at one radio hub."""
    named = [Node(name=f"gpu{i}", group=name) for i in range(_count(devices, "devices"))]
    nodes = (*named, Node(name="switch", kind="switch", group=name))
    return _built(name, nodes, [_edge(device.name, "switch", link) for device in named])


def of_hardware(hardware: Hardware, devices: int | None = None) -> Topology:
    """A device's switch as a topology; each message holds a port for the link's latency.

    So rings and pairwise sends cost on it what `hwmodel.network.algorithms` says in closed form.
    """
    link = hardware.link
    if link is None:
        raise CoverageError(f"{hardware.name} has no link: give it one, or describe a topology")
    port = Port.build(
        {"bandwidth_bytes_per_s": link.bandwidth_bytes_per_s, "message_s": link.latency_s},
        where=f"{hardware.name}: link",
    )
    most = int(link.max_devices) if isinstance(link.max_devices, (int, float)) else hardware.devices
    return node(devices or most, port, name=hardware.name)


def pcie_tree(devices: int, per_switch: int, link: Port, uplink: Port) -> Topology:
    """Devices below PCIe switches, `per_switch` on each, below one root complex."""
    count = math.ceil(_count(devices, "devices") / _count(per_switch, "per_switch"))
    named = [Node(name=f"gpu{i}", group="host") for i in range(devices)]
    switches = [Node(name=f"pcie{i}", kind="switch", group="host") for i in range(count)]
    root = Node(name="root", kind="switch", group="host")
    links = [_edge(each.name, f"pcie{i // per_switch}", link) for i, each in enumerate(named)]
    links += [_edge(switch.name, "root", uplink) for switch in switches]
    return _built("pcie tree", (*named, *switches, root), links)


def cluster(
    nodes: int,
    devices_per_node: int,
    link: Port,
    nic: Port,
    *,
    nodes_per_leaf: int | None = None,
    spines: int = 1,
    uplink: Port | None = None,
) -> Topology:
    """Nodes of devices behind a switch, with a network card for each device.

    `link` joins device and switch, `nic` device and network; all cards meet in one switch, or, with
    `nodes_per_leaf`, in leaves that `spines` join by an `uplink` each (by default as fast as all
    cards below the leaf together, divided by the spines).
    """
    boxes, inside = _count(nodes, "nodes"), _count(devices_per_node, "devices_per_node")
    below = _count(boxes if nodes_per_leaf is None else nodes_per_leaf, "nodes_per_leaf")
    _room("devices", boxes, inside)
    _room("links", math.ceil(boxes / below), _count(spines, "spines"), most=LINKS)
    made: list[Node] = []
    links: list[Edge] = []
    # The card's own side: its message is counted once, and no switch is behind it.
    bare = nic.but(latency_s=0.0, message_s=0.0, reduction_bytes_per_s=None)
    for box in range(boxes):
        group, leaf = f"node{box}", f"leaf{box // below}"
        for i in range(inside):
            device, card = f"gpu{box * inside + i}", f"nic{box * inside + i}"
            made += [Node(name=device, group=group), Node(name=card, kind="nic", group=group)]
            links += [_edge(device, f"switch{box}", link)] if inside > 1 else []
            links += [_edge(device, card, bare), _edge(card, leaf, nic)]
        made += [Node(name=f"switch{box}", kind="switch", group=group)] if inside > 1 else []
    leaves = [f"leaf{i}" for i in range(math.ceil(boxes / below))]
    made += [Node(name=leaf, kind="switch") for leaf in leaves]
    if len(leaves) > 1:
        full = nic.bandwidth_bytes_per_s * below * inside / _count(spines, "spines")
        up = uplink or Port(bandwidth_bytes_per_s=full)
        made += [Node(name=f"spine{i}", kind="switch") for i in range(spines)]
        links += [_edge(leaf, f"spine{i}", up) for leaf in leaves for i in range(spines)]
    return _built(f"{boxes} x {inside} devices", made, links)


def fat_tree(k: int, link: Port) -> Topology:
    """The k-ary fat tree of equal links: k pods of k/2 edge and k/2 upper switches."""
    half = _count(k, "k") // 2
    _room("devices", k, half, half)
    if k % 2:
        raise InputError(f"fat_tree: k: expected an even number of ports a switch, found {k}")
    nodes: list[Node] = []
    links: list[Edge] = []
    for pod in range(k):
        for e in range(half):
            edge = f"edge{pod}.{e}"
            devices = [f"gpu{(pod * half + e) * half + i}" for i in range(half)]
            nodes += [Node(name=device, group=edge) for device in devices]
            nodes += [Node(name=edge, kind="switch"), Node(name=f"upper{pod}.{e}", kind="switch")]
            links += [_edge(device, edge, link) for device in devices]
            links += [_edge(edge, f"upper{pod}.{u}", link) for u in range(half)]
            links += [_edge(f"upper{pod}.{e}", f"core{e * half + c}", link) for c in range(half)]
    nodes += [Node(name=f"core{c}", kind="switch") for c in range(half * half)]
    return _built(f"{k}-ary fat tree", nodes, links)


def mesh(devices: int, link: Port, *, name: str = "mesh") -> Topology:
    """Devices of one box, each linked to every other one by a `link` of its own."""
    named = [Node(name=f"gpu{i}", group=name) for i in range(_count(devices, "devices"))]
    _room("links", devices, devices, most=LINKS)
    pairs_of = itertools.combinations((each.name for each in named), 2)
    return _built(name, named, [_edge(*pair, link) for pair in pairs_of])


def torus(shape: Sequence[int] | str | int, link: Port) -> Topology:
    """Devices in a grid of any number of dimensions that wraps around; each passes messages on.

    Its sides are numbers, or in words "8x8x4".
    """
    said = str(shape).lower().split("x") if isinstance(shape, (str, int)) else shape
    sides = [_count(int(s) if isinstance(s, str) and s.isdigit() else s, "shape") for s in said]
    _room("devices", *sides)
    _room("links", *sides, len(sides), most=LINKS)
    places = list(itertools.product(*map(range, sides)))
    links: list[Edge] = []
    for place in places:
        for axis, side in enumerate(sides):
            if side > 2 or (side == 2 and place[axis] == 0):
                other = (*place[:axis], (place[axis] + 1) % side, *place[axis + 1 :])
                links.append(_edge(_at(place), _at(other), link))
    nodes = [Node(name=_at(place)) for place in places]
    name = f"{' x '.join(map(str, sides))} torus"
    return _built(name, nodes, links).model_copy(update={"sides": tuple(sides)})


def dragonfly(
    groups: int, routers: int, devices_per_router: int, link: Port, local: Port, between: Port
) -> Topology:
    """Groups of fully joined routers; the links `between` groups are dealt to routers in turn."""
    nodes: list[Node] = []
    links: list[Edge] = []
    count = _count(routers, "routers")
    _room("devices", _count(groups, "groups"), count, _count(devices_per_router, "devices"))
    _room("links", groups, count, count, most=LINKS)
    _room("links", groups, groups, most=LINKS)
    for g, r in itertools.product(range(_count(groups, "groups")), range(count)):
        router = f"router{g}.{r}"
        first = (g * routers + r) * devices_per_router
        devices = [f"gpu{first + i}" for i in range(_count(devices_per_router, "devices"))]
        nodes += [Node(name=device, group=f"group{g}") for device in devices]
        nodes.append(Node(name=router, kind="switch", group=f"group{g}"))
        links += [_edge(device, router, link) for device in devices]
        links += [_edge(router, f"router{g}.{other}", local) for other in range(r + 1, routers)]
    for a, b in itertools.combinations(range(groups), 2):
        ends = (f"router{a}.{(b - 1) % routers}", f"router{b}.{a % routers}")
        links.append(_edge(*ends, between))
    return _built(f"dragonfly of {groups} groups", nodes, links)


GENERATORS: dict[str, Callable[..., Topology]] = {
    "node": node,
    "pcie_tree": pcie_tree,
    "cluster": cluster,
    "fat_tree": fat_tree,
    "mesh": mesh,
    "torus": torus,
    "dragonfly": dragonfly,
}
"""What a file may ask for under `generate`."""

PORTS = ("link", "uplink", "nic", "local", "between")
"""Arguments of generators that are links."""


class _Recipe(Value):
    """A file that has its topology generated."""

    name: str
    generate: str
    arguments: dict[str, Any] = Field(alias="with")
    title: str = ""
    dimensions: int | None = Field(default=None, ge=1)
    """Sides above 1 that a torus of these devices may have; None: any number."""
    pod: int | None = Field(default=None, ge=1)
    """Devices that are joined at the most; None: any number."""
    paths: Literal["even", "hashed"] = "even"
    flows: int = Field(default=FLOWS, ge=1)
    library: CollectiveLibrary | None = None
    exchanges: dict[str, CollectiveLibrary] = Field(default={})
    sources: dict[str, str] = Field(default={})


def topologies() -> tuple[str, ...]:
    """Names of the shipped topologies."""
    return tuple(sorted(path.stem for path in SHIPPED.glob("*.yaml")))


def topology(what: str | Path | Mapping[str, Any], **changes: Any) -> Topology:
    """A topology by its shipped name, by the path of a file, or as a table.

    `changes` are arguments of its generator: `topology("dgx-h100", nodes=4)`; in words they stand
    behind a colon, "dgx-h100:nodes=4". A table is what a file holds, or a `name` and changes:
    `{"name": "dgx-h100", "nodes": 4}`. Raises `UnknownNameError`, or `InputError` with file and
    field.
    """
    if isinstance(what, Mapping):
        given = {**what, **changes}
        if "links" in given or "generate" in given:
            return _made(given, "topology", {})
        name = given.pop("name", None)
        if not isinstance(name, str):
            raise InputError(f"topology: name: expected a text, found {shown(name)}")
        return topology(name, **given)
    if not isinstance(what, (str, Path)):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InputError(f"topology: expected a name, a path or a table, found {shown(what)}")
    name = str(what).strip()
    bare, colon, words = name.partition(":")
    if not changes and bare.lower() in topologies():
        return _in_words(bare.lower(), words)
    if colon and bare.lower() in topologies():
        name, changes = bare, {**pairs(words, "topology"), **changes}
    if name.lower() in topologies():
        return _read(SHIPPED / f"{name.lower()}.yaml", changes)
    path = Path(name)
    if path.suffix.lower() not in (".yaml", ".yml", ".json"):
        raise UnknownNameError("topology", name, topologies())
    return _read(path, changes)


@lru_cache(maxsize=16)
def _in_words(name: str, words: str) -> Topology:
    """A shipped topology with what words change; many questions in a row are about one."""
    changes = pairs(words, "topology") if words else {}
    return _read(SHIPPED / f"{name}.yaml", changes)


def _read(path: Path, changes: Mapping[str, Any]) -> Topology:
    return _made(table(path, "a table with nodes and links"), str(path), changes)


def _made(data: Mapping[str, Any], where: str, changes: Mapping[str, Any]) -> Topology:
    """What a file or a table describes: a recipe for a generator, or all of its links."""
    if "generate" in data:
        return _generated(_Recipe.build(data, where=where), where, changes)
    if changes:
        raise InputError(f"{where}: {', '.join(changes)}: the file spells its topology out; change "
                         "the file, or have it generated")  # fmt: skip
    return Topology.build(data, where=where)


def _generated(recipe: _Recipe, where: str, changes: Mapping[str, Any]) -> Topology:
    """Call the generator that a file asks for, with what it gives."""
    if recipe.generate not in GENERATORS:
        raise InputError(f"{where}: {UnknownNameError('generator', recipe.generate, GENERATORS)}")
    made = GENERATORS[recipe.generate]
    known = {n: p for n, p in inspect.signature(made).parameters.items() if n != "name"}
    given = recipe.arguments | dict(changes)
    for name in given:
        if name not in known:
            what = f"argument of {recipe.generate}"
            raise InputError(f"{where}: with: {UnknownNameError(what, name, known)}")
    missing = [n for n, p in known.items() if p.default is p.empty and n not in given]
    if missing:
        raise InputError(f"{where}: with: expected {', '.join(missing)}, found {list(given)}")
    ready = {
        name: Port.build(value, where=f"{where}: with.{name}")
        if name in PORTS and not isinstance(value, Port)
        else value
        for name, value in given.items()
    }
    try:
        topology = made(**ready)
    except (InputError, TypeError) as error:
        raise InputError(f"{where}: with: {error}") from None
    _within(recipe, topology, where)
    said = {n: v for n, v in changes.items() if n != "shape"}  # a torus' name says its shape
    shape = (topology.name,) if topology.sides and recipe.title else ()
    words = (recipe.title or recipe.name, *shape, *(f"{n} {v}" for n, v in said.items()))
    told: dict[str, Any] = {"title": ", ".join(words), "paths": recipe.paths}
    told |= {"flows": recipe.flows}
    told |= {"library": recipe.library, "exchanges": recipe.exchanges, "sources": recipe.sources}
    return topology.model_copy(update={"name": recipe.name, **told})


def _within(recipe: _Recipe, made: Topology, where: str) -> None:
    """Refuse a torus that devices have no links for, and more devices than are ever joined."""
    sides = [side for side in made.sides if side > 1]
    words = f"found {' x '.join(map(str, made.sides))}"
    if recipe.dimensions and len(sides) > recipe.dimensions:
        raise InputError(
            f"{where}: shape: expected at most {recipe.dimensions} sides above 1, along which its"
            f" devices have links (`dimensions`), {words}"
        )
    if recipe.pod and len(made.devices) > recipe.pod:
        raise InputError(f"{where}: shape: expected at most {recipe.pod} devices (`pod`), {words}")


def _built(name: str, nodes: Sequence[Node], links: Sequence[Edge]) -> Topology:
    return Topology.build({"name": name, "nodes": tuple(nodes), "links": tuple(links)}, where=name)


def _edge(start: str, end: str, port: Port) -> Edge:
    return Edge(between=(start, end), **{n: getattr(port, n) for n in Port.model_fields})


def _count(value: Any, where: str) -> int:
    return counted(value, where=where, most=DEVICES)


def _room(what: str, *sizes: int, most: int = DEVICES) -> None:
    """Refuse a product of sizes that is more than can be built and routed."""
    if math.prod(sizes) > most:
        raise InputError(f"expected at most {most:,} {what}, found {' x '.join(map(str, sizes))}")


def _at(place: tuple[int, ...]) -> str:
    return "gpu" + ".".join(map(str, place))
