"""Routing and contention: what simultaneous messages load on every link of a topology.

Messages take shortest paths (fewest `hops`), spread evenly over all of them, as multi-path routing
does on average. With R[l, (s, d)] the part of a message from s to d that link l carries, bytes
M[s, d] load the links with R M, and a set of messages that start together takes

    max over links (load / bandwidth + messages * message_s) + max over messages (latency)

which no order of sending beats but for the last term, and which cut-through switches reach where
the pattern is regular. R is sparse and made once; after that a matrix costs one sparse product, and
a batch of matrices one more: this is what placement of experts calls.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hwmodel.network.topology import Edge, Topology
from hwmodel.quantity.errors import InputError

Array: TypeAlias = NDArray[np.float64]

BLOCK = 256
"""Nodes whose shortest paths are counted together."""

BATCH = 256
"""Matrices that are multiplied together: enough for speed, few enough for memory."""


@dataclass(frozen=True, eq=False)
class Routes:
    """Where messages between devices go; links are one for each direction that carries apart.

    `share` is R, sparse, of shape (links, devices * devices); `latency_s` is [from, to], of the
    slowest of the paths; `byte_s` is [from, to], the seconds a byte takes when alone. Links at a
    network card are of kind "nic", others at a device "link", those between switches "uplink", each
    with a number behind it where they are of several speeds: `kinds` has seconds a message and
    bytes/s of each, `links_of` its links by number, `sums` the bytes/s of those whose switch adds.
    """

    devices: tuple[str, ...]
    links: tuple[str, ...]
    bandwidth_bytes_per_s: Array
    message_s: Array
    share: Any
    latency_s: Array
    byte_s: Array
    kinds: Mapping[str, tuple[float, float]]
    links_of: Mapping[str, NDArray[np.intp]]
    sums: Mapping[str, float]
    flows: int = 0
    """Of a message, where a hash chooses their paths; 0 where paths are even."""


@lru_cache(maxsize=8)
def routes(topology: Topology) -> Routes:
    """All shortest paths between devices, counted by dynamic programming over distances."""
    from scipy.sparse import csc_array

    index = {node.name: i for i, node in enumerate(topology.nodes)}
    ways = [
        (index[start], index[end], link.hops, link.latency_s, number, way)
        for number, link in enumerate(topology.links)
        for way, (start, end) in enumerate(link.directions)
    ]
    start, end, hops = (np.array([w[i] for w in ways], dtype=np.intp) for i in range(3))
    travel_s = np.array([w[3] for w in ways], dtype=np.float64)
    distance = _distances(len(index), start, end, hops)
    paths, latency_s = _paths(distance, start, end, hops, travel_s)
    keys = [_resource(topology, number, way) for *_, number, way in ways]
    resource = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    devices = np.array([index[name] for name in topology.devices], dtype=np.intp)
    count = len(devices)
    total = paths[np.ix_(devices, devices)]
    apart = distance[np.ix_(devices, devices)]
    rows, columns, values = [np.zeros(0, np.intp)], [np.zeros(0, np.intp)], [np.zeros(0)]
    for a, b, metric, key in zip(start, end, hops, keys, strict=True):
        left, right = distance[devices, a] + metric, distance[b, devices] + metric
        # Few links lie on the way from or to many devices: only those are looked at pair by pair.
        starts = np.flatnonzero(left == distance[devices, b])
        ends = np.flatnonzero(right == distance[a, devices])
        whole = left[starts, None] + right[None, ends] - metric
        i, j = np.nonzero(whole == apart[np.ix_(starts, ends)])
        s, d = starts[i], ends[j]
        rows.append(np.full(len(s), resource[key], dtype=np.intp))
        columns.append(s * count + d)
        values.append(paths[devices[s], a] * paths[b, devices[d]] / total[s, d])
    entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    share = csc_array(entries, shape=(len(resource), count * count))
    used = [topology.links[number] for number, _ in resource]
    bandwidth = np.array([link.bandwidth_bytes_per_s for link in used])
    byte_s = share.multiply(1 / bandwidth[:, None]).max(axis=0).toarray() if used else 0
    return Routes(
        devices=topology.devices,
        links=tuple(_named(topology, *key) for key in resource),
        bandwidth_bytes_per_s=bandwidth,
        message_s=np.array([link.message_s for link in used], dtype=np.float64),
        share=share,
        latency_s=latency_s[np.ix_(devices, devices)],
        byte_s=np.broadcast_to(byte_s, count * count).reshape(count, count),
        **_kinds(topology, used),
        flows=topology.flows if topology.paths == "hashed" else 0,
    )


@lru_cache(maxsize=64)
def speeds(topology: Topology) -> tuple[Mapping[str, tuple[float, float]], Mapping[str, float]]:
    """`kinds` and `sums` of its routes, without looking for paths."""
    ways = (
        (n, way) for n, link in enumerate(topology.links) for way in range(len(link.directions))
    )
    used = dict.fromkeys(_resource(topology, *each) for each in ways)
    found = _kinds(topology, [topology.links[number] for number, _ in used])
    return found["kinds"], found["sums"]


def _resource(topology: Topology, number: int, way: int) -> tuple[int, int]:
    """Of a link's direction; a half-duplex link is one for both of its directions."""
    return number, 0 if topology.links[number].duplex == "half" else way


