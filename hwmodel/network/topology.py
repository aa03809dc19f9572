"""Topology: devices, switches and network cards as a graph, joined by alpha-beta links.

A link carries `bandwidth_bytes_per_s` in each direction and charges a message twice over:
`latency_s` is how long the message travels, which adds up along its way and overlaps with that of
other messages (the L of LogGP); `message_s` is how long the link is held by a message besides its
bytes, which adds up over the messages of one link (the g of LogGP: Alexandrov, Ionescu, Schauser,
Scheiman 1995). A link with `duplex: half` carries both directions together, as radio does.

A topology is a value: built by hand, by the generators of `hwmodel.network.topologies`, or from a
file. Devices are numbered in the order in which they stand among the nodes.
"""

from typing import Annotated, Any, Literal, Self, cast

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from hwmodel.quantity.units import show
from hwmodel.quantity.value import NonNegative, Positive, Value
from hwmodel.text.grid import grid
from hwmodel.text.markup import Brief


class Node(Value):
    """A device, or something that only passes messages on; `group` is the box that it stands in."""

    name: str = Field(min_length=1)
    kind: Literal["device", "switch", "nic"] = "device"
    group: str = ""


class Port(Value):
    """What a link can do: bytes/s in each direction, seconds of travel, seconds held a message.

    `reduction_bytes_per_s` is its rate where the switch behind it adds up what is sent (NVLink
    SHARP, InfiniBand SHARP); None: it does not.
    """

    bandwidth_bytes_per_s: Annotated[float, Positive]
    reduction_bytes_per_s: Annotated[float, Positive] | None = None
    latency_s: Annotated[float, NonNegative] = 0.0
    message_s: Annotated[float, NonNegative] = 0.0
    duplex: Literal["full", "half", "one-way"] = "full"
    hops: int = Field(default=1, ge=1)
    """What the link counts in the search for shortest paths."""


class Edge(Port):
    """A link between two nodes; one that is `one-way` leads from the first to the second."""

    between: tuple[str, str]

    @property
    def directions(self) -> tuple[tuple[str, str], ...]:
        """(from, to) of each direction that it carries."""
        start, end = self.between
        return ((start, end),) if self.duplex == "one-way" else ((start, end), (end, start))


class Fast(Value):
    """Protocols that send a flag with the data (LL, LL128): they start sooner and carry less."""

    share: float = Field(gt=0, le=1)
    start_s: Annotated[float, NonNegative]


class CollectiveLibrary(Value):
    """What a collective library made of these links where it was measured.

    `share` is the part of the links' bandwidth that rings, trees and the like reached,
    `share_direct` that of grouped sends (all_to_all, p2p), `share_nic` that which these reach of
    network cards, where it is another; `held` are processors that they keep from other work;
    `start_s` and `start_direct_s` are what the call takes besides its messages, and `rank_s` for
    each rank that takes part. Of what runs inside boxes and between them the part `overlap` is at
    the same time (of a pipeline over chunks; 0: one level after the other). 90 % of measured times
    lie within `interval` times the predicted one, for at most `ranks` ranks in at most `boxes`
    boxes.
    """

    fast: Fast | None = None
    """What small buffers are sent by, where that is known; trees and rings alike."""
    bytes: tuple[float, float] | None = None
    """Sizes that were measured; None: all that count."""
    rank_s: Annotated[float, NonNegative] = 0.0
    overlap: float = Field(default=0.0, ge=0, le=1)
    share: float = Field(default=1.0, gt=0, le=1)
    share_direct: float = Field(default=1.0, gt=0, le=1)
    share_nic: float | None = Field(default=None, gt=0, le=1)
    held: int = Field(default=0, ge=0)
    start_s: Annotated[float, NonNegative] = 0.0
    start_direct_s: Annotated[float, NonNegative] = 0.0
    interval: tuple[float, float]
    mean_error: float | None = None
    ranks: int = Field(ge=1)
    boxes: int = Field(default=1, ge=1)
    rows: int = Field(default=0, ge=0)
    source: str = Field(min_length=1)


FLOWS = 2
"""Of a message that NCCL sends: rings are doubled, so that two channels have a card, each with a
queue pair of its own (`ncclTopoPostset` of NVIDIA/nccl; NCCL_IB_QPS_PER_CONNECTION is 1)."""


