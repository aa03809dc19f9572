"""Collective operations as activities: what they send, over which links, at which rates.

    launch, then at the same time: messages on links; the rank's own input read, its output written

On one switch it is what the device's calibration says of NCCL (`nccl`), in closed form. On any
other topology the library's algorithms are schedules of messages on its links (`flows`), of which
the fastest is taken: those of one switch and, between boxes, trees and the hierarchical ones. The
fold makes times of either; a rank's memory mostly hides behind the links.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hwmodel.einsum.fan import Fan
from hwmodel.einsum.workloads.collective import memory_bytes
from hwmodel.hardware.calibration import WIDER, WIDEST, Family, stretched
from hwmodel.hardware.hardware import Hardware
from hwmodel.network import nccl, small
from hwmodel.network.algorithms import ADDED, check
from hwmodel.network.boxes import Boxes
from hwmodel.network.flows import Groups, Protocol
from hwmodel.network.nccl import fastest, link_of
from hwmodel.network.ranks import one_number
from hwmodel.network.topology import CollectiveLibrary, Topology
from hwmodel.network.ways import boxed, candidates, listed, ways_on
from hwmodel.quantity.arithmetic import where
from hwmodel.quantity.errors import CoverageError, InputError
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Activity, Overlap, Rates, Serial, Work
from hwmodel.spine.outside import Outside, farthest, outside

FAMILY = "collective"
STRAIGHT = "low-latency"
"""Of a division's `dispatch`: rows go straight to their experts."""
PRIORS = f"uncalibrated: {FAMILY}: link efficiencies are priors, not measurements"

UNCOUNTED_SENDS = (
    "all_to_all between boxes: what a NIC takes for each of many messages is not modelled; small"
    " ones take longer than said, and an exchange in two levels may be faster"
)
"""What is told of exchanges between boxes."""

PEERS = (
    "collectives of an engine: devices on PCIe reach each other behind switches, so that any number"
    " goes at a pair's rate, as published throughput on four and eight has it; NCCL's published"
    " times are of boxes that cross root complexes"
)
"""What those of an engine rest on where NCCL alone would be slower between more than a pair."""

AS_NCCL = "exchanges of experts behind one switch: at the rates of NCCL's grouped sends"
"""What those of another library rest on where no topology says what it makes of links."""


@dataclass(frozen=True, eq=False)
class Cost:
    """A collective as one rank sees it: its activity, and the rates of what it needs.

    `interval` and `outside` are those of a part of an estimate; `assumptions` and `warnings` what
    is told of it. `held` are processors that it keeps from other work.
    """

    name: str
    tree: Activity
    rates: Rates
    interval: tuple[Amount, Amount]
    outside: tuple[Outside, ...] = ()
    assumptions: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    held: int = 0


def cost(
    op: str,
    size_bytes: Amount,
    ranks: Amount,
    hardware: Hardware,
    topology: Topology | None = None,
    groups: Groups | None = None,
    library: str | None = None,
    fan: Fan | None = None,
    sent: str = "",
    algorithm: str = "",
) -> Cost:
    """One collective between `ranks` devices: behind their switch, or on a topology.

    `size_bytes` is counted as nccl-tests does. `library` is an engine whose own small all-reduce
    stands beside NCCL behind one switch: "vllm", "trtllm", or "vllm:eager" outside of graphs, where
    NCCL itself is "nccl:eager". On a
    topology `groups` of devices do the same at once, by default the first `ranks` devices alone. Of
    rows to experts `fan` says where choices lead, so that each row is sent once, and `sent` whose
    sends they are (`Collective`). Raises `InputError` for more ranks than are
    joined, `CoverageError` where nothing says what the links can do.
    """
    check(op, algorithm or None)
    if library not in (None, *small.NCCL):
        small.family_of(library)  # refuses what is none
    if topology is None:
        if algorithm:
            raise CoverageError(
                f"{op}: algorithm: one switch has the library's own; say which topology joins the"
                f" devices, or leave {algorithm!r} out"
            )
        made = _on_one_switch(op, thinned(size_bytes, ranks, fan), ranks, hardware, library)
        return replace(made, assumptions=(*made.assumptions, AS_NCCL)) if sent else made
    made = _on_topology(op, size_bytes, ranks, hardware, topology, groups, fan, sent, algorithm)
    return _as_library(made, hardware, topology, library)


