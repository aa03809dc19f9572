"""Architectures: states by hand; throughputs alone are missed."""

from hwmodel.validation.papers import architectures
from hwmodel.validation.papers.given import Given


def test_the_cache_of_based_is_what_its_layers_keep_by_hand() -> None:
    kept = 2 * (7 * 493_584 + 7 * 229_376 + 22 * 2 * 3584)
    state, speed = architectures.based_claims(Given())
    assert state.ours == 36 * 2 * 1024 * 1792 * 2 / kept
    assert 4 < speed.ours < 10
