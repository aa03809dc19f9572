"""MKOR (NeurIPS 2023): what updates of second-order optimisers cost as widths grow, by `predict`.

The abstract: with a width d its updates take work quadratic in d and exchanges linear in it, where
factors of K-FAC are inverted in cubic work and exchanged in quadratic. What it gains in time until
a network is trained (2.57 times LAMB's, 1.85 times KAISA's) includes steps that it spares, which
nothing here says.
"""

import math
from typing import Any

from hwmodel.einsum.workloads.training import training
from hwmodel.machines.driver import predict
from hwmodel.validation.papers.claim import Claim
from hwmodel.validation.papers.given import Given

WIDTHS = (4096, 8192)
NEVER = 10**9
"""Steps after which factors are made anew, where they are not."""


def bert(width: int) -> dict[str, Any]:
    """Layers of a width, as those of BERT."""
    sizes = {"n_layer": 4, "n_embd": width, "n_head": width // 64}
    return {"model_type": "gpt2", "n_positions": 512, "vocab_size": 8192, **sizes}


def step(given: Given, optimizer: str, width: int, every: int) -> Any:
    """A step of two replicas, of one sequence each."""
    wide = width ** given("exponent of the width", 1, 1.1)
    width = 64 * round(wide / 64)
    rows = given("tokens", 64, 8192)
    how: dict[str, Any] = {"optimizer": optimizer, "every": every, "dp": 2, "zero": 0}
    work: Any = training(bert(width), rows, 2, **how)
    return predict(work, given.device("a100"))


def exponents(given: Given, optimizer: str) -> tuple[float, float]:
    """Of the work of an update, and of what it exchanges, as the width doubles."""
    work: list[float] = []
    sent: list[float] = []
    for width in WIDTHS:
        each, seldom = (step(given, optimizer, width, every) for every in (1, NEVER))
        work.append(each.optimizer_flops - seldom.optimizer_flops)
        sent.append(each.optimizer_sent_bytes)
    return math.log2(work[1] / work[0]), math.log2(sent[1] / sent[0])


def updates(given: Given) -> tuple[Claim, ...]:
    """Exponents of both optimisers."""
    found = {name: exponents(given, name) for name in ("mkor", "kfac")}
    source, told = "abstract", "terms of lower order"
    return (
        Claim(
            *("MKOR", "exponent of an update's work in the width", 2.0, found["mkor"][0], 0.05),
            source,
            within=told,
            identity=True,
        ),
        Claim(
            *("MKOR", "exponent of what is exchanged", 1.0, found["mkor"][1], 0.05, source),
            within=told,
            identity=True,
        ),
        Claim(
            *("MKOR", "exponent of an update's work, K-FAC", 3.0, found["kfac"][0], 0.05),
            source,
            within=told,
            identity=True,
        ),
    )


PROGRAMS = (updates,)
