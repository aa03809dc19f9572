"""A warm L2: work that is repeated finds some of its bytes in the cache.

Layers of models are timed by repeating them: on the same activations again and again, with the
weights of `LAYERS` layers in turn, as a model that runs would. (Inferred from published rows: on an
L40S, whose L2 holds 101 MB, weights of up to 12 MB are found again and those from 17 MB on are not,
while activations of 63 MB are.) So bytes come back after one repetition, or after several.

Lines that miss replace others, at random since addresses are hashed. If a repetition misses m bytes
of an L2 that holds C, each line outlives it with probability exp(-m / C), so that bytes s_t which
come back after n_t repetitions are found with probability h_t, and m is what is not found:

    h_t = exp(-n_t m / C)          m = sum over t of s_t (1 - h_t)

All is found (m = 0) where sum n_t s_t <= C; of one working set of 2 C, a share of 0.2 (derived:
cyclic accesses under random replacement). What is found does not cross the DRAM's boundary, written
lines included; it is read through the L2 as before, and its latency is the L2's.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from hwmodel.einsum.counts import footprint_bytes
from hwmodel.machines.gpu.lower import Call
from hwmodel.machines.gpu.rates import LATE
from hwmodel.quantity.arithmetic import most, where
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Activity, Overlap, Serial, Work

LAYERS = 6
"""Layers whose weights are used in turn."""

SERVED = ("dram", "engine")
"""Levels whose bytes the L2 serves instead: the DRAM, however it is read."""

STEPS = 40
"""Of Newton's method, which comes from above; it is slow only where nearly all is found."""


def touched_bytes(calls: Sequence[Call]) -> tuple[Amount, Amount]:
    """Bytes that calls read and write, each tensor once: activations, and weights."""
    sizes: dict[tuple[bool, str], Amount] = {}
    for call in calls:
        work = call.work
        for name in (*work.inputs, *(work.outputs or (work.einsums[-1].name,))):
            size = where(np.asarray(call.times) > 0, footprint_bytes(name, work), 0)
            key = work.tensors[name].role == "weight", name
            sizes[key] = most((sizes[key], size)) if key in sizes else size
    each = (sum(n for (weight, _), n in sizes.items() if weight is w) for w in (False, True))
    activations, weights = each
    return activations, weights


def repeated(calls: Sequence[Call]) -> tuple[Call, ...]:
    """The same calls where they run again and again."""
    touched = touched_bytes(calls)
    return tuple(replace(call, touched_bytes=touched) for call in calls)


def found_again(touched_bytes: tuple[Amount, Amount], capacity_bytes: Amount) -> Amount:
    """Share of the bytes (activations, weights) that the L2 still holds when they come back.

    >>> found_again((30e6, 5e6), 60e6)
    1.0
    >>> round(found_again((120e6, 0), 60e6), 3)
    0.203
    """
    once, in_turn = (np.asarray(size, dtype=np.float64) for size in touched_bytes)
    capacity = np.asarray(capacity_bytes, dtype=np.float64)
    every = once + in_turn
    missed: Any = every / capacity
    for _ in range(STEPS):
        kept, rarely = np.exp(-missed), np.exp(-LAYERS * missed)
        beyond = (once * (1 - kept) + in_turn * (1 - rarely)) / capacity - missed
        slope = (once * kept + LAYERS * in_turn * rarely) / capacity - 1
        missed = most((0.0, missed - beyond / np.minimum(slope, -1e-9)))
    fits = once + LAYERS * in_turn <= capacity
    share = where(fits, 1.0, 1 - missed * capacity / most((every, 1.0)))
    return float(share) if np.ndim(share) == 0 else share


def served(activity: Activity, share: Amount) -> Activity:
    """The activity where a share of what crosses the DRAM's boundary is in the L2 already."""
    if isinstance(activity, Work):
        return _served(activity, share)
    if isinstance(activity, (Serial, Overlap)):
        return replace(activity, children=tuple(served(c, share) for c in activity.children))
    return replace(activity, child=served(activity.child, share))


def _served(work: Work, share: Amount) -> Work:
    slots = dict(work.slots)
    for name in LATE.keys() & slots.keys():
        count = slots.pop(name)
        slots[name] = count * (1 - share)
        slots[LATE[name]] = count * share
    return Work(
        operations=work.operations,
        read=_less(work.read, share),
        written=_less(work.written, share),
        messages=work.messages,
        atomics=work.atomics,
        live=work.live,
        slots=slots,
    )


def _less(moved: Any, share: Amount) -> dict[str, Amount]:
    return {level: n * (1 - share) if level in SERVED else n for level, n in moved.items()}
