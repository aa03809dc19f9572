"""A model whose weights or caches stream from a host's memory or a drive, layer by layer.

Each layer is a block of three tasks: its bytes come up a link into one of `window` places, it runs,
and what goes back goes down the link, which frees its place. Blocks run in order; links and device
work at once (`events`). In a loop that goes on, the next round's first layers come while the ends
of the network run. What the device waits beside its kernels is a part of the estimate:

    exposed = period of the loop - seconds of all kernels

which for blocks that are alike is that of the longest of up, run and down; and less evenly where
one block's bytes hide behind another's work, as far as places allow.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from hwmodel.einsum.cascade import Stage
from hwmodel.einsum.counts import footprint_bytes
from hwmodel.einsum.network import Served, Stack
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines import driver
from hwmodel.machines.held import live_bytes, served_by, short_of_memory
from hwmodel.machines.kept import Kept
from hwmodel.quantity.arithmetic import most
from hwmodel.quantity.errors import CapacityError, CoverageError, InputError
from hwmodel.spine.activity import Work
from hwmodel.spine.estimate import Estimate, Part
from hwmodel.spine.offload import Offload
from hwmodel.systems.events import simulate
from hwmodel.systems.tasks import Buffer, Task, Tasks
from hwmodel.systems.timeline import Timeline

FAMILY = "offload"
ROUNDS = 3
"""Rounds of a loop after which another takes as long as the last."""
SHORTEST_S = 1e-12
"""What is left of a stream that kernels hide: no part of an answer takes no time."""
UNMEASURED = "uncalibrated: offload: streams go at the rate that is said; none was measured here"


@dataclass(frozen=True)
class Block:
    """What runs at once: seconds to bring it, to run it, and to write it back."""

    up_s: float
    runs_s: float
    down_s: float = 0.0


@dataclass(frozen=True)
class Loop:
    """Seconds of a round of a loop that goes on, of which the device runs; the rounds in time."""

    period_s: float
    runs_s: float
    timeline: Timeline

    @property
    def exposed_s(self) -> float:
        """Seconds of a round in which the device waits."""
        return max(self.period_s - self.runs_s, 0.0)


def looped(
    blocks: Sequence[Block], window: int, *, before_s: float = 0, after_s: float = 0
) -> Loop:
    """Blocks in order, round after round, with places for `window` of them at once.

    `before_s` and `after_s` are of what runs in every round without being brought. Raises
    `InputError` for no block or no place.
    """
    if not blocks or window < 1:
        raise InputError(
            f"offload: expected blocks and a place or more, found {len(blocks)} and {window}"
        )
    tasks = Tasks()
    up, device, down = (tasks.resource(n, order="program") for n in ("up", "device", "down"))
    places = tasks.buffer("places", window)
    ends = [
        _round(tasks, blocks, (up, device, down), places, before_s, after_s) for _ in range(ROUNDS)
    ]
    timeline = simulate(tasks)
    last, one_before = (float(timeline.end_s[end]) for end in (ends[-1], ends[-2]))
    runs_s = before_s + after_s + sum(block.runs_s for block in blocks)
    return Loop(last - one_before, runs_s, timeline)


def once(blocks: Sequence[Block], window: int) -> float:
    """Seconds of one round by itself, from the first byte up to the last one down."""
    tasks = Tasks()
    up, device, down = (tasks.resource(n, order="program") for n in ("up", "device", "down"))
    _round(tasks, blocks, (up, device, down), tasks.buffer("places", window), 0, 0)
    return float(simulate(tasks).makespan_s)


def _round(
    tasks: Tasks,
    blocks: Sequence[Block],
    on: tuple[int, int, int],
    places: Buffer,
    before_s: float,
    after_s: float,
) -> Task:
    """One round; what runs last of it."""
    up, device, down = on
    tasks.task("before", before_s, device)
    for number, block in enumerate(blocks):
        there = tasks.task(f"up {number}", block.up_s, up, takes={places: 1})
        freed = {} if block.down_s else {places: 1}
        ran = tasks.task(f"run {number}", block.runs_s, device, there, gives=freed)
        if block.down_s:
            tasks.task(f"down {number}", block.down_s, down, ran, gives={places: 1})
    return tasks.task("after", after_s, device)


def predicted(workload: Any, on: Any, *, offload: Any, **how: Any) -> Estimate:
    """A phase of a model, of which weights or caches stream; `how` as `driver.predict` takes it.

    Raises `CoverageError` for what is no phase of a model, runs on an engine or in a pipeline, or
    has no rate; `CapacityError` for what a drive does not hold.
    """
    above = getattr(workload, "offloaded_by", None)
    if above is not None:  # many runs in time, whose weights stream
        return driver.imported(above)(workload, on, offload=offload, **how)
    ways = Offload.of(offload)
    driver.check_workload(workload, "predict")
    if how.get("engine") is not None:
        raise CoverageError("offload: engine: no engine's way to offload is modelled; leave it out")
    machine, network = driver.machine_of(on), driver.topology_of(how.get("topology"))
    share = driver.divided(workload, machine, how.get("parallel"), network)
    served = share.served
    if served is None:
        told = "expected a model's prefill or decode, whose layers stream"
        raise InputError(f"offload: {told}, found {workload.name}")
    if served.ways.pp > 1:
        raise CoverageError("offload: in a pipeline it is not modelled; use pp=1")
    if served.ways.overlap != "none":
        raise CoverageError("offload: of halves that take turns it is not modelled; overlap=none")
    if getattr(workload, "ahead", ()):
        raise CoverageError("offload: with drafts it is not modelled; leave draft out")
    rate = _rate(ways, machine)
    asked = {name: value for name, value in how.items() if name != "keeping"}
    whole = driver.predict(workload, machine, **asked)
    if np.ndim(whole.time_s):
        raise CoverageError("offload: expected single numbers, found arrays; ask one by one")
    library, kernel = driver.exchanged(how.get("kernel"), share)
    able, parts = driver.parts_of(cast(Stack, share), machine, kernel, network, library, Kept())
    layers, steady = (
        _layers(able, parts, ways, served, machine, rate, slow) for slow in (False, True)
    )
    link_s = max(sum(b.up_s for b in layers.blocks), sum(b.down_s for b in layers.blocks))
    _check_drive(ways, machine, layers)
    fitted = _serving(layers, ways, served, machine, able)
    passes = int(ways.passes)
    return replace(
        whole,
        parts=(
            *(replace(part, times=part.times * passes) for part in whole.parts),
            _waiting(
                [each.looped(ways) for each in (layers, steady)], link_s, layers, machine, ways
            ),
        ),
        bound_bytes=whole.bound_bytes * passes,
        bound_s=max(float(whole.bound_s) * passes, link_s),
        assumptions=(*whole.assumptions, _said(ways, rate, layers)),
        everywhere=(*whole.everywhere, UNMEASURED),
        serving=fitted,
        notes=(*whole.notes[len(short_of_memory(whole.serving)) :], *short_of_memory(fitted)),
    )


@dataclass(frozen=True)
class _Layers:
    """Blocks of the layers and seconds of the ends; bytes on a device.

    Bytes are those of all weights that stream, of the largest layer's, of a layer's cache.
    """

    blocks: tuple[Block, ...]
    before_s: float
    after_s: float
    weights_bytes: float
    largest_bytes: float
    cache_bytes: float

    def looped(self, ways: Offload) -> Loop:
        """A round of the loop."""
        before_s, after_s = self.before_s, self.after_s
        return looped(self.blocks, int(ways.window), before_s=before_s, after_s=after_s)


def _layers(
    work: Stack,
    parts: Sequence[Sequence[Part]],
    ways: Offload,
    served: Served,
    machine: Hardware,
    rate: float,
    slow: bool,
) -> _Layers:
    """What each layer brings and how long it runs; `slow` in the sustained state."""
    runs: dict[int, float] = {}
    weights: dict[int, float] = {}
    ends = [0.0, 0.0]
    for stage, own in zip(work.stages, parts, strict=True):
        each = (part.times * (part.sustained_s if slow else part.time_s) for part in own)
        seconds = sum(map(float, each)) * int(ways.passes)
        numbers = [number for number in stage.layers if number is not None]
        if not numbers:
            ends[bool(runs)] += seconds
        for number in numbers:
            runs[number] = runs.get(number, 0.0) + seconds / len(numbers)
            more = _weight_bytes(stage) * float(stage.times) / len(numbers)
            weights[number] = weights.get(number, 0.0) + more
    if not runs:
        raise CoverageError(f"offload: {work.name} has no layers that could stream")
    cache = float(served.batch * served.context * served.kv_bytes_per_token)
    cache /= served.devices * len(runs)
    latency_s = 0.0 if ways.rate_bytes_per_s or not machine.storage else machine.storage.latency_s
    sliced = _sliced(ways, machine, rate)
    blocks: list[Block] = []
    for number in sorted(runs):
        brought = weights[number] if ways.weights else 0.0
        fetched = cache if ways.cache and served.decoding else 0.0
        left = cache if ways.cache and not served.decoding else 0.0
        left += brought / int(ways.slices) if ways.back else 0.0
        up_s = brought * sliced + fetched / rate + latency_s
        blocks.append(Block(float(up_s), runs[number], left / rate))
    total = sum(weights.values())
    return _Layers(tuple(blocks), ends[0], ends[1], total, max(weights.values()), cache)


def _weight_bytes(stage: Stage) -> float:
    """Bytes of the weights that a stage reads in one run: of experts those that it needs."""
    tensors = stage.cascade.tensors.items()
    held = (name for name, tensor in tensors if tensor.role == "weight")
    return sum(float(footprint_bytes(name, stage.cascade)) for name in held)


def _sliced(ways: Offload, machine: Hardware, rate: float) -> float:
    """Seconds a byte of weights: a part over each device's link, the others between devices."""
    devices = int(ways.slices)
    if devices == 1:
        return 1 / rate
    if machine.link is None:
        raise CoverageError(f"offload: {machine.name} has no link over which slices are exchanged")
    between = float(machine.link.bandwidth_bytes_per_s)
    return 1 / (devices * rate) + (devices - 1) / (devices * between)


