"""Rates of an FPGA: DSP slices and LUT pipelines at the design's clock, channels behind ports.

A memory channel gives the less of its own bandwidth and what its port carries in a clock (an AXI
port of 128 bits at 300 MHz: 4.8 GB/s), so that a slower design also reads more slowly:

    bandwidth = min(channels x channel, channels x port x clock)

The DRAM keeps `BURSTS` of it, after its latency: 64 cycles in the catalogue, for which Edge-MoE's
memory ports are built (ICCAD 2023, released source, `m_axi latency=64`). Seconds, bytes/s and
operations/s of the whole device.
"""

import numpy as np

from hwmodel.hardware.hardware import Hardware, Memory
from hwmodel.machines.fpga.reuse import slices_each
from hwmodel.quantity.arithmetic import least, where
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Operation, Rates

BURSTS = 0.8
"""Share of a DRAM's bandwidth in bursts of 256 bytes and more: assumed, of 70 to 85 % seen."""


def bandwidth_bytes_per_s(memory: Memory, clock_hz: Amount) -> Amount:
    """What the design's ports draw from a memory."""
    port = memory.channels * memory.port_bytes_per_clock * clock_hz
    return where(
        port > 0, least((memory.bandwidth_bytes_per_s, port)), memory.bandwidth_bytes_per_s
    )


def rates(hardware: Hardware) -> Rates:
    """Rates for an engine that all operations share."""
    operations: dict[Operation, Amount] = {}
    joules: dict[Operation, Amount] = {}
    for name, unit in hardware.units.items():
        for kind, rate in unit.rate_per_s.items():
            operations[name, "flop", kind] = rate
            joules[name, "flop", kind] = unit.energy_j_per_flop.get(kind, 0.0)
    drawn = {n: bandwidth_bytes_per_s(m, hardware.clock_hz) for n, m in hardware.memories.items()}
    drawn["dram"] = drawn["dram"] * BURSTS
    return Rates(
        of=hardware.name,
        operations=operations,
        read=drawn,
        written=drawn,
        slots={"axi": ("dram", hardware.memory("dram").latency_s)},
        operation_j=joules,
        byte_j={name: memory.energy_j_per_byte for name, memory in hardware.memories.items()},
        static_w=hardware.power.idle_w,
        limit_w=hardware.power.limit_w,
    )


def spatial_rates(hardware: Hardware, layers: int, bits: frozenset[int]) -> Rates:
    """Rates for layers with multipliers of their own: a cycle is a cycle of each of them.

    A wide multiplier spends the joules of each of its slices on an operation. Layers are numbered,
    since those that run at once share no multiplier.
    """
    cycle_s = 1 / hardware.clock_hz
    slots = {f"cycle {n}": (f"dsp {n}", cycle_s) for n in range(layers)}
    dsp = hardware.units["dsp"].energy_j_per_flop
    keys = {b: ("dsp", "flop", f"int{b}") for b in bits}
    return Rates(
        of=hardware.name,
        operations=dict.fromkeys(keys.values(), np.inf),
        read={"bram": np.inf, "dram": np.inf},
        written={"dram": np.inf},
        slots={"cycle": ("dsp", cycle_s), **slots},
        operation_j={
            key: dsp["int8"] if b <= 8 else dsp["int16"] * slices_each(b, b)
            for b, key in keys.items()
        },
        byte_j={name: memory.energy_j_per_byte for name, memory in hardware.memories.items()},
        static_w=hardware.power.idle_w,
        limit_w=hardware.power.limit_w,
    )
