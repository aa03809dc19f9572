"""Programs of model calls as a stream: many at a time, each call a request in an engine's queue.

Programs come as a Poisson process. A call goes to the engine of its model that has the fewest
requests, copies as requests of their own; engines schedule steps as in the workload `serving`
(`hwmodel.systems.serving`), so that calls of all programs that are under way share steps, caches
and queues. What is left to chance (branches, chances, turns of a loop, lengths) is drawn. Tokens
that copies share are found in the cache by the later ones; those that are `cached` from earlier
calls are taken to be there still, and take their room. Tools wait for nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from math import exp, floor, log, nan, sqrt
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwmodel.quantity.errors import CoverageError, InputError
from hwmodel.systems.programs.cost import HOUR_S, Runner
from hwmodel.systems.programs.program import Program, Step, before, in_order, program_of
from hwmodel.systems.serving.apart import Engines
from hwmodel.systems.serving.batch import StepTimes
from hwmodel.systems.serving.replica import Replica
from hwmodel.systems.serving.requests import Request
from hwmodel.systems.serving.scheduler import Scheduler, scheduler_of
from hwmodel.systems.serving.step_tables import Largest
from hwmodel.systems.serving.step_times import step_times
from hwmodel.systems.serving.together import Together
from hwmodel.text.shown import Shown

SPREAD = 4
"""Times the mean: the longest answer that tables of steps are made for, where lengths differ."""
Done = Callable[[float], None]
Pool = tuple[StepTimes, Scheduler, int]
"""Steps, rules and number of the engines of a model."""


@dataclass(frozen=True, eq=False)
class Call:
    """A step that is a call of a model, in all programs: how often, and what each run waited."""

    name: str
    model: str
    runs: int
    latency_s: float
    queue_s: float


@dataclass(frozen=True, eq=False, repr=False)
class Streamed(Shown):
    """The answer: what programs waited that share engines.

    Attributes:
        latencies_s: of each program, from its arrival to its last step's end, in order of arrival.
        duration_s: from the first arrival to the last end.
        energy_j, usd: of all engines during that time, idle or not; dollars of tools too.
    """

    program: Program
    rate_per_s: float
    latencies_s: NDArray[np.float64] = field(repr=False)
    duration_s: float
    made: int
    energy_j: float
    usd: float
    devices: int
    busy: float
    calls: tuple[Call, ...]
    warnings: tuple[str, ...] = ()
    fits: bool = True

    @property
    def latency_s(self) -> float:
        """Mean seconds of a program."""
        return float(self.latencies_s.mean())

    def late_s(self, percentile: int) -> float:
        """Seconds that so many of 100 programs took at most."""
        return float(np.percentile(self.latencies_s, percentile))

    @property
    def programs_per_s(self) -> float:
        """That ended a second."""
        return len(self.latencies_s) / self.duration_s

    def record(self) -> dict[str, Any]:
        """Every field, for JSON."""
        count = len(self.latencies_s)
        priced = self.usd == self.usd
        return {
            **{"program": self.program.name, "programs": count, "rate_per_s": self.rate_per_s},
            **{"latency_s": self.latency_s, "duration_s": self.duration_s},
            **{f"latency_p{n}_s": self.late_s(n) for n in (50, 90, 95, 99)},
            **{"programs_per_s": self.programs_per_s, "devices": self.devices, "busy": self.busy},
            **{"tokens_made": self.made, "energy_j": self.energy_j / count},
            "price_usd": self.usd / count if priced else None,
            "output_tokens_per_s": self.made / self.duration_s,
            "calls": [vars(each) for each in self.calls],
            "warnings": list(self.warnings),
        }


class _Streaming:
    """Programs on their way: draws, engines, and what was seen of each call."""

    def __init__(self, program: Program, pools: Mapping[str, Pool], seed: int) -> None:
        self.program, self.time = program, Together()
        self.draw = np.random.default_rng(seed)
        self.engines = {
            name: [Replica(clock, rules, done=self.time.ended) for _ in range(count)]
            for name, (clock, rules, count) in pools.items()
        }
        self.seen: dict[str, list[tuple[float, float]]] = {}
        self.tools_usd = 0.0
        self._spans = 0

    def steps(self, steps: Mapping[str, Step], above: str, at_s: float, done: Done) -> None:
        """Steps of a program, each when those that it waits for have ended."""
        waits = {name: set(before(steps, name)) for name in in_order(steps)}
        left, last = set(waits), [at_s]

        def ended(name: str, end_s: float) -> None:
            left.discard(name)
            last.append(end_s)
            if not left:
                done(max(last))
            for other, open_ in waits.items():
                if name in open_:
                    open_.discard(name)
                    if not open_:
                        start(other, end_s)

        def start(name: str, start_s: float) -> None:
            self.step(steps[name], f"{above}{name}", start_s, lambda end_s: ended(name, end_s))

        for name in [name for name, open_ in waits.items() if not open_]:
            start(name, at_s)

    def step(self, step: Step, name: str, at_s: float, done: Done) -> None:
        """A step with its chance, its turns and its copies."""
        if self.draw.random() >= step.chance:
            return done(at_s)
        turns = floor(step.repeat) + int(self.draw.random() < step.repeat % 1)

        def turn(number: int, start_s: float) -> None:
            if number == turns:
                return done(start_s)
            return self.once(step, name, start_s, lambda end_s: turn(number + 1, end_s))

        return turn(0, at_s)

    def once(self, step: Step, name: str, at_s: float, done: Done) -> None:
        """One turn of a step, in all its copies."""
        left, last = [step.copies], [at_s]

        def ended(end_s: float) -> None:
            left[0] -= 1
            last.append(end_s)
            if not left[0]:
                done(max(last))

        span = self._span(step)
        for _ in range(step.copies):
            if step.model is not None:
                self.call(step, name, span, at_s, ended)
            elif step.time_s is not None:
                self.tools_usd += step.price_usd
                self.time.at(at_s + step.time_s, ended)
            elif step.steps is not None:
                self.steps(step.steps, f"{name}.", at_s, ended)
            else:
                self.chosen(step, name, at_s, ended)

    def chosen(self, step: Step, name: str, at_s: float, done: Done) -> None:
        """One of several steps, each by its chance; nothing for what chances leave."""
        assert step.choice is not None
        drawn, passed = self.draw.random(), 0.0
        for number, each in enumerate(step.choice):
            passed += each.chance
            if drawn < passed:
                return self.once_chosen(each, f"{name}[{number}]", at_s, done)
        return done(at_s)

    def once_chosen(self, step: Step, name: str, at_s: float, done: Done) -> None:
        """A step whose chance was drawn already."""
        self.step(step.model_copy(update={"chance": 1.0}), name, at_s, done)

    def call(self, step: Step, name: str, span: tuple[int, ...], at_s: float, done: Done) -> None:
        """A request, to the engine of its model with the fewest."""
        engines = self.engines[model_name(self.program, step)]
        block = engines[0].rules.block_tokens
        output = self._length(step)
        made = Request(
            at_s,
            step.input,
            max(1, output),
            hashes=span,
            span=step.shared // block * block if span else block,
            shipped=min(step.cached, step.input - 1),
        )

        def sent(now_s: float) -> None:
            engine = min(engines, key=lambda each: each.outstanding)
            stay = self.time.send(engine, replace(made, arrival_s=now_s), lambda end_s: told(end_s))

            def told(end_s: float) -> None:
                self.seen.setdefault(name, []).append((end_s - now_s, stay.scheduled_s - now_s))
                done(end_s)

        self.time.at(at_s, sent)

    def _span(self, step: Step) -> tuple[int, ...]:
        """The name of what the copies of a call share."""
        if step.model is None or step.copies == 1 or step.shared < 64:
            return ()
        self._spans += 1
        return (self._spans,)

    def _length(self, step: Step) -> int:
        """Tokens of an answer: a lognormal draw with the mean and spread that were said."""
        if not step.cv or not step.output:
            return step.output
        spread = sqrt(log(1 + step.cv**2))
        drawn = exp(log(step.output) - spread**2 / 2 + spread * self.draw.standard_normal())
        return int(min(max(1, round(drawn)), SPREAD * step.output))


def streamed(
    program: Program | Mapping[str, Any] | str | Path,
    on: Any = None,
    *,
    rate_per_s: float,
    programs: int = 200,
    seed: int = 0,
) -> Streamed:
    """So many programs at a rate, through engines that they share.

    Raises `CoverageError` for a model that no engine of GPUs runs.
    """
    read = program_of(program)
    runners = {name: _runner(read, step, on) for name, step in calls(read).items()}
    pools = {name: _engines(read, name, runner) for name, runner in runners.items()}
    found = run(read, {n: each.laned for n, each in pools.items()}, rate_per_s, programs, seed)
    duration_s, lanes = found.duration_s, found.lanes
    idle_j = sum(
        watts * max(0.0, duration_s - lane.busy_s)
        for name, each in pools.items()
        for watts, lane in zip(each.idle_w, lanes[name], strict=True)
    )
    rents = [
        nan
        if (rent := each.machine.price.rent_usd_per_hour) is None
        else float(rent) * each.devices
        for each in pools.values()
    ]
    every = [lane for each in lanes.values() for lane in each]
    warned = [text for each in pools.values() for text in getattr(each.clock, "warnings", ())]
    warned += [text for each in runners.values() for text in each.model.warnings]
    return Streamed(
        program=read,
        rate_per_s=rate_per_s,
        latencies_s=found.latencies_s,
        duration_s=duration_s,
        made=found.made,
        energy_j=sum(lane.joules for lane in every) + idle_j,
        usd=sum(rents) * duration_s / HOUR_S + found.tools_usd,
        devices=sum(each.devices for each in pools.values()),
        busy=sum(lane.busy_s for lane in every) / len(every) / duration_s if every else 0.0,
        calls=tuple(
            Call(
                name,
                model,
                len(waits),
                *(float(np.mean(each)) for each in zip(*waits, strict=True)),
            )
            for name, (model, waits) in found.calls.items()
        ),
        warnings=tuple(dict.fromkeys(warned)),
    )


@dataclass(frozen=True, eq=False)
class Went:
    """What became of programs, on engines that are given as their steps."""

    latencies_s: NDArray[np.float64]
    duration_s: float
    made: int
    tools_usd: float
    lanes: Mapping[str, list[Replica]]
    calls: Mapping[str, tuple[str, list[tuple[float, float]]]]


def run(
    program: Program, pools: Mapping[str, Pool], rate_per_s: float, programs: int, seed: int
) -> Went:
    """So many programs at a rate, by models' engines."""
    if not rate_per_s > 0 or programs < 1:
        raise InputError(
            "program: expected programs, and a rate_per_s above 0, found"
            f" {programs} and {rate_per_s:g}"
        )
    on_way = _Streaming(program, pools, seed)
    came = np.cumsum(on_way.draw.exponential(1 / rate_per_s, programs))
    ends = np.full(programs, nan)

    def begin(number: int) -> Done:
        def ended(end_s: float) -> None:
            ends[number] = end_s

        return lambda now_s: on_way.steps(program.steps, "", now_s, ended)

    for number, at_s in enumerate(came):
        on_way.time.at(float(at_s), begin(number))
    on_way.time.run([engine for each in on_way.engines.values() for engine in each])
    named = calls_by_step(program)
    return Went(
        latencies_s=ends - came,
        duration_s=float(ends.max() - came[0]),
        made=sum(stay.request.output for stay in on_way.time.stays),
        tools_usd=on_way.tools_usd,
        lanes=on_way.engines,
        calls={name: (named[name], waits) for name, waits in on_way.seen.items()},
    )


