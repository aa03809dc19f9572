"""Collective operations as estimates: the network's messages at calibrated rates, launch included.

The link's bandwidth and latency are the datasheet's, times the efficiencies of the calibration's
"collective" family. A rank also reads and writes its own memory once; that hides behind the link on
every device with NVLink or slower.

What is added to alpha and beta are causes seen on two H200s (NCCL 2.28, 2026-11-22):

    time = launch + max(min over protocols (start + messages x latency + bytes / link) + kept,
                        memory)

- NCCL's protocols. Simple signals each chunk behind a fence; LL and LL128 send a flag with the data
  (NCCL, src/device: prims_simple.h, prims_ll.h, prims_ll128.h), so that they start sooner and carry
  less. The two could not be told apart; they are one, "fast". The fastest is taken, size by size.
- A ring's last pass over a part receives and sends nothing: p passes for p - 1 sends in all_gather
  and reduce_scatter, 2p - 1 for 2p - 2 in all_reduce. all_to_all and p2p are grouped sends, another
  kernel, with parameters of their own (`_direct`).
- Parts that do not begin at a multiple of 16 bytes, which are copied by narrow instructions.
- The part that a rank keeps in all_gather and all_to_all, which the same kernel copies.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from hwmodel.activity import Work, energy_j, totals
from hwmodel.arithmetic import ceil_div, most, where
from hwmodel.errors import CoverageError
from hwmodel.estimate import Estimate, Part
from hwmodel.hardware import Hardware
from hwmodel.network import (
    Choice,
    cheapest,
    check_ranks,
    collective,
    fastest,
    link_rates,
    memory_bytes,
)
from hwmodel.units import Amount, amount

FAMILY = "collective"

PROTOCOLS = {"Simple": "", "LL and LL128": "_fast"}
"""Protocol -> the ending of its parameters' names; every calibration has the first."""

DIRECT = ("all_to_all", "p2p")
"""Operations that are grouped sends; the others are rings."""

PARTS = ("all_gather", "reduce_scatter", "all_to_all")
"""Operations that cut the buffer into a part for each rank, each at its own address."""

KEEPERS = ("all_gather", "all_to_all")
"""Operations that copy the part that a rank keeps."""

VECTOR_BYTES = 16
"""Bytes of the widest load or store, which must be aligned to them."""


def part(op: str, size_bytes: Amount, ranks: Amount, hardware: Hardware, times: Amount = 1) -> Part:
    """One collective (`times` in a row) between `ranks` devices, as one of them sees it.

    `size_bytes` is counted as nccl-tests does (`network.collective`). Raises `InputError` for more
    ranks than one switch joins.
    """
    if hardware.calibration is None or hardware.link is None:
        raise CoverageError(f"{hardware.name}: a collective needs a link and a calibration")
    check_ranks(ranks, hardware)
    family = hardware.calibration.family(FAMILY)
    parameters = {name: p.value for name, p in family.parameters.items()}
    choice = quickest(op, size_bytes, ranks, hardware, parameters)
    sent = totals(choice.activity)
    read, written = memory_bytes(op, size_bytes, ranks)
    memory = hardware.memory("dram")
    memory_s, launch_s = (
        _memory_s(op, size_bytes, ranks, hardware),
        _launch_s(op, hardware, parameters),
    )
    kept_s = _kept_s(op, size_bytes, ranks, hardware, parameters)
    total_s = launch_s + most((choice.time_s + kept_s, memory_s))
    counts = Work(read={"dram": read}, written={"dram": written}, messages=sent.messages)
    busy = {"link": choice.time_s + kept_s, "dram": memory_s, "launch": launch_s}
    joules = energy_j(choice.activity, link_rates(hardware), total_s)
    joules = joules + (read + written) * memory.energy_j_per_byte + hardware.power.idle_w * total_s
    return Part(
        name=op,
        family=FAMILY,
        times=times,
        counts=counts,
        time_s=total_s,
        sustained_s=total_s,
        busy_s=busy,
        energy_j=joules,
        interval=family.interval,
    )


def time_s(
    op: str,
    size_bytes: Amount,
    ranks: Amount,
    hardware: Hardware,
    parameters: Mapping[str, float],
) -> Amount:
    """Seconds of one collective under given parameters of the family."""
    link_s = quickest(op, size_bytes, ranks, hardware, parameters).time_s
    kept_s = _kept_s(op, size_bytes, ranks, hardware, parameters)
    memory_s = _memory_s(op, size_bytes, ranks, hardware)
    return _launch_s(op, hardware, parameters) + most((link_s + kept_s, memory_s))


