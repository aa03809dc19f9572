"""Rates of a GPU for one kernel family: datasheet peaks times the calibration's efficiencies.

    rate of a unit or level = datasheet rate x efficiency        (efficiency <= 1)
    slices a processor passes in a second = its clock / `slice`  (clocks for a slice of a pipeline)
    copies a processor issues in a second = its clock x 32 `copy`; elements it narrows: 32 `narrow`
    rate of writes to shared memory = its bandwidth x `landing`  (of copies that reads wait for)
    latency of a launch     = the device's graph launch x `launch`
    latency of a fill       = the DRAM's latency x `fill`        (fill and drain of a block)
    latency of a reduction  = the device's graph launch x `reduction`  (a second, small kernel)
    latency of a queue      = the DRAM's latency x `queue`       (loads of a full machine, waiting)
    latency of a cycle      = one period of the clock x `cycle`  (instructions of a block)
    latency of a begin      = one period of the clock x `begin`  (the same of other blocks)
    rate of a copy engine   = the DRAM's bandwidth x `engine`
    latency of a step       = the DRAM's latency x `step`        (a load that nothing runs ahead of)
    latency of a split      = the DRAM's latency x `split`       (one more part to combine)
    latency of a scan       = the DRAM's latency x `scan`        (finding a block's work in a table)
    latency of a turn       = the DRAM's latency x `turn`        (as step, of other blocks)
    latency of scales       = the DRAM's latency x `scales`      (factors of narrow formats)
    latency of a host       = the device's eager launch x `host` (a call outside of a graph)
    the same from the L2    = the L2's latency x the same        (`LATE`: where it holds the data)

An efficiency may be set per dtype (`matrix_fp8` before `matrix`), and `structured` multiplies that
of weights of which two in each four are no zero (`bf16~2:4`). The parameters of the family
"energy" multiply the catalogue's joules, by unit and by memory level, and the idle watts: "static"
(a device at full clock draws more than an idle one) and "busy" (what all processors together draw
for being at work, whatever they do). So a device without measurements can take another's
efficiencies, and a what-if on a datasheet number moves the prediction.
"""

from collections.abc import Mapping

import numpy as np

from hwmodel.hardware.hardware import Hardware
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Operation, Rates

PRIVATE = frozenset(
    {"matrix", "vector", "exp", "shared", "tensor", "port", "pipeline", "stream", "copy", "narrow"}
    | {"l1", "register"}
)
"""Resources that each SM has for itself; DRAM, L2, links and power are the whole device's."""

LANES = 32
"""Copy instructions of a thread that a processor could at most issue in a clock: one warp's."""

HALF = 0.5
"""Of the joules of a product whose operations are half on zeros, which are left out."""

ISSUE_J = 100e-12
"""Joules of one instruction of a warp, operands included: assumed, 3 pJ for each of 32 lanes."""

LATE = {name: f"{name}:l2" for name in ("fill", "queue", "step", "split", "scan", "scales", "turn")}
"""Latencies that are multiples of the DRAM's -> the same where the L2 answers in its place."""

ENERGY = "energy"
"""The calibration family whose parameters multiply the catalogue's joules and idle watts."""


def rates(
    hardware: Hardware,
    parameters: Mapping[str, float],
    energy: Mapping[str, float] | None = None,
) -> Rates:
    """Rates of `hardware` under the fitted `parameters` of one kernel family, and of energy."""
    joules = energy or {}

    def efficiency(*names: str) -> float:
        return next((parameters[name] for name in names if name in parameters), 1.0)

    operations: dict[Operation, Amount] = {}
    operation_j: dict[Operation, Amount] = {}
    for unit, spec in hardware.units.items():
        kind = "exp" if unit == "exp" else "flop"
        for dtype, rate in spec.rates_per_s().items():
            base, _, kept = dtype.partition("~")
            reached = efficiency(f"{unit}_{base}", unit)
            of_kept = efficiency("structured") if kept else 1
            operations[unit, kind, dtype] = rate * reached * of_kept
            each_j = spec.energy_j_per_flop.get(base, 0.0) * (HALF if kept else 1)
            operation_j[unit, kind, dtype] = each_j * joules.get(unit, 1.0)
    # Instructions that are issued take no time of their own here: their cycles are a slot's.
    operations["issue", "slot", "warp"] = np.inf
    operation_j["issue", "slot", "warp"] = ISSUE_J * joules.get("issue", 1.0)
    bandwidth = {
        level: memory.bandwidth_bytes_per_s * efficiency(level)
        for level, memory in hardware.memories.items()
    }
    cores = hardware.processors
    port = cores.count * cores.port_bytes_per_clock * hardware.clock_hz
    bandwidth["port"] = port * efficiency("port")
    bandwidth["pipeline"] = cores.count * hardware.clock_hz / efficiency("slice")
    bandwidth["stream"] = bandwidth["pipeline"]  # slices that the DRAM's latency paces
    bandwidth["narrow"] = cores.count * LANES * hardware.clock_hz * efficiency("narrow")
    bandwidth["copy"] = cores.count * LANES * hardware.clock_hz * efficiency("copy")
    byte_j: dict[str, Amount] = {
        n: m.energy_j_per_byte * joules.get(n, 1.0) for n, m in hardware.memories.items()
    }
    dram = hardware.memory("dram")
    bandwidth["engine"] = dram.bandwidth_bytes_per_s * efficiency("engine")
    launch_s, eager_s = hardware.launch.graph_s, hardware.launch.eager_s
    return Rates(
        of=hardware.name,
        operations=operations,
        read=bandwidth,
        written=bandwidth
        | {
            "port": port * efficiency("store", "port"),
            "shared": bandwidth["shared"] * efficiency("landing"),
        },
        slots={
            "launch": ("launch", launch_s * efficiency("launch")),
            "reduction": ("launch", launch_s * efficiency("reduction")),
            "host": ("host", eager_s * efficiency("host")),
            "host few": ("host", eager_s * efficiency("host_few", "host")),
            "host other": ("host", eager_s * efficiency("host_other", "host")),
            "host ragged": ("host", eager_s * parameters.get("host_ragged", 0.0)),
            "cycle": ("vector", efficiency("cycle") / hardware.clock_hz),
            "begin": ("vector", efficiency("begin") / hardware.clock_hz),
            **{name: ("launch", dram.latency_s * efficiency(name)) for name in LATE},
            **{
                late: ("launch", hardware.memory("l2").latency_s * efficiency(name))
                for name, late in LATE.items()
            },
        },
        atomics=_atomics(hardware, efficiency("atomics")),
        private=PRIVATE,
        sharpness=parameters.get("sharpness", np.inf),
        inner=parameters.get("inner"),
        operation_j=operation_j,
        byte_j=byte_j,
        static_w=hardware.power.idle_w * joules.get("static", 1.0),
        live_w={"processors": hardware.power.idle_w * joules.get("busy", 1.0) / cores.count},
        limit_w=hardware.power.limit_w,
        voltage=joules.get("voltage", 1.0),
    )


def _atomics(hardware: Hardware, efficiency: float) -> tuple[Amount, Amount]:
    """(atomic additions/s in all, at one address); what the catalogue does not say is no limit."""
    known = hardware.atomics
    if known is None:
        return np.inf, np.inf
    return known.rate_per_s * efficiency, known.same_address_per_s