class Topology(Brief, Value):
    """Nodes and the links between them; every device reaches every other one."""

    name: str = Field(min_length=1)
    title: str = ""
    nodes: tuple[Node, ...] = Field(min_length=1)
    links: tuple[Edge, ...] = ()
    sides: tuple[int, ...] = ()
    """Of a torus: devices along each side, numbered with the last one fastest; none of others."""
    paths: Literal["even", "hashed"] = "even"
    """How messages spread over equal paths: evenly, as planned or sprayed, or each by a hash of its
    own (ECMP), so that some meet on one link while others idle."""
    flows: int = Field(default=FLOWS, ge=1)
    """Connections among which a message is divided, each by a path that its own hash chooses."""
    library: CollectiveLibrary | None = None
    exchanges: dict[str, CollectiveLibrary] = Field(default={})
    """What other libraries make of an all_to_all of experts, by how a division dispatches."""
    sources: dict[str, str] = Field(default={})

    @model_validator(mode="after")
    def _check(self) -> Self:
        names = [node.name for node in self.nodes]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise _refusal(f"nodes: expected each name once, found {twice!r} again")
        if not self.devices:
            raise _refusal(f"nodes: expected a device, found only {sorted(set(self._kinds()))}")
        known = set(names)
        for index, link in enumerate(self.links):
            start, end = link.between
            if strange := [name for name in link.between if name not in known]:
                raise _refusal(
                    f"links.{index}.between: expected names of nodes ({', '.join(names[:8])}"
                    f"{', ...' if len(names) > 8 else ''}), found {strange[0]!r}"
                )
            if start == end:
                raise _refusal(f"links.{index}.between: expected two nodes, found {start!r} twice")
        first, *others = self.devices
        for step, words in ((1, "from {0!r} to {1!r}"), (-1, "from {1!r} to {0!r}")):
            if lost := set(others) - self._reached(first, step):
                way = words.format(first, min(lost))
                raise _refusal(f"links: expected a path {way}, found none; add a link")
        return self

    def _kinds(self) -> list[str]:
        return [node.kind for node in self.nodes]

    def _reached(self, start: str, step: int) -> set[str]:
        """Nodes that messages from `start` reach (`step` 1), or that reach it (-1)."""
        nexts: dict[str, list[str]] = {}
        for link in self.links:
            for a, b in (way[::step] for way in link.directions):
                nexts.setdefault(a, []).append(b)
        seen, front = {start}, [start]
        while front:
            found = {b for a in front for b in nexts.get(a, ())} - seen
            seen |= found
            front = list(found)
        return seen

    def __str__(self) -> str:
        """Its name and size, then one row a kind of link."""
        of = {node.name: node.kind for node in self.nodes}
        kinds: dict[tuple[str, ...], int] = {}
        for link in self.links:
            rate = show(link.bandwidth_bytes_per_s, "bytes_per_s")
            ends = " and ".join(of[name] for name in link.between)
            row = (ends, rate, show(link.latency_s, "s"))
            kinds[row] = kinds.get(row, 0) + 1
        size = f"{len(self.devices)} devices in {len(self.groups)} boxes, {len(self.links)} links"
        rows = [[each, f"{many:,}", *rest] for (each, *rest), many in kinds.items()]
        heads = ("links between", "number", "bandwidth", "latency")
        title = f" ({self.title})" if self.title else ""
        return f"{self.name}{title}: {size}\n\n{grid(heads, rows, left=(0,))}"

    def __hash__(self) -> int:
        """Cheap, for topologies are keys of cached routes; equality looks at everything."""
        return hash((self.name, len(self.nodes), len(self.links)))

    @property
    def devices(self) -> tuple[str, ...]:
        """Names of the devices, in their order."""
        return tuple(node.name for node in self.nodes if node.kind == "device")

    @property
    def groups(self) -> tuple[tuple[int, ...], ...]:
        """Devices by the box that they stand in, by number; a device without one stands alone."""
        boxes: dict[str, list[int]] = {}
        for index, node in enumerate(n for n in self.nodes if n.kind == "device"):
            box = f"box {node.group}" if node.group else f"alone {index}"
            boxes.setdefault(box, []).append(index)
        return tuple(tuple(box) for box in boxes.values())

    def graph(self) -> Any:
        """The same as a `networkx.MultiDiGraph`: an edge for each direction of each link."""
        import networkx

        graph: Any = cast(Any, networkx.MultiDiGraph)(name=self.name)
        for node in self.nodes:
            graph.add_node(node.name, kind=node.kind, group=node.group)
        for index, link in enumerate(self.links):
            numbers = link.model_dump(exclude={"between", "duplex"})
            for start, end in link.directions:
                graph.add_edge(start, end, key=index, **numbers)
        return graph


def _refusal(why: str) -> PydanticCustomError:
    return PydanticCustomError("amount", "{why}", {"why": why})
