"""Collective operations as estimates: the network's messages at calibrated rates, launch included.

The link's bandwidth and latency are the datasheet's, times the efficiencies of the calibration's
"collective" family. A rank also reads and writes its own memory once; that hides behind the link on
every device with NVLink or slower.

What is added to alpha and beta are causes seen on two H200s (NCCL 2.28, 2026-11-22):

    time = launch + max(min over protocols (start + messages x latency + bytes / link) + kept,
                        memory)

- NCCL's protocols. Simple signals each chunk behind a fence; LL and LL128 send a flag with the data
  (NCCL, src/device: prims_simple.h, prims_ll.h, prims_ll128.h), so that they start sooner and carry
  less. The two could not be told apart; they are one, "fast". The fastest is taken, size by size.
- A ring's last pass over a part receives and sends nothing: p passes for p - 1 sends in all_gather
  and reduce_scatter, 2p - 1 for 2p - 2 in all_reduce. all_to_all and p2p are grouped sends, another
  kernel, with parameters of their own (`_direct`), in which the sends to all peers start together.
- Parts that do not begin at a multiple of 16 bytes, which are copied by narrow instructions.
- The part that a rank keeps in all_gather and all_to_all, which the same kernel copies.
- Switches that add (NVLink SHARP, NCCL's algorithm NVLS, from three ranks on): each rank asks for
  the sum of its part, for which the switch reads that part of every rank, and writes it to all.
  So 1 + 1/p of the buffer leave each port, where a ring sends 2 (p - 1) / p (NVIDIA, NVSwitch
  multicast and in-network reduction; NCCL, src/transport/nvls.cc).

Between several boxes the schedule of messages is costed on a topology instead (`estimate_on`).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from hwmodel.hardware.calibration import WIDER, WIDEST, Family, stretched
from hwmodel.hardware.hardware import Hardware, Link
from hwmodel.network.algorithms import ALGORITHMS, boxed, cheapest_on
from hwmodel.network.switch import (
    LIBRARY,
    Choice,
    bus_bandwidth,
    cheapest,
    check_ranks,
    collective,
    fastest,
    link_rates,
    memory_bytes,
)
from hwmodel.network.topology import Library, Topology
from hwmodel.quantity.arithmetic import ceil_div, least, most, where
from hwmodel.quantity.errors import CoverageError, InputError
from hwmodel.quantity.units import Amount, amount
from hwmodel.spine.activity import Work, energy_j, totals
from hwmodel.spine.estimate import Estimate, Part
from hwmodel.spine.outside import Outside, farthest, outside
from hwmodel.spine.unread import unread

FAMILY = "collective"
PRIORS = f"uncalibrated: {FAMILY}: link efficiencies are priors, not measurements"

PROTOCOLS = {"Simple": "", "LL and LL128": "_fast"}
"""Protocol -> the ending of its parameters' names; every calibration has the first."""

DIRECT = ("all_to_all", "p2p")
"""Operations that are grouped sends; the others are rings."""

PARTS = ("all_gather", "reduce_scatter", "all_to_all")
"""Operations that cut the buffer into a part for each rank, each at its own address."""

KEEPERS = ("all_gather", "all_to_all")
"""Operations that copy the part that a rank keeps."""

UNCOUNTED_SENDS = (
    "all_to_all between boxes: what a NIC takes for each of many messages is not modelled; small"
    " ones take longer than said, and an exchange in two levels may be faster"
)
"""What is told of exchanges between boxes."""

IN_SWITCH = 13
"""Latencies of the link before a switch's sums flow: 25 us of 1.9 (NCCL, src/graph/tuning.cc)."""

VECTOR_BYTES = 16
"""Bytes of the widest load or store, which must be aligned to them."""


