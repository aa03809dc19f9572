"""Frontier's figures: shares, scaling, operations; and what divides tensors over two nodes."""

from functools import cache

from hwmodel.validation.papers import frontier
from hwmodel.validation.papers.claim import Claim


@cache
def claims() -> tuple[Claim, ...]:
    """All, worked out once."""
    return frontier.claims()


def test_shares_scaling_and_operations_hold() -> None:
    assert [claim.quantity for claim in claims() if not claim.holds] == []


def test_larger_models_reach_less() -> None:
    small, middle, large = (c.ours for c in claims() if c.quantity.endswith("share of the peak"))
    assert small > middle
    assert small > large


def test_tensors_divided_over_two_nodes_cost_a_third_of_the_rate() -> None:
    """Eight dies a node: their links carry eight times what their cards do."""
    four, eight, sixteen = (frontier.step("22B", tp=tp, pp=1).mfu for tp in (4, 8, 16))
    assert eight > 0.8 * four
    assert sixteen < 0.7 * eight
