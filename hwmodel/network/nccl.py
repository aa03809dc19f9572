"""What NCCL makes of links: the algorithms that it has, protocols, and one kernel's own costs.

    time = launch + max(min over algorithms and protocols (start + messages x latency
                        + bytes / link + kept), memory)

A collective costs its slowest rank `messages x latency + bytes / bandwidth` in each direction of a
full-duplex link; the reduction itself runs at the link's pace. What is added are causes seen on two
H200s (NCCL 2.28, 2026-11-22), with parameters in the calibration's family "collective":

- Small buffers are too few for all of the kernel's threads: up to 16 KiB each byte costs a little
  more, until all take part.
- Protocols. Simple signals each chunk behind a fence; LL and LL128 send a flag with the data (NCCL,
  src/device: prims_simple.h, prims_ll.h, prims_ll128.h), so that they start sooner and carry less.
  The two could not be told apart; they are one. The fastest is taken, size by size.
- A ring's last pass over a part receives and sends nothing: p passes for p - 1 sends in all_gather
  and reduce_scatter, 2p - 1 for 2p - 2 in all_reduce. all_to_all and p2p are grouped sends, another
  kernel, with parameters of their own (`_direct`), in which the sends to all peers start together.
- Parts that do not begin at a multiple of 16 bytes, which are copied by narrow instructions.
- The part that a rank keeps in all_gather and all_to_all, which the same kernel copies.
- Devices that no switch joins but a link to each (XGMI): every rank sends to all others at once,
  in one step and back, as bytes on each link ask; between a pair one link of them is all.
- Devices on PCIe: more ranks than a pair cross root complexes, whose rate they share: so many times
  slower (`crossing`, of four ranks), times (p / 4) to the power `crowd`. That is of the box whose
  table was fitted; without `crossing` devices reach each other behind switches.
- Switches that add (NVLink SHARP, NCCL's algorithm NVLS, from three ranks on): each rank asks for
  the sum of its part, for which the switch reads that part of every rank, and writes it to all.
  So 1 + 1/p of the buffer leave each port, where a ring sends 2 (p - 1) / p (NVIDIA, NVSwitch
  multicast and in-network reduction; NCCL, src/transport/nvls.cc).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hwmodel.hardware.hardware import Hardware, Link
from hwmodel.network.algorithms import ALGORITHMS, check, closed_form
from hwmodel.quantity.arithmetic import ceil_div, least, most, where
from hwmodel.quantity.errors import CoverageError
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Activity, Rates, Repeat, Serial, Work, fold

ON_ONE_SWITCH: dict[str, str] = {
    "all_reduce": "ring",
    "all_gather": "ring",
    "reduce_scatter": "ring",
    "all_to_all": "direct",
    "broadcast": "ring",
    "p2p": "direct",
}
"""What NCCL runs on one switch that does not add. Its trees join boxes, and within a box they are
chains of 2 (p - 1) messages (NCCL, src/graph/tuning.cc: latencies of trees), so that a ring is
never slower there; all_to_all and p2p are grouped sends."""

TREES = ("all_reduce",)
"""Operations that may run in trees between boxes."""

PROTOCOLS = {"Simple": "", "LL and LL128": "_fast"}
"""Protocol -> the ending of its parameters' names; every calibration has the first."""

GROUPED = ("all_to_all", "p2p")
"""Operations that are grouped sends; the others are rings."""

UNMEASURED = ("broadcast",)
"""Operations that no fit saw: one pipeline along the ring that others are fitted on."""

PARTS = ("all_gather", "reduce_scatter", "all_to_all")
"""Operations that cut the buffer into a part for each rank, each at its own address."""

KEEPERS = ("all_gather", "all_to_all")
"""Operations that copy the part that a rank keeps."""

IN_SWITCH = 13
"""Latencies of the link before a switch's sums flow, where a calibration has no number of its own:
25 us of 1.9 (NCCL, src/graph/tuning.cc)."""

LEAST_ADDED = 3
"""Ranks from which on a switch's sums send less than a ring."""

