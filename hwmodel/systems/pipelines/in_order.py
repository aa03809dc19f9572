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

import numpy as np

from hwmodel.quantity.errors import InputError
from hwmodel.systems.pipelines.schedule import (
    BW,
    B,
    Codes,
    F,
    Schedule,
    W,
    at_least,
    in_turn,
    looped,
    numbered,
)
from hwmodel.systems.pipelines.turns import Turns


def gpipe(ranks: int, micro_batches: int) -> Schedule:
    """All forward, then all backward."""
    at_least("micro_batches", micro_batches, 1)
    layout = looped(ranks)

    def written(rank: int) -> Codes:
        keys = np.repeat([F * ranks + rank, BW * ranks + rank], micro_batches)
        return numbered(layout, micro_batches, keys[:, None])

    return Schedule("gpipe", layout, micro_batches, [written(rank) for rank in range(ranks)])


def one_f_one_b(ranks: int, micro_batches: int) -> Schedule:
    """1F1B with a flush."""
    at_least("micro_batches", micro_batches, 1)
    return in_turn("1f1b", looped(ranks), Turns(ranks, 1, micro_batches))


def interleaved(ranks: int, chunks: int, micro_batches: int) -> Schedule:
    """1F1B over several chunks a rank; micro-batches in multiples of the ranks."""
    at_least("chunks", chunks, 2)
    if micro_batches % ranks:
        raise InputError(
            f"interleaved: expected a multiple of {ranks} micro-batches, found {micro_batches}"
        )
    at_least("micro_batches", micro_batches, 1)
    return in_turn("interleaved", looped(ranks, chunks), Turns(ranks, chunks, micro_batches))


def zb_h1(ranks: int, micro_batches: int, chunks: int = 1) -> Schedule:
    """Weight gradients apart, in the memory of 1F1B; over several chunks a rank as well.

    Forwards to warm up, then one forward and one backward; a weight gradient follows each backward
    of rank r but its first r.
    """
    at_least("micro_batches", micro_batches, 1)
    layout, stages = looped(ranks, chunks), ranks * chunks
    forwards = np.array(_chunk_order(ranks, chunks, micro_batches), dtype=np.int64)
    number = np.arange(len(forwards))

    def written(rank: int) -> Codes:
        first = min((chunks - 1) * ranks + ranks - 1 - rank, len(forwards))
        held = np.asarray(layout.stages[rank])
        ahead, back = held[forwards], held[chunks - 1 - forwards]
        keys = np.concatenate([F * stages + ahead, B * stages + back, W * stages + back])
        turn = np.concatenate([3 * (number - first), 3 * number + 1, 3 * (number + rank) + 2])
        return numbered(layout, micro_batches, keys[np.argsort(turn), None])

    return Schedule("zb-h1", layout, micro_batches, [written(rank) for rank in range(ranks)])


def _chunk_order(ranks: int, chunks: int, micro_batches: int) -> list[int]:
    """Chunks of a rank's forward passes in turn: each for as many micro-batches as ranks."""
    groups = range(0, micro_batches, ranks)
    return [
        chunk
        for first in groups
        for chunk in range(chunks)
        for _ in range(min(ranks, micro_batches - first))
    ]
