"""A network split between a device and a server: latency and energy of every split point.

The device runs the head up to a cut, sends what the rest needs over a link, and waits for the tail
(BottleFit, WoWMoM 2022, arXiv 2201.02693; AI Flow, arXiv 2411.12469):

    time = T_head(device) + bytes 8 / R + RTT + T_tail(server)
    E_device = E_head + P_transmit bytes 8 / R + P_idle (RTT + T_tail)

A cut that sends nothing is the device alone. Each cut's time is a line in 1/R, so that the best cut
at every link rate is the lower envelope of the lines, and crossovers are exact. With more tiers
than two, the cheapest cuts follow layer by layer (`tiers`). A device that drafts tokens which the
server verifies makes (1 - a^(g+1)) / (1 - a) tokens a round (Leviathan et al., ICML 2023).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hwmodel.einsum.cascade import Stage
from hwmodel.einsum.network import Stack
from hwmodel.einsum.workloads.layer import Network
from hwmodel.quantity.errors import InputError
from hwmodel.quantity.units import Amount
from hwmodel.spine.estimate import Estimate

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Radio:
    """A link of the device: bytes/s (a number or an array), a round trip, and watts to send."""

    name: str
    bandwidth_bytes_per_s: Amount
    round_trip_s: float = 0.0
    transmit_w: float = 0.0


@dataclass(frozen=True)
class Cut:
    """After `layers` layers, `bytes` have to be sent; the device alone sends nothing."""

    name: str
    layers: int
    bytes: int


@dataclass(frozen=True, eq=False)
class Splits:
    """Seconds and the device's joules at each cut (first axis) and link rate (further axes)."""

    cuts: tuple[Cut, ...]
    head_s: Array
    link_s: Array
    tail_s: Array
    energy_j: Array
    rate_bytes_per_s: Array
    round_trip_s: float

    @property
    def time_s(self) -> Array:
        """Head, link and tail together."""
        return self.head_s + self.link_s + self.tail_s

    @property
    def fixed_s(self) -> Array:
        """Seconds of each cut that no link rate changes."""
        first = (slice(None), *(0,) * self.rate_bytes_per_s.ndim)
        sent = np.array([cut.bytes > 0 for cut in self.cuts])
        return (self.head_s + self.tail_s)[first] + np.where(sent, self.round_trip_s, 0.0)

    def crossovers(self) -> tuple[tuple[float, Cut], ...]:
        """The fastest cut at every link rate: (rate in bytes/s up to which it is, cut)."""
        sizes = [float(cut.bytes) for cut in self.cuts]
        found = crossovers([float(s) for s in self.fixed_s], sizes)
        return tuple((rate, self.cuts[at]) for rate, at in found)

    @property
    def fastest(self) -> NDArray[np.intp]:
        """Position of the fastest cut at each link rate."""
        return np.argmin(self.time_s, axis=0)

    @property
    def thriftiest(self) -> NDArray[np.intp]:
        """Position of the cut that costs the device least at each link rate."""
        return np.argmin(self.energy_j, axis=0)


def stack(network: Network, dtype: str) -> Stack:
    """The network's layers as stages, in order."""
    return Stack(network.name, tuple(Stage(layer.cascade(dtype)) for layer in network.layers))


def cuts(network: Network, element_bytes: int = 1) -> tuple[Cut, ...]:
    """Every cut: the image itself, after each layer all maps that are still read, and no cut.

    A map that several later layers read is sent once. `element_bytes` is 1 for maps that are
    quantised to 8 bits on their way.
    """
    elements = {-1: network.image_elements}
    read_last: dict[int, int] = {}
    for position, layer in enumerate(network.layers):
        elements[position] = layer.outputs_elements
        read_last |= dict.fromkeys(layer.inputs, position)
    found: list[Cut] = []
    for position in range(-1, len(network.layers) - 1):
        live = [at for at, last in read_last.items() if at <= position < last]
        name = network.layers[position].name if position >= 0 else "image"
        sent = sum(elements[at] for at in live) * element_bytes
        found.append(Cut(name, position + 1, sent))
    return (*found, Cut("device alone", len(network.layers), 0))


