"""Small all-reduces that engines bring along: every rank reads its peers' memory, no ring.

    one-shot   each reads the whole buffers of the others:        (p - 1) n           one meeting
    two-shot   each sums its part, then reads the others' sums:   2 (p - 1) n / p     two meetings

(vLLM, csrc/custom_all_reduce.cuh: cross_device_reduce_1stage and _2stage; TensorRT-LLM,
customAllReduceKernels.cu.) The faster is taken, up to a size and a number of ranks; beyond them
engines call NCCL. Launched one by one, outside of a CUDA graph, the host's launch is the least that
a call takes. Parameters are those of the calibration's family "collective:NAME".
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from hwmodel.hardware.hardware import Hardware
from hwmodel.network.algorithms import closed_form
from hwmodel.network.nccl import Way, link_of, reached
from hwmodel.quantity.errors import UnknownNameError
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Overlap, Rates, Serial, Work

OP = "all_reduce"

MOST_BYTES = {"vllm": 8 * 2**20, "trtllm": 8 * 2**20}
"""Engine -> the largest buffer that goes its own way (vLLM: max_size of CustomAllreduce)."""

MOST_RANKS = 8

SHOTS = {"one-shot": ("once", ""), "direct": ("twice", "second")}
"""Algorithm -> the parameters that are its share of the link, and what it takes besides."""


NCCL = ("nccl", "nccl:eager")
"""NCCL itself: in a CUDA graph, and launched by the host call by call."""

HOST_LAUNCHES = 2
"""Launches of a host that a call of NCCL takes outside of a graph, before its kernel moves
anything: 20 us of 10, by nccl-tests' shortest published all-reduces (eight H200, 128 KiB, and eight
B200, 256 KiB: 21 and 19 us above a graph's)."""


def family_of(library: str) -> str:
    """The calibration's family of an engine's all-reduce; `UnknownNameError` for any other."""
    name, _, way = library.partition(":")
    if name not in MOST_BYTES or way not in ("", "eager"):
        known = [*MOST_BYTES, *(f"{each}:eager" for each in MOST_BYTES)]
        raise UnknownNameError("library of collectives", library, (*NCCL, *known))
    return f"collective:{name}"


def takes(library: str, op: str, size: Amount, ranks: Amount) -> Any:
    """Whether an engine's own way is taken, point by point."""
    most = MOST_BYTES[library.partition(":")[0]]
    if op != OP:
        return False
    return (np.asarray(size)[()] <= most) & (np.asarray(ranks)[()] <= MOST_RANKS)


def small_ways(
    library: str,
    size: Amount,
    ranks: Amount,
    hardware: Hardware,
    parameters: Mapping[str, float],
) -> list[Way]:
    """Both ways of an engine, launch included, under given parameters of its family."""
    how = {"eager": library.endswith(":eager"), "allowed": takes(library, OP, size, ranks)}
    return [_way(name, size, ranks, hardware, parameters, **how) for name in SHOTS]


def _way(
    name: str,
    size: Amount,
    ranks: Amount,
    hardware: Hardware,
    parameters: Mapping[str, float],
    *,
    eager: Any,
    allowed: Any,
) -> Way:
    link, (share, besides) = link_of(hardware), SHOTS[name]
    closed = closed_form(OP, name, ranks)
    wire, start = f"link:{name}", f"start:{name}"
    meeting_s = link.latency_s * (parameters[besides] if besides else 0.0)
    waits = {start: 1, "peers": ranks - 1}
    leaf = Work(messages={wire: (0, closed.sent_bytes(size, ranks))}, slots=waits)
    whole = Serial((Work(slots={"own launch": 1}), leaf))
    rates = Rates(
        messages={wire: (0.0, reached(link, OP, ranks) * parameters[share])},
        slots={
            start: ("link", meeting_s),
            "peers": ("link", link.latency_s * parameters["peer"]),
            "own launch": ("launch", hardware.launch.graph_s * parameters["launch"]),
            "host": ("host", hardware.launch.eager_s * parameters["host"]),
        },
    )
    tree = Overlap((whole, Work(slots={"host": 1}))) if eager else whole
    return Way(name, tree, rates, allowed)
