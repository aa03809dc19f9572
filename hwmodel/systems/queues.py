"""Stages around a model: decoding, resizing, copies, inference, a broker, a second model.

Requests of a fixed number of clients pass stations in a closed loop (Beyond Inference, arXiv
2403.12981). A station serves `servers` requests at a time, `service_s` each; a request visits it
`visits` times (faces in a frame). Stages that share a device are one station: their service times
add up, so that with pre-processing on the GPU too

    throughput <= 1 / (t_pre + t_inference)

The bound min over stations of servers / (visits service) and the zero-load latency are operational
laws (Denning and Buzen, ACM Computing Surveys 10(3), 1978). Between them, exact mean value analysis
of load-dependent stations (Reiser and Lavenberg, JACM 27(2), 1980) gives throughput and latency for
exponential services; `think_s` is spent by a client between its requests.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwmodel.quantity.errors import InputError


@dataclass(frozen=True)
class Station:
    """A stage, or all stages of one device: seconds a visit, servers, visits of a request."""

    name: str
    service_s: float
    servers: int = 1
    visits: float = 1.0

    @property
    def demand_s(self) -> float:
        """Seconds of service that one request needs."""
        return self.visits * self.service_s


@dataclass(frozen=True)
class Served:
    """What a closed loop settles at: requests/s, seconds a request, and seconds at each station."""

    clients: int
    throughput_per_s: float
    latency_s: float
    at_s: dict[str, float]

    def share(self, *names: str) -> float:
        """Part of the latency that is spent at these stations, queues included."""
        return sum(self.at_s[name] for name in names) / self.latency_s


def check(stations: Sequence[Station]) -> None:
    """Refuse stations without a name of their own, a time or a server."""
    names = [station.name for station in stations]
    if not stations or len(set(names)) < len(names):
        raise InputError(f"stations: expected one or more with names of their own, found {names}")
    for s in stations:
        if not (s.service_s > 0 and s.visits > 0 and s.servers >= 1):
            raise InputError(
                f"station {s.name}: expected service and visits above 0 and a server or more, found"
                f" {s.service_s}, {s.visits} and {s.servers}"
            )


def throughput_bound_per_s(stations: Sequence[Station]) -> tuple[float, str]:
    """Most requests/s that any number of clients gets, and the station that sets it."""
    check(stations)
    slowest = min(stations, key=lambda s: s.servers / s.demand_s)
    return slowest.servers / slowest.demand_s, slowest.name


def serve(stations: Sequence[Station], clients: int, *, think_s: float = 0.0) -> Served:
    """The closed loop with so many clients, exactly, for exponential services."""
    check(stations)
    if clients < 1 or think_s < 0:
        raise InputError(
            f"serve: expected a client or more and a think time of 0 or more, found {clients} and"
            f" {think_s}"
        )
    # chance[i][j]: station i holds j requests; grows client by client.
    chance: list[NDArray[np.float64]] = [np.ones(1) for _ in stations]
    throughput, at = 0.0, [0.0 for _ in stations]
    for present in range(1, clients + 1):
        held = np.arange(1, present + 1)
        rates = [np.minimum(held, s.servers) for s in stations]
        at = [
            s.demand_s * float(np.sum(held / rate * before))
            for s, rate, before in zip(stations, rates, chance, strict=True)
        ]
        throughput = present / (think_s + sum(at))
        for i, (s, rate) in enumerate(zip(stations, rates, strict=True)):
            busy = throughput * s.demand_s / rate * chance[i]
            chance[i] = np.concatenate(([max(0.0, 1.0 - float(np.sum(busy)))], busy))
    names = [station.name for station in stations]
    return Served(clients, throughput, sum(at), dict(zip(names, at, strict=True)))


def broker_s(message_bytes: float, bandwidth_bytes_per_s: float, overhead_s: float) -> float:
    """Seconds of one message through a broker: written, then read, and its own work.

    A broker on disk (Kafka) has the drive's bandwidth, one in memory (Redis) that of the memory.
    """
    return overhead_s + 2 * message_bytes / bandwidth_bytes_per_s