def calls_by_step(program: Program) -> dict[str, str]:
    """The model of each call, by the name of its step."""
    return {name: model_name(program, step) for name, step in _calls(program.steps, "")}


def calls(program: Program) -> dict[str, Step]:
    """A call of each model, by the model's name."""
    return {model_name(program, step): step for _, step in _calls(program.steps, "")}


def model_name(program: Program, step: Step) -> str:
    """What a call's model is called."""
    given = step.model
    return given if isinstance(given, str) else str(getattr(given, "name", given))


def _calls(steps: Mapping[str, Step], above: str) -> list[tuple[str, Step]]:
    """Every call, by its name."""
    return [found for name, step in steps.items() for found in _calls_of(step, f"{above}{name}")]


def _calls_of(step: Step, name: str) -> list[tuple[str, Step]]:
    if step.model is not None:
        return [(name, step)]
    if step.steps is not None:
        return _calls(step.steps, f"{name}.")
    branches = enumerate(step.choice or ())
    return [found for n, each in branches for found in _calls_of(each, f"{name}[{n}]")]


def _runner(program: Program, step: Step, on: Any) -> Runner:
    return Runner.of(program.served(step.model), on)


def _engines(program: Program, name: str, runner: Runner) -> Engines:
    """The engines of a model, with their steps."""
    if runner.machine.kind != "gpu":
        raise CoverageError(
            f"program: {name}: streams run through engines of GPUs, found {runner.machine.name};"
            " leave rate_per_s out"
        )
    mine = [each for _, each in _calls(program.steps, "") if model_name(program, each) == name]
    longest = max(s.input + s.output * (SPREAD if s.cv else 1) for s in mine)
    served = program.served(mine[0].model)
    ways = served.division
    rules = scheduler_of(served.engine or "vllm").on(runner.machine)
    one = runner.machine if runner.machine.devices == 1 else runner.machine.but(devices=1)
    clock = step_times(
        runner.model,
        one,
        engine=served.engine or "vllm",
        parallel=ways.given if ways.devices > 1 else None,
        largest=Largest(rules.max_batch_tokens, rules.max_batch, longest + 1),
    )
    how = {"tp": ways.tp, "pp": ways.pp, "dp": ways.dp * served.replicas}
    return Engines(one, how, clock, rules, ways.dp)
