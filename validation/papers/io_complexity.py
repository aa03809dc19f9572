"""The I/O complexity of attention (Saha and Ye, arXiv 2402.07443), by the bound on any schedule.

With M words of cache and heads of d elements least traffic goes as N^2 d^2 / M where M is above
d^2, and as N^2 d / sqrt(M) below. Orders have no constants: what is compared is how our bound grows
as the cache shrinks to a quarter, in each regime.
"""

from hwmodel.bounds.bound import bound_of
from hwmodel.einsum.workloads.attention import attention
from hwmodel.validation.papers.claim import Claim
from hwmodel.validation.papers.given import Given

SYSTEM = "I/O complexity of attention"
TOKENS, WIDTH = 2**20, 1024
WORD_BYTES = 2
REGIMES = (("above d^2", 2**26, 4.0), ("below d^2", 2**10, 2.0))
"""Regime, words of cache, times the traffic with a quarter of them."""


def regimes(given: Given) -> tuple[Claim, ...]:
    """Least traffic with a quarter of the cache over that with all of it."""
    width = given("elements of a head", WIDTH, 16)
    work = attention(batch=1, heads=1, queries=TOKENS, keys=TOKENS, head_dim=width)
    times = given("words of cache, times", 1, 16)
    found: list[Claim] = []
    for name, words, grows in REGIMES:
        whole, quarter = (
            float(bound_of(work, WORD_BYTES * words * times // share).bytes) for share in (1, 4)
        )
        found.append(
            Claim(
                *(SYSTEM, f"least traffic with a quarter of a cache {name}", grows),
                *(quarter / whole, 0.1, "abstract: N^2 d^2 / M, and N^2 d / sqrt(M)"),
                within="terms of lower order",
                identity=True,
            )
        )
    return tuple(found)


PROGRAMS = (regimes,)
