"""A claim holds within its tolerance; and what every claim of every program must show.

Misses are declared where they are made: a claim that fails has a likely cause, one that holds has
none. A tolerance is what the figure's last digit leaves open, or says what it stands for.
"""

from typing import Literal

import pytest

from hwmodel.validation.papers import coverage
from hwmodel.validation.papers.claim import Claim, Program
from hwmodel.validation.papers.given import Given
from hwmodel.validation.papers.moves import moved
from hwmodel.verbs.papers import programs
from tests.thorough import but

SLOW = {
    *("architectures.block_transformer", "architectures.duo_llm", "c4.planned_paths"),
    *("cache_policies.keyformer", "frontier.shares", "fusemax.means", "hack.speed"),
    "hosts.offloaded",
    *("megatron.rates", "megatron.memory", "offloading.zeroth_order_speed", "offloading.experts"),
    *("programs.bottleneck_sampling", "programs.atts", "programs.parallel_search"),
    *("programs.plan_and_budget", "programs.kinetics", "programs.video_translation"),
    *("sequence_parallelism.reach", "sparse_attention.pbs_attn", "sparse_attention.sparsed"),
    "disaggregation.nexus",
    *("sparse_attention.flux_attention", "sparse_attention.visor", "tutel.two_dimensions"),
    *("reversible.tradeoffs", "zeppelin.zones"),
}
"""Programs whose claims are seen to move by `hwmodel papers --moves` alone: seconds each."""
LONG = {
    *("fusemax.energies", "megatron.memory", "megatron.rates", "offloading.experts"),
    *("offloading.zeroth_order_memory", "programs.atts", "programs.kinetics"),
    *(
        "programs.video_translation",
        "reversible.tradeoffs",
        "second_order.updates",
        "sequence_parallelism.reach",
    ),
    *("sparse_attention.flux_attention", "sparse_attention.zipvl", "zeros.peak"),
}
"""Programs that take more than a second here."""
MODELLED = {system.name for system in coverage.MODELLED}
LARGEST = 0.05
"""A tolerance that is always explained, however few digits a figure has."""


def name(program: Program) -> str:
    """Its module and its own name."""
    return f"{program.__module__.rsplit('.', 1)[-1]}.{program.__name__}"


@pytest.mark.parametrize(
    "program", but([p for p in programs() if name(p) in LONG], programs()), ids=name
)
def test_claims_hold_or_say_why_not_and_move(program: Program) -> None:
    if name(program) in SLOW:
        claims = tuple(program(Given()))
    else:
        claims = moved(program, every=False)
        assert [claim.quantity for claim in claims if not claim.moved] == []
    assert claims
    assert {name(each) for each in programs()} >= LONG | SLOW
    for claim in claims:
        assert claim.system in MODELLED, claim
        assert claim.holds == (not claim.cause), claim
        read = claim.tolerance <= max(min(claim.reading, LARGEST), 1e-6) * (1 + 1e-9)
        assert read or claim.within, claim


@pytest.mark.parametrize(("ours", "holds"), [(100.0, True), (104.9, True), (95.1, True),
                                             (105.1, False), (94.9, False)])  # fmt: skip
def test_a_claim_holds_within_its_tolerance(ours: float, holds: bool) -> None:
    claim = Claim("system", "quantity", 100.0, ours, 0.05, "made up")
    assert claim.holds is holds
    assert claim.error == pytest.approx(ours / 100 - 1)


@pytest.mark.parametrize(("published_as", "ours", "holds"), [
    ("least", 200.0, True), ("least", 96.0, True), ("least", 94.0, False),
    ("most", 1.0, True), ("most", 104.0, True), ("most", 106.0, False),
])  # fmt: skip
def test_a_least_or_a_most_is_missed_on_one_side(
    published_as: Literal["least", "most"], ours: float, holds: bool
) -> None:
    claim = Claim("system", "quantity", 100.0, ours, 0.05, "made up", published_as)
    assert claim.holds is holds


@pytest.mark.parametrize(("figure", "half"), [
    (2.4, 0.05 / 2.4), (1.85, 0.005 / 1.85), (120.0, 5 / 120), (6.02e9, 0.005 / 6.02), (0.0, 0.0),
])  # fmt: skip
def test_a_figure_is_read_to_half_of_its_last_digit(figure: float, half: float) -> None:
    assert Claim("system", "quantity", figure, figure, 0.0, "made up").reading == pytest.approx(
        half
    )
