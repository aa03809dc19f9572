"""An engine in the steady state of a Poisson stream of requests: concurrency, TPOT and TTFT.

An engine runs one step after the other. With a prompt's new tokens cut into chunks of c (the whole
prompt, where the token budget M allows) and T(N, j) the seconds of a step in which N sequences make
a token each and j chunks are read, a rate of r requests a second settles where

    N  = r (O - 1) T                                     (Little's law, of sequences that decode)
    nu = r k T                                           (chunks that arrive in a step, k a prompt)
    T  = E[T(N, j)],  j ~ Binomial(m, nu / m),  m = floor((M - N) / c)

since each of the O - 1 further tokens takes a step, or the E-th part of one where a step makes E on
average of q that it verifies (N q of its budget are theirs then). The right side grows with T, so
that iterating from the quickest step climbs to the least fixed point; where nu passes m, or N what
the batch or the cache has room for, there is none: the engine is overloaded. Times that are all
lower settle lower: floors of steps give floors of what is settled at. A pipeline of p stages has p
batches under way, each with a p-th of the rate.

A request waits for the rest of the step under way, E[T^2] / (2 E[T]), and behind others, which
makes it 1 / (1 - rho) times as long (as in an M/G/1 queue, by Pollaczek and Khinchine), where rho
is r times what a prompt adds to the seconds of full steps; then for its own k chunks. What a late
request waits is that mean by -ln of the part that waits longer, as of an exponential tail.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

STEPS = 400
"""Iterations at most; what has not settled then is taken as overloaded."""
CLOSE = 1e-6
"""Relative change at which an iteration stops."""


@dataclass(frozen=True, eq=False)
class Table:
    """Seconds and joules of an engine's steps, by sequences that decode and chunks that are read.

    `decodes` and `chunks` grow; those of `chunks` begin with 0. Arrays are (decodes, chunks). A
    chunk has `chunk` tokens, a prompt `each` chunks. `kv_tokens` is what the cache holds, `ranks`
    devices groups that attend apart (data parallel), `stages` those of a pipeline; a step computes
    `queries` tokens of a sequence and `makes` so many.
    """

    decodes: NDArray[np.float64]
    chunks: NDArray[np.float64]
    seconds: NDArray[np.float64]
    joules: NDArray[np.float64]
    chunk: int
    each: int
    kv_tokens: float
    ranks: int = 1
    stages: int = 1
    queries: int = 1
    makes: float = 1.0

    def at(self, decodes: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Seconds and joules by chunks, at so many sequences, which may be a mean."""
        place = float(np.clip(decodes, self.decodes[0], self.decodes[-1]))
        upper = int(np.clip(np.searchsorted(self.decodes, place), 1, len(self.decodes) - 1))
        low, high = self.decodes[upper - 1], self.decodes[upper]
        part = (place - low) / (high - low)
        seconds = self.seconds[upper - 1] * (1 - part) + self.seconds[upper] * part
        return seconds, self.joules[upper - 1] * (1 - part) + self.joules[upper] * part


@dataclass(frozen=True)
class Limits:
    """What an engine is started with: tokens of a step, and sequences at a time, on each rank.

    Sequences are those of all batches that a pipeline has under way.
    """

    tokens: int
    sequences: int


@dataclass(frozen=True)
class Settled:
    """What an engine settles at; all of it per engine.

    `concurrency` sequences decode; `tpot_s` is a step's mean, by token; `ttft_s` the mean, and
    `ttft_late_s` what a late request waits. `power_w` is of all its devices; `prompts_share` of the
    seconds are what prompts add to steps. `load` is rho.
    """

    concurrency: float
    tpot_s: float
    ttft_s: float
    ttft_late_s: float
    power_w: float
    prompts_share: float
    load: float


def settle(
    table: Table,
    rate_per_s: float,
    output: int,
    context: int,
    limits: Limits,
    *,
    percentile: int = 95,
    room: float = 2.0,
) -> Settled | None:
    """Where an engine settles at a rate; None where it is overloaded.

    `room` is how many standard deviations (of a Poisson count) sequences have above their mean
    before they fill the batch or the cache; 0 for floors.
    """
    rate = rate_per_s / table.stages
    most = min(limits.sequences * table.ranks / table.stages, table.decodes[-1])
    held = min(most, table.kv_tokens / table.stages / context)
    first, _ = table.at(0.0)
    step = float(first[0])
    for _ in range(STEPS):
        count = rate * (output - 1) / table.makes * step
        if count + room * math.sqrt(count) > held:
            return None
        slots = _slots(table, limits, count)
        arrivals = rate * table.each * step
        if arrivals >= slots:
            return None
        seconds, joules = table.at(count)
        chances = _binomial(slots, arrivals / slots)
        numbers = np.arange(slots + 1)
        times = np.interp(numbers, table.chunks, seconds)
        after = float(chances @ times)
        if abs(after - step) <= CLOSE * step:
            break
        step = max(step, after)
    else:
        return None
    square = float(chances @ times**2)
    used = rate * table.each * float(times[-1] - times[0]) / slots
    if used >= 1:
        return None
    wait = square / (2 * step * (1 - used))
    reading = table.each * float(np.interp(max(1.0, arrivals), numbers, times))
    drawn = float(chances @ np.interp(numbers, table.chunks, joules)) / step
    alone = float(seconds[0])
    return Settled(
        concurrency=count * table.stages,
        tpot_s=step / table.makes,
        ttft_s=wait + reading,
        ttft_late_s=wait * math.log(100 / (100 - percentile)) + reading,
        power_w=drawn * table.stages,
        prompts_share=max(0.0, 1 - alone / step),
        load=used,
    )


def _slots(table: Table, limits: Limits, count: float) -> int:
    """Chunks that a step has room for, beside the sequences that decode; one at the least."""
    left = limits.tokens - count * table.queries / table.ranks
    mine = max(1, math.floor(left / table.chunk + 1e-9))
    return int(min(mine * table.ranks, table.chunks[-1]))


def _binomial(trials: int, chance: float) -> NDArray[np.float64]:
    """Chances of 0 to `trials` successes."""
    found = np.empty(trials + 1)
    if chance <= 0:
        found[:] = 0.0
        found[0] = 1.0
        return found
    logs = math.log(chance), math.log1p(-chance)
    for number in range(trials + 1):
        ways = math.lgamma(trials + 1) - math.lgamma(number + 1) - math.lgamma(trials - number + 1)
        found[number] = math.exp(ways + number * logs[0] + (trials - number) * logs[1])
    return found
