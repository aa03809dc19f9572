"""Tokens attended to elsewhere: on a host that holds the caches, or on devices of their own.

The devices of a replica multiply by weights and read prompts; keys and values of what decodes lie
apart, and are read there: by a host's processors (MoE-Lens, arXiv 2504.09345; weights may stream
from the host as well) or by cheaper devices with more memory for a dollar (Lamina, 2405.01814).
Sequences go in two halves that take turns, so that one is attended to while the other is multiplied
and what both send is on its way. A step of all of them takes the longest of

    products   of both halves, each on its reading of the weights, and prompts
    attention  bytes of all caches over the rate at which they are read there
    messages   queries, keys and values out, results back, over the link
    a half     one after the other of these three, and a message's way there and back in each layer
    weights    where they stream: all of them over their link, for both halves once

Seconds of products are those of the engine's kernels without attention and without its host, over
tokens; joules are of the replica's devices alone.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from hwmodel.einsum.workloads.model import Model
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.driver import machine_of, predict
from hwmodel.machines.gpu.engines.step import ATTENDS
from hwmodel.quantity.dtypes import bytes_of
from hwmodel.quantity.errors import CapacityError, CoverageError, InputError, UnknownNameError
from hwmodel.quantity.reading import pairs
from hwmodel.quantity.units import amount, counted
from hwmodel.spine.offload import Offload
from hwmodel.systems.serving.apart import CARD
from hwmodel.systems.serving.batch import Batch

UNITS = {"rate": "bytes_per_s", "memory": "bytes", "link": "bytes_per_s"}
FIELDS = ("on", "devices", *UNITS, "price_per_hour")
BESIDE = ("prefill", "draft", "kv_offload")
"""What a stream that is attended to elsewhere does not have."""
SHARE = 0.9
"""Of the memory of devices that only attend, what caches take: vLLM's share."""
ROUND_TRIP_S = 33e-6
"""A message's way to such devices and back, by the host-bypassing network of Lamina (measured)."""
SAMPLE = (64, 2048)
"""Sequences and context of the step that tells at which rate devices read a cache."""
JOULES = "joules are of the devices that multiply; what attends apart draws more"
UNJUDGED = "no interval: steps whose tokens are attended to elsewhere were never measured"
OTHERS = ("does not fit", "engine ")
"""What is told of a step whose caches and weights lie on one device."""
PROMPT = 512
"""Tokens of the prompt that tells what a pair of query and key takes."""


@dataclass(frozen=True)
class Elsewhere:
    """What attends apart.

    Attributes:
        machine, devices: None and 0 of a host.
        memory_bytes: for caches, in all. rate_bytes_per_s: at which they are read, in all.
        link_bytes_per_s: of messages, each way.
        usd_per_hour: of all devices; None where that is not known.
    """

    machine: Hardware | None
    devices: int
    memory_bytes: float
    rate_bytes_per_s: float
    link_bytes_per_s: float
    usd_per_hour: float | None = 0.0

    @classmethod
    def of(cls, given: Any, model: Model, engine: Any, where: str = "serving: attention") -> Self:
        """From words such as `rate=150GB/s,memory=70GB,link=20GB/s` or `on=h20,devices=4`."""
        said = pairs(given, where)
        for name in said:
            if name not in FIELDS:
                raise InputError(f"{where}: {UnknownNameError('field', name, FIELDS)}")
        known = {
            name: float(amount(said[name], unit, where=f"{where}: {name}"))
            for name, unit in UNITS.items()
            if name in said
        }
        if "on" not in said:
            for name in UNITS:
                if name not in known:
                    raise InputError(
                        f"{where}: expected on (devices), or rate, memory and link of a host, found"
                        f" no {name}"
                    )
            return cls(None, 0, known["memory"], known["rate"], known["link"])
        machine = machine_of(said["on"])
        count = counted(said.get("devices", 1), where=f"{where}: devices")
        outer = next(iter(machine.memories.values()))
        memory = known.get("memory", SHARE * count * float(outer.capacity_bytes))
        rate = known.get("rate") or count * _reads(model, machine, engine)
        hour = said.get("price_per_hour", machine.price.rent_usd_per_hour)
        dollars = None if hour is None else count * float(amount(hour, where=f"{where}: price"))
        return cls(machine, count, memory, rate, known.get("link", CARD * count), dollars)


