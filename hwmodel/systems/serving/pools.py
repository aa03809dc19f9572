"""Prompts on one pool of replicas, tokens on another: keys and values shipped between them.

A replica of the first pool reads a prompt and makes its first token; its cache goes over a link to
a replica of the second, which makes all others (Splitwise, arXiv 2311.18677; DistServe). The pools
do not wait for each other, so that one is simulated after the other. A prompt's cache of B bytes
in L layers, on a link of R bytes/s, is sent

    serialised    when the prompt has been read: it arrives B / R later
    layer-wise    layer by layer, as each is computed: a pipeline of L equal stages, which ends
                  B / (R L) + max(0, (B / R - T) (L - 1) / L) after a prompt of T seconds

and a message holds the link of the replica that sends it, first come first served. What one
message costs besides (`latency_s`, synchronisation included) is added to each. Links of the second
pool are taken to keep up.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hwmodel.quantity.errors import InputError
from hwmodel.systems.serving.batch import StepTimes
from hwmodel.systems.serving.cluster import Ran, run
from hwmodel.systems.serving.requests import Request
from hwmodel.systems.serving.scheduler import Scheduler


@dataclass(frozen=True)
class Shipment:
    """How a cache is shipped: bytes of a token in all layers, over a replica's links together.

    `by_layer`: each layer as it is computed, instead of all when the prompt has been read.
    """

    bytes_per_token: float
    layers: int
    bandwidth_bytes_per_s: float
    latency_s: float = 0.0
    by_layer: bool = True

    def __post_init__(self) -> None:
        """Raises `InputError` for sizes and rates that are none."""
        if not (self.bytes_per_token >= 0 and self.layers >= 1 and self.latency_s >= 0):
            raise InputError(
                "shipment: expected bytes and a latency of 0 or more, and a layer, found"
                f" {self.bytes_per_token}, {self.latency_s} and {self.layers}"
            )
        if not self.bandwidth_bytes_per_s > 0:
            found = self.bandwidth_bytes_per_s
            raise InputError(f"shipment: expected a bandwidth above 0, found {found}")

    def wire_s(self, tokens: int) -> float:
        """Seconds during which the cache of a prompt holds the link."""
        return tokens * self.bytes_per_token / self.bandwidth_bytes_per_s

    def exposed_s(self, tokens: int, prompt_s: float) -> float:
        """Seconds from a prompt's end, which took so long, to the arrival of its cache."""
        wire_s = self.wire_s(tokens)
        if not self.by_layer:
            return wire_s + self.latency_s
        late_s = max(0.0, wire_s - prompt_s) * (self.layers - 1) / self.layers
        return wire_s / self.layers + late_s + self.latency_s


@dataclass(frozen=True, eq=False)
class Pooled:
    """What became of a stream: both pools, and the seconds of every request, in order of arrival.

    Attributes:
        prompts, tokens: what ran on each pool; of the second the requests of more than one token,
            in the order in which they came there.
        first_s, last_s: when the first and the last token left, since the start.
        second_s: when the second did; of a request of one token, that one.
        arrived_s: when the cache was there.
    """

    requests: tuple[Request, ...]
    prompts: Ran
    tokens: Ran | None
    first_s: NDArray[np.float64]
    second_s: NDArray[np.float64]
    last_s: NDArray[np.float64]
    arrived_s: NDArray[np.float64]

    @property
    def ttft_s(self) -> NDArray[np.float64]:
        """Time to the first token of each request."""
        return self.first_s - np.array([each.arrival_s for each in self.requests])

    @property
    def latency_s(self) -> NDArray[np.float64]:
        """Time to the last token."""
        return self.last_s - np.array([each.arrival_s for each in self.requests])

    @property
    def tpot_s(self) -> NDArray[np.float64]:
        """Mean time of a token after the first; not a number where there is none."""
        more = np.array([each.output - 1 for each in self.requests], dtype=np.float64)
        with np.errstate(invalid="ignore"):
            return np.where(more > 0, (self.last_s - self.first_s) / np.maximum(more, 1), np.nan)


def disaggregated(
    requests: Sequence[Request],
    prompts: tuple[StepTimes, Scheduler, int],
    tokens: tuple[StepTimes, Scheduler, int],
    shipment: Shipment,
    *,
    routing: str = "least-work",
) -> Pooled:
    """All requests through both pools, each a clock, the rules of its engine and its replicas.

    Raises as `cluster.run` does.
    """
    clock, rules, count = prompts
    read = run(
        [replace(each, output=1) for each in requests],
        clock,
        rules,
        replicas=count,
        routing=routing,
    )
    first_s = np.array([stay.last_s for stay in read.stays])
    arrived_s = _arrivals(requests, read, shipment)
    order = [int(n) for n in np.argsort(arrived_s, kind="stable") if requests[int(n)].output > 1]
    second_s, last_s = first_s.copy(), first_s.copy()
    made: Ran | None = None
    if order:
        later = [handed(requests[n], float(arrived_s[n])) for n in order]
        clock, rules, count = tokens
        made = run(later, clock, rules, replicas=count, routing=routing)
        for number, stay in zip(order, made.stays, strict=True):
            second_s[number], last_s[number] = stay.first_s, stay.last_s
    return Pooled(tuple(requests), read, made, first_s, second_s, last_s, arrived_s)


def _arrivals(requests: Sequence[Request], read: Ran, shipment: Shipment) -> NDArray[np.float64]:
    """When the cache of each request has come to the second pool."""
    found = np.array([stay.last_s for stay in read.stays])
    free_s = [0.0] * len(read.replicas)
    order = [int(number) for number in np.argsort(found, kind="stable")]
    for number in order:
        if requests[number].output == 1:
            continue
        stay, place = read.stays[number], read.places[number]
        tokens = requests[number].input
        ended_s = float(found[number])
        alone_s = ended_s + shipment.exposed_s(tokens, ended_s - stay.scheduled_s)
        free_s[place] = max(alone_s, free_s[place] + shipment.wire_s(tokens))
        found[number] = free_s[place]
    return found


def handed(request: Request, arrival_s: float) -> Request:
    """A request as the second pool gets it: its first token is the prompt's last.

    The cache of all others comes with it.
    """
    read = request.input
    return replace(
        request,
        arrival_s=arrival_s,
        input=read + 1,
        output=request.output - 1,
        shipped=read,
        hashes=(),
    )
