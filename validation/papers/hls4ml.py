"""hls4ml designs of wa-hls4ml (arXiv 2511.05615): cycles and DSP slices of synthesised networks.

Two dense layers each, resource strategy, linear activations, Vitis for an Alveo U250 at 5 ns.
"""

from itertools import pairwise

from hwmodel.hardware.catalogue import device
from hwmodel.machines.fpga.hls4ml import Dense, design
from hwmodel.machines.fpga.rates import spatial_rates
from hwmodel.spine.activity import fold
from hwmodel.validation.papers.claim import Claim

SYSTEM = "hls4ml (wa-hls4ml)"
SOURCE = "released table of synthesised designs, two dense layers"
# Widths, weight bits, target reuse factor; reuse factors built, cycles at best, DSP slices.
DESIGNS = (
    ((80, 24, 120), 6, 1024, (960, 960), 1923, 0),
    ((104, 64, 120), 16, 4093, (3328, 3840), 7171, 4),
    ((40, 88, 112), 8, 4093, (3520, 4928), 8451, 3),
)


def claims() -> tuple[Claim, ...]:
    """Reuse factors, cycles and slices of each design, exactly."""
    clock_hz = 200e6
    board = device("u250").but(clock_hz=clock_hz)
    found: list[Claim] = []
    for widths, bits, target, reuse, cycles, slices in DESIGNS:
        layers = [Dense(f"{a}-{b}", a, b, bits=bits) for a, b in pairwise(widths)]
        made = design(layers, target)
        folded = fold(made.activity(), spatial_rates(board, len(layers), frozenset({bits})))
        name = f"{'-'.join(map(str, widths))}, {bits} bits"
        for layer, published, ours in zip(layers, reuse, made.reuse, strict=True):
            found.append(
                Claim(SYSTEM, f"{name}: reuse of {layer.name}", published, ours, 0.0, SOURCE)
            )
        ours_cycles = float(folded.time_s * clock_hz)
        found.append(Claim(SYSTEM, f"{name}: cycles", cycles, ours_cycles, 1e-9, SOURCE))
        used = made.resources["dsp"]
        found.append(Claim(SYSTEM, f"{name}: DSP slices", slices, used, 0.0, SOURCE))
    return tuple(found)