def part(op: str, size_bytes: Amount, ranks: Amount, hardware: Hardware, times: Amount = 1) -> Part:
    """One collective (`times` in a row) between `ranks` devices, as one of them sees it.

    `size_bytes` is counted as nccl-tests does (`network.collective`). Raises `InputError` for more
    ranks than one switch joins.
    """
    if hardware.calibration is None or hardware.link is None:
        raise CoverageError(f"{hardware.name}: a collective needs a link and a calibration")
    check_ranks(ranks, hardware)
    family = hardware.calibration.family(FAMILY)
    parameters = {name: p.value for name, p in family.parameters.items()}
    choice = quickest(op, size_bytes, ranks, hardware, parameters)
    sent = totals(choice.activity)
    read, written = memory_bytes(op, size_bytes, ranks)
    memory = hardware.memory("dram")
    memory_s, launch_s = (
        _memory_s(op, size_bytes, ranks, hardware),
        _launch_s(op, hardware, parameters),
    )
    kept_s = _kept_s(op, size_bytes, ranks, hardware, parameters)
    total_s = launch_s + most((choice.time_s + kept_s, memory_s))
    counts = Work(read={"dram": read}, written={"dram": written}, messages=sent.messages)
    sizes = _outside(size_bytes, ranks, family)
    busy = {"link": choice.time_s + kept_s, "dram": memory_s, "launch": launch_s}
    joules = {
        "link": energy_j(choice.activity, link_rates(hardware), total_s),
        "dram": (read + written) * memory.energy_j_per_byte,
        "static": hardware.power.idle_w * total_s,
    }
    return Part(
        name=op,
        family=FAMILY,
        times=times,
        counts=counts,
        time_s=total_s,
        sustained_s=total_s,
        busy_s=busy,
        energy_j=sum(joules.values()),
        energy_by_j=joules,
        interval=_interval(op, sizes, family),
        outside=sizes,
    )


def _interval(op: str, sizes: Sequence[Outside], family: Family) -> tuple[Amount, Amount]:
    """The family's interval, wider the farther sizes or ranks are outside those that were measured.

    Widest for grouped sends: two ranks do not show what sends to several peers cost each other.
    """
    power = WIDEST if op in DIRECT else WIDER
    return stretched(family.interval, farthest(sizes), power=power)


def _outside(size_bytes: Amount, ranks: Amount, family: Family) -> tuple[Outside, ...]:
    """Sizes, or more ranks, outside those that were measured, point by point."""
    _, most_ranks = family.ranges.get("ranks", (1, math.inf))
    ranges = dict(family.ranges) | {"ranks": (1.0, most_ranks)}
    return outside(FAMILY, ranges, {"bytes": size_bytes, "ranks": ranks}.get)


def time_s(
    op: str,
    size_bytes: Amount,
    ranks: Amount,
    hardware: Hardware,
    parameters: Mapping[str, float],
) -> Amount:
    """Seconds of one collective under given parameters of the family."""
    link_s = quickest(op, size_bytes, ranks, hardware, parameters).time_s
    kept_s = _kept_s(op, size_bytes, ranks, hardware, parameters)
    memory_s = _memory_s(op, size_bytes, ranks, hardware)
    return _launch_s(op, hardware, parameters) + most((link_s + kept_s, memory_s))


def quickest(
    op: str,
    size_bytes: Amount,
    ranks: Amount,
    hardware: Hardware,
    parameters: Mapping[str, float],
) -> Choice:
    """The fastest protocol and algorithm on the link, at the rates that `parameters` make of it."""
    if hardware.link is None:
        raise CoverageError(f"{hardware.name}: a collective needs a link")
    slower = _narrow(op, size_bytes, ranks, parameters) * _idle(op, ranks, parameters)
    at_once = most((ranks - 1, 1)) if op == "all_to_all" else 1
    latency_s = hardware.link.latency_s / at_once  # blocks of their own wait for each peer
    choices: list[Choice] = []
    for ending in PROTOCOLS.values():
        if ending and f"link{ending}" not in parameters:
            continue
        share = _own(f"link{ending}", op, parameters) / slower
        rates = {
            "bandwidth_bytes_per_s": hardware.link.bandwidth_bytes_per_s * share,
            "latency_s": latency_s * _own(f"latency{ending}", op, parameters),
        }
        link = hardware.link.model_copy(update=rates)
        choice = cheapest(op, size_bytes, ranks, hardware.model_copy(update={"link": link}))
        start_s = hardware.launch.graph_s * _own(f"start{ending}", op, parameters, default=0.0)
        choices.append(replace(choice, time_s=choice.time_s + start_s))
    return fastest([*choices, *_in_switch(op, size_bytes, ranks, hardware)])


def _in_switch(op: str, size: Amount, ranks: Amount, hardware: Hardware) -> list[Choice]:
    """An all_reduce that the switch adds up, where it can and for more than two ranks."""
    link = hardware.link
    if op != "all_reduce" or link is None or link.reduction_bytes_per_s is None:
        return []
    moved = size + ceil_div(size, ranks)
    rate = least((link.reduction_bytes_per_s, link.bandwidth_bytes_per_s))
    seconds = IN_SWITCH * link.latency_s + moved / rate
    time_s = where(np.asarray(ranks) > 2, seconds, np.inf)
    return [Choice("nvls", Work(messages={"link": (2, moved)}), time_s)]


