"""Experts in expert order: M3ViT (arXiv 2210.14793) and Edge-MoE (ICCAD 2023), by `predict`.

The papers print no traffic in bytes; their formulas do, with the sizes of the released
configurations: k N experts of W bytes in token order, E in expert order. An expert is a plain MLP
of two products, so the layer is a cascade of its own here. What of the bytes read is weights
follows from the same layer with weights of half as many bits.
"""

from collections.abc import Mapping

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.notation import parse
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.driver import predict
from hwmodel.validation.papers.claim import EXACT, Claim
from hwmodel.validation.papers.given import Given

LAYER = """
rank t(x) ~ balanced(tokens, picks)
rank o = d
tensor W[x, i, d]: weight
tensor WD[x, o, i]: weight
H[x, t, i] = X[x, t, d] * W[x, i, d]
A[x, t, i] = gelu(H[x, t, i])
Y[x, t, o] = A[x, t, i] * WD[x, o, i]
"""
SOURCE = "k N W and E W bytes, released configuration, 16-bit weights"
SYSTEMS = (
    ("Edge-MoE", "zcu102", 129, 2, 16, 192, 384, 76_087_296, 4_718_592),
    ("M3ViT", "zcu104", 1201, 4, 16, 384, 384, 2_833_514_496, 9_437_184),
)
"""System, board, tokens, picks, experts, width, hidden width; bytes in token and expert order."""


def plain_experts(given: Mapping[str, int], stored: str) -> Cascade:
    """Experts of two products each, with a GELU between them."""
    formats = {"*": "int16", "W": stored, "WD": stored}
    return parse(LAYER, sizes=given, dtypes=formats, name="plain experts")


def weights_read(board: Hardware, kernel: str, sizes: Mapping[str, int]) -> float:
    """Bytes of weights that cross the DRAM's port."""
    wide, half = (
        float(predict(plain_experts(sizes, stored), board, kernel=kernel).dram_bytes_read)
        for stored in ("int16", "int8")
    )
    return 2 * (wide - half)


def orders(given: Given) -> tuple[Claim, ...]:
    """Traffic in both orders, and the buffers of weights."""
    found: list[Claim] = []
    for system, board, tokens, picks, experts, width, hidden, by_token, by_expert in SYSTEMS:
        count, inner = given("tokens", tokens), given("hidden width", hidden)
        sizes = {"tokens": count, "picks": picks, "x": experts, "d": width, "i": inner}
        fpga = given.device(board)
        ours = [weights_read(fpga, kernel, sizes) for kernel in ("token-order", "engine")]
        found += [
            Claim(
                system, "weight bytes, token order", by_token, ours[0], EXACT, SOURCE, identity=True
            ),
            Claim(
                system,
                "weight bytes, expert order",
                by_expert,
                ours[1],
                EXACT,
                SOURCE,
                identity=True,
            ),
            Claim(
                *(system, "weight bytes, token order over expert order"),
                *(by_token / by_expert, ours[0] / ours[1], EXACT, "k N / E"),
                identity=True,
            ),
        ]
    return tuple(found)


PROGRAMS = (orders,)