def _reads(model: Model, machine: Hardware, engine: Any) -> float:
    """Bytes/s at which one device reads caches that it attends to."""
    batch, context = SAMPLE
    step = model.decode(batch, context)
    attending_s = _split(predict(step, machine, engine=engine), step)[1]
    return float(model.kv_bytes(batch, context)) / float(attending_s)


def _split(estimate: Any, step: Any) -> tuple[Any, Any]:
    """Seconds of a step's kernels that are no attention, and of attention."""
    names = {stage.name for stage in step.stages if stage.role == ATTENDS}
    found: list[Any] = [0.0, 0.0]
    for part in (each for each in estimate.parts if not each.host):
        found[part.name in names] = found[part.name in names] + part.times * part.sustained_s
    return found[0], found[1]


@dataclass(frozen=True, eq=False)
class Attended:
    """Steps whose tokens are attended to elsewhere: a `StepTimes`.

    Attributes:
        nodes, products_s, products_j: tokens of half a step, and what their products take.
        pair_s: a pair of query and key of a prompt.
        kv_bytes, sent_bytes: of a token's keys and values; of messages for a sequence, each step.
        trips_s: of a half's messages beside their bytes. streams_s: of weights over a link.
        idle_w: of the replica's devices at rest.
    """

    elsewhere: Elsewhere
    nodes: Sequence[int]
    products_s: Sequence[float]
    products_j: Sequence[float]
    pair_s: float
    kv_bytes: float
    sent_bytes: float
    trips_s: float
    streams_s: float
    idle_w: float
    warnings: tuple[str, ...] = ()

    @property
    def hours(self) -> tuple[str, int, float | None, float]:
        """Title, number, dollars an hour and most watts of the devices that attend."""
        away = self.elsewhere
        if away.machine is None:
            return "a host", 0, 0.0, 0.0
        watts = away.devices * float(away.machine.power.limit_w)
        return away.machine.title, away.devices, away.usd_per_hour, watts

    @property
    def kv_tokens(self) -> int:
        """Tokens of cache that lie elsewhere."""
        return int(self.elsewhere.memory_bytes / self.kv_bytes)

    def seconds(self, batch: Batch) -> float:
        """Duration of a step of both halves."""
        if not batch.decodes and not batch.new:
            return 0.0
        products_s = self._products(batch)[0] + batch.pairs * self.pair_s
        attends_s = batch.keys * self.kv_bytes / self.elsewhere.rate_bytes_per_s
        sends_s = batch.decodes * self.sent_bytes / self.elsewhere.link_bytes_per_s
        half_s = (products_s + attends_s + sends_s) / 2
        half_s += self.trips_s if batch.decodes else 0.0
        return max(products_s, attends_s, sends_s, half_s, self.streams_s)

    def joules(self, batch: Batch) -> float:
        """Energy of the replica's devices."""
        seconds, joules = self._products(batch)
        return joules + self.idle_w * max(0.0, self.seconds(batch) - seconds)

    def _products(self, batch: Batch) -> tuple[float, float]:
        """Seconds and joules of both halves."""
        tokens = batch.decodes + batch.new
        if not tokens:
            return 0.0, 0.0
        halves = 2 if tokens > 1 else 1
        found = (self._at(tokens / halves, each) for each in (self.products_s, self.products_j))
        seconds, joules = found
        return halves * seconds, halves * joules

    def _at(self, tokens: float, values: Sequence[float]) -> float:
        high = min(max(bisect_left(self.nodes, tokens), 1), len(self.nodes) - 1)
        low = high - 1
        part = (tokens - self.nodes[low]) / (self.nodes[high] - self.nodes[low])
        return values[low] * (1 - part) + values[high] * part


