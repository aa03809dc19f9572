"""HACK (arXiv 2504.09261): memory and time of Infinity-8B with less of its cache, by the verbs.

Its abstracts: memory falls by 58.9 % with a tenth of the cache (first version), to 1 / 1.75 with
three tenths, at 1.57 times the speed (second). Its table, read second-hand, has 60.42 and 34.44 GB
for these; so what does not fall, and how many rows a batch has, follow from our bytes of a row's
cache, and the third point is predicted. Infinity-8B (40 layers of 3,584, 28 heads) is taken as a
VAR of its sizes: its attention to text is left out.
"""

from typing import Any

from hwmodel.einsum.workloads.model import Model, model
from hwmodel.machines.driver import predict
from hwmodel.validation.papers.claim import Claim
from hwmodel.validation.papers.given import Given

SIDES = (1, 2, 4, 6, 8, 12, 16, 20, 24, 32, 40, 48, 64)
"""Scales of an image of 1,024 pixels a side."""

TOKENS = sum(side**2 for side in SIDES)
INFINITY: dict[str, Any] = {
    **{"model_type": "var", "depth": 40, "embed_dim": 3584, "num_heads": 28},
    **{"shared_aln": True, "patch_nums": list(SIDES), "torch_dtype": "bfloat16"},
}
WHOLE_BYTES, LESS_BYTES = 60.42e9, 34.44e9


def keeping(share: float) -> Model:
    """The model whose heads keep so much on average; contextual ones half of it."""
    few, many = round(TOKENS * share / 2), round(TOKENS * share * 3 / 2)
    budgets = f"contextual_budget={few},structural_budget={many}"
    return model(INFINITY, cache_policy=f"hack:contextual=0.5,{budgets}")


def time_s(given: Given, served: Model, rows: int) -> float:
    """All scales of images of so many rows together."""
    total, done = 0.0, 0
    for side in SIDES:
        known = done + side**2
        step = served.prefill(rows, known, cached=done or None)
        total += float(predict(step, given.device("a100")).time_s)
        done = known
    return total


def memory(given: Given) -> tuple[Claim, ...]:
    """The third point of memory."""
    whole, less, least = (
        float(each.kv_bytes(1, TOKENS))
        for each in (model(INFINITY), keeping(0.3), keeping(given("share kept at the least", 0.1)))
    )
    rows = (WHOLE_BYTES - LESS_BYTES) / (whole - less)
    saved = rows * (whole - least) / WHOLE_BYTES
    return (
        Claim(
            *("HACK", "memory saved with a tenth of the cache", 0.589, saved, 0.05),
            "abstract, first version; ours from the second's two points",
            within="two versions of the paper are joined",
            cause="two points of the second version leave 37.1 GB to save, nine tenths of which are"
            " 55 %: the first version's run kept less beside",
        ),
    )


def speed(given: Given) -> tuple[Claim, ...]:
    """The speed with less of the cache."""
    rows = given("rows", 6)
    faster = time_s(given, model(INFINITY), rows) / time_s(given, keeping(0.3), rows)
    return (
        Claim(
            *("HACK", "speed with three tenths of the cache", 1.57, faster, 0.2),
            "abstract, second version",
            within="three guided images on an A100 are ours",
            cause="ours has fused attention, which reads keys once and is a small part of a step",
        ),
    )


PROGRAMS = (memory, speed)
