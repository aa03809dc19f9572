"""What one step of a program takes: seconds, joules, operations, tokens and dollars.

A call reads its prompt and then makes tokens, one step of the model each: of `output` tokens the
prompt's last position gives the first (nothing read: none). Each step is predicted at its own
context, and with as many sequences as still run, in unbroken repetition (the sustained state).
Copies of a call are one batch, which lasts as long as its longest copy. Lengths are lognormal with
the mean `output` and the coefficient of variation `cv`; the copies have the expected order
statistics of the normal law (G. Blom, Statistical Estimates and Transformed Beta-Variables, 1958:
the i-th of n at the quantile (i - 3/8) / (n + 1/4)), scaled to keep the mean.
"""

from dataclasses import dataclass, fields
from math import exp, log, nan, sqrt
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwmodel.einsum.network import Stack
from hwmodel.einsum.workloads.model import Model, model
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.driver import machine_of, predict
from hwmodel.quantity.errors import InputError
from hwmodel.spine.estimate import Estimate
from hwmodel.systems.programs.program import Served, Step

HOUR_S = 3600.0
LONGEST = 2**20
"""Tokens that one call makes at most."""


@dataclass(frozen=True)
class Cost:
    """Of some runs of a step: seconds on its machine, and what adds up over runs.

    `low_s` and `high_s` are the 90 % interval of `time_s`; `read` are tokens of prompts that are
    computed, `reused` those that were there, `made` tokens of answers; `read_s` and `made_flop`
    the parts of `time_s` that go into reading and of `flop` that go into steps that make tokens;
    `kv_bytes` keys and values that those steps attend to (what Kinetics, arXiv 2506.05333, prices
    at so many FLOPs a byte).
    `price_usd` is not a number where a machine has no price.
    """

    time_s: float = 0.0
    low_s: float = 0.0
    high_s: float = 0.0
    read_s: float = 0.0
    energy_j: float = 0.0
    flop: float = 0.0
    made_flop: float = 0.0
    kv_bytes: float = 0.0
    read: float = 0.0
    reused: float = 0.0
    made: float = 0.0
    price_usd: float = 0.0
    calls: float = 0.0

    def times(self, count: float) -> "Cost":
        """So many of it."""
        return Cost(**{each.name: count * getattr(self, each.name) for each in fields(self)})

    def plus(self, other: "Cost") -> "Cost":
        """Both."""
        names = [each.name for each in fields(self)]
        return Cost(**{name: getattr(self, name) + getattr(other, name) for name in names})


@dataclass(frozen=True)
class Runner:
    """A model on the machines that it runs on."""

    model: Model
    machine: Hardware
    parallel: Any
    engine: str | None

    @classmethod
    def of(cls, served: Served, on: Any) -> "Runner":
        """Raises as reading a model and a machine do."""
        said = ("dtype", "weight_dtype", "kv_dtype", "activation_dtype", "quantise")
        made = {name: getattr(served, name) for name in (*said, "cache_policy", "modifier")}
        read = model(served.config, **{n: v for n, v in made.items() if v is not None})
        where = on if served.on is None else served.on
        if where is None:
            raise InputError("on: expected a machine, of the program or of each of its models")
        machine = machine_of(where)
        ways = served.division
        whole = machine * ways.devices if machine.devices == 1 else machine
        return cls(read, whole, ways if ways.devices > 1 else None, served.engine)

    @property
    def price_usd_per_s(self) -> float:
        """Rent of its machines; not a number where none is known."""
        rent = self.machine.price.rent_usd_per_hour
        return nan if rent is None else float(rent) * self.machine.devices / HOUR_S

    def predicted(self, step: Stack) -> Estimate:
        """The answer for one of the model's steps."""
        return predict(step, self.machine, parallel=self.parallel, engine=self.engine)

    def reading(self, batch: int, prompt: int, cached: int) -> Estimate:
        """`batch` prompts, of which so much is there."""
        given: dict[str, Any] = {"cached": cached} if cached else {}
        made = self.model.prefill(batch, prompt, parallel=self.parallel, **given)
        return self.predicted(made)

    def making(self, batch: NDArray[np.float64], context: NDArray[np.float64]) -> Estimate:
        """Steps that make a token of each of `batch` sequences, one an entry."""
        return self.predicted(self.model.decode(batch, context, parallel=self.parallel))


