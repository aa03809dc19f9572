"""The answer to a stream of requests: what each waited, what all got, joules and dollars."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hwmodel.systems.serving.cluster import Ran
from hwmodel.text.shown import Shown

TAILS = (50, 90, 95, 99)
"""Percentiles of what requests wait, linear between two requests."""
WAITS = ("latency", "ttft", "tpot", "queue")
"""What a request waits: all in all, for its first token, for each further one, to be scheduled."""
ENDS: Mapping[str, tuple[str, int]] = {
    f"{name}_{end}_{unit}": (f"{name}_{unit}", place)
    for name, unit in (("latency", "s"), ("ttft", "s"), ("tpot", "s"), ("output_tokens", "per_s"))
    for place, end in enumerate(("low", "high"))
}
"""An end of a figure's interval -> the figure, and which end it is."""
UNKNOWN = (float("nan"), float("nan"))
HOUR_S = 3600.0

Ends: TypeAlias = Mapping[str, tuple[float, float]]
"""A figure -> its 90 % interval."""


@dataclass(frozen=True, eq=False, repr=False)
class Served(Shown):
    """A stream of requests, served to the last token.

    Means and percentiles are over requests: `latency_s`, `ttft_s`, `tpot_s`, `queue_s`,
    `ttft_p95_s`, ... (`tpot` over those of two tokens or more: seconds from the first token to the
    last, by tokens between them). Tokens a second are of the time from the first arrival to the
    last token.

    Attributes:
        devices: of all replicas.
        idle_w: watts of the devices of each replica while no step runs.
        provisioned_w: watts that all devices may draw, at their limits.
        frontend_s: that a server spends on each request outside its engines: of what is waited for
            the first and the last token.
        usd_per_hour: of all devices. price_source: whose figure that is.
        ends: what tells the 90 % intervals of means of waits and of tokens a second, by their names
            (`systems/serving/ends.py`); None where steps were given, of which none is known.
            `ttft_low_s` and `ttft_high_s` are the ends of `ttft_s`.
    """

    name: str
    device: str
    devices: int
    scheduler: str
    ran: Ran = field(repr=False)
    parallel: Mapping[str, int] = field(default_factory=lambda: {})
    idle_w: tuple[float, ...] = ()
    provisioned_w: float = float("nan")
    frontend_s: float = 0.0
    usd_per_hour: float | None = None
    price_source: str = ""
    kv_tokens: int = 0
    block_tokens: int = 16
    assumptions: tuple[str, ...] = ()
    everywhere: tuple[str, ...] = ()
    notes: tuple[Any, ...] = ()
    ends: Callable[[], Ends] | None = field(default=None, repr=False)

    @cached_property
    def intervals(self) -> Ends:
        """The 90 % interval of each figure that has one: the stream runs twice more for them."""
        return {} if self.ends is None else self.ends()

    @cached_property
    def requests(self) -> dict[str, NDArray[np.float64]]:
        """Of each request: arrival, first scheduled, first and last token, seconds and tokens."""
        stays = self.ran.stays
        found = {
            "arrival_s": [s.request.arrival_s for s in stays],
            "scheduled_s": [s.scheduled_s for s in stays],
            "first_s": [s.first_s + self.frontend_s for s in stays],
            "last_s": [s.last_s + self.frontend_s for s in stays],
            "input": [s.request.input for s in stays],
            "output": [s.request.output for s in stays],
            "preempted": [s.preempted for s in stays],
            "cached": [s.hit for s in stays],
            "replica": self.ran.places,
        }
        return {name: np.asarray(values, dtype=float) for name, values in found.items()}

    @cached_property
    def waits(self) -> dict[str, NDArray[np.float64]]:
        """Seconds by `WAITS`, one a request."""
        of = self.requests
        several = of["output"] > 1
        between = (of["last_s"] - of["first_s"])[several] / (of["output"][several] - 1)
        return {
            "latency": of["last_s"] - of["arrival_s"],
            "ttft": of["first_s"] - of["arrival_s"],
            "tpot": between,
            "queue": of["scheduled_s"] - of["arrival_s"],
        }

    def __getattr__(self, name: str) -> float:
        """Means and percentiles of waits, and ends: `ttft_s`, `ttft_p95_s`, `ttft_high_s`."""
        if name in ENDS:
            figure, place = ENDS[name]
            return self.intervals.get(figure, UNKNOWN)[place]
        for wait in WAITS:
            if name == f"{wait}_s":
                return _mean(self.waits[wait])
            for tail in TAILS:
                if name == f"{wait}_p{tail}_s":
                    values = self.waits[wait]
                    return float(np.percentile(values, tail)) if len(values) else float("nan")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @property
    def duration_s(self) -> float:
        """From the first arrival to the last token."""
        of = self.requests
        return float(of["last_s"].max() - of["arrival_s"].min())

    @property
    def output_tokens(self) -> int:
        """Of all requests."""
        return int(self.requests["output"].sum())

    @property
    def output_tokens_per_s(self) -> float:
        """Of all replicas."""
        return self.output_tokens / self.duration_s

    @property
    def total_tokens_per_s(self) -> float:
        """Those of prompts too."""
        return (self.output_tokens + float(self.requests["input"].sum())) / self.duration_s

    @property
    def requests_per_s(self) -> float:
        """Requests that ended a second."""
        return len(self.ran.stays) / self.duration_s

    @property
    def concurrency(self) -> float:
        """Requests that were there, on average over time."""
        return float(self.waits["latency"].sum()) / self.duration_s

    @property
    def busy(self) -> float:
        """Share of the time in which steps ran, on average over replicas."""
        steps = sum(each.busy_s for each in self.ran.replicas)
        return steps / len(self.ran.replicas) / self.duration_s

    @property
    def energy_j(self) -> float:
        """Of all devices, from the first arrival to the last token."""
        whole_s, replicas = self.duration_s, self.ran.replicas
        idle = self.idle_w or (0.0,) * len(replicas)
        rest_j = (
            watts * max(0.0, whole_s - each.busy_s)
            for watts, each in zip(idle, replicas, strict=True)
        )
        return sum(each.joules for each in replicas) + sum(rest_j)

    @property
    def power_w(self) -> float:
        """Of all devices, on average over time."""
        return self.energy_j / self.duration_s

    @property
    def energy_j_per_token(self) -> float:
        """By tokens of output."""
        return self.energy_j / self.output_tokens

    @property
    def price_per_million_tokens(self) -> float | None:
        """Dollars a million tokens of output, where an hour of the device has a price."""
        if self.usd_per_hour is None:
            return None
        return self.usd_per_hour * self.duration_s / HOUR_S / self.output_tokens * 1e6

    @property
    def preemptions(self) -> int:
        """Times that a request was preempted."""
        return int(self.requests["preempted"].sum())

    @property
    def prefix_hit_rate(self) -> float:
        """Share of the prompts' tokens that were in the cache when a request was admitted."""
        return float(self.requests["cached"].sum() / self.requests["input"].sum())

    @property
    def peak_kv_use(self) -> float:
        """Share of a replica's blocks that were held at most."""
        return max(each.peak / each.blocks.count for each in self.ran.replicas)

    @property
    def steps(self) -> int:
        """Of all replicas."""
        return sum(each.steps for each in self.ran.replicas)

    def goodput(self, **most: float) -> float:
        """Requests a second that wait no longer than said: `goodput(ttft_s=0.5, tpot_s=0.03)`."""
        of, good = self.requests, np.ones(len(self.ran.stays), dtype=bool)
        between = (of["last_s"] - of["first_s"]) / np.maximum(1, of["output"] - 1)
        each = {**self.waits, "tpot": between}
        for name, value in most.items():
            good &= each[name.removesuffix("_s")] <= value
        return float(good.sum()) / self.duration_s

    @property
    def fits(self) -> bool:
        """Always: a replica that holds no request is refused."""
        return True

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is told of it, each once."""
        return tuple(dict.fromkeys(self.everywhere))

    def record(self) -> dict[str, Any]:
        """Every field, for JSON."""
        waits = [f"{wait}_s" for wait in WAITS]
        waits += [f"{wait}_p{tail}_s" for wait in WAITS for tail in TAILS]
        found = {name: getattr(self, name) for name in (*FIELDS, *waits, *ENDS)}
        found = {n: None if v != v else v for n, v in found.items()}
        return {
            **found,
            "requests": len(self.ran.stays),
            "parallel": dict(self.parallel),
            "warnings": list(self.warnings),
        }

    def beyond(self, count: int) -> tuple[str, ...]:
        """Sizes beyond those measured: none are told."""
        return ("",) * count


FIELDS = (
    *("output_tokens_per_s", "total_tokens_per_s", "requests_per_s", "energy_j"),
    *("energy_j_per_token", "price_per_million_tokens", "usd_per_hour", "duration_s"),
    *("output_tokens", "concurrency", "busy", "preemptions", "prefix_hit_rate", "peak_kv_use"),
    *("kv_tokens", "steps", "devices", "scheduler", "power_w", "provisioned_w"),
)
"""What an answer's record has, besides waits, requests, degrees and warnings."""


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else float("nan")