def thinned(size_bytes: Amount, ranks: Amount, fan: Fan | None) -> Amount:
    """Bytes where a row goes once to each device that has any of its experts."""
    if fan is None:
        return size_bytes
    return size_bytes * (fan.reached(one_number(ranks, "all_to_all: ranks")) / fan.picks)


def _on_one_switch(
    op: str, size: Amount, ranks: Amount, hardware: Hardware, library: str | None
) -> Cost:
    if hardware.calibration is None or hardware.link is None:
        raise CoverageError(f"{hardware.name}: a collective needs a link and a calibration")
    check_ranks(ranks, hardware)
    family = hardware.calibration.family(FAMILY)
    sizes = _outside(size, ranks, family)
    if library not in (None, *small.NCCL) and np.any(small.takes(library, op, size, ranks)):
        return _of_engine(op, size, ranks, hardware, library)
    values, assumed = _between(family, library)
    tree, rates = with_parameters(op, size, ranks, hardware, values)
    interval, called = _interval(op, sizes, family), "in a CUDA graph"
    if library == "nccl:eager":
        tree, rates = _by_host(tree, rates, hardware)
        interval = interval[0] ** WIDER, interval[1] ** WIDER
        called = BY_HOST
    joined = "one switch" if hardware.link.peers is None else "a link to each other device"
    return Cost(
        op,
        tree,
        rates,
        interval,
        sizes,
        assumptions=(
            f"collectives: {family.source or f'calibration {hardware.calibration.name}'}; NCCL,"
            f" {joined}, out of place, {called}",
            *assumed,
        ),
        warnings=_told(op, family),
    )


def _as_library(made: Cost, hardware: Hardware, topology: Topology, library: str | None) -> Cost:
    """Ways on a topology as a library launches them, of which small all-reduces are not known."""
    own, _, how = (library or "nccl").partition(":")
    told = (
        f"{library}'s own small all-reduces are known behind one switch alone: on {topology.name}"
    )
    said = () if own == "nccl" else (f"collectives: {told} NCCL's ways stand for them",)
    if how == "eager":
        tree, rates = _by_host(made.tree, made.rates, hardware)
        low, high = made.interval
        made = replace(made, tree=tree, rates=rates, interval=(low**WIDER, high**WIDER))
        said = (*said, f"collectives: {BY_HOST}")
    return replace(made, assumptions=(*made.assumptions, *said))


BY_HOST = "launched by the host (a prior: 20 us by published all-reduces)"
"""What is told of a call outside of a graph."""


def _by_host(tree: Activity, rates: Rates, hardware: Hardware) -> tuple[Activity, Rates]:
    """The same after what a call takes outside of a graph."""
    if not hardware.launch.eager_s:
        told = "nothing says how long its host takes to launch a kernel (launch.eager_s)"
        raise CoverageError(f"{hardware.name}: collectives by the host: {told}")
    called = ("host", small.HOST_LAUNCHES * hardware.launch.eager_s)
    slots = {**rates.slots, "host call": called}
    return Serial((Work(slots={"host call": 1}), tree)), replace(rates, slots=slots)


def _told(op: str, family: Family) -> tuple[str, ...]:
    """Warnings of an operation on one switch."""
    if op in nccl.UNMEASURED:
        return (f"uncalibrated: {FAMILY}: {op} was not measured; it goes along the others' ring",)
    return () if family.origin == "measured" else (PRIORS,)


def _between(family: Family, library: str | None) -> tuple[dict[str, float], tuple[str, ...]]:
    """NCCL's parameters on the box that engines are published on, and what that assumes.

    Alone it is as its own table has it: where more than a pair crosses root complexes.
    """
    values = dict(family.values)
    if library in (None, *small.NCCL) or values.get("crossing", 1.0) == 1.0:
        return values, ()
    return values | {"crossing": 1.0}, (PEERS,)


