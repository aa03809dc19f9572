"""FIFOs between the layers of a design that streams join (hls4ml, `io_stream`).

Every layer of a network but the last hands its map on through a FIFO that holds all of it: one word
of all channels a pixel (backend Vitis), or a FIFO of each channel (backend Vivado). A window of a
convolution that reaches over the border reads a padded map, which is a layer with a FIFO of its
own, and so is the rectifier that files fold into the layer before it: one is taken to stand behind
each layer with weights but the last where the network has none there.

Depths are those that hls4ml writes before FIFOs are optimised by a simulation. What a FIFO takes of
block RAM is said in `blocks`; its control takes `CONTROL` besides. What fills it is 4 LUTs and 4
registers a bit where it has no weights, as sums are of those that have (`fabric`), and a window of
several rows keeps all but one of them in shift registers, 32 bits of a LUT. So counted, two designs
that others released have the block RAM of their FIFOs exactly, and one of them its LUTs and
flip-flops within 25 % (`validation/papers/hls4ml.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from hwmodel.einsum.workloads.layer import WEIGHTED, Layer, Network
from hwmodel.machines.fpga.blocks import fifo_half_block_rams
from hwmodel.quantity.arithmetic import ceil_div

Role = Literal["weighted", "layer", "padded", "rectified", "lines"]

CONTROL = (72, 55)
"""LUTs and flip-flops of a FIFO's control: 130 FIFOs of a released design take 9,422 and 7,169."""

COPIES = 4
"""LUTs, and registers, of a bit of what has no weights: as of a sum of a layer that has."""

SHIFTED = 32
"""Bits of a shift register in a LUT (AMD UG574)."""

FUNCTIONS = ("activation", "norm")
"""Kinds after which no rectifier is taken to stand."""


@dataclass(frozen=True)
class Stream:
    """A FIFO: what fills it, channels of a word, words; `bits` of a channel, None: as its layer's.

    `role` says which layer fills it: one with weights, another, one that pads or rectifies its map.
    `lines` are no FIFO: rows that a window keeps.
    """

    name: str
    channels: int
    depth: int
    bits: int | None = None
    role: Role = "layer"

    def fabric(self, bits: int, *, apart: bool) -> tuple[int, int]:
        """LUTs and flip-flops: of control, and of what fills it where that has no weights."""
        width = self.channels * (self.bits or bits)
        if self.role == "lines":
            return width * int(ceil_div(self.depth, SHIFTED)), 0
        fifos = self.channels if apart else 1
        own = 0 if self.role == "weighted" else COPIES * width
        return fifos * CONTROL[0] + own, fifos * CONTROL[1] + own

    def half_blocks(self, bits: int, *, apart: bool) -> int:
        """Halves of block RAMs; `apart`: each channel has a FIFO of its own."""
        width = self.bits or bits
        if self.role == "lines":
            return 0
        if apart:
            return self.channels * fifo_half_block_rams(width, self.depth)
        return fifo_half_block_rams(self.channels * width, self.depth)


def streams(network: Network) -> tuple[tuple[Stream, ...], ...]:
    """The FIFOs by layer with weights: its own, and those of layers behind it without any.

    What stands before the first layer with weights is with that one.
    """
    found: list[list[Stream]] = []
    before: list[Stream] = []
    read_by = _readers(network.layers)
    last = len(network.layers) - 1
    for at, layer in enumerate(network.layers):
        mine = found[-1] if found else before
        high, wide = layer.needs(layer.out_height, layer.out_width)
        if layer.kind in WEIGHTED and (high > layer.height or wide > layer.width):
            mine.append(Stream(layer.name, layer.channels, high * wide, role="padded"))
        if layer.kind in WEIGHTED:
            found.append([*(before if not found else ())])
            mine = found[-1]
            if layer.window[0] > 1:
                rows = (layer.window[0] - 1) * layer.dilations[0] * layer.channels
                mine.append(Stream(layer.name, rows, wide, role="lines"))
        if at == last:
            continue
        role: Role = "weighted" if layer.kind in WEIGHTED else "layer"
        made = Stream(layer.name, layer.filters, layer.out_height * layer.out_width, role=role)
        mine.append(made)
        if layer.kind in WEIGHTED and not any(kind in FUNCTIONS for kind in read_by[at]):
            mine.append(replace(made, role="rectified"))
    return tuple(map(tuple, found))


def _readers(layers: Sequence[Layer]) -> list[list[str]]:
    """Kinds of the layers that read each layer's map."""
    found: list[list[str]] = [[] for _ in layers]
    for layer in layers:
        for source in layer.inputs:
            if source >= 0:
                found[source].append(layer.kind)
    return found
