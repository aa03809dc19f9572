"""FlashAttention-4 (Zadouri et al., arXiv 2603.05451, 2026): cycles per tile, rate on a B200.

The tables of cycles follow from counts alone. The rate is a prediction with priors: the matrix
unit's share is what cuDNN's kernel reached on an H200; nothing was fitted to this paper.
"""

from hwmodel.hardware.catalogue import device
from hwmodel.machines.gpu.attention_units import units
from hwmodel.machines.gpu.clocks import clocks
from hwmodel.machines.gpu.schedules.attention import AttentionProblem
from hwmodel.machines.gpu.schedules.flash4 import Flash4Tile, backward_step, forward_step
from hwmodel.validation.papers.claim import Claim

SYSTEM = "FlashAttention-4"
FORWARD = "table of the forward pass, cycles of a tile"
BACKWARD = "table of the backward pass, cycles of a tile"
SIDE = 128


def claims() -> tuple[Claim, ...]:
    """Cycles of each unit in both passes, then the rate."""
    b200 = device("b200")
    found: list[Claim] = []

    def row(quantity: str, published: float, ours: float, tolerance: float, source: str) -> None:
        found.append(Claim(SYSTEM, quantity, published, ours, tolerance, source))

    problem = AttentionProblem(1, 1, 1, SIDE, SIDE, SIDE, SIDE)
    for rows, cycles in ((128, (1024, 768, 1024)), (256, (2048, 1536, 2048))):
        step = clocks(forward_step(problem, Flash4Tile(rows, SIDE), tensor=True), b200)
        for unit, published in zip(("matrix", "shared", "exp"), cycles, strict=True):
            name = f"forward {rows} x 128 x 128, {unit} cycles"
            row(name, published, float(step[unit]), 0.0, FORWARD)
    for pair, shared in ((1, 3328), (2, 2688)):
        step = clocks(backward_step(SIDE, SIDE, SIDE, pair), b200)
        for unit, published in (("matrix", 2560), ("shared", shared), ("exp", 1024)):
            name = f"backward {pair}-CTA, {unit} cycles"
            row(name, published, float(step[unit]), 0.0, BACKWARD)
    rate = units(b200, 128).rates_flop_per_s["as it is"]
    peak = float(b200.rate("matrix", "bf16"))
    row("B200 forward, d = 128, FLOP/s", 1613e12, rate, 0.15, "abstract; 32 Ki tokens")
    row("B200 forward, d = 128, share of peak", 0.71, rate / peak, 0.15, "abstract")
    return tuple(found)
