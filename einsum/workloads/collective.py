"""Collective operations as workloads: a stage that computes nothing, and what it exchanges."""

from typing import Any, get_args

from hwmodel.einsum.cascade import Cascade, Collective, Origin, Rank, Stage, Tensor
from hwmodel.einsum.division import Division
from hwmodel.einsum.fan import Fan
from hwmodel.einsum.network import Stack
from hwmodel.quantity.arithmetic import ceil_div
from hwmodel.quantity.checked import checked
from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.quantity.units import Amount, amount

OPERATIONS = ("all_reduce", "all_gather", "reduce_scatter", "all_to_all", "broadcast", "p2p")


_WAYS: tuple[str, ...] = get_args(Division.model_fields["dispatch"].annotation)
DISPATCHES = tuple(way for way in _WAYS if way != "gather")
"""How rows go to experts in an all_to_all: words of a division, of which "gather" has none."""


@checked
def collective(
    op: str,
    bytes: Amount,
    ranks: Amount,
    algorithm: str | None = None,
    dispatch: str = "all-to-all",
    picks: int | None = None,
    experts: int | None = None,
    groups: int = 1,
    taken: int = 1,
) -> Stack:
    """One collective operation between `ranks` devices, each the same.

    `bytes` is, as in nccl-tests: the buffer of a rank for all_reduce and broadcast, the total
    output of a rank for all_gather, the total input of a rank for reduce_scatter, the send buffer
    of a rank, kept part included, for all_to_all, and the message for p2p, of which every rank
    sends one and receives one. Sizes and ranks may be arrays. `algorithm` is the one that runs on a
    topology (default: the fastest of the library's). An all_to_all of rows to experts, a
    row for each of a token's `picks` of so many `experts` (from `taken` of `groups` of them), goes
    as a division's `dispatch` says: "once" to each device, or "low-latency". Raises `InputError`.
    """
    if op not in OPERATIONS:
        raise UnknownNameError("collective", op, OPERATIONS)
    size = amount(bytes, "bytes", where=f"{op}: bytes", whole=True)
    count = amount(ranks, where=f"{op}: ranks", whole=True)
    arguments: dict[str, Any] = {"op": op, "bytes": bytes, "ranks": ranks, "dispatch": dispatch}
    arguments |= {
        "algorithm": algorithm,
        "picks": picks,
        "experts": experts,
        "groups": groups,
        "taken": taken,
    }
    if dispatch not in DISPATCHES:
        raise UnknownNameError("dispatch", dispatch, DISPATCHES)
    sent = "" if dispatch == DISPATCHES[0] else dispatch
    if sent and op != "all_to_all":
        raise InputError(f"{op}: dispatch: expected it with all_to_all alone, found {dispatch!r}")
    fan = None
    if sent == "once":
        if picks is None or experts is None:
            raise InputError("all_to_all: dispatch='once': expected picks and experts with it")
        fan = Fan(picks, experts, groups, taken)
    how: dict[str, Any] = {"algorithm": algorithm or "", "fan": fan, "sent": sent}
    stages = (exchange(op, Collective(op, size, count, **how)),)
    return Stack(op, stages, Origin("collective", arguments, collective))


def exchange(name: str, joint: Collective) -> Stage:
    """A stage that computes nothing, and what it exchanges."""
    sizes = memory_bytes(joint.op, joint.bytes, joint.ranks)
    moved = dict(zip(("read", "written"), sizes, strict=True))
    cascade = Cascade(
        name=name,
        ranks={each: Rank(each, size) for each, size in moved.items()},
        tensors={each: Tensor(each, (each,), "int8") for each in moved},
        einsums=(),
        outputs=tuple(moved),
    )
    return Stage(cascade, collective=joint)


def memory_bytes(op: str, size_bytes: Amount, ranks: Amount) -> tuple[Amount, Amount]:
    """Bytes that one rank must read from and write to its own memory, at the least.

    Each input byte is read and each output byte written once; a sender of p2p reads the message,
    its receiver writes it (counted together, as for one rank that does both), and so of broadcast.
    A lower bound: a library's staging buffers add to it.
    """
    part = ceil_div(size_bytes, ranks)
    read = part if op == "all_gather" else size_bytes
    written = part if op == "reduce_scatter" else size_bytes
    return read, written
