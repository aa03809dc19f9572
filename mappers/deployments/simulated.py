"""What a deployment's users wait in a simulated stream: the last word on what keeps a promise.

A stream of the traffic's requests goes through the schedulers of the pools, step by step
(`hwmodel.systems.serving`), with the seconds of `predict`'s steps at the contexts that occur. The
settings are those that the workload `serving` takes unless told otherwise: requests dealt to
engines in turn, two steps in flight. Of many engines alike some stand for all, at their share of
the rate. Requests that come in the first and in the last residence of one (what the steady state
says of it) are left out: the stream fills then, or drains.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from hwmodel.machines.gpu.engines.engine import Engine
from hwmodel.machines.gpu.engines.shipped import engine as engine_of
from hwmodel.mappers.deployments.kinds import Kind
from hwmodel.mappers.deployments.pools import REMOTE_BYTES_PER_S, Deployment, Pool, Seen, kv_bytes
from hwmodel.mappers.deployments.steady import Limits
from hwmodel.mappers.deployments.traffic import Traffic
from hwmodel.systems.serving.arrivals import stream
from hwmodel.systems.serving.batch import StepTimes
from hwmodel.systems.serving.cluster import run
from hwmodel.systems.serving.drafts import drafting, stepped
from hwmodel.systems.serving.lanes import laned
from hwmodel.systems.serving.pools import Shipment, disaggregated
from hwmodel.systems.serving.requests import Request
from hwmodel.systems.serving.scheduler import Scheduler, scheduler_of
from hwmodel.systems.serving.step_tables import Largest
from hwmodel.systems.serving.step_times import EngineSteps, step_times

ENGINES = 4
"""Of a pool that are simulated at most, at their share of the rate."""
MOST = 20_000
"""Requests of one stream at most."""


@dataclass(frozen=True, eq=False)
class Streams:
    """Simulated streams of one traffic, of about so many requests each."""

    traffic: Traffic
    percentile: int
    requests: int
    engine: str | Engine = "vllm"
    seed: int = 0

    def __post_init__(self) -> None:
        """Steps of an engine are worked out once."""
        object.__setattr__(self, "_clock", lru_cache(maxsize=None)(self._clock))

    def of(self, deployment: Deployment) -> Seen:
        """What users of a deployment wait."""
        share = share_of([pool.replicas for pool in deployment.pools])
        rate = self.traffic.rate_per_s * share
        residence_s = deployment.ttft_s + self.traffic.output * deployment.tpot_s
        edge = min(round(rate * residence_s), MOST // 3)
        requests = self._requests(rate, min(self.requests + 2 * edge, MOST))
        first_s, last_s = self._waited(deployment, requests, share)
        kept = slice(edge, len(requests) - edge)
        ttft = first_s[kept]
        tpot = last_s[kept] / max(1, self.traffic.output - 1)
        late = [float(np.percentile(each, self.percentile)) for each in (ttft, tpot)]
        return Seen(len(ttft), float(ttft.mean()), late[0], float(tpot.mean()), late[1])

    def _requests(self, rate: float, count: int) -> list[Request]:
        """A Poisson stream; what is cached of a prompt is the same of all."""
        traffic = self.traffic
        return stream(
            traffic.input, traffic.output,
            rate_per_s=rate, requests=count, prefix=traffic.cached, seed=self.seed,
        )  # fmt: skip

    def _waited(
        self, deployment: Deployment, requests: Sequence[Request], share: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Seconds of each request to its first token, and from there to the last."""
        came = np.array([each.arrival_s for each in requests])
        draft, later, told = deployment.pools[-1].kind.draft, 0.0, 1.0
        if draft is not None:
            requests, later, told = stepped(requests, draft, self.seed)
        here = [self._pool(pool, share, later, told) for pool in deployment.pools]
        if len(here) == 1:
            (clock, rules, number), = here  # fmt: skip
            stays = run(requests, clock, rules, replicas=number).stays
            firsts, lasts = (
                np.array([getattr(stay, name) for stay in stays]) for name in ("first_s", "last_s")
            )
            return firsts - came, lasts - firsts
        each = kv_bytes(deployment.pools[0].kind, self.traffic.input) / self.traffic.input
        ships = Shipment(each, 1, REMOTE_BYTES_PER_S, by_layer=False)
        both = disaggregated(requests, here[0], here[1], ships, routing="round-robin")
        # A token leaves the second pool, to which it came with its cache.
        return both.arrived_s - came, both.last_s - both.arrived_s

    def _pool(
        self, pool: Pool, share: float, later: float, told: float
    ) -> tuple[StepTimes, Scheduler, int]:
        """Steps, rules and number of a pool's engines, or of the lanes of each."""
        kind, limits, ways = pool.kind, pool.limits, pool.kind.ways
        rules = scheduler_of(self.engine).but(
            max_batch_tokens=limits.tokens, max_batch=limits.sequences, queries=kind.queries
        )
        number = round(pool.replicas * share)
        clock: StepTimes = self._clock(kind, limits)
        if kind.draft is not None and isinstance(clock, EngineSteps):
            clock = drafting(
                clock, kind.model, kind.draft, kind.machine, ways, later=later, share=told
            )
        return laned(clock, rules, number, ways.pp, ways.dp)

    def _clock(self, kind: Kind, limits: Limits) -> StepTimes:
        """Steps of one engine that is started so."""
        traffic, runs = self.traffic, engine_of(self.engine)
        assert runs is not None
        # The budgets of ranks are one here, so that a prompt may be read by one of them as a whole.
        tokens = max(limits.tokens, min(traffic.input, limits.tokens * kind.ways.dp))
        largest = Largest(tokens, limits.sequences, traffic.input + traffic.output)
        return step_times(
            kind.model, kind.machine,
            engine=runs, parallel=kind.ways.given, largest=largest, tolerance=0, draft=kind.draft,
        )  # fmt: skip


def share_of(replicas: Sequence[int]) -> float:
    """The smallest share of pools in whole engines, of which each pool has `ENGINES` or all."""
    parts = math.gcd(*replicas)
    least = min(replicas) // parts
    return min(parts, -(-ENGINES // least)) / parts