def splits(
    device: Estimate, server: Estimate, cuts: Sequence[Cut], link: Radio, *, idle_w: float
) -> Splits:
    """Every cut of one network, predicted on a device and on a server layer by layer.

    `idle_w` is what the device draws while it waits. Raises `InputError` where the two estimates
    are not of the same layers, or a cut lies beyond them.
    """
    if [p.name for p in device.parts] != [p.name for p in server.parts]:
        raise InputError(
            "splits: expected estimates of the same layers on both machines, found"
            f" {len(device.parts)} on {device.device} and {len(server.parts)} on {server.device}"
        )
    count = len(device.parts)
    beyond = [cut for cut in cuts if not 0 <= cut.layers <= count]
    if beyond:
        raise InputError(
            f"splits: expected cuts after 0 to {count} layers, found {beyond[0].name!r} after"
            f" {beyond[0].layers}"
        )
    rate = np.asarray(link.bandwidth_bytes_per_s, np.float64)
    if np.any(rate <= 0):
        raise InputError(f"splits: link: expected rates above 0, found {rate.min():g} bytes/s")
    if any(np.ndim(p.time_s) for p in (*device.parts, *server.parts)):
        raise InputError("splits: expected estimates of one network, found those of a sweep")
    shape = (len(cuts),) + (1,) * rate.ndim
    at = np.array([cut.layers for cut in cuts])
    sizes = np.array([cut.bytes for cut in cuts], np.float64).reshape(shape)
    head = np.append(0.0, np.cumsum([float(p.times * p.time_s) for p in device.parts]))
    spent = np.append(0.0, np.cumsum([float(p.times * p.energy_j) for p in device.parts]))
    tail = np.append(np.cumsum([float(p.times * p.time_s) for p in server.parts][::-1])[::-1], 0.0)
    head_s, tail_s = head[at].reshape(shape), tail[at].reshape(shape)
    sent = sizes > 0
    air_s = sizes / rate
    wait_s = np.where(sent, link.round_trip_s, 0.0)
    tail_s = np.where(sent, tail_s, 0.0)
    energy = spent[at].reshape(shape) + link.transmit_w * air_s + idle_w * (wait_s + tail_s)
    whole = np.broadcast_shapes(shape, (1, *rate.shape))
    return Splits(
        cuts=tuple(cuts),
        head_s=np.broadcast_to(head_s, whole),
        link_s=air_s + wait_s,
        tail_s=np.broadcast_to(tail_s, whole),
        energy_j=energy,
        rate_bytes_per_s=rate,
        round_trip_s=link.round_trip_s,
    )


def crossovers(fixed_s: Sequence[float], sizes: Sequence[float]) -> tuple[tuple[float, int], ...]:
    """The best cut at every link rate R: (rate in bytes/s up to which it is best, its position).

    A cut's time is the line `fixed_s` + `sizes` x in x = 1/R; these are the lines of the lower
    envelope, from slow links to fast ones. The last one's rate is infinity.
    """
    order = sorted(range(len(sizes)), key=lambda i: (sizes[i], fixed_s[i]))

    def crossing(one: int, other: int) -> float:
        return (fixed_s[one] - fixed_s[other]) / (sizes[other] - sizes[one])

    hull: list[int] = []
    for line in order:
        if hull and fixed_s[line] >= fixed_s[hull[-1]]:
            continue
        while len(hull) > 1 and crossing(hull[-2], line) >= crossing(hull[-2], hull[-1]):
            hull.pop()
        hull.append(line)
    rates = [1 / crossing(one, other) for one, other in pairwise(hull)]
    return tuple(zip([*rates, np.inf], hull, strict=True))


def tiers(
    seconds: Sequence[Sequence[float]], sizes: Sequence[float], links: Sequence[Radio]
) -> tuple[float, tuple[int, ...]]:
    """Least seconds of a chain of layers over tiers in order, and before which layer each hands on.

    `seconds[tier][layer]`; `sizes[n]` are the bytes before layer n. A hand-over costs its link's
    round trip and bytes. Exact: what is best up to a layer on a tier follows from the layer before
    it and from the tier before. Tiers at the end may be left without work.
    """
    count = len(seconds[0])
    if len(sizes) != count or len(links) != len(seconds) - 1:
        raise InputError(
            f"tiers: expected bytes before each of {count} layers and {len(seconds) - 1} links,"
            f" found {len(sizes)} and {len(links)}"
        )
    entered: list[tuple[float, tuple[int, ...]]] = [(0.0, ()), *[(np.inf, ())] * count]
    best = entered[-1]
    for tier, mine in enumerate(seconds):
        reached = entered[:1]
        for n in range(count):
            worked = (reached[n][0] + mine[n], reached[n][1])
            reached.append(min(entered[n + 1], worked, key=lambda way: way[0]))
        best = min(best, reached[count], key=lambda way: way[0])
        if tier < len(links):
            link = links[tier]
            rate = float(np.min(link.bandwidth_bytes_per_s))
            entered = [
                (time_s + link.round_trip_s + sizes[n] / rate, (*handed, n))
                for n, (time_s, handed) in enumerate(reached[:count])
            ]
            entered.append((np.inf, ()))
    return best


def drafted_s_per_token(
    drafted: int, accepted: float, *, draft_s: float, verify_s: float, round_trip_s: float
) -> float:
    """Seconds a token where a device drafts `drafted` tokens and a server verifies them together.

    Each drafted token is accepted with chance `accepted`, all before it being so.
    """
    if drafted < 0 or not 0 <= accepted <= 1:
        raise InputError(
            "drafted: expected 0 tokens or more and a chance of 0 to 1, found"
            f" {drafted} and {accepted}"
        )
    tokens = sum(accepted**n for n in range(drafted + 1))
    return (drafted * draft_s + verify_s + round_trip_s) / tokens
