"""TokenRing's published times of ring attention between four GPUs on PCIe, by one rate of the link.

Of the repository's README (ACA-Lab-SJTU/token-ring; the paper, arXiv 2412.20501, was not read):
four A10, the attention of LLaMA2-7B, 24,000 tokens; a round of ring attention takes 7.6 ms, a step
that sends queries 3.5 ms, both bound by communication. One rate, 13.5 GB/s, is to explain both.
What a device sends follows from the division of the model's prompt; how long that takes from the
link.
"""

from typing import Any

from hwmodel.einsum.workloads.model import Model, model
from hwmodel.machines.driver import predict
from hwmodel.network.topologies import topology
from hwmodel.validation.papers.claim import Claim
from hwmodel.validation.papers.given import Given

TOKENS, DEVICES = 24_000, 4
RATE = "13.5 GB/s"
"""Of the link in one direction: fitted to both times together."""

SOURCE = "ACA-Lab-SJTU/token-ring, README"


def rings(given: Given) -> tuple[Claim, ...]:
    """Times of both ways, and whose messages are larger as queries share keys."""
    llama = model("llama-2-7b")
    ring_s, queries_s = (sent_s(given, llama, how) for how in ("ring", "token-ring"))
    shared = {
        group: llama.but(
            num_key_value_heads=given(f"heads of keys, {group} queries each", 32 // group)
        )
        for group in (2, 4)
    }
    halves = {
        g: sent_bytes(given, m, "ring") / sent_bytes(given, m, "token-ring")
        for g, m in shared.items()
    }
    each = (
        ("seconds of a round of ring attention", 7.6e-3, ring_s, 0.08),
        ("seconds of a step that sends queries", 3.5e-3, queries_s, 0.08),
        ("a round over a step of queries", 7.6 / 3.5, ring_s / queries_s, 0.12),
        ("bytes of the ring over TokenRing's, two queries a key", 1.0, halves[2], 0.02),
        ("bytes of the ring over TokenRing's, four queries a key", 0.5, halves[4], 0.02),
    )
    told = "one rate of the link, fitted to both times together"
    return tuple(
        Claim("TokenRing", *claim, source=SOURCE, within=told if claim[-1] > 0.05 else "")
        for claim in each
    )


def sent_bytes(given: Given, llama: Model, how: str) -> float:
    """Bytes that a device sends in a step of a prompt's attention."""
    work = llama.prefill(1, given("tokens", TOKENS), parallel={"cp": DEVICES, "attends": how})
    (joint,) = (s.collective for s in work.stages if s.collective and s.collective.op == "p2p")
    return float(joint.bytes)


def sent_s(given: Given, llama: Model, how: str) -> float:
    """Seconds that those bytes take between devices that are each linked to every other."""
    from hwmodel.einsum.workloads.collective import collective

    described: dict[str, Any] = {"name": "four on PCIe", "generate": "mesh"}
    described["with"] = {
        "devices": DEVICES,
        "link": {"bandwidth": given("rate of the link", RATE, "16 GB/s")},
    }
    work = collective("p2p", round(sent_bytes(given, llama, how)), 2)
    return float(predict(work, "l40s", topology=topology(described)).time_s)


PROGRAMS = (rings,)
