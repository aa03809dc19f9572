"""Rounds of messages on a topology as an activity: what each link carries, and how long it waits.

Links of one kind and speed are one resource, of which the busiest binds: its messages and its bytes
(taken together, though they may be of two links). A round needs its links at the same time, then
its messages travel; rounds follow one another. Several groups of devices may do the same at once:
their messages meet on the links that they share. Nothing here knows what an algorithm computes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hwmodel.network.rounds import Round
from hwmodel.network.routes import Routes, collisions, routes, speeds
from hwmodel.network.topology import Topology
from hwmodel.network.tori import Torus, torus_of
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Activity, Overlap, Rates, Repeat, Serial, Work

Groups: TypeAlias = Sequence[Sequence[int]]
"""Devices by number: rank i of group k is device `groups[k][i]`; groups are of equally many."""

Placed: TypeAlias = tuple[tuple[int, ...], ...]

TRAVEL = "travel"
"""Seconds in which messages are on their way, and no link is held; those of the slowest kind."""

ADDING = "adding"
"""Links whose switch adds up what is sent, beside what they carry otherwise."""


@dataclass(frozen=True)
class Protocol:
    """What a library's way of moving data makes of links.

    `share` is the part of their bandwidth that it reaches, `nic` that of network cards, where it is
    another; `latency` what its messages take in latencies of the links. Of a schedule whose rounds
    need different kinds of link, the part `overlap` runs in a pipeline that keeps all of them busy,
    the rest round by round.
    """

    name: str = ""
    share: float = 1.0
    latency: float = 1.0
    overlap: float = 0.0
    nic: float | None = None

    def of(self, kind: str) -> float:
        """The share that it reaches of links of a kind."""
        return self.nic if self.nic is not None and kind.startswith("nic") else self.share

    def link(self, kind: str) -> str:
        """The name under which links of a kind are counted."""
        return f"{kind}:{self.name}" if self.name else kind


PLAIN = Protocol()


def carried(
    rounds: Sequence[Round],
    size_bytes: Amount,
    network: Topology,
    groups: Groups | None = None,
    protocol: Protocol = PLAIN,
) -> tuple[Activity, Rates]:
    """A schedule's activity on a topology and the rates of its links.

    Sizes may be an array. By default the one group is that of all devices, in their order.
    """
    every = [range(len(network.devices))] if groups is None else groups
    place = tuple(tuple(group) for group in every)
    size = size_bytes if np.ndim(size_bytes) else float(size_bytes)
    leaves = [_loaded(each, size, network, place, protocol) for each in rounds]
    all_kinds, sums = speeds(network)
    rates = Rates(
        messages={
            **{
                protocol.link(kind): (protocol.latency * held_s, protocol.of(kind) * bandwidth)
                for kind, (held_s, bandwidth) in all_kinds.items()
            },
            **{
                f"{kind}:{ADDING}": (protocol.latency * all_kinds[kind][0], rate)
                for kind, rate in sums.items()
            },
        },
        slots={f"{TRAVEL}:{kind}": (kind, 1.0) for kind in all_kinds},
    )
    return _joined(leaves, protocol.overlap), rates


def _joined(leaves: Sequence[tuple[Activity, frozenset[str]]], overlap: float) -> Activity:
    """Rounds in a row; in part, those that need other kinds of link at the same time."""
    serial = Serial(tuple(leaf for leaf, _ in leaves))
    levels: dict[frozenset[str], list[Activity]] = {}
    for leaf, kinds in leaves:
        levels.setdefault(kinds, []).append(leaf)
    if not overlap or len(levels) < 2:
        return serial
    together = Overlap(tuple(Serial(tuple(level)) for level in levels.values()))
    return Serial((Repeat(1 - overlap, serial), Repeat(overlap, together)))


def _loaded(
    each: Round, size: Amount, network: Topology, place: Placed, protocol: Protocol
) -> tuple[Activity, frozenset[str]]:
    """One round: messages and bytes of the busiest link of each kind; and the kinds it needs."""
    if each.adds:
        _, sums = speeds(network)
        kind = min((k for k in sums if k.startswith(each.adds)), key=sums.__getitem__)
        wire = f"{kind}:{ADDING}"
        sent = Work(messages={wire: (2, float(each.share.max()) * size)})
        return sent, frozenset({wire})
    load = _load(each, network, place, protocol)
    messages = {
        protocol.link(kind): (load.counts[kind], share * size)
        for kind, share in load.shares.items()
    }
    slow = max(load.shares, key=lambda kind: (kind.startswith("nic"), kind), default="link")
    travel_s = protocol.latency * load.travel_s
    waits = {f"{TRAVEL}:{slow}": travel_s} if travel_s else {}
    if each.times == 1:
        return Work(messages=messages, slots=waits), frozenset(messages)
    again = Repeat(each.times, Work(messages=messages))
    leaf = Serial((again, Work(slots=waits))) if waits else again
    return leaf, frozenset(messages)


@dataclass(frozen=True)
class _Load:
    """A round: messages and parts of a buffer of the busiest link of each kind; seconds."""

    counts: Mapping[str, float]
    shares: Mapping[str, float]
    travel_s: float


@lru_cache(maxsize=1024)
def _load(each: Round, network: Topology, groups: Placed, protocol: Protocol) -> _Load:
    """A round between groups; many questions in a row are about other sizes of one exchange."""
    place, known = np.array(groups, dtype=np.intp), torus_of(network)
    if known is not None:
        return _on_torus(each, known, place)
    return _on_routes(each, routes(network), place, protocol)


def _on_torus(each: Round, known: Torus, place: NDArray[np.intp]) -> _Load:
    """A round in closed form."""
    start, end = place[:, each.source].ravel(), place[:, each.destination].ravel()
    weights = np.stack([np.tile(each.share, len(place)), np.ones(len(start))])
    shares, counts = known.loads(start, end, weights, everywhere=each.everywhere).max(axis=1)
    hops = known.hops(start, end)
    wait_s = hops * known.latency_s
    if each.depth > 1:
        wait_s, counts = wait_s + np.minimum(hops, 1.0) * known.message_s, 0.0
    travel_s = _travelled_s(each, wait_s.reshape(len(place), -1))
    some = {"link": float(shares)} if shares > 0 else {}
    return _Load(dict.fromkeys(some, float(counts)), some, travel_s)


def _on_routes(each: Round, known: Routes, place: NDArray[np.intp], protocol: Protocol) -> _Load:
    """A round path by path."""
    start, end = place[:, each.source].ravel(), place[:, each.destination].ravel()
    part: Any = known.share[:, start * len(known.devices) + end]
    shares = part @ np.tile(each.share, len(place))
    counts = part @ np.ones(len(start))
    wait_s = known.latency_s[start, end]
    if each.depth > 1:
        own_s = (part > 0).multiply(known.message_s[:, None]).max(axis=0).toarray().ravel()
        wait_s, counts = wait_s + own_s, np.zeros_like(counts)
    fullest = {kind: float(shares[links].max()) for kind, links in known.links_of.items()}
    found: dict[str, tuple[float, float]] = {}
    for kind, share in fullest.items():
        if share > 0:
            fuller = _fuller(part, known, kind, fullest, protocol) if known.flows else 1.0
            found[kind] = fuller * float(counts[known.links_of[kind]].max()), fuller * share
    return _Load(
        {kind: count for kind, (count, _) in found.items()},
        {kind: share for kind, (_, share) in found.items()},
        _travelled_s(each, wait_s.reshape(len(place), -1)),
    )


def _travelled_s(each: Round, wait_s: NDArray[np.float64]) -> float:
    """Seconds in which messages travel, for waits of each group's messages, `[group, message]`.

    What starts together waits for the farthest. A round that is run again and again is a ring, on
    which a part goes on as soon as it is there: all of its hops count but the nearest, once around.
    So it is with the way of a pipelined round, whose hops are as far as its messages on average.
    """
    if each.times == each.depth == 1:
        return float(wait_s.max())
    mean_s = np.average(wait_s, axis=1, weights=each.share)
    if each.depth > 1:
        return float((each.depth * mean_s).max())
    return float((each.times * mean_s + mean_s - wait_s.min(axis=1)).max())


def _fuller(
    part: Any, known: Routes, kind: str, fullest: Mapping[str, float], protocol: Protocol
) -> float:
    """How many times fuller than on average the fullest link is, where a hash chooses paths.

    Messages that may take one of k links of this kind have a share of 1/k on each: those of one
    switch are one throw of its flows on k paths, and of all switches' throws the fullest path binds
    the round. Paths with room to spare count from where they take as long as the other links do.
    """
    rows = part.tocsr()[known.links_of[kind]]
    if not rows.nnz or rows.data.max() >= 1:
        return 1.0
    paths = round(1 / float(rows.data.mean()))
    together = round(float(rows.sum(axis=1).max()) * paths)
    throws = round(np.unique(rows.indices).size / together)

    def byte_s(name: str) -> float:
        return fullest[name] / (protocol.of(name) * known.kinds[name][1])

    others_s = max((byte_s(name) for name in fullest if name != kind), default=0.0)
    return collisions(known.flows * together, paths, max(1, throws), others_s / byte_s(kind))
