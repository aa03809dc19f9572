"""Collective operations as estimates: the network's messages at calibrated rates, launch included.

The link's bandwidth and latency are the datasheet's, times the efficiencies of the calibration's
"collective" family. A rank also reads and writes its own memory once; that hides behind the link on
every device with NVLink or slower.

NCCL moves data by one of three protocols: Simple signals each chunk behind a fence; LL sends a flag
with every 4 bytes, LL128 one with every 120, so that they start sooner and carry less (NCCL,
src/device: prims_simple.h, prims_ll.h, prims_ll128.h). A calibration that knows them has `link` and
`latency` for each, and the fastest is taken, size by size:

    time = launch + max(min over protocols (messages x latency + bytes / link), memory)
"""

from collections.abc import Mapping

import numpy as np

from hwmodel.activity import Work, energy_j, totals
from hwmodel.arithmetic import most
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

PROTOCOLS = {"simple": "", "LL128": "_ll128", "LL": "_ll"}
"""Protocol -> the ending of its parameters' names; all devices have the first."""


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
    memory_s, launch_s = _memory_s(op, size_bytes, ranks, hardware), _launch_s(hardware, parameters)
    total_s = launch_s + most((choice.time_s, memory_s))
    counts = Work(read={"dram": read}, written={"dram": written}, messages=sent.messages)
    busy = {"link": choice.time_s, "dram": memory_s, "launch": launch_s}
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
    memory_s = _memory_s(op, size_bytes, ranks, hardware)
    return _launch_s(hardware, parameters) + most((link_s, memory_s))


def _memory_s(op: str, size_bytes: Amount, ranks: Amount, hardware: Hardware) -> Amount:
    """Seconds in which a rank reads its input and writes its output."""
    moved = sum(memory_bytes(op, size_bytes, ranks))
    return moved / hardware.memory("dram").bandwidth_bytes_per_s


def _launch_s(hardware: Hardware, parameters: Mapping[str, float]) -> Amount:
    return hardware.launch.graph_s * parameters.get("launch", 1.0)


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
    choices: list[Choice] = []
    for ending in PROTOCOLS.values():
        if ending and f"link{ending}" not in parameters:
            continue
        link = hardware.link.model_copy(
            update={
                "bandwidth_bytes_per_s": hardware.link.bandwidth_bytes_per_s
                * parameters.get(f"link{ending}", 1.0),
                "latency_s": hardware.link.latency_s * parameters.get(f"latency{ending}", 1.0),
            }
        )
        real = hardware.model_copy(update={"link": link})
        choices.append(cheapest(op, size_bytes, ranks, real))
    return fastest(choices)


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
