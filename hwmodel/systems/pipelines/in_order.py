"""Schedules whose orders are written down before anything is timed.

    gpipe         all micro-batches forward, then all backward (Huang et al., arXiv 1811.06965)
    1f1b          a rank warms up with as many forwards as ranks follow it, then one of each
                  (PipeDream-Flush, in Narayanan et al., arXiv 2104.04473)
    interleaved   the same over v chunks a rank, in groups of as many micro-batches as ranks (ibid.)
    zb-h1         1F1B whose weight gradients wait: rank r starts them after r backward passes, so
                  that none keeps more than p micro-batches (Qi et al., arXiv 2401.10241)

Bubbles of equal stages: GPipe and 1F1B (p - 1)(F + B + W); interleaved the same with the seconds of
a chunk; ZB-H1 (p - 1)(F + B - W).
"""

from hwmodel.quantity.errors import InputError
from hwmodel.systems.pipelines.schedule import (
    BW,
    B,
    Entry,
    F,
    Order,
    Schedule,
    W,
    at_least,
    looped,
)


def gpipe(ranks: int, micro_batches: int) -> Schedule:
    """All forward, then all backward."""
    at_least("micro_batches", micro_batches, 1)
    layout = looped(ranks)
    orders: list[tuple[Entry, ...]] = []
    for rank in range(ranks):
        order = Order(layout, micro_batches)
        for kind in (F, BW):
            for _ in range(micro_batches):
                order.add((kind, rank))
        orders.append(tuple(order.entries))
    return Schedule("gpipe", layout, micro_batches, tuple(orders))


def one_f_one_b(ranks: int, micro_batches: int) -> Schedule:
    """1F1B with a flush."""
    warm = [ranks - 1 - rank for rank in range(ranks)]
    return _alternating("1f1b", ranks, 1, micro_batches, warm)


def interleaved(ranks: int, chunks: int, micro_batches: int) -> Schedule:
    """1F1B over several chunks a rank; micro-batches in multiples of the ranks."""
    at_least("chunks", chunks, 2)
    if micro_batches % ranks:
        raise InputError(
            f"interleaved: expected a multiple of {ranks} micro-batches, found {micro_batches}"
        )
    warm = [(chunks - 1) * ranks + 2 * (ranks - 1 - rank) for rank in range(ranks)]
    return _alternating("interleaved", ranks, chunks, micro_batches, warm)


def zb_h1(ranks: int, micro_batches: int, chunks: int = 1) -> Schedule:
    """Weight gradients apart, in the memory of 1F1B; over several chunks a rank as well."""
    warm = [(chunks - 1) * ranks + ranks - 1 - rank for rank in range(ranks)]
    return _alternating("zb-h1", ranks, chunks, micro_batches, warm, parted=True)


def _alternating(
    name: str,
    ranks: int,
    chunks: int,
    micro_batches: int,
    warm: list[int],
    *,
    parted: bool = False,
) -> Schedule:
    """Forwards to warm up, then one forward and one backward, then backwards.

    Where weight gradients are `parted`, one follows each backward of rank r but its first r.
    """
    at_least("micro_batches", micro_batches, 1)
    layout = looped(ranks, chunks)
    forwards = _chunk_order(ranks, chunks, micro_batches)
    backwards = [chunks - 1 - chunk for chunk in forwards]
    orders: list[tuple[Entry, ...]] = []
    for rank in range(ranks):
        order = Order(layout, micro_batches)
        first = min(warm[rank], len(forwards))
        for chunk in forwards[:first]:
            order.add((F, layout.stages[rank][chunk]))
        weights = iter(backwards)
        for number, chunk in enumerate(backwards):
            if first + number < len(forwards):
                order.add((F, layout.stages[rank][forwards[first + number]]))
            order.add((B if parted else BW, layout.stages[rank][chunk]))
            if parted and number >= rank:
                order.add((W, layout.stages[rank][next(weights)]))
        if parted:
            for chunk in weights:
                order.add((W, layout.stages[rank][chunk]))
        orders.append(tuple(order.entries))
    return Schedule(name, layout, micro_batches, tuple(orders))


def _chunk_order(ranks: int, chunks: int, micro_batches: int) -> list[int]:
    """Chunks of a rank's forward passes in turn: each for as many micro-batches as ranks."""
    if chunks == 1:
        return [0] * micro_batches
    groups = range(0, micro_batches, ranks)
    return [
        chunk
        for first in groups
        for chunk in range(chunks)
        for _ in range(min(ranks, micro_batches - first))
    ]
