"""What layers take of the fabric: counts by hand, and published totals of synthesised designs."""

from itertools import pairwise

import pytest

from hwmodel.machines.fpga.fabric import Dense, spread, taken
from hwmodel.machines.fpga.reuse import nearest_legal

# Widths, weight bits, target reuse factor; LUTs and flip-flops: of the released table of designs
# (wa-hls4ml, arXiv 2511.05615), of which the constants saw 40-88-112 at reuse 1024 alone.
DESIGNS = [
    ((40, 88, 112), 8, 4093, 20885, 15368),
    ((80, 24, 120), 6, 1024, 15596, 10075),
    ((104, 64, 120), 16, 4093, 25495, 15098),
    ((104, 64, 128), 2, 1024, 22061, 15428),
    ((128, 104, 24), 12, 2047, 23604, 16420),
]


@pytest.mark.parametrize(("widths", "bits", "target", "luts", "flip_flops"), DESIGNS)
def test_released_designs_are_within_thirty_percent(
    widths: tuple[int, ...], bits: int, target: int, luts: int, flip_flops: int
) -> None:
    layers = [Dense("a", i, o, bits=bits, input_bits=16) for i, o in pairwise(widths)]
    counts = [taken(a, nearest_legal(target, a.fan_in, a.fan_out)) for a in layers]
    for name, published in (("lut", luts), ("ff", flip_flops)):
        ours = sum(each[name] for each in counts)
        assert ours == pytest.approx(published, rel=0.3), name
        low, high = spread("resource", name)
        assert low * ours <= published <= high * ours, name


def test_small_layers_by_hand() -> None:
    """4 inputs of 8 bits, 2 results: sums of 8 + 4 + 2 bits, 4 LUTs a bit; 2 multipliers of 16."""
    few = Dense("a", 4, 2, bits=4, input_bits=8, result_bits=10)
    assert taken(few, 4) == {
        "dsp": 0,
        "lut": 4 * 2 * 14 + 2 * 16,
        "ff": 4 * 2 * 10 + 4 * 8,
        "bram": 0.5,
        "uram": 0,
    }


def test_every_product_has_an_adder_in_the_latency_strategy() -> None:
    """4 x 2 products of 16 x 16 bits on slices, sums of 34 bits; 2 + 2 stages of 2 sums."""
    wide = Dense("a", 4, 2, strategy="latency")
    assert taken(wide, 1) == {
        "dsp": 8,
        "lut": 8 * 34,
        "ff": 4 * 16 + 2 * 34 * 4,
        "bram": 0,
        "uram": 0,
    }


def test_weights_lie_in_half_blocks() -> None:
    """960 words of 12 and of 18 bits fill half a block each, and so do 960 places of a sum.

    At a reuse of 24 no table says whose sum a step adds to: 120 x 6 bits are 20 halves.
    """
    assert taken(Dense("a", 80, 24, bits=6, input_bits=16), 960)["bram"] == 1
    assert taken(Dense("a", 24, 120, bits=6, input_bits=16), 960)["bram"] == 1
    assert taken(Dense("a", 24, 120, bits=6, input_bits=16), 24)["bram"] == 10