def quickest(
    op: str,
    size_bytes: Amount,
    ranks: Amount,
    hardware: Hardware,
    parameters: Mapping[str, float],
) -> Choice:
    """The fastest protocol and algorithm on the link, at the rates that `parameters` make of it."""
    if hardware.link is None:
        raise CoverageError(f"{hardware.name}: a collective needs a link")
    slower = _narrow(op, size_bytes, ranks, parameters) * _idle(op, ranks, parameters)
    choices: list[Choice] = []
    for ending in PROTOCOLS.values():
        if ending and f"link{ending}" not in parameters:
            continue
        share = _own(f"link{ending}", op, parameters) / slower
        rates = {
            "bandwidth_bytes_per_s": hardware.link.bandwidth_bytes_per_s * share,
            "latency_s": hardware.link.latency_s * _own(f"latency{ending}", op, parameters),
        }
        link = hardware.link.model_copy(update=rates)
        choice = cheapest(op, size_bytes, ranks, hardware.model_copy(update={"link": link}))
        start_s = hardware.launch.graph_s * _own(f"start{ending}", op, parameters, default=0.0)
        choices.append(replace(choice, time_s=choice.time_s + start_s))
    return fastest(choices)


def _own(name: str, op: str, parameters: Mapping[str, float], default: float = 1.0) -> float:
    """A parameter, or that of grouped sends for themselves where there is one."""
    shared = parameters.get(name, default)
    return parameters.get(f"{name}_direct", shared) if op in DIRECT else shared


def _idle(op: str, ranks: Amount, parameters: Mapping[str, float]) -> Amount:
    """How many times slower the link is, for the pass of a ring that sends nothing."""
    if op in DIRECT:
        return 1.0
    sends = (2 if op == "all_reduce" else 1) * (ranks - 1)
    return 1 + parameters.get("idle", 0.0) / most((sends, 1))


def _narrow(op: str, size_bytes: Amount, ranks: Amount, parameters: Mapping[str, float]) -> Amount:
    """How many times slower the link is, for parts that wide instructions cannot copy."""
    if op not in PARTS:
        return 1.0
    unaligned = ceil_div(size_bytes, ranks) % VECTOR_BYTES != 0
    return where(unaligned, _own("narrow", op, parameters), 1.0)


def _kept_s(
    op: str, size_bytes: Amount, ranks: Amount, hardware: Hardware, parameters: Mapping[str, float]
) -> Amount:
    """Seconds in which a rank copies the part that it keeps."""
    if op not in KEEPERS or "kept" not in parameters or hardware.link is None:
        return 0.0
    rate = hardware.link.bandwidth_bytes_per_s * parameters["kept"]
    return ceil_div(size_bytes, ranks) * _narrow(op, size_bytes, ranks, parameters) / rate


def _memory_s(op: str, size_bytes: Amount, ranks: Amount, hardware: Hardware) -> Amount:
    """Seconds in which a rank reads its input and writes its output."""
    moved = sum(memory_bytes(op, size_bytes, ranks))
    return moved / hardware.memory("dram").bandwidth_bytes_per_s


def _launch_s(op: str, hardware: Hardware, parameters: Mapping[str, float]) -> Amount:
    return hardware.launch.graph_s * _own("launch", op, parameters)


def estimate(op: str, size_bytes: Amount, ranks: Amount, hardware: Hardware) -> Estimate:
    """One collective, alone; bytes and energy are those of all ranks together.

    In a p2p every rank sends one message and receives one, as in nccl-tests' sendrecv.
    """
    size = amount(size_bytes, "bytes", where=f"{op}: bytes", whole=True)
    one = part(op, size, ranks, hardware)
    read, written = memory_bytes(op, size, ranks)
    link = hardware.link
    bandwidth = link.bandwidth_bytes_per_s if link else 1.0
    _, sent = totals(collective(op, size, ranks)).messages["link"]  # the algorithm that sends least
    calibration = hardware.calibration
    assert calibration is not None
    measured = calibration.family(FAMILY).origin == "measured"
    return Estimate(
        name=op,
        device=f"{', '.join(f'{n:g}' for n in np.unique(ranks))} x {hardware.title}",
        parts=(one,),
        bound_bytes=(read + written) * ranks,
        devices=ranks,
        bound_s=sent / bandwidth,
        assumptions=(
            f"calibration: {calibration.name}",
            "one switch, out of place, in a CUDA graph",
        ),
        warnings=()
        if measured
        else (f"uncalibrated: {FAMILY}: link efficiencies are priors, not measurements",),
    )
