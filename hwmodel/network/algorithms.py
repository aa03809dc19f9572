"""The table of collective algorithms: what each sends, in closed form and as rounds of messages.

On p ranks with a buffer of n bytes (counted as in `hwmodel.einsum.workloads.collective`) an
algorithm is, on one switch, `rounds` messages one after another, `messages` through the busiest
port, and `share` * n bytes through it in each direction:

    op              algorithm  rounds       messages    share        source
    all_gather      ring       p - 1        p - 1       (p - 1) / p  Thakur et al., 4.1
                    doubling   ceil(lg p)   ceil(lg p)  (p - 1) / p  Bruck: ib.
                    direct     1            p - 1       (p - 1) / p  every rank to every other one
                    star       2            2 (p - 1)   p - 1        to a hub and back
    reduce_scatter  as all_gather, backwards; that of doubling is "halving"
    all_reduce      ring, halving, direct: reduce_scatter, then all_gather (Rabenseifner: ib., 4.5)
                    doubling   lg p         lg p        lg p         2 more where p is no power of 2
                    star       2            2 (p - 1)   2 (p - 1)    as TPI-LLM on slow links
                    tree       2 ceil(lg p) pipelined   2            double binary: Sanders et al.
                    one-shot   1            p - 1       p - 1        whole buffers to all: vLLM
                    in-switch  2            2           (p + 1) / p  NVLink SHARP: NCCL, nvls.cc
    all_to_all      direct     1            p - 1       (p - 1) / p
                    pairwise   p - 1        p - 1       (p - 1) / p  Thakur et al., 4.4
                    doubling   ceil(lg p)   ceil(lg p)  ~ lg(p) / 2  Bruck: ib.
    broadcast       ring       p - 1        pipelined   1            a chain
                    tree       ceil(lg p)   ceil(lg p)  ceil(lg p)   binomial: ib.
                    star       1            p - 1       p - 1
    p2p             direct     1            1           1            each rank to the next
    the first three bucket     on a torus alone, whose links it uses all (`hwmodel.network.grids`)

`hierarchical` works inside each box of m ranks and between the g boxes in turn; for all_to_all that
is the 2D algorithm of Tutel (Hwang et al. 2023), and where rows are sent once, to each box and
from there to its devices, that of DeepEP's normal kernels (deepseek-ai/DeepEP). `in-switch` has the
switch of each box add, and goes around a ring of boxes with each rank's part of 1/m; `in-network`
has switches between boxes add too, to which a part of 1/m is sent once (SHARP). Parts of n / p are
rounded up to whole bytes on one switch and not on other topologies. Two trees of 2 or 3 ranks send
p / 2 rather than 2.
Sources: Thakur, Rabenseifner, Gropp, "Optimization of Collective Communication Operations in MPICH"
(2005); Sanders, Speck, Träff, "Two-tree algorithms for full bandwidth broadcast, reduction and
scan" (2009); TPI-LLM (arXiv 2410.00531).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np

from hwmodel.einsum.fan import Fan
from hwmodel.network import grids, schedules
from hwmodel.network.boxes import Boxes
from hwmodel.network.rounds import Round, backwards, shifted
from hwmodel.quantity.arithmetic import ceil_div, floor_div, least, most, where
from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.quantity.units import Amount, amount


@dataclass(frozen=True, eq=False)
class Closed:
    """An algorithm on one switch: messages in sequence; messages and bytes at the busiest port.

    Bytes are so many `parts`, n / p each, and so many whole buffers.
    """

    rounds: Amount
    messages: Amount
    parts: Amount = 0
    wholes: Amount = 0

    def sent_bytes(self, size_bytes: Amount, ranks: Amount) -> Amount:
        """Bytes through the busiest port, parts rounded up to whole bytes."""
        return self.parts * ceil_div(size_bytes, ranks) + self.wholes * size_bytes

    def twice(self) -> "Closed":
        """The same there and back."""
        return Closed(2 * self.rounds, 2 * self.messages, 2 * self.parts, 2 * self.wholes)


Formula: TypeAlias = Callable[[Amount, Amount], Closed]
"""Ranks, and ranks a box, to the closed form; either may be an array."""
Builder: TypeAlias = Callable[[str, Boxes], tuple[Round, ...]]
"""Algorithm, and ranks of each box, to the rounds."""


def _more_than(a: Amount, b: Amount) -> Amount:
    """1 where a > b, else 0: one rank alone sends nothing."""
    return where(np.asarray(a) > b, 1, 0) if isinstance(a, np.ndarray) else int(a > b)


def _levels(p: Amount) -> Amount:
    """Rounds in which p ranks all reach each other, when each round doubles what a rank knows."""
    return np.ceil(np.log2(p)) if isinstance(p, np.ndarray) else (int(p) - 1).bit_length()


def _swaps(p: Amount) -> Amount:
    """Rounds of recursive doubling: lg p, and 2 more where p is no power of two."""
    return _levels(p) + _more_than(2 ** _levels(p), p)  # the floor of lg p is one less there


def _set_bits(p: Amount) -> Amount:
    """Ones in the binary numbers below p: blocks that a rank forwards in Bruck's all-to-all."""
    total: Amount = 0 * p
    step = 1
    while step < np.max(p):
        total = total + floor_div(p, 2 * step) * step + most((p % (2 * step) - step, 0))
        step *= 2
    return total