def _rate(ways: Offload, machine: Hardware) -> float:
    """Bytes/s of the link."""
    if ways.rate_bytes_per_s is not None:
        return float(ways.rate_bytes_per_s)
    if machine.storage is None:
        told = 'say the rate of its link to a host, such as offload={"rate": "24 GB/s"}'
        raise CoverageError(f"offload: {machine.name} has no storage; {told}")
    return float(machine.storage.bandwidth_bytes_per_s)


def _check_drive(ways: Offload, machine: Hardware, layers: _Layers) -> None:
    """Refuse more than the drive holds, where that is what streams."""
    drive = machine.storage
    if ways.rate_bytes_per_s is not None or drive is None:
        return
    needed = layers.weights_bytes if ways.weights else 0.0
    needed += layers.cache_bytes * len(layers.blocks) if ways.cache else 0.0
    if needed > drive.capacity_bytes:
        raise CapacityError(
            f"offload: {machine.name}: {needed:,.0f} bytes stream from storage, which has"
            f" {drive.capacity_bytes:,.0f}: {needed - drive.capacity_bytes:,.0f} short"
        )


def _serving(layers: _Layers, ways: Offload, served: Served, machine: Hardware, work: Stack) -> Any:
    """Tokens, and whether what stays and what has a place fits."""
    count, places = len(layers.blocks), min(int(ways.window), len(layers.blocks))
    weights: Any = served.weights_bytes
    if ways.weights:
        away = layers.weights_bytes - places * layers.largest_bytes
        weights = max(0.0, float(weights) - away * served.devices)
    each = served.kv_bytes_per_token * (places / count if ways.cache else 1)
    held = replace(served, weights_bytes=weights, kv_bytes_per_token=each)
    return served_by(held, machine, most(live_bytes(stage.cascade) for stage in work.stages))


