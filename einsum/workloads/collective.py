"""Collective operations as workloads: a stage that computes nothing, and what it exchanges."""

from typing import Any

from hwmodel.einsum.cascade import Cascade, Collective, Origin, Rank, Stage, Tensor
from hwmodel.einsum.network import Stack
from hwmodel.quantity.arithmetic import ceil_div
from hwmodel.quantity.checked import checked
from hwmodel.quantity.errors import UnknownNameError
from hwmodel.quantity.units import Amount, amount

OPERATIONS = ("all_reduce", "all_gather", "reduce_scatter", "all_to_all", "broadcast", "p2p")


@checked
def collective(op: str, bytes: Amount, ranks: Amount) -> Stack:
    """One collective operation between `ranks` devices, each the same.

    `bytes` is, as in nccl-tests: the buffer of a rank for all_reduce and broadcast, the total
    output of a rank for all_gather, the total input of a rank for reduce_scatter, the send buffer
    of a rank, kept part included, for all_to_all, and the message for p2p, of which every rank
    sends one and receives one. Sizes and ranks may be arrays. Raises `InputError`.
    """
    if op not in OPERATIONS:
        raise UnknownNameError("collective", op, OPERATIONS)
    size = amount(bytes, "bytes", where=f"{op}: bytes", whole=True)
    count = amount(ranks, where=f"{op}: ranks", whole=True)
    arguments: dict[str, Any] = {"op": op, "bytes": bytes, "ranks": ranks}
    stages = (exchange(op, Collective(op, size, count)),)
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
