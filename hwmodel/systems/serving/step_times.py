"""Seconds and joules of an engine's steps, from tables of what their kernels take.

A step is the sum of its groups of kernels (`step_tables.py`). The clock that the power limit leaves
to all of them together, and what of the host's work they do not hide, follow from sums over the
groups by the equations of `machines/gpu/engines` (`settled.py`, `step.py`). Grids are refined until
steps that were not asked for agree with `predict` within a tolerance.

Of an engine whose devices attend apart in ranks (data parallel, of mixtures), a step is as long as
that of the fullest rank, and all others are taken to be as full.

Chunks of one step are taken to be alike. Where drafts are verified the tables are of steps that
compute several tokens of each sequence that decodes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from hwmodel.einsum.workloads.drafts import Drafts
from hwmodel.einsum.workloads.model import Model
from hwmodel.hardware.calibration import HOST
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.driver import Network, machine_of, topology_of
from hwmodel.machines.gpu.engines.engine import Engine
from hwmodel.machines.gpu.engines.settled import SHARPNESS, Limit, limit_of
from hwmodel.machines.gpu.engines.shipped import engine as engine_of
from hwmodel.machines.gpu.engines.step import memory, staged
from hwmodel.quantity.errors import CapacityError, InputError
from hwmodel.spine.execution import forward
from hwmodel.systems.serving.batch import Batch
from hwmodel.systems.serving.step_tables import (
    NONE,
    Ask,
    Largest,
    Sums,
    Tables,
    add,
    between,
    mix,
    tables,
)

RATIO, FINEST = 1.3, 1.1
"""Of one context or chunk on a grid to the next: at first, and the least that refining reaches."""
JUDGED = 160
"""Steps of each sort that the tables are judged on."""
CLOCK_TURNS = 40


@dataclass(frozen=True)
class Errors:
    """|Table / predict - 1| of seconds over steps that no table was made of."""

    mean: float
    p95: float
    worst: float
    steps: int


@dataclass(frozen=True, eq=False)
class EngineSteps:
    """Seconds and joules of an engine's steps on one replica: a `StepTimes`.

    Attributes:
        model, device, engine: names, and the engine's version.
        devices: of the replica. ranks: groups of them that attend apart.
        queries: tokens that a step computes of each sequence that decodes.
        kv_tokens: tokens of cache that it holds.
        largest: step that it is asked for, of each rank.
        interval, decoding: of kernels in steps that read prompts and in others, as ratios to the
            prediction, 90 %. hosts: of what their host does.
        pace: how many times longer kernels take than predicted, in steps of tokens alone and in
            others, and the host. core_share: as the engine's.
        errors: of the tables against `predict`.
        warnings: of the predictions that the tables are of.
    """

    model: str
    device: str
    engine: str
    devices: int
    kv_tokens: int
    largest: Largest
    interval: tuple[float, float]
    errors: Errors | None
    warnings: tuple[str, ...]
    tables: Tables = field(repr=False)
    costs: Mapping[str, float] = field(repr=False)
    limit: Limit = field(repr=False)
    idle_w: float = field(repr=False)
    decoding: tuple[float, float] = (1.0, 1.0)
    hosts: tuple[float, float] = (1.0, 1.0)
    pace: tuple[float, float, float] = (1.0, 1.0, 1.0)
    core_share: float = field(default=1.0, repr=False)
    runs: float = field(default=1.0, repr=False)
    wall: float = field(default=1.0, repr=False)
    ranks: int = 1
    queries: int = 1

    def seconds(self, batch: Batch) -> float:
        """Duration of a step in the sustained state, the host's exposed share included."""
        return self.both(batch)[0]

    def joules(self, batch: Batch) -> float:
        """Energy of a step on all devices of the replica."""
        return self.both(batch)[1]

    def dram_use(self, batch: Batch) -> float:
        """Share of the DRAM's bandwidth that a step uses: what of it does not follow clocks."""
        seconds, _, follows, _ = self._of(batch)[0]
        return (1 - follows / seconds) ** (1 / SHARPNESS) if seconds else 0.0

    def both(self, batch: Batch) -> tuple[float, float]:
        """Seconds and joules of a step."""
        sums, working_s = self._of(batch)
        seconds, work, follows, hidden_s = sums
        if not seconds:
            return 0.0, 0.0
        alone, beside, host = self.pace
        working_s, gap_s = working_s * host, self.costs["gap"] * host
        idle_s = max(working_s - (seconds - hidden_s), 0.0) + gap_s
        clock = self._clock(work / (seconds + idle_s), follows / seconds)
        kernels_s = follows / clock + seconds - follows
        busy_s = (kernels_s - hidden_s) * (beside if batch.new else alone)
        exposed_s = max(working_s - busy_s, 0.0) + gap_s
        dynamic_j = work * float(self.limit.spare_w) * clock**self.limit.voltage
        joules = dynamic_j + float(self.limit.steady_w) * kernels_s + self.idle_w * exposed_s
        return self.wall * (busy_s + exposed_s), self.runs * joules

    def _of(self, batch: Batch) -> tuple[Sums, float]:
        """Sums over a step's kernels, and seconds of the host beside them."""
        own = self.largest.tokens
        batch = fullest(batch.uniform if self.queries == 1 else batch, self.ranks, own)
        tables, decodes = self.tables, batch.decodes
        rows = decodes * self.queries
        tokens, sequences = rows + batch.new, rows + batch.prompts
        self._check(batch, tokens, sequences)
        if not tokens:
            return NONE, 0.0
        low, high, part = between(tables.contexts, batch.keys / decodes) if decodes else (0, 0, 0)
        if not batch.new:
            row = tables.decode[decodes]
            return mix(row[low], row[high], part), tables.decode_host_s[decodes]
        found = add(tables.tokens[tokens], tables.sequences[sequences])
        if decodes:
            row = tables.attending[decodes]
            found = add(found, mix(row[low], row[high], part))
        if batch.new:
            each = batch.new / batch.prompts
            cached = max((batch.pairs - batch.new * (each + 1) / 2) / batch.new, 0.0)
            found = add(found, tables.chunks.at(batch.prompts, each, cached))
        scheduling_s = self.costs["step"] + (decodes + batch.prompts) * self.costs["request"]
        return found, scheduling_s + tables.launching_s[tokens]  # one thread of the host does both

    def _clock(self, overload: float, follow: float) -> float:
        """The equation of `settled.py`, for one step."""
        if overload <= 1:
            return 1.0
        share = 1 / (1 + self.limit.voltage)
        clock = overload**-share
        for _ in range(CLOCK_TURNS):
            last, clock = clock, ((follow + (1 - follow) * clock) / overload) ** share
            if abs(clock - last) < 1e-6:
                break
        return clock

    def _check(self, batch: Batch, tokens: int, sequences: int) -> None:
        if tokens >= len(self.tables.tokens) or sequences >= len(self.tables.sequences):
            raise InputError(
                f"step of {self.model}: expected at most {self.largest.tokens} tokens and"
                f" {self.largest.sequences} sequences, as the tables were made for, found {tokens}"
                f" and {sequences}; make them larger by step_times(..., largest=)"
            )
        if bool(batch.new) != bool(batch.prompts):
            raise InputError(
                f"step of {self.model}: expected new tokens of prompts where there are prompts,"
                f" found {batch.new} of {batch.prompts}"
            )