def _kinds(topology: Topology, links: Sequence[Edge]) -> dict[str, Any]:
    """Links that are alike, by the name of their kind."""
    nodes = {node.name: node.kind for node in topology.nodes}
    alike: dict[tuple[str, float, float, float | None], list[int]] = {}
    for number, link in enumerate(links):
        ends = {nodes[name] for name in link.between}
        word = "nic" if "nic" in ends else "link" if "device" in ends else "uplink"
        adding = link.reduction_bytes_per_s
        key = (word, link.message_s, link.bandwidth_bytes_per_s, adding)
        alike.setdefault(key, []).append(number)
    words = [word for word, *_ in alike]
    names = [w if words.count(w) == 1 else f"{w}{i}" for i, w in enumerate(words)]
    return {
        "kinds": {name: key[1:3] for name, key in zip(names, alike, strict=True)},
        "sums": {name: key[3] for name, key in zip(names, alike, strict=True) if key[3]},
        "links_of": {
            name: np.array(each, dtype=np.intp)
            for name, each in zip(names, alike.values(), strict=True)
        },
    }


def load_bytes(matrix: Any, network: Topology | Routes) -> Array:
    """Bytes on every link, `[..., links]`, for bytes `[..., from, to]` between devices."""
    table, known = _matrix(matrix, network)
    return (known.share @ table.reshape(-1, table.shape[-1] ** 2).T).T.reshape(
        *table.shape[:-2], len(known.links)
    )


def all_to_all_s(matrix: Any, network: Topology | Routes, *, share: float = 1.0) -> Array:
    """Seconds of an all-to-all with unequal bytes: `[..., from, to]` -> `[...]`.

    All messages start together; what a device keeps (the diagonal) is free. `share` is the part of
    every link's bandwidth that can be had. Raises `InputError` for negative or endless bytes and
    for a matrix of another size.
    """
    table, known = _matrix(matrix, network)
    flat = table.reshape(-1, table.shape[-1] ** 2)
    times = [
        _together_s(part, known, share) for part in np.split(flat, range(BATCH, len(flat), BATCH))
    ]
    return np.concatenate(times).reshape(table.shape[:-2])


def flows_s(flows: Mapping[tuple[str, str], float], network: Topology | Routes) -> float:
    """Seconds of a set of simultaneous messages, (from, to) -> bytes, by the devices' names."""
    known = network if isinstance(network, Routes) else routes(network)
    matrix = np.zeros((len(known.devices), len(known.devices)))
    for (start, end), size in flows.items():
        for name in (start, end):
            if name not in known.devices:
                raise InputError(f"flows: expected devices of {known.devices}, found {name!r}")
        matrix[known.devices.index(start), known.devices.index(end)] += size
    return float(all_to_all_s(matrix, known))


def busiest(matrix: Any, network: Topology | Routes) -> tuple[str, float]:
    """The link that takes longest for its bytes, and its seconds."""
    known = network if isinstance(network, Routes) else routes(network)
    seconds = load_bytes(matrix, known) / known.bandwidth_bytes_per_s
    return known.links[int(np.argmax(seconds))], float(np.max(seconds))


COUNTED = 256
"""Flows of which collisions are counted exactly."""


