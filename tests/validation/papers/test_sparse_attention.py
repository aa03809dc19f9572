"""The share at which a gain is what is wanted."""

from hwmodel.validation.papers.sparse_attention import met


def test_the_share_that_meets_a_gain_is_found() -> None:
    assert abs(met(lambda share: 1 / share, 4.0) - 0.25) < 0.001
