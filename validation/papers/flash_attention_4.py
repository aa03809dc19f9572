"""FlashAttention-4 (Zadouri et al., arXiv 2603.05451, 2026): cycles per tile, rate on a B200.

The tables of cycles follow from counts alone. The rate is a prediction with priors: the matrix
unit's share is what cuDNN's kernel reached on an H200; nothing was fitted to this paper.
"""

from hwmodel.machines.gpu.clocks import clocks
from hwmodel.machines.gpu.schedules.attention import AttentionProblem
from hwmodel.machines.gpu.schedules.flash4 import Flash4Tile, backward_step, forward_step
from hwmodel.validation.papers.claim import EXACT, Claim
from hwmodel.validation.papers.given import Given

SYSTEM = "FlashAttention-4"
FORWARD = "table of the forward pass, cycles of a tile"
BACKWARD = "table of the backward pass, cycles of a tile"
SIDE = 128


def cycles(given: Given) -> tuple[Claim, ...]:
    """Cycles of each unit for one tile, in both passes."""
    b200, side = given.device("b200"), given("head dimension", SIDE)
    found: list[Claim] = []
    problem = AttentionProblem(1, 1, 1, SIDE, SIDE, side, side)
    for rows, counts in ((128, (1024, 768, 1024)), (256, (2048, 1536, 2048))):
        step = clocks(
            forward_step(problem, Flash4Tile(rows, given("keys of a tile", SIDE)), tensor=True),
            b200,
        )
        for unit, published in zip(("matrix", "shared", "exp"), counts, strict=True):
            name = f"forward {rows} x 128 x 128, {unit} cycles"
            found.append(Claim(SYSTEM, name, published, float(step[unit]), EXACT, FORWARD))
    for pair, shared in ((1, 3328), (2, 2688)):
        step = clocks(backward_step(given("rows", SIDE), SIDE, side, pair), b200)
        for unit, published in (("matrix", 2560), ("shared", shared), ("exp", 1024)):
            name = f"backward {pair}-CTA, {unit} cycles"
            found.append(Claim(SYSTEM, name, published, float(step[unit]), EXACT, BACKWARD))
    return tuple(found)


PROGRAMS = (cycles,)
