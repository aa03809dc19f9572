"""Experts in expert order: M3ViT (arXiv 2210.14793) and Edge-MoE (ICCAD 2023).

The papers print no traffic in bytes; their formulas do, with the sizes of the released
configurations: tokens k N / E times as many bytes in token order, and two experts on chip for E.
"""

from hwmodel.machines.fpga.experts import Experts, expert_order, token_order
from hwmodel.spine.activity import totals
from hwmodel.validation.papers.claim import Claim

UNIT = ("dsp", "int16")


def claims() -> tuple[Claim, ...]:
    """Traffic in both orders and their ratio, for the layers of both papers."""
    # Name, tokens, picks, experts, width, hidden; bytes in both orders as their formulas give them.
    cases = (
        ("Edge-MoE", 129, 2, 16, 192, 384, 76_087_296.0, 4_718_592.0),
        ("M3ViT", 1201, 4, 16, 384, 384, 2_833_514_496.0, 9_437_184.0),
    )
    found: list[Claim] = []
    for system, tokens, picks, experts, width, hidden, by_token, by_expert in cases:
        weights = 2 * width * hidden
        layer = Experts(experts, 2 * weights, 2 * weights, UNIT)
        rows = tokens * picks
        each, more = divmod(rows, experts)
        queues = [each + 1] * more + [each] * (experts - more)
        ours = [
            float(totals(tree).read["dram"])
            for tree in (token_order(layer, rows), expert_order(layer, queues))
        ]
        source = "k N W and E W, released configuration, 16-bit weights"
        found += [
            Claim(system, "weight bytes, token order", by_token, ours[0], 0.0, source),
            Claim(system, "weight bytes, expert order", by_expert, ours[1], 0.0, source),
            Claim(system, "ratio", rows / experts, ours[0] / ours[1], 1e-12, "k N / E"),
            Claim(
                *(system, "weight buffers saved", experts / 2),
                *(layer.resident_bytes / layer.buffer_bytes, 1e-12, "E / 2"),
            ),
        ]
    return tuple(found)
