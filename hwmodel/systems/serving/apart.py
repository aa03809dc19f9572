"""A stream of which one pool of engines reads the prompts and another makes the tokens.

Each pool is engines of one sort, on a device of its own; the caches of prompts go from one to the
other over the links of the engine that read them (`pools.py`), which are a network card of `CARD`
for each of its devices unless said otherwise.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hwmodel.einsum.workloads.model import Model
from hwmodel.hardware.hardware import Hardware
from hwmodel.systems.serving.batch import StepTimes
from hwmodel.systems.serving.cluster import Ran
from hwmodel.systems.serving.lanes import laned
from hwmodel.systems.serving.pools import Pooled, Shipment, disaggregated
from hwmodel.systems.serving.requests import Request, Stay
from hwmodel.systems.serving.scheduler import Scheduler

CARD = 50e9
"""Bytes/s of a device's network card, one way: 400 Gb/s (InfiniBand NDR)."""


@dataclass(frozen=True, eq=False)
class Engines:
    """Engines alike: a device, how each is divided and how many there are, its steps and rules."""

    machine: Hardware
    how: Mapping[str, int]
    clock: StepTimes
    rules: Scheduler
    ranks: int = 1

    @property
    def each(self) -> int:
        """Devices of an engine."""
        return self.how.get("tp", 1) * self.how.get("pp", 1) * self.ranks

    @property
    def devices(self) -> int:
        """Of all engines."""
        return self.how.get("tp", 1) * self.how.get("pp", 1) * self.how.get("dp", 1)

    @property
    def laned(self) -> tuple[StepTimes, Scheduler, int]:
        """Steps, rules and number of what runs them."""
        number = self.how.get("dp", 1) // self.ranks
        return laned(self.clock, self.rules, number, self.how.get("pp", 1), self.ranks)

    @property
    def idle_w(self) -> tuple[float, ...]:
        """Watts of the devices of each lane while no step runs."""
        lanes = self.laned[2]
        return (float(self.machine.power.idle_w) * self.devices / lanes,) * lanes


def shipment(
    models: Sequence[Model],
    prompts: Engines,
    tokens: int,
    bytes_per_s: float | None = None,
    *,
    by_layer: bool = True,
) -> Shipment:
    """How caches of prompts of so many tokens go from the engines that read them.

    Those of all `models` go, where one drafts for another; layers are those of the first.
    """
    _, layers = models[0].whole.kept_layers
    each = sum(float(model.kv_bytes(1, tokens)) for model in models) / tokens
    rate = CARD * prompts.each if bytes_per_s is None else bytes_per_s
    return Shipment(each, max(1, layers), rate, by_layer=by_layer)


def ran_apart(
    requests: Sequence[Request],
    prompts: Engines,
    tokens: Engines,
    ships: Shipment,
    routing: str,
) -> Ran:
    """What became of the stream on both pools, the replicas of the first before the second's."""
    both = disaggregated(requests, prompts.laned, tokens.laned, ships, routing=routing)
    made = dict(zip(_order(both), (both.tokens.stays if both.tokens else ()), strict=True))
    stays = tuple(_whole(n, both, made.get(n)) for n in range(len(requests)))
    replicas = both.prompts.replicas + (both.tokens.replicas if both.tokens else ())
    return Ran(stays, both.prompts.places, replicas)


def _order(both: Pooled) -> list[int]:
    """Which requests the second pool had, in the order in which they came there."""
    order = sorted(range(len(both.requests)), key=lambda n: float(both.arrived_s[n]))
    return [n for n in order if both.requests[n].output > 1]


def _whole(number: int, both: Pooled, later: Stay | None) -> Stay:
    """A request from its prompt to its last token."""
    read = both.prompts.stays[number]
    stay = Stay(number, both.requests[number])
    stay.scheduled_s = read.scheduled_s
    stay.first_s, stay.last_s = float(both.first_s[number]), float(both.last_s[number])
    stay.hit = read.hit
    stay.preempted = read.preempted + (later.preempted if later is not None else 0)
    return stay


def degrees(given: Mapping[str, Any]) -> dict[str, int]:
    """The degrees among what is said of a pool."""
    return {name: int(given[name]) for name in ("tp", "pp", "dp", "ep") if name in given}