def _waiting(
    loops: Sequence[Loop], link_s: float, layers: _Layers, machine: Hardware, ways: Offload
) -> Part:
    """The part of the estimate that waits for a link, at the full clock and sustained."""
    exposed_s, steady_s = (max(each.exposed_s, SHORTEST_S) for each in loops)
    waiting_j = float(machine.power.idle_w) * exposed_s
    by_j: Mapping[str, float] = {"static": waiting_j}
    if ways.rate_bytes_per_s is None and machine.storage is not None:
        by_j = {**by_j, "storage": machine.storage.energy_j_per_byte * layers.weights_bytes}
    return Part(
        name=f"{ways.what} streamed, exposed",
        family=FAMILY,
        times=1,
        counts=Work(),
        time_s=exposed_s,
        sustained_s=steady_s,
        busy_s={FAMILY: max(link_s, exposed_s)},
        energy_j=sum(by_j.values()),
        energy_by_j=by_j,
        interval=(1.0, 1.0),
    )


def _said(ways: Offload, rate: float, layers: _Layers) -> str:
    """What the answer rests on."""
    return (
        f"offload: {ways.what} of {len(layers.blocks)} layers at {rate / 1e9:.3g} GB/s in each"
        f" direction, places for {ways.window}; one round of a loop that goes on"
    )