@lru_cache(maxsize=1024)
def collisions(flows: int, paths: int, throws: int = 1, least: float = 0.0) -> float:
    """How many times the mean load the fullest of equal paths carries, flows chosen by a hash.

    The expectation of the largest of `paths` numbers of flows, each flow on a path at random,
    exactly: the chance that no path has more than m is flows! [x^flows] (sum of x^i / i! up to m)
    to the power `paths`, over paths^flows. Of so many `throws` by themselves, as each switch of a
    fabric has one, the fullest counts: that chance to their power. What is below `least` times the
    mean load counts as so much.

    >>> collisions(2, 2), collisions(2, 2, throws=2), collisions(2, 2, least=1.5)
    (1.5, 1.75, 1.75)
    """
    if paths <= 1 or flows <= 0:
        return max(1.0, least)
    if flows > COUNTED:  # what is above the mean falls with the root of the number of flows
        above = collisions(COUNTED, paths, throws, 0.0) - 1
        return max(1 + above * math.sqrt(COUNTED / flows), least)
    powers = np.arange(flows + 1)
    each = (math.lgamma(flows + 1) - flows * math.log(paths)) / flows
    terms = np.exp(powers * each - np.array([math.lgamma(i + 1) for i in powers]))
    floor = least * flows / paths
    mean = 0.0
    for most in range(flows):
        product = np.ones(1)
        for _ in range(paths):
            product = np.convolve(product, terms[: most + 1])[: flows + 1]
        none_above = float(product[flows]) if len(product) > flows else 0.0
        # The load is one more than `most` at least, where some path has more.
        mean += max(0.0, most + 1 - max(most, floor)) * (1.0 - min(1.0, none_above) ** throws)
    return (floor + mean) * paths / flows


def _together_s(flat: Array, known: Routes, share: float) -> Array:
    """Seconds of each row of messages, by the equation above."""
    sent = flat > 0
    sent[:, :: len(known.devices) + 1] = False
    if not known.links:
        return np.zeros(len(flat))
    load_s = (known.share @ flat.T) / (share * known.bandwidth_bytes_per_s[:, None])
    if np.any(known.message_s):
        load_s = load_s + (known.share @ sent.T.astype(np.float64)) * known.message_s[:, None]
    return load_s.max(axis=0) + (sent * known.latency_s.ravel()).max(axis=1)


def _matrix(matrix: Any, network: Topology | Routes) -> tuple[Array, Routes]:
    known = network if isinstance(network, Routes) else routes(network)
    table = np.asarray(matrix, dtype=np.float64)
    count = len(known.devices)
    if table.ndim < 2 or table.shape[-2:] != (count, count):
        raise InputError(
            f"bytes between devices: expected a matrix {count} x {count} (or many of them), one "
            f"row for each device, found shape {table.shape}"
        )
    if not np.all(np.isfinite(table)) or np.any(table < 0):
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(table) | (table < 0))[0])
        raise InputError(f"bytes between devices {where}: expected 0 or more, found {table[where]}")
    return table, known


def _distances(
    nodes: int, start: NDArray[np.intp], end: NDArray[np.intp], hops: NDArray[np.intp]
) -> Array:
    """Fewest hops between any two nodes."""
    from scipy.sparse import csgraph, lil_array

    order = np.argsort(-hops)  # of parallel links the shortest is written last, and stays
    weights = lil_array((nodes, nodes))
    for i in order:
        weights[start[i], end[i]] = hops[i]
    return np.asarray(csgraph.shortest_path(weights.tocsr()), dtype=np.float64)


def _paths(
    distance: Array,
    start: NDArray[np.intp],
    end: NDArray[np.intp],
    hops: NDArray[np.intp],
    travel_s: Array,
) -> tuple[Array, Array]:
    """Number of shortest paths between any two nodes, and the longest travel among them."""
    paths, latency_s = np.eye(len(distance)), np.zeros_like(distance)
    for first in range(0, len(distance), BLOCK):
        block = slice(first, first + BLOCK)
        length = distance[block, end]
        s, way = np.nonzero((distance[block, start] + hops == length) & np.isfinite(length))
        order = np.argsort(length[s, way], kind="stable")
        s, way, length = s[order], way[order], length[s, way][order]
        near, begin = np.unique(length, return_index=True)
        for low, high in itertools.pairwise([*begin.tolist(), len(s)]) if len(near) else ():
            row, last, at = first + s[low:high], end[way[low:high]], start[way[low:high]]
            np.add.at(paths, (row, last), paths[row, at])
            np.maximum.at(latency_s, (row, last), latency_s[row, at] + travel_s[way[low:high]])
    return paths, latency_s


def _named(topology: Topology, number: int, way: int) -> str:
    link = topology.links[number]
    if link.duplex == "half":
        return " - ".join(link.between)
    return " > ".join(link.directions[way])
