"""Mixtures: biases of experts, what a router's scores add, the activation of gpt-oss."""

from dataclasses import replace

import numpy as np

from hwmodel.einsum.evaluate import evaluate
from hwmodel.einsum.workloads.blocks.block import Step
from hwmodel.einsum.workloads.blocks.mixture import Mixture
from hwmodel.einsum.workloads.blocks.share import Share
from hwmodel.einsum.workloads.dispatch import Scoring
from hwmodel.einsum.workloads.precision import Precision
from hwmodel.einsum.workloads.rows import gate_activation, up_multiply

PLAIN = Mixture(hidden=32, experts=8, picks=2, intermediate=16)
SHARE = Share(Precision("bf16", "bf16", "bf16", "bf16"), layers=(0,))
STEP = Step(batch=3, queries=1, context=5, decoding=True)


def held(block: Mixture) -> int:
    return sum(weight.elements() for weight in block.weights())


def names(block: Mixture) -> list[str]:
    return [stage.name for stage in block.stages(STEP, SHARE)]


def test_biases_of_experts_are_those_of_the_chosen_in_use() -> None:
    biased = replace(PLAIN, bias=True, router_bias=True)
    assert held(biased) - held(PLAIN) == 8 * (2 * 16 + 32) + 8
    active = sum(w.active() for w in biased.weights()) - sum(w.active() for w in PLAIN.weights())
    assert active == 2 * (2 * 16 + 32) + 8


def test_a_choice_by_groups_masks_those_that_are_not_taken() -> None:
    scoring = Scoring("sigmoid", corrected=True, groups=4, taken=2, scaled=True)
    made = names(replace(PLAIN, scoring=scoring))
    assert made[: made.index("weights cast")] == [
        *("router", "router sigmoid", "router correction", "groups' best", "groups sum"),
        *("groups top-k", "groups mask", "router top-k", "scores gather", "weights sum"),
        *("weights divide", "weights scale"),
    ]
    assert names(replace(PLAIN, scoring=Scoring("sigmoid")))[:3] == [
        *("router", "router sigmoid", "router top-k")
    ]


def test_the_cut_off_silu_is_that_of_gpt_oss() -> None:
    both = np.random.default_rng(0).normal(0, 8, (5, 2, 7))
    first = evaluate(gate_activation("clamped", 5, 7, "fp32"), {"H": both})["Y"]
    found = evaluate(up_multiply(5, 7, "fp32", act="clamped"), {"H": both, "X": first})["Y"]
    glu, up = np.minimum(both[:, 0], 7), np.clip(both[:, 1], -7, 7)
    np.testing.assert_allclose(found, (up + 1) * glu / (1 + np.exp(-1.702 * glu)), rtol=1e-6)
