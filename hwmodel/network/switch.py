"""Collectives over one switch, as messages and bytes on a device's link (alpha-beta model).

A collective costs its slowest rank `messages * alpha + bytes / bandwidth` in each direction of a
full-duplex link; the reduction itself runs at the link's pace. With p ranks and a buffer of n bytes
(as nccl-tests counts it, see `collective`), messages and bytes per rank are

    op              algorithm  messages          bytes            source
    all_reduce      ring       2 (p - 1)         2 (p - 1) n / p  Patarasuk, Yuan 2009
                    tree       2 ceil(lg p)      2 n              double binary tree: Sanders et al.
    all_gather      ring       p - 1             (p - 1) n / p    Thakur et al., 4.1
                    tree       ceil(lg p)        (p - 1) n / p    recursive doubling, Bruck: ib.
    reduce_scatter  ring       p - 1             (p - 1) n / p    pairwise exchange: ib., 4.3
                    tree       lg p              (p - 1) n / p    recursive halving: ib.
                               floor(lg p) + 2   2 n              where p is no power of 2: ib.
    all_to_all      direct     p - 1             (p - 1) n / p    ib., 4.4
                    tree       ceil(lg p)        about n lg p / 2 Bruck: ib.
    p2p             direct     1                 n

with n / p rounded up to a whole part. Sources: Thakur, Rabenseifner, Gropp, "Optimization of
Collective Communication Operations in MPICH" (2005); Sanders, Speck, Träff, "Two-tree algorithms
for full bandwidth broadcast, reduction and scan" (2009).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from hwmodel.hardware.hardware import Hardware, Link
from hwmodel.quantity.arithmetic import ceil_div, least, most
from hwmodel.quantity.errors import CoverageError, InputError, UnknownNameError
from hwmodel.quantity.units import Amount, amount
from hwmodel.spine.activity import Activity, Rates, Work, fold, totals

ALGORITHMS: dict[str, tuple[str, ...]] = {
    "all_reduce": ("ring", "tree"),
    "all_gather": ("ring", "tree"),
    "reduce_scatter": ("ring", "tree"),
    "all_to_all": ("direct", "tree"),
    "p2p": ("direct",),
}
"""What can be modelled, by operation; the first sends the fewest bytes."""

LIBRARY: dict[str, tuple[str, ...]] = {
    "all_reduce": ("ring",),
    "all_gather": ("ring",),
    "reduce_scatter": ("ring",),
    "all_to_all": ("direct",),
    "p2p": ("direct",),
}
"""What NCCL chooses from on one switch. Its trees join boxes, and within a box they are chains of
2 (p - 1) messages (NCCL, src/graph/tuning.cc: latencies of trees), so that a ring is never slower
there; all_to_all and p2p are grouped sends."""

Names: TypeAlias = str | NDArray[np.str_]


@dataclass(frozen=True, eq=False)
class Choice:
    """The cheapest algorithm (an array of names where sizes are arrays), its work and its time."""

    algorithm: Names
    activity: Activity
    time_s: Amount


def collective(
    op: str, size_bytes: Amount, ranks: Amount, algorithm: str | None = None
) -> Activity:
    """Messages and bytes that one rank sends in a collective, out of place.

    `size_bytes` is, as in nccl-tests: the buffer of a rank for all_reduce, the total output of a
    rank for all_gather, the total input of a rank for reduce_scatter, the send buffer of a rank,
    kept part included, for all_to_all, and the message for p2p. One rank alone sends nothing.
    `algorithm` is one of `ALGORITHMS[op]`, by default its first. Sizes and ranks may be arrays.
    Raises `UnknownNameError` and, for a size or a number of ranks below 1, `InputError`.
    """
    if op not in ALGORITHMS:
        raise UnknownNameError("collective", op, ALGORITHMS)
    algorithm = ALGORITHMS[op][0] if algorithm is None else algorithm
    if algorithm not in ALGORITHMS[op]:
        raise UnknownNameError(f"algorithm of {op}", algorithm, ALGORITHMS[op])
    size = amount(size_bytes, where=f"{op}: bytes", whole=True)
    p = amount(ranks, where=f"{op}: ranks", whole=True)
    return Work(messages={"link": _sent(op, algorithm, size, p)})


def cheapest(
    op: str,
    size_bytes: Amount,
    ranks: Amount,
    hardware: Hardware,
    algorithms: tuple[str, ...] | None = None,
) -> Choice:
    """The fastest algorithm on a device's link, point by point where sizes are arrays.

    Chooses from `algorithms`, by default those of `LIBRARY`. Raises `InputError` where more ranks
    are asked for than one switch joins, `CoverageError` where the device has no link.
    """
    check_ranks(ranks, hardware)
    if op not in LIBRARY:
        raise UnknownNameError("collective", op, LIBRARY)
    rates = link_rates(hardware)
    names = LIBRARY[op] if algorithms is None else algorithms
    if not names:
        raise InputError(f"{op}: expected at least one algorithm of {ALGORITHMS[op]}, found none")
    candidates = {name: collective(op, size_bytes, ranks, name) for name in names}
    return fastest(
        [Choice(name, each, fold(each, rates).time_s) for name, each in candidates.items()]
    )


def fastest(choices: Sequence[Choice]) -> Choice:
    """The fastest of several ways to do the same, point by point where times are arrays."""
    time_s = least([choice.time_s for choice in choices])
    if not isinstance(time_s, np.ndarray):
        return next(choice for choice in choices if choice.time_s == time_s)
    index = np.argmin(np.stack([np.broadcast_to(c.time_s, time_s.shape) for c in choices]), axis=0)
    sent = [totals(choice.activity).messages["link"] for choice in choices]
    count, moved = (_pick(index, [pair[part] for pair in sent]) for part in (0, 1))
    names = np.stack([np.broadcast_to(c.algorithm, time_s.shape) for c in choices])
    algorithm = np.take_along_axis(names, index[np.newaxis], axis=0)[0]
    return Choice(algorithm, Work(messages={"link": (count, moved)}), time_s)


def link_rates(hardware: Hardware) -> Rates:
    """The link's part of a machine's rates; raises `CoverageError` where there is no link."""
    link = _link(hardware)
    return Rates(
        messages={"link": (link.latency_s, link.bandwidth_bytes_per_s)},
        byte_j={"link": link.energy_j_per_byte},
    )


def check_ranks(ranks: Amount, hardware: Hardware) -> None:
    """Raise `InputError` where one switch does not join that many devices."""
    limit = _link(hardware).max_devices
    if bool(np.any(np.asarray(ranks) > np.asarray(limit))):
        found, most_joined = np.max(ranks), np.max(limit)
        raise InputError(
            f"{hardware.name}: {found:g} ranks, but one {_link(hardware).technology} switch joins "
            f"at most {most_joined:g}; use fewer ranks"
        )


def memory_bytes(op: str, size_bytes: Amount, ranks: Amount) -> tuple[Amount, Amount]:
    """Bytes that one rank must read from and write to its own memory, at the least.

    Each input byte is read and each output byte written once; a sender of p2p reads the message,
    its receiver writes it (counted together, as for one rank that does both). A lower bound: a
    library's staging buffers add to it.
    """
    if op not in ALGORITHMS:
        raise UnknownNameError("collective", op, ALGORITHMS)
    part = ceil_div(size_bytes, ranks)
    read = part if op == "all_gather" else size_bytes
    written = part if op == "reduce_scatter" else size_bytes
    return read, written


def bus_bandwidth(op: str, size_bytes: Amount, ranks: Amount, time_s: Amount) -> Amount:
    """Bytes/s that each link carried, from a collective's size and time (nccl-tests, `busbw`).

    Comparable with the link's bandwidth whatever the number of ranks.
    """
    if op not in ALGORITHMS:
        raise UnknownNameError("collective", op, ALGORITHMS)
    share = {"all_reduce": 2 * (ranks - 1) / ranks, "p2p": 1.0}.get(op, (ranks - 1) / ranks)
    return size_bytes / time_s * share


def _sent(op: str, algorithm: str, size: Amount, p: Amount) -> tuple[Amount, Amount]:
    """(messages, bytes) of one rank, by the table above."""
    part = ceil_div(size, p)
    several = _flag(p, 1)
    rounds = _ceil_log2(p)
    match op, algorithm:
        case "all_reduce", "ring":
            return 2 * (p - 1), 2 * (p - 1) * part
        case "all_reduce", _:
            return 2 * rounds, 2 * size * several
        case "all_gather", "tree":
            return rounds, (p - 1) * part
        case "reduce_scatter", "tree":
            odd = _flag(2**rounds, p)  # 1 where p is no power of two: floor(lg p) = rounds - 1
            return rounds + odd, (p - 1) * part * (1 - odd) + 2 * size * odd
        case "all_to_all", "tree":
            return rounds, _set_bits(p) * part
        case "p2p", _:
            return several, size * several
        case _:
            return p - 1, (p - 1) * part


def _flag(a: Amount, b: Amount) -> Amount:
    """1 where a > b, else 0."""
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return np.asarray(a > b, dtype=np.float64)
    return int(a > b)


def _ceil_log2(p: Amount) -> Amount:
    """Rounds in which p ranks all reach each other, when each round doubles what a rank knows."""
    if isinstance(p, np.ndarray):
        return np.ceil(np.log2(p))
    return (int(p) - 1).bit_length()


def _set_bits(p: Amount) -> Amount:
    """Ones in the binary numbers below p: blocks that a rank forwards in Bruck's all-to-all."""
    total: Amount = 0 * p
    step = 1
    while step < np.max(p):
        total = total + p // (2 * step) * step + most((p % (2 * step) - step, 0))
        step *= 2
    return total


def _pick(index: NDArray[np.intp], values: list[Amount]) -> Amount:
    shaped = [np.broadcast_to(np.asarray(value, dtype=np.float64), index.shape) for value in values]
    return np.choose(index, shaped)


def _link(hardware: Hardware) -> Link:
    if hardware.link is None:
        raise CoverageError(f"{hardware.name} has no link: give it one, or use a single device")
    return hardware.link
