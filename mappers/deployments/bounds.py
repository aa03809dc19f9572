"""What no engine of a kind can better: floors of its steps, from weights, caches and operations.

With A(N) the least seconds of a step in which N sequences decode (what they read over the DRAM's
bandwidth, or their operations over the best rate: `hwmodel.mappers.parallelism.floors`) and F those
of a token of a prompt in the largest step, r requests a second of I new tokens and O out need

    r I F <= 1,    T >= A(N),    N = r (O - 1) T

whatever the order in which the engine does its work: a step takes at least as long as what decodes
in it, and as what it reads, and the longer of two means is no more than the mean of the longer. The
least T that satisfies the last two is a floor of the time between tokens; where the cache has no
room for so many sequences, or there is no such T, the engine cannot sustain the rate.
"""

import math
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from hwmodel.einsum.workloads.phases import decoding, prefilling
from hwmodel.machines.gpu.engines.engine import Engine
from hwmodel.machines.gpu.engines.shipped import engine as engine_of
from hwmodel.mappers.deployments.kinds import Kind
from hwmodel.mappers.deployments.tables import DECODES
from hwmodel.mappers.deployments.traffic import Promise, Traffic
from hwmodel.mappers.parallelism.floors import Floors

REASONS = {
    "memory": "weights that do not fit",
    "prefill": "operations of prompts",
    "decode": "bytes and operations of tokens",
    "ttft": "a floor of the first token",
    "tpot": "a floor between tokens",
}
"""What rules out, and how it is told: operations, or reading weights and caches, are more than all
devices do in the time; a floor is what not even the best of steps keeps of a promise."""


@dataclass(frozen=True, eq=False)
class Floor:
    """Of one engine: A(N) at `DECODES` of each rank, F, the first token, tokens of cache."""

    decodes: NDArray[np.float64]
    steps_s: NDArray[np.float64]
    token_s: float
    first_s: float
    room: float
    stages: int

    def between_s(self, rate_per_s: float, output: int, context: int, makes: float = 1.0) -> float:
        """The least seconds between tokens at a rate; infinite where it cannot be sustained.

        A step that verifies drafts takes no less than one without, and `makes` so many tokens.
        """
        rate, step = rate_per_s / self.stages, float(self.steps_s[0])
        held = min(float(self.decodes[-1]), self.room / self.stages / context)
        while True:
            count = rate * (output - 1) / makes * step
            if count > held * (1 + 1e-9):
                return math.inf
            after = float(np.interp(count, self.decodes, self.steps_s))
            if after <= step * (1 + 1e-7):
                return step / makes
            step = after


@dataclass(frozen=True, eq=False)
class Bounds:
    """Floors of kinds of engines under one traffic, with steps of so many tokens at most."""

    traffic: Traffic
    most: int
    engine: str | Engine = "vllm"
    known: dict[tuple[int, int], tuple[Floors, Floors]] = field(
        default_factory=dict[tuple[int, int], tuple[Floors, Floors]]
    )
    """Floors by model and machine, told apart as objects."""

    def __post_init__(self) -> None:
        """Floors are worked out once."""
        object.__setattr__(self, "of", lru_cache(maxsize=None)(self.of))

    def of(self, kind: Kind) -> Floor | None:
        """Of one engine of a kind; None where its weights and one sequence do not fit."""
        decode, prefill = self._floors(kind)
        ways, traffic = kind.ways, self.traffic
        if not decode.fits(ways):
            return None
        counts = np.array(DECODES, dtype=np.float64)
        how = "uniform", None
        each = [decoding("deploy", n, traffic.context, *how) for n in DECODES]
        tokens = max(self.most, 1)
        largest = prefilling("deploy", 1, tokens, None, *how)
        one = prefilling("deploy", 1, traffic.new, None, *how)
        return Floor(
            decodes=counts * ways.dp,
            steps_s=np.array([decode.pass_s(ways, step) for step in each]),
            token_s=prefill.pass_s(ways, largest) / (tokens * ways.dp * ways.pp),
            first_s=prefill.pass_s(ways, one),
            room=decode.room(ways),
            stages=ways.pp,
        )

    def _floors(self, kind: Kind) -> tuple[Floors, Floors]:
        """Of steps that decode, and of those that read prompts."""
        key = id(kind.model), id(kind.machine)
        if key not in self.known:
            runs, traffic = engine_of(self.engine), self.traffic
            assert runs is not None
            steps = (
                decoding("deploy", 1, traffic.context, "uniform", None),
                prefilling("deploy", 1, traffic.new, None, "uniform", None),
            )
            decode, prefill = (
                Floors(kind.model, step, kind.machine, runs.memory.most_share) for step in steps
            )
            self.known[key] = decode, prefill
        return self.known[key]

    def ruled_out(
        self, kind: Kind, replicas: int, promise: Promise, *, reads: bool = True, makes: bool = True
    ) -> tuple[str | None, float]:
        """Why so many engines cannot keep a promise (or None), and the least time between tokens.

        `reads` and `makes`: whether they read prompts, and make further tokens.
        """
        floor = self.of(kind)
        if floor is None:
            return "memory", math.inf
        rate, traffic = self.traffic.rate_per_s / replicas, self.traffic
        if reads and rate * traffic.new * floor.token_s > 1:
            return "prefill", math.inf
        tokens = traffic.output, traffic.context, kind.makes
        between = floor.between_s(rate, *tokens) if makes else 0.0
        if math.isinf(between):
            return "decode", math.inf
        if reads and floor.first_s > promise.ttft_s:
            return "ttft", between
        return ("tpot" if makes and between > promise.tpot_s else None), between
