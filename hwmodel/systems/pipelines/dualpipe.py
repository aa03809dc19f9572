"""Schedules that run a forward and a backward pass at once, each in the other's waits for messages.

    dualpipe     two chains of stages from both ends of the ranks, half the micro-batches in each;
                 every rank holds two stages, twice the weights (DeepSeek-V3, arXiv 2412.19437)
    dualpipe-v   the same cut in half: stages in a V over half the ranks, weights once

The orders are those of deepseek-ai/DualPipe, in its eight steps. With p ranks in a V, equal stages
and a pair that takes FB, a rank waits (p - 1)(FB + BW - 3 W); dualpipe is p / 2 ranks of that.
"""

from hwmodel.quantity.errors import InputError
from hwmodel.systems.pipelines.schedule import (
    BW,
    B,
    Entry,
    F,
    Layout,
    Order,
    Schedule,
    W,
    both_ends,
    in_a_v,
)


def dualpipe(ranks: int, micro_batches: int) -> Schedule:
    """Both ends; even numbers of ranks and micro-batches, at least two of these for each rank."""
    if ranks % 2 or micro_batches % 2 or micro_batches < 2 * ranks:
        raise InputError(
            "dualpipe: expected an even number of ranks, and of micro-batches twice as many or"
            f" more, found {ranks} and {micro_batches}"
        )
    layout, half = both_ends(ranks), ranks // 2
    orders: list[tuple[Entry, ...]] = []
    for rank in range(ranks):
        near, far = layout.stages[rank]
        mirrored = min(rank, ranks - 1 - rank)
        first, second = (near, far) if rank < half else (far, near)
        orders.append(_steps(layout, first, second, mirrored, half, micro_batches // 2))
    return Schedule("dualpipe", layout, micro_batches // 2, tuple(orders))


def dualpipe_v(ranks: int, micro_batches: int) -> Schedule:
    """Stages in a V; at least two micro-batches for each rank."""
    if micro_batches < 2 * ranks:
        raise InputError(
            f"dualpipe-v: expected {2 * ranks} micro-batches or more, found {micro_batches}"
        )
    layout = in_a_v(ranks)
    orders: list[tuple[Entry, ...]] = []
    for rank, (first, second) in enumerate(layout.stages):
        orders.append(_steps(layout, first, second, rank, ranks, micro_batches))
    return Schedule("dualpipe-v", layout, micro_batches, tuple(orders))


def _steps(
    layout: Layout, first: int, second: int, place: int, places: int, each: int
) -> tuple[Entry, ...]:
    """One rank's order: `place` of `places` from where its first stage's micro-batches enter."""
    order = Order(layout, each)
    behind = places - place - 1
    for _ in range(2 * behind):
        order.add((F, first))
    for _ in range(place + 1):
        order.add((F, first))
        order.add((F, second))
    for _ in range(behind):
        order.add((B, second))
        order.add((W, second))
        order.add((F, second))
    for number in range(each - 2 * places + place + 1):
        if number == 0 and behind == 0:
            # The middle: its backward pass waits for the very forward pass beside it.
            order.add((F, first))
            order.add((BW, second))
        else:
            order.add((F, first), (BW, second))
        order.add((F, second), (BW, first))
    for _ in range(behind):
        order.add((BW, second))
        order.add((F, second), (BW, first))
    parted = False
    left: list[tuple[int, int]] = []
    for number in range(place + 1):
        if number == (place + 1) // 2 and place % 2 == 1:
            parted = True
        order.add((B if parted else BW, second))
        left += [(W, second)] if parted else []
        if number == (place + 1) // 2 and place % 2 == 0:
            parted = True
        order.add((B if parted else BW, first))
        left += [(W, first)] if parted else []
    for _ in range(behind):
        order.add(left.pop(0))
        order.add((B, first))
        left.append((W, first))
    for weight in left:
        order.add(weight)
    return tuple(order.entries)
