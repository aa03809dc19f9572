"""Collective operations as estimates: the network's messages at calibrated rates, launch included.

The link's bandwidth and latency are the datasheet's, times the efficiencies of the calibration's
"collective" family. A rank also reads and writes its own memory once; that hides behind the link on
every device with NVLink or slower.
"""

from hwmodel.activity import Work, energy_j, fold, totals
from hwmodel.arithmetic import most
from hwmodel.errors import CoverageError
from hwmodel.estimate import Estimate, Part
from hwmodel.hardware import Hardware
from hwmodel.network import cheapest, check_ranks, link_rates, memory_bytes
from hwmodel.units import Amount, amount

FAMILY = "collective"


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
    link = hardware.link.but(
        bandwidth_bytes_per_s=hardware.link.bandwidth_bytes_per_s * parameters.get("link", 1.0),
        latency_s=hardware.link.latency_s * parameters.get("latency", 1.0),
    )
    real = hardware.but(link=link)
    choice = cheapest(op, size_bytes, ranks, real)
    sent = totals(choice.activity)
    read, written = memory_bytes(op, size_bytes, ranks)
    memory = hardware.memory("dram")
    memory_s = (read + written) / memory.bandwidth_bytes_per_s
    launch_s = hardware.launch.graph_s * parameters.get("launch", 1.0)
    folded = fold(choice.activity, link_rates(real))
    time_s = launch_s + most((folded.time_s, memory_s))
    counts = Work(read={"dram": read}, written={"dram": written}, messages=sent.messages)
    busy = {**folded.busy_s, "dram": memory_s, "launch": launch_s}
    joules = energy_j(choice.activity, link_rates(real), time_s)
    joules = joules + (read + written) * memory.energy_j_per_byte + hardware.power.idle_w * time_s
    return Part(
        name=op,
        family=FAMILY,
        times=times,
        counts=counts,
        time_s=time_s,
        sustained_s=time_s,
        busy_s=busy,
        energy_j=joules,
        interval=family.interval,
    )


def estimate(op: str, size_bytes: Amount, ranks: Amount, hardware: Hardware) -> Estimate:
    """One collective, alone; bytes and energy are those of all ranks together."""
    size = amount(size_bytes, "bytes", where=f"{op}: bytes", whole=True)
    one = part(op, size, ranks, hardware)
    read, written = memory_bytes(op, size, ranks)
    link = hardware.link
    bandwidth = link.bandwidth_bytes_per_s if link else 1.0
    _, sent = one.counts.messages.get("link", (0, 0))
    calibration = hardware.calibration
    assert calibration is not None
    measured = calibration.family(FAMILY).origin == "measured"
    return Estimate(
        name=op,
        device=f"{ranks} x {hardware.title}",
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