def _step(p: Amount, _: Amount) -> Closed:
    return Closed(p - 1, p - 1, p - 1)


def _doubling(p: Amount, _: Amount) -> Closed:
    return Closed(_levels(p), _levels(p), p - 1)


def _at_once(p: Amount, _: Amount) -> Closed:
    return Closed(_more_than(p, 1), p - 1, p - 1)


def _star(p: Amount, _: Amount) -> Closed:
    return Closed(2 * _more_than(p, 1), 2 * (p - 1), 0, p - 1)


def _boxes(p: Amount, m: Amount) -> Closed:
    return Closed(floor_div(p, m) + m - 2, floor_div(p, m) + m - 2, p - 1)


def _exchange(p: Amount, m: Amount) -> Closed:
    g = floor_div(p, m)
    return Closed(_more_than(g, 1) + _more_than(m, 1), g + m - 2, (m - 1) * g + (g - 1) * m)


def _binomial(p: Amount, m: Amount = 1) -> Closed:
    steps = _levels(floor_div(p, m)) + _levels(m)
    return Closed(steps, steps, 0, steps)


def _added(p: Amount, m: Amount) -> Closed:
    """Of one box; between boxes nothing is one port's."""
    some = _more_than(p, 1)
    return Closed(2 * some, 2 * some, some, some)


def _there_and_back(half: Formula) -> Formula:
    return lambda p, m: half(p, m).twice()


GATHER: dict[str, Formula] = {
    "ring": _step,
    "doubling": _doubling,
    "star": _star,
    "direct": _at_once,
    "hierarchical": _boxes,
    "bucket": _step,
}

TABLE: dict[str, dict[str, Formula]] = {
    "all_reduce": {
        "ring": _there_and_back(_step),
        "tree": lambda p, _: Closed(
            2 * _levels(p), 2 * _levels(p), 0, _more_than(p, 1) * least((2, p / 2))
        ),
        "doubling": lambda p, _: Closed(_swaps(p), _swaps(p), 0, _swaps(p)),
        "halving": _there_and_back(_doubling),
        "star": lambda p, _: Closed(2 * _more_than(p, 1), 2 * (p - 1), 0, 2 * (p - 1)),
        "direct": _there_and_back(_at_once),
        "hierarchical": _there_and_back(_boxes),
        "bucket": _there_and_back(_step),
        "one-shot": lambda p, _: Closed(_more_than(p, 1), p - 1, 0, p - 1),
        "in-switch": _added,
        "in-network": _added,
    },
    "all_gather": GATHER,
    "reduce_scatter": {"halving" if n == "doubling" else n: form for n, form in GATHER.items()},
    "all_to_all": {
        "direct": _at_once,
        "pairwise": _step,
        "doubling": lambda p, _: Closed(_levels(p), _levels(p), _set_bits(p)),
        "hierarchical": _exchange,
    },
    "broadcast": {
        "ring": lambda p, _: Closed(p - 1, p - 1, 0, _more_than(p, 1)),
        "tree": lambda p, _: _binomial(p),
        "star": lambda p, _: Closed(_more_than(p, 1), p - 1, 0, p - 1),
        "hierarchical": _binomial,
    },
    "p2p": {"direct": lambda p, _: Closed(_more_than(p, 1), _more_than(p, 1), 0, _more_than(p, 1))},
}
"""Operation -> algorithm -> its closed form."""

