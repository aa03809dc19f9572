"""Frontier: larger models reach less; and what divides tensors over two nodes."""

from hwmodel.validation.papers import frontier
from hwmodel.validation.papers.given import Given


def test_larger_models_reach_less() -> None:
    small, middle, large = (frontier.step(Given(), name).mfu for name in ("22B", "175B", "1T"))
    assert small > middle
    assert small > large


def test_tensors_divided_over_two_nodes_cost_a_third_of_the_rate() -> None:
    """Eight dies a node: their links carry eight times what their cards do."""
    given = Given()
    four, eight, sixteen = (frontier.step(given, "22B", tp=tp, pp=1).mfu for tp in (4, 8, 16))
    assert eight > 0.8 * four
    assert sixteen < 0.7 * eight
