"""hls4ml designs of wa-hls4ml (arXiv 2511.05615): cycles and resources of synthesised networks.

Two dense layers each, resource strategy, linear activations, Vitis for an Alveo U250 at 5 ns;
activations of 16 bits. Block RAM is not claimed: synthesis moves weights to LUTs and back.
"""

from itertools import pairwise

from hwmodel.hardware.catalogue import device
from hwmodel.machines.fpga.fabric import Dense
from hwmodel.machines.fpga.hls4ml import design
from hwmodel.machines.fpga.rates import spatial_rates
from hwmodel.spine.activity import fold
from hwmodel.validation.papers.claim import Claim

SYSTEM = "hls4ml (wa-hls4ml)"
SOURCE = "released table of synthesised designs, two dense layers"
# Widths, weight bits, target reuse factor; reuse factors built, cycles at best, DSP slices, LUTs,
# flip-flops.
DESIGNS = (
    ((80, 24, 120), 6, 1024, (960, 960), 1923, 0, 15596, 10075),
    ((104, 64, 120), 16, 4093, (3328, 3840), 7171, 4, 25495, 15098),
    ((40, 88, 112), 8, 4093, (3520, 4928), 8451, 3, 20885, 15368),
)
FABRIC = 0.3
"""Tolerance of LUTs and flip-flops."""


def claims() -> tuple[Claim, ...]:
    """Reuse factors, cycles and slices of each design, exactly; LUTs and flip-flops nearly."""
    clock_hz = 200e6
    board = device("u250").but(clock_hz=clock_hz)
    found: list[Claim] = []
    for widths, bits, target, reuse, cycles, slices, luts, flip_flops in DESIGNS:
        layers = [Dense(f"{a}-{b}", a, b, bits=bits, input_bits=16) for a, b in pairwise(widths)]
        made = design(layers, target)
        folded = fold(made.activity(), spatial_rates(board, len(layers), frozenset({bits})))
        name = f"{'-'.join(map(str, widths))}, {bits} bits"
        for layer, published, ours in zip(layers, reuse, made.reuse, strict=True):
            found.append(
                Claim(SYSTEM, f"{name}: reuse of {layer.name}", published, ours, 0.0, SOURCE)
            )
        ours_cycles = float(folded.time_s * clock_hz)
        found.append(Claim(SYSTEM, f"{name}: cycles", cycles, ours_cycles, 1e-9, SOURCE))
        used = made.resources
        found.append(Claim(SYSTEM, f"{name}: DSP slices", slices, used["dsp"], 0.0, SOURCE))
        found.append(Claim(SYSTEM, f"{name}: LUTs", luts, used["lut"], FABRIC, SOURCE))
        found.append(Claim(SYSTEM, f"{name}: flip-flops", flip_flops, used["ff"], FABRIC, SOURCE))
    return tuple(found)
