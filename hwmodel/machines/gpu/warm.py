"""A warm L2: work that is repeated finds some of its bytes in the cache.

Layers of models are timed by repeating them: on the same activations again and again, with the
weights of `LAYERS` layers in turn, as a model that runs would. (Inferred from published rows: on an
L40S, whose L2 holds 101 MB, weights of up to 12 MB are found again and those from 17 MB on are not,
while activations of 63 MB are.) So bytes come back after one repetition, or after several.

Two laws, by what the rows show. Of activations (a bytes) lines that miss replace others at random,
since addresses are hashed: if a repetition misses m bytes of an L2 that holds C, each line outlives
it with probability exp(-m / C). Weights (w bytes), which all processors read, are found again up to
a size and not beyond it, as where the least recently used is replaced:

    h_a = exp(-m / C)                                      m = a (1 - h_a) + w (1 - h_w)
    h_w = 1 / (1 + ((a + LAYERS w) / (HELD C / copies))^SHARPNESS)

where an L2 whose partitions each keep what their processors read has two `copies` of them
(`Memory.copies`): weights of six layers are found again up to half of the L2 of an A100, H100 or
B200, and up to all of an L40S's or RTX PRO 6000's. What is found does not cross the DRAM's
boundary, written lines included; it is read through the L2 as before, and its latency is the L2's.

Timings of some engines take activations in turn as well (`Library.rotated`): their bytes then come
back as weights do.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from hwmodel.einsum.counts import footprint_bytes
from hwmodel.machines.gpu.lower import Call
from hwmodel.machines.gpu.rates import LATE
from hwmodel.quantity.arithmetic import most, power, where
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Activity, Overlap, Serial, Work

LAYERS = 6
"""Layers whose weights are used in turn."""

ROUTED = "grouped"
"""Schedule of experts, of which one layer's are repeated: their weights come back after one
repetition (published rows of an RTX PRO 6000 read those of experts that eight tokens choose, 98 MB,
from the L2, and rows of an L40S a part of them)."""

SERVED = ("dram", "engine")
"""Levels whose bytes the L2 serves instead: the DRAM, however it is read."""

HELD, SHARPNESS = 0.9, 6
"""Share of a copy's capacity that weights fill; how suddenly it is full (fitted: published products
of cuBLAS in bf16 on A100, H100, B200, L40S and RTX PRO 6000)."""

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


def repeated(calls: Sequence[Call], rotated: bool = False) -> tuple[Call, ...]:
    """The same calls where they run again and again: on the same activations, or `rotated` ones."""
    activations, weights = touched_bytes(calls)
    layers = 1 if any(call.schedule == ROUTED for call in calls) else LAYERS
    if rotated or any(call.library.rotated for call in calls):
        activations, weights = 0 * activations, activations + weights
    return tuple(replace(call, touched_bytes=(activations, weights, layers)) for call in calls)


def found_again(
    touched_bytes: tuple[Amount, Amount, int], capacity_bytes: Amount, copies: Amount = 1
) -> Amount:
    """Share of the bytes that the L2 still holds when they come back.

    `touched_bytes` are activations, weights, and how many layers' weights are used in turn.

    >>> round(found_again((30e6, 5e6, LAYERS), 120e6), 3)
    0.995
    >>> round(found_again((120e6, 0, LAYERS), 60e6), 3)
    0.203
    """
    once, in_turn = (np.asarray(size, dtype=np.float64) for size in touched_bytes[:2])
    capacity = np.asarray(capacity_bytes, dtype=np.float64)
    every = once + in_turn
    filled = (once + touched_bytes[2] * in_turn) / (HELD * capacity / copies)
    turned = in_turn / (1 + power(1 / most((filled, 1e-9)), SHARPNESS))
    missed: Any = every / capacity
    for _ in range(STEPS):
        kept = np.exp(-missed)
        beyond = (once * (1 - kept) + turned) / capacity - missed
        slope = once * kept / capacity - 1
        missed = most((0.0, missed - beyond / np.minimum(slope, -1e-9)))
    share = where(every > 0, 1 - missed * capacity / most((every, 1.0)), 1.0)
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