def _own(name: str, op: str, parameters: Mapping[str, float], default: float = 1.0) -> float:
    """A parameter, or that of grouped sends for themselves where there is one."""
    shared = parameters.get(name, default)
    return parameters.get(f"{name}_direct", shared) if op in DIRECT else shared


def _idle(op: str, ranks: Amount, parameters: Mapping[str, float]) -> Amount:
    """How many times slower the link is, for the pass of a ring that sends nothing."""
    if op in DIRECT:
        return 1.0
    sends = (2 if op == "all_reduce" else 1) * (ranks - 1)
    return 1 + parameters.get("idle", 0.0) / most((sends, 1))


def _narrow(op: str, size_bytes: Amount, ranks: Amount, parameters: Mapping[str, float]) -> Amount:
    """How many times slower the link is, for parts that wide instructions cannot copy."""
    if op not in PARTS:
        return 1.0
    unaligned = ceil_div(size_bytes, ranks) % VECTOR_BYTES != 0
    return where(unaligned, _own("narrow", op, parameters), 1.0)


def _kept_s(
    op: str, size_bytes: Amount, ranks: Amount, hardware: Hardware, parameters: Mapping[str, float]
) -> Amount:
    """Seconds in which a rank copies the part that it keeps."""
    if op not in KEEPERS or "kept" not in parameters or hardware.link is None:
        return 0.0
    rate = hardware.link.bandwidth_bytes_per_s * parameters["kept"]
    return ceil_div(size_bytes, ranks) * _narrow(op, size_bytes, ranks, parameters) / rate


def _memory_s(op: str, size_bytes: Amount, ranks: Amount, hardware: Hardware) -> Amount:
    """Seconds in which a rank reads its input and writes its output."""
    moved = sum(memory_bytes(op, size_bytes, ranks))
    return moved / hardware.memory("dram").bandwidth_bytes_per_s


def _launch_s(op: str, hardware: Hardware, parameters: Mapping[str, float]) -> Amount:
    return hardware.launch.graph_s * _own("launch", op, parameters)


def estimate(op: str, size_bytes: Amount, ranks: Amount, hardware: Hardware) -> Estimate:
    """One collective, alone; bytes and energy are those of all ranks together.

    In a p2p every rank sends one message and receives one, as in nccl-tests' sendrecv.
    """
    size = amount(size_bytes, "bytes", where=f"{op}: bytes", whole=True)
    one = part(op, size, ranks, hardware)
    read, written = memory_bytes(op, size, ranks)
    link = hardware.link
    bandwidth = link.bandwidth_bytes_per_s if link else 1.0
    _, sent = totals(collective(op, size, ranks)).messages["link"]  # the algorithm that sends least
    calibration = hardware.calibration
    assert calibration is not None
    measured = calibration.family(FAMILY).origin == "measured"
    return Estimate(
        name=op,
        device=f"{', '.join(f'{n:g}' for n in np.unique(ranks))} x {hardware.title}",
        parts=(one,),
        bound_bytes=(read + written) * ranks,
        devices=ranks,
        bound_s=_least_sent(op, sent, size, ranks, link) / bandwidth,
        assumptions=(
            f"calibration: {calibration.name}",
            "stack: NCCL; one switch, out of place, in a CUDA graph",
        ),
        everywhere=(*(() if measured else (PRIORS,)), *unread(hardware, (one,))),
    )


def _least_sent(op: str, sent: Amount, size: Amount, ranks: Amount, link: Link | None) -> Amount:
    """Bytes that leave a port at least: a switch that adds spares a rank the partial sums."""
    if op != "all_reduce" or link is None or link.reduction_bytes_per_s is None:
        return sent
    return least((sent, size * where(np.asarray(ranks) > 1, 1.0, 0.0)))


