"""Expected cycles of a top-k engine that selects by random pivots, several comparators wide.

A pass compares all n candidates with a pivot, `width` of them a cycle, and leaves those on the side
of the k-th largest; SpAtten's engine (HPCA 2021, section IV-B; its published simulator) needs four
more cycles a pass. With distinct values every pivot is equally likely, hence

    E(n, k) = floor(n / width) + 4 + 1/n [ sum over r < k of E(n - r, k - r)
                                           + sum over r > k of E(r - 1, k) ]

where r is the pivot's rank. Both sums are running ones, so that a table costs n additions of rows.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from hwmodel.quantity.errors import InputError
from hwmodel.quantity.units import Amount

PASS_CYCLES = 4
"""Of one pass: comparators, elimination of zeros, FIFO, and the decision which side to keep."""


def passes_cycles(candidates: Amount, kept: Amount, width: int) -> Amount:
    """Expected cycles of all passes; arrays of sizes broadcast. No pass where all are kept."""
    n, k = np.broadcast_arrays(np.asarray(candidates), np.asarray(kept))
    if np.any((k < 1) | (k > n)):
        raise InputError(f"top-k: expected 1 <= kept <= candidates, found {kept} of {candidates}")
    pairs = {(int(a), int(b)) for a, b in zip(n.flat, k.flat, strict=True)}
    table = {pair: 0.0 if pair[0] == pair[1] else _expected(*pair, int(width)) for pair in pairs}
    answer = np.array([table[int(a), int(b)] for a, b in zip(n.flat, k.flat, strict=True)])
    return float(answer[0]) if n.ndim == 0 else answer.reshape(n.shape)


@lru_cache(maxsize=1024)
def _expected(n: int, k: int, width: int) -> float:
    """E(n, k); the k-th largest is found as fast as the k-th smallest."""
    k = min(k, n - k + 1)
    return float(_rows(n, k, width)[k])


def _rows(n: int, most: int, width: int) -> NDArray[np.float64]:
    """E(n, .) up to rank `most`, from one candidate upwards."""
    row = np.zeros(most + 1)
    below = np.zeros(most + 1)  # sums over r < k: along diagonals
    above = np.zeros(most + 1)  # sums over r > k: along columns
    for size in range(1, n + 1):
        if size > 1:
            diagonal = below + row
            below = np.concatenate(([0.0], diagonal[:-1]))
            below[:2] = 0.0
            above = above + row
        fresh = size // width + PASS_CYCLES + (below + above) / size
        row = np.where(np.arange(most + 1) <= size, fresh, 0.0)
        row[0] = 0.0
    return row