PAIR = 2
"""Devices of which no more than this share a PCIe switch, or are joined past the root complex."""

RAMP_BYTES = 16 * 1024
"""Bytes of a buffer from which on all threads of the kernel take part."""

VECTOR_BYTES = 16
"""Bytes of the widest load or store, which must be aligned to them."""


@dataclass(frozen=True, eq=False)
class Way:
    """One way to do a collective: what it is called, its activity, and the rates of its links.

    Names of links and latencies are the way's own, or mean the same in every way beside it.
    """

    algorithm: str
    tree: Activity
    rates: Rates
    allowed: Any = True
    """Whether it can be taken, point by point."""

    def after(self, name: str, seconds: Amount, resource: str = "link") -> "Way":
        """The same after a wait, which keeps the links or another resource."""
        if np.ndim(seconds) == 0 and not seconds:
            return self
        rates = replace(self.rates, slots={**self.rates.slots, name: (resource, seconds)})
        return replace(self, tree=Serial((Work(slots={name: 1}), self.tree)), rates=rates)


def fastest(ways: Sequence[Way]) -> tuple[Activity, Rates, str | None]:
    """The fastest of several ways, point by point where times are arrays, as one activity.

    Its algorithm is named where all points take the same one.
    """
    if len(ways) == 1:
        return ways[0].tree, ways[0].rates, ways[0].algorithm
    times = [where(way.allowed, fold(way.tree, way.rates).time_s, np.inf) for way in ways]
    if all(np.ndim(time) == 0 for time in times):
        best = ways[min(range(len(ways)), key=lambda i: float(times[i]))]
        return best.tree, best.rates, best.algorithm
    chosen = np.argmin(np.stack(np.broadcast_arrays(*times)), axis=0)
    names = {ways[int(i)].algorithm for i in np.unique(chosen)}
    taken = [(way, np.where(chosen == i, 1, 0)) for i, way in enumerate(ways)]
    some = [(way, turns) for way, turns in taken if turns.any()]
    return (
        Serial(tuple(Repeat(turns, way.tree) for way, turns in some)),
        Rates(
            messages={name: rate for way, _ in some for name, rate in way.rates.messages.items()},
            slots={name: rate for way, _ in some for name, rate in way.rates.slots.items()},
        ),
        names.pop() if len(names) == 1 else None,
    )


def on_one_switch(
    op: str, size: Amount, ranks: Amount, hardware: Hardware, parameters: Mapping[str, float]
) -> list[Way]:
    """Every algorithm and protocol behind one switch, at the rates that `parameters` make of it."""
    check(op)
    link = link_of(hardware)
    algorithm = ON_ONE_SWITCH[op]
    if link.peers is not None and "direct" in ALGORITHMS[op]:
        algorithm = "direct"
    ring, rate = algorithm == "ring", reached(link, op, ranks)
    closed = closed_form(op, algorithm, ranks)
    sent = closed.messages, closed.sent_bytes(size, ranks)
    slower = _narrow(op, size, ranks, parameters) * (_idle(op, ranks, parameters) if ring else 1.0)
    slower = slower * _crowded(ranks, parameters)
    at_once = most((ranks - 1, 1)) if op != "p2p" and not ring else 1
    latency_s = link.latency_s / at_once  # blocks of their own wait for each peer
    kept = _kept(op, size, ranks, link, parameters)
    found: list[Way] = []
    for protocol, ending in PROTOCOLS.items():
        if ending and f"link{ending}" not in parameters:
            continue
        start_s = hardware.launch.graph_s * _own(f"start{ending}", op, parameters, default=0.0)
        share = _own(f"link{ending}", op, parameters) / slower
        way_s = latency_s * _own(f"latency{ending}", op, parameters)
        ramp_s = hardware.launch.graph_s * _own("ramp", op, parameters, default=0.0)
        wire, start, ramp = (f"{name}:{protocol}" for name in ("link", "start", "ramp"))
        waits = {start: (1, start_s), **kept}
        if ending:
            waits[ramp] = (least((size, RAMP_BYTES)) / RAMP_BYTES, ramp_s)
        rates = Rates(
            messages={wire: (way_s, rate * share)},
            slots={name: ("link", each) for name, (_, each) in waits.items()},
        )
        slots = {name: count for name, (count, _) in waits.items()}
        found.append(Way(algorithm, Work(messages={wire: sent}, slots=slots), rates))
    return [*found, *_in_switch(op, size, ranks, link, parameters.get("switch", IN_SWITCH))]


