"""LUTs, flip-flops and block RAMs of a layer that hls4ml unrolls, as its strategies build them.

Resource strategy: `n_out` sums of as many bits as nothing overflows, of which `multipliers` are
added to in a cycle; the sums, their next values, the kernel's result and the caller's copy of it
are registers, and so are the inputs:

    sum bits = input bits + weight bits + ceil(log2 n_in)
    LUT      = 4 n_out sum bits  (set, keep, read and write each bit)  + those of LUT multipliers
    FF       = 4 n_out result bits + n_in input bits

Derived from the kernel's loop; the 4s were chosen by three numbers of one published design,
40-88-112 at reuse 1024 (wa-hls4ml, arXiv 2511.05615: 23.9 k LUT at 8 bits, 30.3 k at 16, 15.35 k
FF). Other designs of that release are within 30 % (`validation/papers/hls4ml.py`).

Latency strategy: every product has an adder of its own,

    LUT = n_in n_out sum bits      FF = n_in input bits + n_out sum bits (ceil(log2 n_in) + 2)

derived, a prior: weights that are zero or powers of two vanish.

Weights lie in block RAM, a word for all multipliers at once and `reuse` words deep, half blocks
(18 Kbit) being apart (AMD UG573); for `latency`, and at a factor of 1, they are constants of the
fabric. Where a factor
exceeds the inputs, the kernel looks up whose sum each step adds to (`outidx` of its source): a
table of `reuse` words, in block RAM from 1024 bits on. FIFOs of streams are said in `streams`.
Synthesis moves shallow memories to LUTs, as it likes, so that block RAM is the least certain. No
UltraRAM is taken: none of the released designs takes any. Counts.
"""

from dataclasses import dataclass
from typing import Literal

from hwmodel.machines.fpga.blocks import REGISTERED_BITS, half_block_rams
from hwmodel.machines.fpga.reuse import dsp_slices, multiplier_luts, multipliers, slices_each
from hwmodel.machines.fpga.streams import Stream

Strategy = Literal["latency", "resource"]

RESULT_BITS = 16
"""Of a layer's results where nothing is said: hls4ml's default format, fixed<16,6>."""

COPIES = 4
"""LUTs of a bit of a sum, and registers of a bit of a result."""

SLICE_BITS = 72
"""Registers of a product for each slice beyond its first: 215 of 32 x 32 bits in four slices, in
the report of a released design (ChiRuiChen/AutoEncoder_hls4ml at dd6f3c2)."""

SPREADS: dict[tuple[str, str], tuple[float, float]] = {
    ("resource", "lut"): (0.7, 1.4),
    ("resource", "ff"): (0.8, 1.4),
    ("resource", "bram"): (0.1, 8.0),
    ("latency", "lut"): (0.2, 1.5),
    ("latency", "ff"): (0.2, 2.0),
}
"""(Strategy, resource) -> low and high multiples of the count; DSP slices have none. Priors: those
of the resource strategy hold the released designs that were read, the others are assumed."""


@dataclass(frozen=True)
class Dense:
    """A dense layer applied to `positions` places: pixels of a convolution, or one vector."""

    name: str
    fan_in: int
    fan_out: int
    positions: int = 1
    bits: int = 16
    input_bits: int | None = None
    """Of the other operand of each multiplication; None: as the weights."""
    result_bits: int = RESULT_BITS
    sum_bits: int | None = None
    """Of the accumulators; None: as many as never overflow (hls4ml's `auto`)."""
    strategy: Strategy = "resource"
    read: int | None = None
    """Places of the map that is read, zeros around it among them; None: as many as `positions`."""
    streams: tuple[Stream, ...] = ()
    """FIFOs from this layer to the next one with weights, where streams join layers."""
    apart: bool = False
    """Whether each channel has a FIFO of its own (backend Vivado)."""

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference."""
        return self.fan_in * self.fan_out * self.positions

    @property
    def data_bits(self) -> int:
        """Bits of an input."""
        return self.input_bits or self.bits

    @property
    def levels(self) -> int:
        """Levels of a tree that adds all products of a result."""
        return (self.fan_in - 1).bit_length()

    def bits_of(self, stream: Stream) -> int:
        """Bits of a channel of a FIFO: of a result where weights made it, else of a value read."""
        return self.result_bits if stream.role == "weighted" else self.data_bits

    @property
    def fifo_halves(self) -> int:
        """Halves of block RAMs that its FIFOs take."""
        return sum(s.half_blocks(self.bits_of(s), apart=self.apart) for s in self.streams)

    @property
    def accumulator_bits(self) -> int:
        """Bits of a sum."""
        return self.sum_bits or self.data_bits + self.bits + self.levels


def taken(layer: Dense, reuse: int) -> dict[str, int | float]:
    """What a layer takes of the fabric at a reuse factor: dsp, lut, ff, bram (36 Kbit), uram."""
    sizes = layer.fan_in, layer.fan_out
    each = multipliers(*sizes, reuse)
    luts = multiplier_luts(*sizes, reuse, layer.bits)
    slices = slices_each(layer.bits, layer.data_bits)
    held = layer.fan_in * layer.data_bits + each * SLICE_BITS * max(0, slices - 1)
    if layer.strategy == "latency":
        luts += layer.fan_in * layer.fan_out * layer.accumulator_bits
        held += layer.fan_out * layer.accumulator_bits * (layer.levels + 2)
        halves = 0
    else:
        luts += COPIES * layer.fan_out * layer.accumulator_bits
        held += COPIES * layer.fan_out * layer.result_bits
        words = half_block_rams(layer.bits * each, reuse) if reuse > 1 else 0
        halves = words + _looked_up(layer, reuse)
    halves += layer.fifo_halves
    for stream in layer.streams:
        more = stream.fabric(layer.bits_of(stream), apart=layer.apart)
        luts, held = luts + more[0], held + more[1]
    blocks = halves / 2
    return {
        "dsp": dsp_slices(*sizes, reuse, layer.bits, layer.input_bits),
        "lut": luts,
        "ff": held,
        "bram": int(blocks) if blocks == int(blocks) else blocks,
        "uram": 0,
    }


def _looked_up(layer: Dense, reuse: int) -> int:
    """Halves of block RAMs of the table that says whose sum a step adds to."""
    bits = (layer.fan_out - 1).bit_length()
    if reuse <= layer.fan_in or bits * reuse <= REGISTERED_BITS:
        return 0
    return half_block_rams(bits, reuse)


def spread(strategy: str, resource: str) -> tuple[float, float]:
    """Low and high multiples of what a layer is said to take of a resource."""
    return SPREADS.get((strategy, resource), (1.0, 1.0))