SCHEDULES: dict[str, Builder] = {
    "all_reduce": schedules.reduced,
    "all_gather": schedules.gathered,
    "reduce_scatter": lambda name, boxes: backwards(schedules.gathered(name, boxes)),
    "all_to_all": schedules.exchanged,
    "broadcast": schedules.spread,
    "p2p": lambda _, boxes: (shifted(sum(boxes), 1, 1.0),),
}
"""Operation -> its algorithms' rounds of messages."""

ADDED = ("in-switch", "in-network")
"""Algorithms whose sums are made by switches, on links that lead to such."""

ALGORITHMS: dict[str, tuple[str, ...]] = {op: tuple(names) for op, names in TABLE.items()}
"""What is known, by operation."""


def closed_form(op: str, algorithm: str, ranks: Amount, per_box: Amount = 1) -> Closed:
    """The table above; ranks are those of one switch, and may be an array.

    Raises `UnknownNameError`, and `InputError` for ranks that make no sense.
    """
    check(op, algorithm)
    return TABLE[op][algorithm](amount(ranks, where=f"{op}: ranks", whole=True), per_box)


GRID = "bucket"
"""The algorithm of grids, whose `per_box` are the grid's sides."""

EQUAL = ("all_gather", "reduce_scatter")
"""Operations whose hierarchical form is of boxes of equally many ranks alone."""


@lru_cache(maxsize=256)
def schedule(
    op: str,
    algorithm: str,
    ranks: int,
    per_box: int | tuple[int, ...] = 1,
    fan: Fan | None = None,
) -> tuple[Round, ...]:
    """The rounds of an algorithm; the ranks of a box stand together, so many in each.

    Of the bucket algorithm `per_box` are the sides of the grid instead (default: one ring).
    With a `fan` rows of an all_to_all are sent once to each device that has any of their experts,
    and hierarchically once to each box. One rank alone sends nothing. Raises `UnknownNameError`,
    and `InputError` where boxes do not hold the ranks.
    """
    check(op, algorithm)
    amount(ranks, where=f"{op}: ranks", whole=True)
    if algorithm == GRID:
        once = grids.gathered(per_box if isinstance(per_box, tuple) else (ranks,))
        return {"all_gather": once, "reduce_scatter": backwards(once)}.get(
            op, (*backwards(once), *once)
        )
    boxes = _boxes_of(op, ranks, per_box)
    if algorithm == "hierarchical" and op in EQUAL and min(boxes) < max(boxes):
        raise InputError(
            f"{op}: hierarchical: expected boxes of equally many ranks, found"
            f" {sorted(set(boxes))} in one; choose ring"
        )
    rounds = SCHEDULES[op](algorithm, boxes) if ranks > 1 else ()
    if fan is None:
        return rounds
    reached = len(boxes) if algorithm == "hierarchical" else ranks
    parts = (fan.reached(n) / fan.picks for n in (ranks, reached))
    return schedules.once(rounds, boxes, *parts)


def _boxes_of(op: str, ranks: int, per_box: int | tuple[int, ...]) -> Boxes:
    if isinstance(per_box, tuple):
        return per_box
    if ranks % amount(per_box, where=f"{op}: per_box", whole=True):
        raise InputError(
            f"{op}: per_box: expected a divisor of {ranks} ranks, found {per_box}; boxes must be "
            "of equally many"
        )
    return (per_box,) * (ranks // per_box)


def check(op: str, algorithm: str | None = None) -> None:
    """Raise `UnknownNameError` for an operation or an algorithm of it that is not in the table."""
    if op not in TABLE:
        raise UnknownNameError("collective", op, TABLE)
    if algorithm is not None and algorithm not in TABLE[op]:
        raise UnknownNameError(f"algorithm of {op}", algorithm, TABLE[op])