def estimate_on(
    op: str, size_bytes: Amount, topology: Topology, hardware: Hardware, ranks: int | None = None
) -> Estimate:
    """One collective between the first `ranks` devices (by default all) of any topology.

    The library's algorithms are costed as schedules of messages, and the fastest is taken: those of
    one switch and, between boxes, the hierarchical one. `hardware` gives a rank's memory and watts.
    Wider intervals and a warning tell of more ranks or boxes than were measured; they grow by the
    powers that an unmeasured relative of a device is given. Raises `InputError`.
    """
    size = amount(size_bytes, "bytes", where=f"{op}: bytes", whole=True)
    count = len(topology.devices) if ranks is None else int(_whole(ranks, f"{op}: ranks"))
    if count > len(topology.devices):
        raise InputError(
            f"{topology.name}: expected at most its {len(topology.devices)} devices, found {count} "
            "ranks; use fewer, or a larger topology"
        )
    library, interval, warnings = _library(topology, hardware, count)
    across = 1 < boxed(topology, range(count))[1] < count
    if op == "all_to_all" and boxed(topology, range(count))[1] < count:
        interval = interval[0], interval[1] ** WIDER
        warnings = (*warnings, UNCOUNTED_SENDS)
    modelled = ALGORITHMS.get(op, ())
    trees = ("tree",) if op == "all_reduce" else ()  # the shipped topologies were fitted with them
    used = {*LIBRARY.get(op, modelled), *trees, "hierarchical"} & {*modelled}
    names = [name for name in modelled if name in used and (across or name != "hierarchical")]
    share = library.share_direct if op in DIRECT else library.share
    choice = cheapest_on(op, size, topology, devices=range(count), algorithms=names, share=share)
    launch_s = library.start_direct_s if op in DIRECT else library.start_s
    alike = "p2p" if op == "broadcast" else op  # the root reads what all others write
    read, written = memory_bytes(alike, size, count)
    memory = hardware.memory("dram")
    memory_s = (read + written) / memory.bandwidth_bytes_per_s
    time_s = launch_s + most((choice.time_s, memory_s))
    sent = totals(choice.activity).messages
    byte_j = hardware.link.energy_j_per_byte if hardware.link else 0.0
    joules = {
        "link": sent["link"][1] * byte_j,
        "dram": (read + written) * memory.energy_j_per_byte,
        "static": hardware.power.idle_w * time_s,
    }
    one = Part(
        name=f"{op}, {choice.algorithm}" if isinstance(choice.algorithm, str) else op,
        family=FAMILY,
        times=1,
        counts=Work(read={"dram": read}, written={"dram": written}, messages=sent),
        time_s=time_s,
        sustained_s=time_s,
        busy_s={"link": choice.time_s, "dram": memory_s, "launch": launch_s},
        energy_j=sum(joules.values()),
        energy_by_j=joules,
        interval=interval,
    )
    return Estimate(
        name=op,
        device=f"{count} x {hardware.title} on {topology.title or topology.name}",
        parts=(one,),
        bound_bytes=(read + written) * count,
        devices=count,
        bound_s=_bound_s(op, size, topology, count),
        assumptions=(f"links: {library.source}", "out of place, the topology to itself"),
        everywhere=(*warnings, *unread(hardware, (one,))),
    )


def _bound_s(op: str, size_bytes: Amount, topology: Topology, ranks: int) -> Amount:
    """Seconds below which no algorithm goes: bytes that must leave ranks, over all their ports."""
    devices = set(topology.devices[:ranks])
    rate = sum(
        link.bandwidth_bytes_per_s
        for link in topology.links
        for start, _ in link.directions
        if start in devices
    )
    if ranks == 1:
        return 0 * size_bytes
    counted = "all_gather" if op == "broadcast" else op
    return ranks * bus_bandwidth(counted, size_bytes, ranks, 1.0) / rate


def _library(
    topology: Topology, hardware: Hardware, ranks: int
) -> tuple[Library, tuple[float, float], tuple[str, ...]]:
    """What the library makes of the links, its interval for that many ranks, and warnings."""
    library = topology.library
    if library is None:
        if hardware.calibration is None:
            raise CoverageError(
                f"{topology.name}: expected measured links (a `library`) or a calibrated device, "
                f"found neither; calibrate {hardware.name} or add the library"
            )
        low, high = hardware.calibration.family(FAMILY).interval
        start_s = float(np.max(hardware.launch.graph_s))
        library = Library(
            start_s=start_s,
            start_direct_s=start_s,
            interval=(low**WIDEST, high**WIDEST),
            ranks=ranks,
            source=f"as described by {topology.name}",
        )
        return library, library.interval, (f"uncalibrated: {topology.name}: links as described",)
    boxes = sum(any(i < ranks for i in group) for group in topology.groups)
    power, warnings = 1.0, ()
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


def _whole(value: Any, where: str) -> Amount:
    return amount(value, where=where, whole=True)
