"""FlashAttention-4 (Zadouri et al., arXiv 2603.05451, 2026): cycles per tile, rate on a B200.

The tables of cycles follow from counts alone. The rate is a prediction with priors: the matrix
unit's share is what cuDNN's kernel reached on an H200; nothing was fitted to this paper. Nor to
AVO (arXiv 2603.24517, 2026), whose timings of cuDNN 9.19.1 are a claim here.
"""

from dataclasses import replace

from hwmodel.einsum.workloads.attention import attention
from hwmodel.hardware.hardware import Limits
from hwmodel.machines.driver import predict
from hwmodel.machines.gpu.clocks import clocks
from hwmodel.machines.gpu.libraries.flash_attention_4 import CUDNN
from hwmodel.machines.gpu.libraries.library import Launch
from hwmodel.machines.gpu.schedules.attention import AttentionProblem
from hwmodel.machines.gpu.schedules.flash4 import (
    MENU,
    Flash4Tile,
    activity,
    backward_step,
    forward_step,
    resolved,
)
from hwmodel.validation.papers.claim import EXACT, Claim
from hwmodel.validation.papers.given import Given

SYSTEM = "FlashAttention-4"
FORWARD = "table of the forward pass, cycles of a tile"
BACKWARD = "table of the backward pass, cycles of a tile"
SIDE = 128
EVOLVED, AHEAD = 1668e12, 1.021
"""FLOP/s of AVO's kernel, and times cuDNN 9.19.1's (the middle of what it says)."""
TOTAL, TOKENS, HIDDEN = 32_768, 16_384, 2048
"""Tokens in all, tokens of a sequence, and the width of all heads."""


def _plain(tile: Flash4Tile, problem: AttentionProblem, limits: Limits) -> Flash4Tile:
    """The launch without what FlashAttention-4 brought: each block alone, O rescaled each step."""
    found = resolved(tile, problem, limits)
    nothing = 0 * found.block_q
    return replace(found, pair=1 + nothing, rescaled=1 + nothing, emulated=nothing)


BEFORE = replace(CUDNN, launches={"prefill": Launch(activity, MENU[1:], _plain)})
"""cuDNN's kernel of version 9.13."""


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


def rates(given: Given) -> tuple[Claim, ...]:
    """The forward pass on a B200: its rate, and that of cuDNN's kernel."""
    b200 = given.device("b200")
    heads = given("width of all heads", HIDDEN) // SIDE
    work = attention(batch=TOTAL // TOKENS, heads=heads, queries=TOKENS, keys=TOKENS, head_dim=SIDE)
    done = 4 * TOTAL * TOKENS * SIDE * heads
    ours, cudnn, before = (
        done / float(predict(work, b200, kernel=kernel).time_s)
        for kernel in ("flash-attention-4", "cudnn", BEFORE)
    )
    prior = "a prior: the matrix unit's share of cuDNN's kernel on an H200"
    return (
        Claim(
            *(SYSTEM, "B200 forward, d = 128, FLOP/s", 1613e12, ours, 0.1),
            *("abstract; 32 Ki tokens",),
            within=prior,
        ),
        Claim(
            *(SYSTEM, "B200 forward, d = 128, share of the peak", 0.71),
            *(ours / float(b200.rate("matrix", "bf16")), 0.1, "abstract"),
            within=prior,
        ),
        Claim(
            *(SYSTEM, "B200 forward, d = 128, of cuDNN 9.13's rate", 1.3, ours / before, 0.1),
            "abstract: up to 1.3 times cuDNN 9.13's",
            within="9.13 is taken to lack pairs, emulation and spared rescaling, no more (assumed)",
            cause="9.13 lost more than those three, and the most is at a shape that is not said",
        ),
        Claim(
            *(SYSTEM, "B200 forward, d = 128, cuDNN 9.19.1, FLOP/s", EVOLVED / AHEAD, cudnn, 0.1),
            *("AVO (arXiv 2603.24517): 1.8 to 2.4 % behind its own 1,668, from 16 Ki tokens on",),
            within=prior,
        ),
    )


PROGRAMS = (cycles, rates)
