"""Published claims of architectures: what is exact holds, what misses is told by name."""

from functools import cache

from hwmodel.validation.papers import architectures
from hwmodel.validation.papers.claim import Claim


@cache
def claims() -> tuple[Claim, ...]:
    """All, worked out once."""
    return architectures.claims()


def test_the_claims_that_miss_are_throughputs_alone() -> None:
    """Ten to twenty times, and 24, are published: of their torch, with its host."""
    missed = [claim for claim in claims() if not claim.holds]
    assert {claim.system for claim in missed} == {"Block Transformer", "BASED"}
    assert all(claim.quantity.startswith("throughput") for claim in missed)
    assert all(4 < claim.ours < 10 for claim in missed)


def test_what_follows_by_hand_is_exact() -> None:
    exact = {c.quantity: c.ours for c in claims() if c.tolerance < 1e-6}
    assert len(exact) == 4
    kept = 2 * (7 * 493_584 + 7 * 229_376 + 22 * 2 * 3584)
    (state,) = (c.ours for c in claims() if c.quantity.startswith("cache at 1,024"))
    assert state == 36 * 2 * 1024 * 1792 * 2 / kept