def lengths(output: int, cv: float, copies: int) -> NDArray[np.float64]:
    """Tokens that each copy makes, in rising order.

    >>> lengths(100, 0.0, 3)
    array([100., 100., 100.])
    """
    if cv == 0 or copies == 1 or output == 0:
        return np.full(copies, output, dtype=np.float64)
    spread = sqrt(log(1 + cv * cv))
    normal = NormalDist()
    quantiles = ((i + 1 - 0.375) / (copies + 0.25) for i in range(copies))
    drawn = np.array([exp(spread * normal.inv_cdf(each)) for each in quantiles])
    return np.maximum(1, np.rint(drawn * (output / drawn.mean())))


def of_call(step: Step, runner: Runner, copies: int, batch: int) -> tuple[Cost, list[Estimate]]:
    """One run of a call in so many copies, and what it was predicted from.

    `batch` programs run side by side: seconds are those that all of them take together, the rest is
    one program's share.
    """
    found: list[Estimate] = []
    cost = Cost(calls=copies)
    there = step.cached
    if copies > 1 and step.shared > there:
        found.append(runner.reading(batch, step.shared, there))
        cost = cost.plus(_cost(found[-1], runner, batch, read=step.shared - there))
        reused = (copies - 1) * (step.shared - there)
        cost = cost.plus(Cost(reused=copies * there + reused))
        there = step.shared
    else:
        cost = cost.plus(Cost(reused=copies * there))
    if step.input > there:
        found.append(runner.reading(copies * batch, step.input, there))
        cost = cost.plus(_cost(found[-1], runner, batch, read=copies * (step.input - there)))
    made = lengths(step.output, step.cv, copies)
    first = int(step.cached < step.input)
    steps = int(made.max()) - first if step.output else 0
    if steps > LONGEST:
        raise InputError(f"output: expected at most {LONGEST} tokens of a call, found {steps}")
    if steps > 0:
        at = np.arange(steps, dtype=np.float64)
        ended = np.searchsorted(made - first, at, side="right").astype(np.float64)
        alive = copies - ended
        context = step.input + 1 + at
        found.append(runner.making(alive * batch, context))
        cost = cost.plus(_cost(found[-1], runner, batch, made=float((made - first).sum())))
        cost = cost.plus(Cost(kv_bytes=float(np.sum(runner.model.kv_bytes(alive, context)))))
    return cost.plus(Cost(made=float(copies * first if step.output else 0))), found


def of_tool(step: Step, copies: int) -> Cost:
    """One run of a tool, in so many copies at once."""
    time_s = float(step.time_s or 0.0)
    return Cost(time_s, time_s, time_s, price_usd=copies * step.price_usd)


def _cost(found: Estimate, runner: Runner, batch: int, read: float = 0, made: float = 0) -> Cost:
    """Of an estimate of one step, or of several in a row."""
    slow = np.asarray(found.sustained_time_s, dtype=np.float64)
    time_s = float(slow.sum())
    burst = np.asarray(found.time_s)
    flop = float(np.sum(np.broadcast_to(found.flop, slow.shape))) / batch
    return Cost(
        time_s=time_s,
        low_s=float(np.sum(slow * np.asarray(found.time_low_s) / burst)),
        high_s=float(np.sum(slow * np.asarray(found.time_high_s) / burst)),
        read_s=time_s if read else 0.0,
        energy_j=float(np.sum(np.broadcast_to(found.energy_j, slow.shape))) / batch,
        flop=flop,
        made_flop=flop if made else 0.0,
        read=read,
        made=made,
        price_usd=time_s * runner.price_usd_per_s / batch,
    )