def _of_engine(op: str, size: Amount, ranks: Amount, hardware: Hardware, library: str) -> Cost:
    """An engine's own all-reduce where it takes that, NCCL's elsewhere."""
    assert hardware.calibration is not None
    nccls, name = hardware.calibration.family(FAMILY), small.family_of(library)
    if name not in hardware.calibration.families:
        raise CoverageError(f"{hardware.name}: nothing is known of the all-reduce of {library}")
    family = hardware.calibration.family(name)
    values, assumed = _between(nccls, library)
    own = small.small_ways(library, size, ranks, hardware, family.values)
    taken = small.takes(library, op, size, ranks)
    launch_s = nccl.launch_s(op, hardware, values)
    others = [
        replace(way, allowed=np.logical_and(way.allowed, np.logical_not(taken))[()])
        for way in nccl.on_one_switch(op, size, ranks, hardware, values)
    ]
    ways = [way.after("launch of NCCL", launch_s, "launch") for way in others]
    tree, links, _ = fastest([*own, *ways])
    tree, rates = _launched(op, size, ranks, hardware, tree, links, 0.0)
    sizes = _outside(size, ranks, nccls)
    (low, high), (nccl_low, nccl_high) = family.interval, _interval(op, sizes, nccls)
    return Cost(
        op,
        tree,
        rates,
        (where(taken, low, nccl_low), where(taken, high, nccl_high)),
        sizes,
        assumptions=(
            f"small all-reduces: {library}'s own ({family.source or 'prior'}), NCCL beyond"
            f" {small.MOST_BYTES[library.partition(':')[0]] // 2**20} MiB",
            *assumed,
        ),
        warnings=() if family.origin == "measured" else (PRIORS,),
    )


def with_parameters(
    op: str, size: Amount, ranks: Amount, hardware: Hardware, parameters: Mapping[str, float]
) -> tuple[Activity, Rates]:
    """A collective's activity on one switch under given parameters of the family, and its rates."""
    ways = nccl.on_one_switch(op, size, ranks, hardware, parameters)
    tree, links, _ = fastest(ways)
    launch_s = nccl.launch_s(op, hardware, parameters)
    return _launched(op, size, ranks, hardware, tree, links, launch_s)


def _launched(
    op: str,
    size: Amount,
    ranks: Amount,
    hardware: Hardware,
    tree: Activity,
    links: Rates,
    launch_s: Amount,
) -> tuple[Activity, Rates]:
    """The messages after the launch and beside the rank's own memory."""
    read, written = memory_bytes(op, size, ranks)
    memory = hardware.memory("dram")
    byte_j = hardware.link.energy_j_per_byte if hardware.link else 0.0
    rates = replace(
        links,
        read={"dram": memory.bandwidth_bytes_per_s},
        written={"dram": memory.bandwidth_bytes_per_s},
        slots={**links.slots, "launch": ("launch", launch_s)},
        byte_j={
            "dram": memory.energy_j_per_byte,
            **{name.partition(":")[0]: byte_j for name in links.messages},
        },
        static_w=hardware.power.idle_w,
    )
    local = Work(read={"dram": read}, written={"dram": written})
    return Serial((Work(slots={"launch": 1}), Overlap((tree, local)))), rates


def _interval(op: str, sizes: Sequence[Outside], family: Family) -> tuple[Amount, Amount]:
    """The family's interval, wider the farther sizes or ranks are outside those that were measured.

    Widest for grouped sends: two ranks do not show what sends to several peers cost each other.
    """
    low, high = family.interval
    known = (low**WIDER, high**WIDER) if op in nccl.UNMEASURED else family.interval
    power = WIDEST if op in nccl.GROUPED else WIDER
    return stretched(known, farthest(sizes), power=power)


def _outside(size_bytes: Amount, ranks: Amount, family: Family) -> tuple[Outside, ...]:
    """Sizes, or more ranks, outside those that were measured, point by point."""
    _, most_ranks = family.ranges.get("ranks", (1, math.inf))
    ranges = dict(family.ranges) | {"ranks": (1.0, most_ranks)}
    return outside(FAMILY, ranges, {"bytes": size_bytes, "ranks": ranks}.get)


def check_ranks(ranks: Amount, hardware: Hardware) -> None:
    """Raise `InputError` where one switch does not join that many devices."""
    limit = link_of(hardware).max_devices
    if bool(np.any(np.asarray(ranks) > np.asarray(limit))):
        found, most_joined = np.max(ranks), np.max(limit)
        raise InputError(
            f"{hardware.name}: {found:g} ranks, but one {link_of(hardware).technology} switch joins"
            f" at most {most_joined:g}; use fewer ranks, or say which topology joins them"
        )


