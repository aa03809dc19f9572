"""Seconds below which no algorithm of a collective goes: bytes that must leave, over all ports."""

from functools import lru_cache

import numpy as np

from hwmodel.einsum.fan import Fan
from hwmodel.hardware.hardware import Hardware
from hwmodel.network import nccl
from hwmodel.network.algorithms import closed_form
from hwmodel.network.collectives import thinned
from hwmodel.network.nccl import link_of
from hwmodel.network.ranks import bus_bandwidth, one_number
from hwmodel.network.topology import Topology
from hwmodel.quantity.arithmetic import least, most, where
from hwmodel.quantity.units import Amount


def least_s(
    op: str,
    size_bytes: Amount,
    ranks: Amount,
    hardware: Hardware,
    topology: Topology | None = None,
    fan: Fan | None = None,
) -> Amount:
    """Seconds below which no algorithm goes: bytes that must leave ranks, over all their ports.

    A switch that adds spares a rank the partial sums: it sends its buffer once. On a topology each
    box must send what others need of it besides: the sum of its buffers (all_reduce), the parts of
    its m of p ranks (all_gather), sums for all others (reduce_scatter), m (p - m) parts
    (all_to_all; of rows that fan out one for each box), the root's buffer (broadcast).
    """
    if topology is None:
        link = link_of(hardware)
        size_bytes = thinned(size_bytes, ranks, fan)
        flat = closed_form(op, nccl.ON_ONE_SWITCH[op], ranks)
        sent = flat.sent_bytes(size_bytes, ranks)
        if op == "all_reduce" and link.reduction_bytes_per_s is not None:
            some = where(np.asarray(ranks)[()] > 1, 1, 0)
            sent = least((sent, size_bytes * some))
        return sent / link.bandwidth_bytes_per_s
    count = one_number(ranks, f"{op}: ranks")
    if count == 1:
        return 0 * size_bytes
    ports, boxes = _leaving(topology, count)
    across_bytes = thinned(size_bytes, len(boxes), fan) if boxes else size_bytes
    size_bytes = thinned(size_bytes, count, fan)
    adds = op == "all_reduce" and any(link.reduction_bytes_per_s for link in topology.links)
    sent = size_bytes if adds else bus_bandwidth(op, size_bytes, count, 1.0)
    found = [(count - (op == "broadcast")) * sent / ports]
    for inside, first, rate in boxes:
        few = inside if op == "all_gather" else count - inside
        share = {
            "all_reduce": 1.0,
            "all_to_all": inside * (count - inside) / count,
            "broadcast": float(first),
            "p2p": 1.0,
        }.get(op, few / count)
        found.append(share * (across_bytes if op == "all_to_all" else size_bytes) / rate)
    return most(found)


@lru_cache(maxsize=64)
def _leaving(topology: Topology, count: int) -> tuple[float, list[tuple[int, bool, float]]]:
    """Bytes/s of all links that start at the first `count` devices; and what leaves boxes.

    Of each box with some of them, but not all: how many, whether the first is among them, bytes/s.
    """
    group = {node.name: node.group for node in topology.nodes}
    devices = set(topology.devices[:count])
    ports, out = 0.0, dict[str, float]()
    for link in topology.links:
        for start, end in link.directions:
            if start in devices:
                ports += link.bandwidth_bytes_per_s
            if group[start] and group[start] != group[end]:
                out[group[start]] = out.get(group[start], 0.0) + link.bandwidth_bytes_per_s
    names = topology.devices
    boxes: list[tuple[int, bool, float]] = []
    for box in topology.groups:
        inside = sum(number < count for number in box)
        if 0 < inside < count and (name := group[names[box[0]]]):
            boxes.append((inside, 0 in box, out.get(name, 0.0)))
    return ports, boxes
