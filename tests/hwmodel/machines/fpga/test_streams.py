"""FIFOs of streams: counts by hand of a small network, on both backends."""

from dataclasses import replace

import pytest

import hwmodel as hw
from hwmodel.einsum.workloads.layer import Layer, Network
from hwmodel.hardware.hardware import limits
from hwmodel.machines.fpga.fabric import Dense
from hwmodel.machines.fpga.hls4ml import design, smallest_target
from hwmodel.machines.fpga.streams import Stream, streams
from hwmodel.quantity.errors import CapacityError

LAYERS = (
    Layer("conv", "conv", (-1,), 16, 16, 3, 16, 16, 8, kernel=3),
    Layer("pool", "maximum", (0,), 16, 16, 8, 8, 8, 8, kernel=2, stride=2),
    Layer("out", "linear", (1,), 8, 8, 8, 1, 1, 10),
)


def test_each_map_but_the_last_is_a_fifo_and_windows_keep_rows() -> None:
    """A padded image of 18 x 18; two rows of it; the map, rectified, and pooled; no FIFO at last.

    A word of 8 channels in 16 bits is 128 wide, 8 half blocks of 18 bits; one of 3 takes 3.
    """
    first, last = streams(Network("net", 16, 16, 3, LAYERS))
    assert [(each.role, each.channels, each.depth) for each in first] == [
        *(("padded", 3, 324), ("lines", 6, 18), ("weighted", 8, 256), ("rectified", 8, 256)),
        ("layer", 8, 64),
    ]
    assert last == ()
    assert [each.half_blocks(16, apart=False) for each in first] == [3, 0, 8, 8, 8]
    assert [each.half_blocks(16, apart=True) for each in first] == [3, 0, 8, 8, 0]


def test_control_and_what_fills_a_fifo_take_fabric() -> None:
    """4 a bit of 3 x 10; rows of 40 places take two LUTs of 32 bits for each of 6 x 10."""
    assert Stream("a", 3, 324, role="padded").fabric(10, apart=False) == (72 + 120, 55 + 120)
    assert Stream("a", 3, 324, role="weighted").fabric(10, apart=True) == (3 * 72, 3 * 55)
    assert Stream("a", 6, 40, role="lines").fabric(10, apart=False) == (120, 0)


def test_a_design_short_of_block_ram_says_how_much_lies_in_fifos() -> None:
    """8 channels of 16 bits, 256 deep: 8 halves; of a rectifier's 8 bits 4, as values are read."""
    fifo = Stream("conv", 8, 256, role="weighted")
    between = (fifo, replace(fifo, role="rectified"))
    layer = Dense("conv", 27, 8, positions=256, bits=8, streams=between)
    made = design([layer], 1)
    assert made.resources["bram"] == 4 + 2
    assert made.ranges["bram"] == pytest.approx((0.6, 6.0))  # FIFOs alone: shortened, or as written
    with pytest.raises(CapacityError, match=r"needs 6.5 bram of 5, 6 bram of them in FIFOs"):
        smallest_target([layer], limits(hw.device("u250").but(resources={"bram": 5, "dsp": 300})))
