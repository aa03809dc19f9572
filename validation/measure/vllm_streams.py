"""Streams of requests through a real vLLM in this process: closed loops, and Poisson arrivals.

Each request is recorded: when it arrived, when its first token and its last came, by the clock of
the loop that calls `engine.step()`. A request that arrives during a step is handed over after it.
Lengths of prompts and answers are drawn evenly from a quarter to seven quarters of their means, or
are all alike. Prompts are drawn before the clock starts.

A request costs some tenths of a millisecond of this process to hand over, which a server spends in
a process of its own: at 40 requests a second that is 1 to 2 % of the time.
"""

# pyright: basic, reportMissingImports=false

import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Protocol

from hwmodel.validation.measure.engine_rows import drawn


class Running(Protocol):
    """An engine under way, as `vllm_engine.Run` holds it."""

    engine: Any
    options: Any

    def tokens(self, count: int) -> list[int]:
        """Random tokens."""
        ...

    def ask(self, ids: list[int], outputs: int) -> str:
        """A request of these tokens; answers its name."""
        ...

    def energy_j(self) -> float:
        """Joules of all boards so far."""
        ...

    def write(self, row: dict[str, Any]) -> None:
        """One timed row."""
        ...


@dataclass(frozen=True)
class Stream:
    """What comes: from `users` in a closed loop, or at `rate_per_s` by a Poisson process."""

    prompt: int
    outputs: int
    requests: int
    users: int = 0
    rate_per_s: float = 0.0
    spread: bool = True
    """Lengths from a quarter to seven quarters of the mean; otherwise all alike."""

    def lengths(self, draws: random.Random) -> Iterator[tuple[int, int]]:
        """Tokens of prompt and answer of each request."""
        for _ in range(self.requests):
            if self.spread:
                yield evenly(self.prompt, draws), max(2, evenly(self.outputs, draws))
            else:
                yield self.prompt, self.outputs

    def arrivals(self, draws: random.Random) -> list[float]:
        """Seconds at which requests come; all at once for a closed loop, which waits by itself."""
        at, found = 0.0, list[float]()
        for _ in range(self.requests):
            at += draws.expovariate(self.rate_per_s) if self.rate_per_s else 0.0
            found.append(at)
        return found


LONG = (
    Stream(512, 96, 2000, rate_per_s=30.0),
    Stream(512, 96, 2000, users=64),
    Stream(512, 96, 2000, rate_per_s=40.0),
    Stream(2048, 160, 600, rate_per_s=8.0),
)
"""Streams long enough for percentiles, the more telling first."""


def evenly(mean: int, draws: random.Random) -> int:
    """A length from a quarter to seven quarters of the mean."""
    return draws.randint(mean // 4, mean + 3 * mean // 4)


def closed(users: int, prompt: int, outputs: int, requests: int) -> Stream:
    """A closed loop of requests that are all alike."""
    return Stream(prompt, outputs, requests, users=users, spread=False)


def serve(run: Running, stream: Stream, *, seconds: float = 1e9) -> list[dict[str, Any]]:
    """Runs a stream and writes its row; answers a record a request.

    After `seconds` no further request is taken.
    """
    draws = random.Random(f"{run.options.seed} {stream}")
    due, lengths = stream.arrivals(draws), list(stream.lengths(draws))
    prompts = [run.tokens(prompt) for prompt, _ in lengths]
    records: list[dict[str, Any]] = []
    running: dict[str, dict[str, Any]] = {}
    taken = 0
    begin, joules = time.perf_counter(), -run.energy_j()
    while taken < len(due) or running:
        now = time.perf_counter() - begin
        if now > seconds:
            due = due[:taken]
        while taken < len(due) and due[taken] <= now and (
            not stream.users or len(running) < stream.users
        ):  # fmt: skip
            prompt, outputs = lengths[taken]
            name = run.ask(prompts[taken], outputs)
            arrived = now if stream.users else due[taken]
            running[name] = {"arrival_s": arrived, "prompt": prompt, "outputs": outputs}
            taken += 1
        if not running:
            time.sleep(max(0.0, min(due[taken] - now, 0.01)) if taken < len(due) else 0.0)
            continue
        for answer in run.engine.step():
            now = time.perf_counter() - begin
            running[answer.request_id].setdefault("first_token_s", now)
            if answer.finished:
                records.append(running.pop(answer.request_id) | {"end_s": now})
    whole = time.perf_counter() - begin
    joules += run.energy_j()
    run.write(row(stream, records, whole) | drawn(whole, joules, whole))
    return [{"stream": label(stream), **record} for record in records]


def label(stream: Stream) -> str:
    """What comes and how much of it, in short: the key of its requests."""
    comes = f"{stream.users} users" if stream.users else f"{stream.rate_per_s:g}/s"
    return f"{comes}, {stream.prompt}+{stream.outputs}"


def row(stream: Stream, records: Sequence[dict[str, Any]], seconds: float) -> dict[str, Any]:
    """The row of a stream: means over its requests."""
    first = [r["first_token_s"] - r["arrival_s"] for r in records]
    later = [(r["end_s"] - r["first_token_s"]) / (r["outputs"] - 1) for r in records]
    return {
        "phase": "stream",
        "batch": stream.users or None,
        "rate_per_s": stream.rate_per_s or None,
        "prompt": stream.prompt,
        "outputs": stream.outputs,
        "repeats": len(records),
        "time_s": seconds,
        "first_token_s": fmean(first),
        "per_token_s": fmean(later),
    }
