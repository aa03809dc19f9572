"""Engines as deployed: pools of them, what they settle at, and what a simulated stream waited."""

from dataclasses import dataclass

from hwmodel.mappers.deployments.kinds import Kind
from hwmodel.mappers.deployments.steady import Limits, Settled
from hwmodel.mappers.deployments.tables import Role
from hwmodel.mappers.deployments.traffic import Promise

REMOTE_BYTES_PER_S = 50e9
"""Of a device's network card, one way: 400 Gb/s (InfiniBand NDR)."""


def kv_bytes(kind: Kind, tokens: int) -> float:
    """Bytes of the cache of so many tokens, with that of what drafts."""
    drafts = kind.draft
    kept = [kind.model]
    kept += [kind.model.drafting(drafts)] if drafts is not None and drafts.model is not None else []
    return sum(float(each.kv_bytes(1, tokens)) for each in kept)


@dataclass(frozen=True)
class Seen:
    """What the requests of a simulated stream waited: means, and what so many of 100 waited less.

    `ttft_late_s` and `tpot_late_s` are of the promise's percentile; a request of one token has no
    seconds between tokens. `requests` are those that count.
    """

    requests: int
    ttft_s: float
    ttft_late_s: float
    tpot_s: float
    tpot_late_s: float

    def broken(self, promise: Promise) -> tuple[str, ...]:
        """Which parts of a promise are not kept: `ttft`, `tpot`."""
        late = self.ttft_late_s > promise.ttft_s, self.tpot_s > promise.tpot_s
        return tuple(name for name, is_late in zip(("ttft", "tpot"), late, strict=True) if is_late)


@dataclass(frozen=True, eq=False)
class Pool:
    """So many engines of a kind, how they are started, and what each settles at."""

    kind: Kind
    replicas: int
    limits: Limits
    settled: Settled
    role: Role = "both"

    @property
    def devices(self) -> int:
        """In all."""
        return self.replicas * self.kind.devices


@dataclass(frozen=True)
class Deployment:
    """One pool that does all, or one that reads prompts and one that makes tokens.

    Seconds are those of the steady state, `seen` those of a simulated stream, where there was one.
    """

    pools: tuple[Pool, ...]
    cost: float
    ttft_s: float
    ttft_late_s: float
    tpot_s: float
    transfer_s: float = 0.0
    seen: Seen | None = None

    @property
    def devices(self) -> int:
        """In all."""
        return sum(pool.devices for pool in self.pools)

    @property
    def power_w(self) -> float:
        """Of all devices."""
        return sum(pool.replicas * pool.settled.power_w for pool in self.pools)
