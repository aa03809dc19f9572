"""Ranks of a collective: one number of them, and what each of their links carries."""

from typing import cast

import numpy as np

from hwmodel.network.algorithms import check
from hwmodel.quantity.errors import InputError
from hwmodel.quantity.units import Amount


def bus_bandwidth(op: str, size_bytes: Amount, ranks: Amount, time_s: Amount) -> Amount:
    """Bytes/s that each link carried, from a collective's size and time (nccl-tests, `busbw`).

    Comparable with the link's bandwidth whatever the number of ranks.
    """
    check(op)
    whole = {"all_reduce": 2 * (ranks - 1) / ranks, "p2p": 1.0, "broadcast": 1.0}
    share = whole.get(op, (ranks - 1) / ranks)
    return size_bytes / time_s * share


def one_number(ranks: Amount, where: str) -> int:
    """Ranks as the one whole number that a topology can place; `InputError` for several."""
    if np.ndim(ranks) == 0:
        return int(cast(float, ranks))
    different = np.unique(np.asarray(ranks))
    if len(different) == 1:
        return int(different[0])
    raise InputError(
        f"{where}: expected one number of them on a topology, found {len(different)} of them; walk"
        " them one by one"
    )