def _in_switch(op: str, size: Amount, ranks: Amount, link: Link, latencies: float) -> list[Way]:
    """An all_reduce that the switch adds up, where it can and for more than two ranks."""
    if op != "all_reduce" or link.reduction_bytes_per_s is None:
        return []
    rate = least((link.reduction_bytes_per_s, link.bandwidth_bytes_per_s))
    rates = Rates(messages={"link:NVLS": (latencies / 2 * link.latency_s, rate)})
    closed = closed_form(op, "in-switch", ranks)
    sent = Work(messages={"link:NVLS": (closed.messages, closed.sent_bytes(size, ranks))})
    return [Way("in-switch", sent, rates, np.asarray(ranks)[()] >= LEAST_ADDED)]


def launch_s(op: str, hardware: Hardware, parameters: Mapping[str, float]) -> Amount:
    """Start and end of the kernel, and its meeting with the others."""
    return hardware.launch.graph_s * _own("launch", op, parameters)


def link_of(hardware: Hardware) -> Link:
    """The device's port; raises `CoverageError` where there is none."""
    if hardware.link is None:
        raise CoverageError(f"{hardware.name} has no link: give it one, or use a single device")
    return hardware.link


def reached(link: Link, op: str, ranks: Amount) -> Amount:
    """Bytes/s of the links that an operation sends on: of a mesh, one to each of its peers."""
    if link.peers is None:
        return link.bandwidth_bytes_per_s
    used = 1 if op == "p2p" else most((ranks - 1, 1))
    return link.bandwidth_bytes_per_s * least((used / link.peers, 1.0))


def _own(name: str, op: str, parameters: Mapping[str, float], default: float = 1.0) -> float:
    """A parameter, or that of grouped sends for themselves where there is one."""
    shared = parameters.get(name, default)
    return parameters.get(f"{name}_direct", shared) if op in GROUPED else shared


def _idle(op: str, ranks: Amount, parameters: Mapping[str, float]) -> Amount:
    """How many times slower the link is, for the pass of a ring that sends nothing."""
    if op in GROUPED or op == "broadcast":
        return 1.0
    sends = (2 if op == "all_reduce" else 1) * (ranks - 1)
    return 1 + parameters.get("idle", 0.0) / most((sends, 1))


def _narrow(op: str, size_bytes: Amount, ranks: Amount, parameters: Mapping[str, float]) -> Amount:
    """How many times slower the link is, for parts that wide instructions cannot copy."""
    if op not in PARTS:
        return 1.0
    unaligned = ceil_div(size_bytes, ranks) % VECTOR_BYTES != 0
    return where(unaligned, _own("narrow", op, parameters), 1.0)


def _crowded(ranks: Amount, parameters: Mapping[str, float]) -> Amount:
    """How many times slower the link is where more than a pair of devices cross root complexes."""
    if parameters.get("crossing", 1.0) == 1.0:
        return 1.0
    each = parameters["crossing"] * (ranks / 4) ** parameters.get("crowd", 0.0)
    return where(np.asarray(ranks) > PAIR, each, 1.0)


def _kept(
    op: str, size: Amount, ranks: Amount, link: Link, parameters: Mapping[str, float]
) -> dict[str, tuple[Amount, Amount]]:
    """The copy of the part that a rank keeps: its bytes as a slot, and seconds of each."""
    if op not in KEEPERS or "kept" not in parameters:
        return {}
    rate = link.bandwidth_bytes_per_s * parameters["kept"]
    copied = ceil_div(size, ranks) * _narrow(op, size, ranks, parameters)
    return {"kept": (copied, 1 / rate)}