def attended(
    model: Model,
    machine: Hardware,
    away: Any,
    *,
    engine: Any = None,
    parallel: Mapping[str, int],
    tokens: int,
    offload: Any = None,
) -> Attended:
    """Steps of at most so many tokens on replicas of a device; weights stream where said.

    `away` says what attends, as `Elsewhere.of` takes it; the engine is vLLM unless given.
    Raises `CapacityError` where weights fit no replica and do not stream, `CoverageError` for ways
    to stream or to divide that are not modelled.
    """
    if parallel.get("pp", 1) > 1 or parallel.get("ep", 1) > parallel.get("tp", 1):
        raise CoverageError("serving: attention: expected tp and dp alone, found pp or ep")
    engine = engine or "vllm"
    elsewhere = Elsewhere.of(away, model, engine)
    devices = parallel.get("tp", 1)
    streams_s = _streams_s(model, offload)
    outer = next(iter(machine.memories.values()))
    room = SHARE * devices * float(outer.capacity_bytes)
    if not streams_s and model.weight_bytes > room:
        raise CapacityError(
            f"serving: attention: {model.name}: weights of {model.weight_bytes / 1e9:.1f} GB do not"
            f" fit {devices} x {machine.title}; divide it over more devices, or let them stream"
            ' (offload={"rate": ...})'
        )
    top = max(2, tokens)
    nodes = sorted({1, *(int(n) for n in np.geomspace(2, top, 40).round())})
    step = model.decode(np.array(nodes), 2, parallel=dict(parallel))
    estimate = predict(step, machine, engine=engine)
    products_s = np.broadcast_to(_split(estimate, step)[0], len(nodes))
    share = products_s / np.broadcast_to(estimate.sustained_time_s, len(nodes))
    prompt = model.prefill(1, PROMPT, parallel=dict(parallel))
    reading_s = float(_split(predict(prompt, machine, engine=engine), prompt)[1])
    layers = max(1, model.whole.kept_layers[1])
    return Attended(
        elsewhere=elsewhere,
        nodes=nodes,
        products_s=products_s.tolist(),
        products_j=(share * np.asarray(estimate.energy_j)).tolist(),
        pair_s=reading_s / (PROMPT * (PROMPT + 1) / 2),
        kv_bytes=float(model.kv_bytes_per_token),
        sent_bytes=_sent_bytes(model),
        trips_s=layers * ROUND_TRIP_S if elsewhere.machine is not None else 0.0,
        streams_s=streams_s,
        idle_w=float(machine.power.idle_w) * devices,
        warnings=(
            *(each for each in estimate.warnings if not each.startswith(OTHERS)),
            JOULES,
            UNJUDGED,
        ),
    )


def check_alone(work: Any) -> None:
    """Raises `InputError` for what cannot be beside a second memory, or beside what attends."""
    for name, others in (("kv_offload", ("prefill",)), ("attention", BESIDE)):
        for other in others:
            if getattr(work, name) is not None and getattr(work, other) is not None:
                raise InputError(f"serving: {name}: expected it without {other}, found both")


def _sent_bytes(model: Model) -> float:
    """Bytes for a sequence in a step: its new keys and values, queries and what comes back."""
    found = float(model.kv_bytes_per_token)
    for stage in model.decode(1, 2).stages:
        if stage.role == ATTENDS and (origin := stage.cascade.origin) is not None:
            given = origin.arguments
            if "heads" not in given or "head_dim" not in given:
                raise CoverageError(
                    f"serving: attention: {model.name}: expected heads of queries, keys and values,"
                    f" found {', '.join(given)}"
                )
            dims = given["head_dim"] + (given.get("value_dim") or given["head_dim"])
            width = float(given["heads"] * dims) * float(bytes_of(str(given["dtype"])))
            found += float(stage.times) * width
    return found


def _streams_s(model: Model, offload: Any) -> float:
    """Seconds in which all weights stream; 0 where they do not."""
    if offload is None:
        return 0.0
    ways = Offload.of(offload)
    others = ways.model_copy(update={"rate_bytes_per_s": None, "window": Offload().window})
    if ways.rate_bytes_per_s is None or others != Offload():
        raise CoverageError(
            'serving: offload: expected weights at a rate, such as {"rate": "24 GB/s"}; nothing'
            " else of it is modelled beside a stream"
        )
    return float(model.weight_bytes) / float(ways.rate_bytes_per_s)
