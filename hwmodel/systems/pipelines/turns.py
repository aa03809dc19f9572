"""Schedules whose ranks take turns, a forward and a backward pass: all ranks at once, slot by slot.

After so many forwards to warm up (`warm`) a rank does one forward and one backward pass in turn.
With p ranks and v chunks a rank, rank r's forward pass u of all that it does (chunk after chunk, in
groups of p micro-batches) and its backward pass k stand in the slots

    F   2 (u - warm_r) + a_r        B   2 k + 1 + a_r        a_r = (p - 1 - r) (1 if v = 1 else 2)

What a pass needs is what the rank before (F) or after it (B) did last in slots before, round the
ring of ranks where chunks follow each other: with warm_r = p - 1 - r and one chunk (1F1B) that is
one slot earlier, with (v - 1) p + 2 (p - 1 - r) (interleaved; Narayanan et al., arXiv 2104.04473)
two slots. So the ranks of a slot do not wait for each other, and are one array.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Numbers: TypeAlias = NDArray[np.int64]
Array: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class Turns:
    """1F1B (one chunk), or interleaved, of micro-batches in multiples of the ranks."""

    ranks: int
    chunks: int
    micro_batches: int

    @property
    def count(self) -> int:
        """Forward passes of a rank."""
        return self.micro_batches * self.chunks

    def warm(self, rank: int) -> int:
        """Forward passes before the first backward pass, where there are so many."""
        left = self.ranks - 1 - rank
        several = left if self.chunks == 1 else (self.chunks - 1) * self.ranks + 2 * left
        return min(several, self.count)

    def under_way(self, rank: int) -> list[int]:
        """By chunk: micro-batches whose forward pass a rank has done before its first backward."""
        each = self.ranks * self.chunks
        rounds, left = divmod(min(self.warm(rank) + 1, self.count), each)
        more = (min(max(left - chunk * self.ranks, 0), self.ranks) for chunk in range(self.chunks))
        return [rounds * self.ranks + n for n in more]

    def order(self, rank: int) -> tuple[Numbers, Numbers, Numbers]:
        """Of a rank's passes in order: whether backward (0, 1), the chunk, the micro-batch."""
        units = np.arange(self.count, dtype=np.int64)
        first = self.warm(rank)
        chunk = units // self.ranks % self.chunks
        batch = units // (self.ranks * self.chunks) * self.ranks + units % self.ranks
        forward = units + np.maximum(0, units - first)
        backward = units + np.minimum(self.count, first + units + 1)
        found = np.empty((3, 2 * self.count), dtype=np.int64)
        found[:, forward] = 0 * units, chunk, batch
        found[:, backward] = 0 * units + 1, self.chunks - 1 - chunk, batch
        return found[0], found[1], found[2]

    def slots(self) -> Iterator[tuple[int, bool, slice, int]]:
        """Slots in order: which, whether backward, its ranks, and the first rank's pass."""
        p, n, one = self.ranks, self.count, self.chunks == 1
        step, far = (2, 1) if one else (1, 2)
        begin = 1 - p if one else -2 * (self.chunks * p - 1)
        for slot in range(begin, 2 * n + far * (p - 1)):
            if one or slot % 2 == 0:
                # With u = (slot + top - step r) / 2 from n - 1 down to 0.
                top = slot + p - 1 if one else slot // 2 + self.chunks * p - 1
                yield from _ranks(slot, False, top - step * (n - 1), top, step, p)
            if one or slot % 2:
                # With k = (r - low) / step from 0 up to n - 1.
                low = p - slot if one else p - 1 - (slot - 1) // 2
                yield from _ranks(slot, True, low, low + step * (n - 1), step, p)

    def timed(
        self, forward_s: Array, backward_s: Array, transfer_s: float
    ) -> tuple[list[Array], list[Array]]:
        """Start and end of each rank's passes in order; seconds by chunk and rank."""
        p, several = self.ranks, self.chunks > 1
        # When what a rank's next pass needs has come: of F at [rank], of B at [rank + 1].
        down, up, free = np.zeros(p + 1), np.zeros(p + 1), np.zeros(p)
        begin = min(slot for slot, *_ in self.slots())
        last = 2 * self.count + 2 * p
        starts = np.full((last - begin, p), np.nan)
        ends = np.full((last - begin, p), np.nan)
        for slot, back, ranks, unit in self.slots():
            lows, highs, step = ranks.start, ranks.stop, ranks.step
            came, seconds = (
                (up[lows + 1 : highs + 1 : step], backward_s)
                if back
                else (down[lows:highs:step], forward_s)
            )
            if several:
                places: Numbers = np.arange(highs - lows, dtype=np.int64)
                chunk: Numbers = (unit + places if back else unit - places) // p % self.chunks
                chunk = self.chunks - 1 - chunk if back else chunk
                took = seconds[chunk, np.arange(lows, highs)]
            else:
                took = seconds[0, ranks]
            start = np.maximum(free[ranks], came)
            end = start + took
            free[ranks] = end
            starts[slot - begin, ranks], ends[slot - begin, ranks] = start, end
            told = end + transfer_s
            if back:
                up[lows:highs:step] = told
            else:
                down[lows + 1 : highs + 1 : step] = told
            if several:
                self._round(back, slot, down, up)
        found = [~np.isnan(starts[:, rank]) for rank in range(p)]
        return (
            [starts[mine, rank] for rank, mine in enumerate(found)],
            [ends[mine, rank] for rank, mine in enumerate(found)],
        )

    def _round(self, back: bool, slot: int, down: Array, up: Array) -> None:
        """What the last rank made goes to the first one's next chunk, and back."""
        p, chunks = self.ranks, self.chunks
        if back:  # of the last rank, two slots on
            unit = (slot + 1) // 2
            up[p] = up[0] if unit // p % chunks else 0.0
        else:
            unit = slot // 2 + 1 + chunks * p - 1
            down[0] = down[p] if unit // p % chunks else 0.0


def _ranks(
    slot: int, back: bool, low: int, high: int, step: int, ranks: int
) -> Iterator[tuple[int, bool, slice, int]]:
    """The ranks from `low` to `high` in steps, of those that there are; the first one's pass."""
    first = low if low >= 0 else low % step
    last = min(high, ranks - 1)
    if first <= last:
        unit = (first - low) // step if back else (high - first) // step
        yield slot, back, slice(first, last + 1, step), unit