def fullest(batch: Batch, ranks: int, own: int = 2**53) -> Batch:
    """What the fullest of the ranks computes of a step whose sequences are dealt to them evenly.

    None reads more than its `own` tokens of prompts in a step.
    """
    if ranks == 1:
        return batch
    decodes, prompts = -(-batch.decodes // ranks), -(-batch.prompts // ranks)
    of_decodes = decodes / batch.decodes if decodes else 0.0
    of_prompts = min(prompts / batch.prompts, own / batch.new) if prompts else 0.0
    return replace(
        batch,
        decodes=decodes,
        keys=round(batch.keys * of_decodes),
        prompts=prompts,
        new=round(batch.new * of_prompts),
        pairs=round(batch.pairs * of_prompts),
    )


def step_times(
    model: Model,
    machine: Hardware | str,
    *,
    engine: str | Engine = "vllm",
    parallel: Mapping[str, Any] | None = None,
    topology: Network = None,
    kv_memory_fraction: float | None = None,
    largest: Largest | None = None,
    routing: str = "uniform",
    tolerance: float = 0.01,
    draft: Drafts | None = None,
    captured: int | None = None,
) -> EngineSteps:
    """Steps of `model` on a replica of `machine`, as fast as tables are read.

    `kv_memory_fraction` is the share of the memory that the engine takes (its own unless given).
    `tolerance` is of the mean error of seconds against `predict`, which `errors` tells; 0 does not
    judge. `captured` are tokens of the largest step that has a graph. With a `draft` the steps are
    those that verify, without those that draft, which share the memory. Raises `CapacityError`
    where the weights leave no room for a cache.
    """
    on, network = machine_of(machine), topology_of(topology)
    limits = largest or Largest()
    runs = _configured(engine, on, parallel, limits, kv_memory_fraction, captured)
    ask = Ask(model, on, runs, parallel, network, routing, draft)
    ratio = RATIO
    while True:
        made = _steps(ask, limits, ratio)
        if not tolerance:
            return made
        judged = replace(made, errors=_errors(ask, made))
        assert judged.errors is not None
        if judged.errors.mean <= tolerance:
            return judged
        if ratio <= FINEST:
            told = f"tables of steps are off by {judged.errors.mean:.1%} in the mean"
            return replace(judged, warnings=(*judged.warnings, told))
        ratio = ratio**0.5


def served_apart(steps: EngineSteps) -> EngineSteps:
    """The same of an engine whose core has a process of its own, as those of servers have."""
    left = steps.core_share
    less_s = (1 - left) * steps.costs["step"]
    host = [max(0.0, each - less_s) for each in steps.tables.decode_host_s]
    return replace(
        steps,
        tables=replace(steps.tables, decode_host_s=host),
        costs={**steps.costs, "step": left * steps.costs["step"]},
    )


def unscheduled(steps: EngineSteps) -> EngineSteps:
    """The same without what the host does to schedule a step: runs of a model within another's."""
    host = [0.0] * len(steps.tables.decode_host_s)
    return replace(
        steps,
        tables=replace(steps.tables, decode_host_s=host),
        costs={**steps.costs, "step": 0.0, "request": 0.0},
    )


def _configured(
    engine: str | Engine,
    on: Hardware,
    parallel: Mapping[str, Any] | None,
    largest: Largest,
    share: float | None,
    captured: int | None,
) -> Engine:
    """The engine as it is started for steps no larger than these."""
    runs = engine_of(engine)
    if runs is None:
        raise InputError("step_times: engine: expected one that runs whole models, such as 'vllm'")
    ways = forward(parallel)
    if "tp" not in ways.model_fields_set:  # as `predict` has it
        ways = ways.but(tp=max(1, on.devices // ways.devices))
    runs = runs.on(on, ways)
    held = replace(
        runs.memory,
        most_tokens=largest.tokens,
        most_sequences=largest.sequences,
        longest=largest.context,
        share=runs.memory.share if share is None else share,
    )
    return runs.but(memory=held, graphs=runs.graphs.of(largest.sequences, captured))


def _steps(ask: Ask, largest: Largest, ratio: float) -> EngineSteps:
    context = min(1024, largest.context)
    example = ask.predicted(ask.mixed(1, context, 1, max(1, min(256, context - 1)), 1))
    serving = example.serving
    step, _ = ask.stepped(ask.held(1, context))
    room = memory(step, ask.machine)
    kv_tokens = int(room.kv_capacity_tokens or 0)
    if kv_tokens < 1:
        raise CapacityError(
            f"step_times: {ask.model.name}: weights of {float(room.weights_bytes) / 1e9:.1f} GB"
            f" leave no cache on {example.devices} x {ask.machine.title}: divide it over more"
            " devices, or narrow its format"
        )
    assert serving is not None
    host = ask.engine.costs(ask.machine.calibration)
    costs, kernels = staged(host.values, step.stages), host.intervals
    return EngineSteps(
        model=ask.model.name,
        device=ask.machine.name,
        engine=f"{ask.engine.name} {ask.engine.version}",
        devices=int(example.devices),
        kv_tokens=kv_tokens,
        largest=largest,
        interval=kernels.get("mixed", host.interval),
        decoding=kernels.get("decode", host.interval),
        hosts=kernels.get(HOST, host.interval),
        core_share=ask.engine.core_share,
        errors=None,
        warnings=example.warnings,
        tables=tables(ask, largest, ratio, costs),
        costs=costs,
        limit=limit_of(ask.machine),
        idle_w=float(ask.machine.power.idle_w),
        runs=float(example.total_runs),
        wall=float(example.wall),
        ranks=ask.ranks,
        queries=ask.queries,
    )


def _errors(ask: Ask, made: EngineSteps) -> Errors:
    """Of steps drawn anew, half of them of decode alone, no larger than the cache holds."""
    draw, largest = np.random.default_rng(17), made.largest
    batch = _sizes(draw, 1, largest.sequences, JUDGED)
    ranks = made.ranks
    room = np.maximum(made.kv_tokens // (batch * ranks), 2)
    least = max(made.queries, 16)
    context = np.minimum(_sizes(draw, least, max(least, largest.context), JUDGED), room)
    context = np.maximum(context, made.queries)
    exact = np.asarray(ask.predicted(ask.decode(batch, context)).time_s)
    alone = [Batch(int(ranks * b), int(ranks * b * c)) for b, c in zip(batch, context, strict=True)]
    prompts = _sizes(draw, 1, min(8, largest.sequences, largest.tokens), JUDGED)
    tokens = _sizes(draw, min(8, largest.tokens), largest.tokens, JUDGED) // prompts + 1
    cached = _sizes(draw, 1, largest.context, JUDGED)
    cached = np.where(draw.random(JUDGED) < 0.5, 1, np.minimum(cached, largest.context - tokens))
    cached = np.maximum(cached, 1)
    rest = largest.tokens - batch * made.queries
    tokens = np.minimum(tokens, np.maximum(rest // prompts, 1))
    both = ask.mixed(batch, context, prompts, tokens, cached)
    exact = np.concatenate([exact, np.asarray(ask.predicted(both).time_s)])
    sizes = zip(batch, context, prompts, tokens, cached, strict=True)
    mixed = [
        Batch(*(int(b), int(b * c), int(p), int(p * n)), pairs=int(p * (n * k + n * (n + 1) // 2)))
        for b, c, p, n, k in ((b * ranks, c, p * ranks, n, k) for b, c, p, n, k in sizes)
    ]
    found = np.array([made.seconds(each) for each in (*alone, *mixed)])
    off = np.abs(found / exact - 1)
    return Errors(float(off.mean()), float(np.quantile(off, 0.95)), float(off.max()), len(off))


def _sizes(draw: Any, low: int, high: int, count: int) -> Any:
    """Sizes drawn evenly by their logarithm."""
    return np.exp(draw.uniform(np.log(low), np.log(high), count)).round().astype(np.int64)
