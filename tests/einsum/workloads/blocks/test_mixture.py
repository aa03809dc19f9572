"""Mixtures: biases of experts, what a router's scores add, the activation of gpt-oss."""

from dataclasses import replace

import numpy as np
import pytest

from hwmodel.einsum.counts import flops
from hwmodel.einsum.distribution import touched_members
from hwmodel.einsum.division import Division
from hwmodel.einsum.evaluate import evaluate
from hwmodel.einsum.workloads.blocks.block import Step
from hwmodel.einsum.workloads.blocks.mixture import Mixture
from hwmodel.einsum.workloads.blocks.share import Share
from hwmodel.einsum.workloads.dispatch import Scoring
from hwmodel.einsum.workloads.model import model
from hwmodel.einsum.workloads.precision import Precision
from hwmodel.einsum.workloads.rows import gate_activation, up_multiply
from hwmodel.quantity.errors import InputError

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


def test_experts_touched_on_a_device_are_those_of_the_whole_layer() -> None:
    """Each device has E / n of the experts, and a token misses each as often as ever."""
    whole = _experts({})
    parts = _experts({"dp": 8, "ep": 8})
    assert isinstance(whole, float)
    assert 8 * parts == pytest.approx(whole, rel=1e-12)
    assert whole == pytest.approx(128 * (1 - (1 - 8 / 128) ** 64), rel=1e-12)


def _experts(parallel: dict[str, int]) -> float:
    """Experts that 64 tokens of all devices touch on one of them."""
    step = model("qwen3-30b-a3b").decode(64, 512, parallel=parallel)
    (stage,) = (s for s in step.stages if s.name == "experts down")
    spread = stage.cascade.ranks["t"].distribution
    assert spread is not None
    assert spread.draws == 64
    return float(touched_members(spread, stage.cascade.sizes()["x"]))


DEEPSEEK = model("deepseek-v3")


@pytest.mark.parametrize(
    ("parallel", "rows"),
    [
        ({"tp": 8, "ep": 8}, {}),  # all have the same tokens: each its experts, and one sum
        ({"dp": 8, "ep": 8}, {"dispatch": 8 * 8, "combine": 8 * 8}),
        ({"tp": 2, "dp": 4, "ep": 8}, {"dispatch": 8 * 8, "combine": 8 * 8}),
        ({"tp": 2, "dp": 4, "ep": 8, "sp": True}, {"dispatch": 8 * 8, "combine": 8 * 8}),
        (
            {"tp": 2, "dp": 4, "ep": 4, "etp": 2},
            {"dispatch": 8 * 8, "dispatch gather": 2 * 64, "combine sum": 2 * 64, "combine": 64},
        ),
    ],
)
def test_rows_go_to_the_devices_of_their_experts_where_tokens_differ(
    parallel: dict[str, int], rows: dict[str, int]
) -> None:
    """64 sequences on 8 devices: 8 tokens of each, 8 picks, 7,168 wide, in fp8 and back in bf16.

    In fp8 128 elements have a scale of 4 bytes, as blocks of weights have.
    """
    step = DEEPSEEK.decode(64, 512, parallel=parallel)
    found = {
        s.name: int(s.collective.bytes)
        / (7168 * (1 + 4 / 128 if s.name.startswith("dispatch") else 2))
        for s in step.stages
        if s.collective is not None and s.name.startswith(("dispatch", "combine"))
    }
    assert found == rows
    reduced = {s.name for s in step.stages if s.collective and s.collective.op == "all_reduce"}
    assert ("shared add" in reduced) == ("tp" in parallel and not parallel.get("sp"))


def test_experts_that_do_not_divide_are_refused() -> None:
    with pytest.raises(InputError, match="ep: expected a divisor of the 256 experts, found 7"):
        DEEPSEEK.decode(64, 512, parallel={"dp": 7, "ep": 7})


def test_weights_of_experts_are_divided_by_both_degrees() -> None:
    whole = DEEPSEEK.whole.parameters_by_part["experts"]
    for parallel in ({"dp": 8, "ep": 8}, {"tp": 2, "dp": 4, "ep": 4, "etp": 2}, {"tp": 8}):
        share = DEEPSEEK.shard(Division.of(parallel))
        assert share.parameters_by_part["experts"] * 8 == whole


def test_copies_of_experts_fill_devices_that_experts_alone_do_not_divide() -> None:
    """256 experts and 32 copies on 72 devices are four on each, whose rows are as many."""
    deepseek = model("deepseek-v3")
    each = 3 * 7168 * 2048 * (1 + 4 / 128**2)  # bytes of an expert, in fp8 by blocks

    def fullest(ep: int, redundant: int) -> float:
        ways = {"dp": ep, "ep": ep, "redundant": redundant}
        served = deepseek.decode(ep, 1024, parallel=ways).served
        assert served is not None
        return float(served.weights_bytes) / ep

    assert fullest(32, 32) - fullest(32, 0) == pytest.approx(58 * each, rel=1e-3)  # 9 for 8
    assert fullest(72, 32) == pytest.approx(fullest(64, 0), rel=1e-3)  # four on each
    with pytest.raises(InputError, match="redundant copies may fill it up"):
        deepseek.decode(72, 1024, parallel={"dp": 72, "ep": 72})
    with pytest.raises(InputError, match="redundant: expected ep"):
        deepseek.decode(72, 1024, parallel={"redundant": 32})
    plain, copied = (
        deepseek.prefill(32, 512, parallel={"dp": 32, "ep": 32, "redundant": n}) for n in (0, 32)
    )
    products = [
        sum(s.times * flops(s.cascade) for s in work.stages if s.name == "experts gate-up")
        for work in (plain, copied)
    ]
    assert products[0] == pytest.approx(products[1], rel=0.01)
    routers = [next(s.cascade for s in w.stages if s.name == "router") for w in (plain, copied)]
    assert flops(routers[0]) == flops(routers[1])  # copies are not scored
