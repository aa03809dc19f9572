"""hls4ml designs of wa-hls4ml (arXiv 2511.05615): cycles and resources of synthesised networks.

Two dense layers each, resource strategy, linear activations, Vitis for an Alveo U250 at 5 ns;
activations of 16 bits. Block RAM is not claimed: synthesis moves weights to LUTs and back.
"""

from itertools import pairwise

from hwmodel.einsum.cascade import Stage
from hwmodel.einsum.network import Stack
from hwmodel.einsum.workloads.gemm import gemm
from hwmodel.machines.driver import predict
from hwmodel.validation.papers.claim import EXACT, Claim
from hwmodel.validation.papers.given import Given

SYSTEM = "hls4ml (wa-hls4ml)"
SOURCE = "released table of synthesised designs, two dense layers"
CLOCK_HZ = 200e6
DESIGNS = (
    ((80, 24, 120), 6, 1024, (960, 960), 1923, 0, 15596, 10075),
    ((104, 64, 120), 16, 4093, (3328, 3840), 7171, 4, 25495, 15098),
    ((40, 88, 112), 8, 4093, (3520, 4928), 8451, 3, 20885, 15368),
)
"""Widths, weight bits, target reuse factor; reuse factors built, cycles at best, DSP slices, LUTs,
flip-flops."""
FABRIC = 0.2


def designs(given: Given) -> tuple[Claim, ...]:
    """Reuse factors, cycles and slices of each design, exactly; LUTs and flip-flops nearly."""
    board = given.device("u250").but(clock_hz=CLOCK_HZ)
    found: list[Claim] = []
    for widths, bits, target, reuse, cycles, slices, luts, flip_flops in DESIGNS:
        name = f"{'-'.join(map(str, widths))}, {bits} bits"
        wanted = given("target of reuse", target, target // 4)
        stored = f"int{given('bits of a weight', bits, 16 if bits < 16 else 6)}"
        moved = f"int{given('bits of an activation', 16, 8)}"
        layers = tuple(
            Stage(gemm(M=1, K=a, N=b, dtype=moved, weight_dtype=stored, name=f"{a}-{b}"))
            for a, b in pairwise(widths)
        )
        made = predict(Stack(name, layers), board, kernel=f"hls4ml-{wanted}")
        built, ours = made.parts[0].tile, float(made.time_s * CLOCK_HZ)
        used = built.resources
        found += [
            *(
                Claim(SYSTEM, f"{name}: reuse of {a}-{b}", factor, ours_factor, 0.0, SOURCE)
                for (a, b), factor, ours_factor in zip(
                    pairwise(widths), reuse, built.reuse, strict=True
                )
            ),
            Claim(SYSTEM, f"{name}: cycles", cycles, ours, EXACT, SOURCE),
            Claim(SYSTEM, f"{name}: DSP slices", slices, used["dsp"], 0.0, SOURCE),
            *(
                Claim(
                    *(SYSTEM, f"{name}: {what}", published, used[kind], FABRIC, SOURCE),
                    within="what synthesis merges and moves has no law",
                )
                for what, published, kind in (
                    ("LUTs", luts, "lut"),
                    ("flip-flops", flip_flops, "ff"),
                )
            ),
        ]
    return tuple(found)


PROGRAMS = (designs,)
