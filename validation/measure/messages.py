"""Which collectives are measured, and what their times mean: sizes by seed, and the slowest rank.

Sizes are log-uniform from 1 KiB to 1 GiB, drawn one to a stratum: three a decade are aligned
(multiples of 512 B a rank, of 16 B below 64 KiB), two a decade are odd (any number of elements).
A round holds every operation; further rounds draw anew. `bytes` is counted as nccl-tests does
(`hwmodel.network.switch.collective`). The element is bf16, 2 bytes. Units: bytes, seconds.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

ITEM_BYTES = 2
LEAST_BYTES, MOST_BYTES = 1 << 10, 1 << 30
DECADES = math.log10(MOST_BYTES / LEAST_BYTES)
ALIGNED_A_DECADE, ODD_A_DECADE = 3, 2
ALIGNMENT_BYTES, SMALL_ALIGNMENT_BYTES, SMALL_BYTES = 512, 16, 1 << 16
OPERATIONS = ("all_reduce", "all_gather", "reduce_scatter", "all_to_all", "p2p")
COMMON_BYTES = (1 << 10, 1 << 14, 1 << 18, 1 << 22, 1 << 26, 1 << 30)
"""Sizes that every sitting measures, so that boards and days can be compared."""


@dataclass(frozen=True)
class Message:
    """One collective to measure; `anchor` where every sitting measures it."""

    op: str
    bytes: int
    anchor: bool = False


@dataclass(frozen=True)
class Slowest:
    """Seconds of one call on the slowest rank: median, 10th and 90th percentile over replays."""

    time_s: float
    p10_s: float
    p90_s: float


def anchors(operations: Sequence[str] = OPERATIONS) -> list[Message]:
    """The fixed sizes of every operation."""
    return [Message(op, size, anchor=True) for op in operations for size in COMMON_BYTES]


def drawn(seed: int, ranks: int, operations: Sequence[str] = OPERATIONS) -> Iterator[Message]:
    """Rounds of drawn sizes without end, each round in an order of its own."""
    rng = np.random.default_rng([seed, *b"collective"])
    while True:
        cases = [
            Message(op, size)
            for op in operations
            for odd in (False, True)
            for size in _stratified(rng, op, ranks, odd)
        ]
        yield from (cases[i] for i in rng.permutation(len(cases)))


def _stratified(rng: np.random.Generator, op: str, ranks: int, odd: bool) -> list[int]:
    """One size in each stratum of the logarithmic range, rounded to what the operation divides."""
    strata = round(DECADES * (ODD_A_DECADE if odd else ALIGNED_A_DECADE))
    places = (np.arange(strata) + rng.random(strata)) / strata
    return [_rounded(LEAST_BYTES * 10 ** (DECADES * float(at)), op, ranks, odd) for at in places]


def _rounded(size: float, op: str, ranks: int, odd: bool) -> int:
    align = SMALL_ALIGNMENT_BYTES if size < SMALL_BYTES else ALIGNMENT_BYTES
    step = (ITEM_BYTES if odd else align) * divisor(op, ranks)
    return max(1, round(size / step)) * step


def divisor(op: str, ranks: int) -> int:
    """Into how many equal parts an operation cuts its buffer."""
    return 1 if op in ("all_reduce", "p2p") else ranks


def elements(op: str, size_bytes: int, ranks: int) -> tuple[int, int]:
    """Elements of a rank's input and output; in place for all_reduce and p2p, hence none out."""
    whole = size_bytes // ITEM_BYTES
    part = whole // divisor(op, ranks)
    return {
        "all_reduce": (whole, 0),
        "p2p": (whole, 0),
        "all_gather": (part, whole),
        "reduce_scatter": (whole, part),
        "all_to_all": (whole, whole),
    }[op]


def slowest(elapsed_s: ArrayLike, calls: int, replay_s: float = 0.0) -> Slowest:
    """Time of one call from the times of replays, shaped (ranks, replays), of `calls` calls each.

    A collective is over when its slowest rank is, so ranks are joined by their maximum, replay by
    replay, before the median. `replay_s`, the cost of an empty replay, is subtracted.
    """
    whole_s = np.max(np.asarray(elapsed_s, dtype=np.float64), axis=0)
    low, middle, high = np.percentile((whole_s - replay_s) / calls, [10, 50, 90])
    return Slowest(float(middle), float(low), float(high))


def empty_replay_s(counts: Sequence[int], whole_s: Sequence[float]) -> tuple[float, float]:
    """Cost of a replay without calls and of one more tiny call: a line through times of graphs."""
    each_s, empty_s = np.polyfit(counts, whole_s, 1)
    return max(float(empty_s), 0.0), float(each_s)