def _on_topology(
    op: str,
    size: Amount,
    ranks: Amount,
    hardware: Hardware,
    topology: Topology,
    groups: Groups | None,
    fan: Fan | None = None,
    sent: str = "",
    algorithm: str = "",
) -> Cost:
    """The library's algorithms as schedules on the links, the fastest of them.

    Wider intervals and a warning tell of more ranks or boxes than were measured; they grow by the
    powers that an unmeasured relative of a device is given.
    """
    count = one_number(ranks, f"{op}: ranks")
    if count > len(topology.devices):
        raise InputError(
            f"{topology.name}: expected at most its {len(topology.devices)} devices, found {count} "
            "ranks; use fewer, or a larger topology"
        )
    asked = [range(count)] if groups is None else groups
    placed, boxes = boxed(topology, asked)
    library, interval, warnings = _library(topology, hardware, placed, sent)
    nodes = {node.name: node.kind for node in topology.nodes}
    cards = (link for link in topology.links if "nic" in map(nodes.__getitem__, link.between))
    held = any(link.message_s for link in cards)
    if op == "all_to_all" and len(boxes) > 1 and not held:
        interval = interval[0], interval[1] ** WIDER
        warnings = (*warnings, UNCOUNTED_SENDS)
    grouped = op in nccl.GROUPED
    sizes = outside(FAMILY, {"bytes": library.bytes}, {"bytes": size}.get) if library.bytes else ()
    interval = stretched(interval, farthest(sizes), power=WIDEST) if sizes else interval
    share = library.share_direct if grouped else library.share
    launch_s = library.start_direct_s if grouped else library.start_s + library.rank_s * count
    nic = library.share_nic if grouped else None
    protocols = [(Protocol(share=share, overlap=library.overlap, nic=nic), launch_s)]
    if library.fast is not None and not grouped:
        protocols.append((Protocol("LL", library.fast.share), library.fast.start_s))
    names = candidates(op, topology, placed, boxes)
    names = ["direct"] if sent == STRAIGHT else [algorithm] if algorithm else names
    soonest_s = min(start_s for _, start_s in protocols)
    ways = [
        way.after(f"start:{protocol.name}", start_s - soonest_s)
        for protocol, start_s in protocols
        for way in ways_on(op, size, topology, placed, boxes, names, protocol, fan)
        if not protocol.name or way.algorithm not in ADDED  # switches add what Simple sends
    ]
    tree, links, taken = fastest(ways)
    tree, rates = _launched(op, size, count, hardware, tree, links, soonest_s)
    return Cost(
        f"{op}, {taken}" if taken else op,
        tree,
        rates,
        interval,
        sizes,
        assumptions=(
            f"links: {library.source}",
            "out of place, the topology to itself",
            *_unevenly(op, boxes),
        ),
        warnings=warnings,
        held=library.held,
    )


def _unevenly(op: str, boxes: Boxes) -> tuple[str, ...]:
    """What is told where some boxes have fewer ranks than others."""
    if min(boxes) == max(boxes) or op in nccl.GROUPED:
        return ()
    return (
        f"boxes of {listed(boxes)} ranks: as many cards of each as the smallest has, {min(boxes)},"
        " carry rings and trees, as NCCL's channels; the same ranks dealt evenly use more",
    )


def _library(
    topology: Topology, hardware: Hardware, groups: Groups, sent: str = ""
) -> tuple[CollectiveLibrary, tuple[float, float], tuple[str, ...]]:
    """What the library makes of the links, its interval for such groups, and warnings."""
    ranks = len(groups[0])
    library = topology.exchanges.get(sent, topology.library)
    if library is None:
        if hardware.calibration is None:
            raise CoverageError(
                f"{topology.name}: expected measured links (a `library`) or a calibrated device, "
                f"found neither; calibrate {hardware.name} or add the library"
            )
        low, high = hardware.calibration.family(FAMILY).interval
        start_s = float(np.max(hardware.launch.graph_s))
        library = CollectiveLibrary(
            start_s=start_s,
            start_direct_s=start_s,
            interval=(low**WIDEST, high**WIDEST),
            ranks=ranks,
            source=f"as described by {topology.name}",
        )
        return library, library.interval, (f"uncalibrated: {topology.name}: links as described",)
    boxes = max(sum(bool(set(box) & set(group)) for box in topology.groups) for group in groups)
    power, warnings = 1.0, tuple[str, ...]()
    if sent and sent not in topology.exchanges:
        power *= WIDEST
        warnings = (f"uncalibrated: {topology.name}: no exchange of experts ({sent}) was measured",)
    for found, measured, wider, what in (
        (ranks, library.ranks, WIDER, "ranks"),
        (boxes, library.boxes, WIDEST, "boxes"),
    ):
        if found > measured:
            power *= wider
            told = f"extrapolated: {found} {what}, but {topology.name} was measured with at most"
            warnings = (*warnings, f"{told} {measured}")
    low, high = library.interval
    return library, (low**power, high**power), warnings
