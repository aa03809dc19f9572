"""A layer of experts with weights in DRAM: token by token, or expert by expert.

On-chip memory holds one expert or two, not all. In *token order* every token fetches the weights
of each of its k experts. In *expert order* (M3ViT, NeurIPS 2022, arXiv 2210.14793; Edge-MoE, ICCAD
2023) all tokens are gated first and queued by expert; then each expert with a queue is loaded once,
the next one arriving in a second buffer while this one computes:

    token order    k N W bytes
    expert order   W bytes for each expert with a queue            ratio kN / E if all have one
    time           W_0 / BW + sum over e of max(n_e work / P, W_e+1 / BW)

N tokens, E experts, W bytes of one expert, n_e its queue (sum kN), work its operations a row. The
trees below hold counts; the fold gives the times.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwmodel.einsum.cascade import Distribution
from hwmodel.einsum.distribution import chances
from hwmodel.quantity.errors import CoverageError, InputError
from hwmodel.spine.activity import Activity, Operation, Overlap, Repeat, Serial, Work

NEGLIGIBLE = 1e-12
"""Queue lengths that fewer than so many experts have are left out."""


@dataclass(frozen=True)
class Experts:
    """One layer of equal experts: `flop` operations of `unit` on each row, weights in DRAM."""

    experts: int
    weight_bytes: float
    flop: int
    unit: tuple[str, str]
    row_bytes: float = 0.0
    """Bytes of activations that a row brings from and takes to the DRAM."""

    def compute(self, rows: float) -> Work:
        """An expert's work on its queue."""
        operations: dict[Operation, float] = {
            (self.unit[0], "flop", self.unit[1]): rows * self.flop
        }
        moved = rows * self.row_bytes / 2
        return Work(operations=operations, read={"dram": moved}, written={"dram": moved})

    def load(self) -> Work:
        """One expert's weights on their way in."""
        return Work(read={"dram": self.weight_bytes})

    @property
    def buffer_bytes(self) -> float:
        """Weight buffers in expert order: the expert at work, and the next."""
        return 2 * self.weight_bytes

    @property
    def resident_bytes(self) -> float:
        """Weight buffers that spare every reload in token order: all experts."""
        return self.experts * self.weight_bytes


def queue_bytes(tokens: int, experts: int, entry_bytes: int) -> int:
    """Queues of token and score for the worst routing: every expert might get every token.

    Edge-MoE allocates both as [experts][tokens] arrays.
    """
    return experts * tokens * entry_bytes


def token_order(layer: Experts, rows: int) -> Activity:
    """Every row loads its expert; the next load runs while this row computes."""
    if rows < 1:
        raise InputError(f"experts: expected one row or more, found {rows}")
    row = layer.compute(1)
    buffers = Work(live={"bram": layer.buffer_bytes})
    inner = Repeat(rows - 1, Overlap((row, layer.load())))
    return Overlap((buffers, Serial((layer.load(), inner, row))))


def expert_order(layer: Experts, queues: Sequence[int]) -> Activity:
    """Every expert with a queue loads once; `queues` are the rows of each, in order."""
    busy = [rows for rows in queues if rows]
    if len(queues) != layer.experts or not busy or min(queues) < 0:
        raise InputError(
            f"experts: expected a queue length of 0 or more for each of {layer.experts} experts,"
            f" one above 0, found {list(queues)}"
        )
    steps: list[Activity] = [layer.load()]
    steps += [Overlap((layer.compute(rows), layer.load())) for rows in busy[:-1]]
    steps.append(layer.compute(busy[-1]))
    return _buffered(layer, steps)


def expected_expert_order(layer: Experts, spread: Distribution) -> Activity:
    """Expert order over random queues: E[max(compute, load)], queue length by queue length.

    The last expert with a queue has nothing left to load.
    Raises `CoverageError` for arrays of sizes unless the routing is balanced.
    """
    draws, picks, experts = spread.draws, spread.picks, layer.experts
    if not isinstance(draws, int) or not isinstance(picks, int):
        raise CoverageError("experts: expected one number of tokens and of picks, found an array")
    if spread.kind == "balanced":
        rows, more = divmod(draws * picks, experts)
        return expert_order(layer, [rows + 1] * more + [rows] * (experts - more))
    steps: list[Activity] = [layer.load()]
    for rows, (followed, last) in expected_queues(spread, experts).items():
        both = Overlap((layer.compute(rows), layer.load()))
        steps.append(Repeat(followed, both))
        steps.append(Repeat(last, layer.compute(rows)))
    return _buffered(layer, steps)


def expected_queues(spread: Distribution, experts: int) -> dict[int, tuple[float, float]]:
    """Expected number of experts with a queue of each length: (with another after it, the last).

    Loads are binomial, and taken as independent of each other.
    """
    tokens = spread.draws
    assert isinstance(tokens, int)
    each: NDArray[np.float64] = np.broadcast_to(chances(spread, experts), (experts,))
    chance: NDArray[np.float64] = each[:, None]
    lengths = np.arange(1, tokens + 1)
    logs = np.cumsum(np.log(np.maximum(np.arange(tokens + 1), 1)))  # of the factorials
    ways = logs[tokens] - logs[lengths] - logs[tokens - lengths]
    with np.errstate(divide="ignore", invalid="ignore"):
        powers = lengths * np.log(chance) + (tokens - lengths) * np.log1p(-chance)
        likely = np.exp(ways + powers)
    shares: Any = np.where(chance >= 1, np.where(lengths == tokens, 1.0, 0.0), likely)
    idle = (1 - each[::-1]) ** tokens
    none_after: Any = np.append(np.cumprod(idle)[::-1][1:], 1.0)
    last: Any = none_after @ shares
    followed: Any = np.sum(shares, axis=0) - last
    return {
        int(n): (float(more), float(end))
        for n, more, end in zip(lengths, followed, last, strict=True)
        if more + end > NEGLIGIBLE
    }


def _buffered(layer: Experts, steps: Sequence[Activity]) -> Activity:
    return Overlap((Work(live={"bram": layer.buffer_bytes}), Serial(tuple(steps))))
