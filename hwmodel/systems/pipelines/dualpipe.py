"""Schedules that run a forward and a backward pass at once, each in the other's waits for messages.

    dualpipe     two chains of stages from both ends of the ranks, half the micro-batches in each;
                 every rank holds two stages, twice the weights (DeepSeek-V3, arXiv 2412.19437)
    dualpipe-v   the same cut in half: stages in a V over half the ranks, weights once

The orders are those of deepseek-ai/DualPipe, in its eight steps. With p ranks in a V, equal stages
and a pair that takes FB, a rank waits (p - 1)(FB + BW - 3 W); dualpipe is p / 2 ranks of that.
"""

import numpy as np

from hwmodel.quantity.errors import InputError
from hwmodel.systems.pipelines.schedule import (
    BW,
    B,
    Codes,
    Entry,
    F,
    Layout,
    Schedule,
    W,
    both_ends,
    in_a_v,
    numbered,
)


def dualpipe(ranks: int, micro_batches: int) -> Schedule:
    """Both ends; even numbers of ranks and micro-batches, at least two of these for each rank."""
    if ranks % 2 or micro_batches % 2 or micro_batches < 2 * ranks:
        raise InputError(
            "dualpipe: expected an even number of ranks, and of micro-batches twice as many or"
            f" more, found {ranks} and {micro_batches}"
        )
    layout, half = both_ends(ranks), ranks // 2
    orders: list[Codes] = []
    for rank in range(ranks):
        near, far = layout.stages[rank]
        mirrored = min(rank, ranks - 1 - rank)
        first, second = (near, far) if rank < half else (far, near)
        orders.append(_steps(layout, first, second, mirrored, half, micro_batches // 2))
    return Schedule("dualpipe", layout, micro_batches // 2, orders)


def dualpipe_v(ranks: int, micro_batches: int) -> Schedule:
    """Stages in a V; at least two micro-batches for each rank."""
    if micro_batches < 2 * ranks:
        raise InputError(
            f"dualpipe-v: expected {2 * ranks} micro-batches or more, found {micro_batches}"
        )
    layout = in_a_v(ranks)
    orders: list[Codes] = []
    for rank, (first, second) in enumerate(layout.stages):
        orders.append(_steps(layout, first, second, rank, ranks, micro_batches))
    return Schedule("dualpipe-v", layout, micro_batches, orders)


def _steps(layout: Layout, first: int, second: int, place: int, places: int, each: int) -> Codes:
    """One rank's order: `place` of `places` from where its first stage's micro-batches enter."""
    stages = len(layout.rank)
    f, b, w, bw = ([kind * stages + stage for stage in (first, second)] for kind in (F, B, W, BW))
    behind = places - place - 1
    steady = each - 2 * places + place + 1
    entries = [(f[0],)] * (2 * behind) + [(f[0],), (f[1],)] * (place + 1)
    entries += [(b[1],), (w[1],), (f[1],)] * behind
    pair: list[Entry] = [(f[0], bw[1]), (f[1], bw[0])]
    if behind == 0:
        # The middle: its backward pass waits for the very forward pass beside it.
        entries += [(f[0],), (bw[1],), pair[1]]
        steady -= 1
    entries += pair * steady
    entries += [(bw[1],), pair[1]] * behind
    parted = False
    left: list[int] = []
    for number in range(place + 1):
        if number == (place + 1) // 2 and place % 2 == 1:
            parted = True
        entries.append((b[1] if parted else bw[1],))
        left += [w[1]] if parted else []
        if number == (place + 1) // 2 and place % 2 == 0:
            parted = True
        entries.append((b[0] if parted else bw[0],))
        left += [w[0]] if parted else []
    for _ in range(behind):
        entries += [(left.pop(0),), (b[0],)]
        left.append(w[0])
    entries += [(weight,) for weight in left]
    keys = np.array([(entry[0], entry[1] if len(entry) > 1 else -1) for entry in entries])
    return numbered(layout, each, keys)
