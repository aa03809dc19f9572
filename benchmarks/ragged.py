"""Sizes that an array's sides do not divide: random products, and nests looked at one by one.

    python benchmarks/ragged.py [products] [cases]

First, products of random sizes on the three-level machine beside those of the next multiples of 16,
by energy and by time in turn; the share of the array's turns that do work; the proof's gap. Then
random tiny cases whose nests are all counted, beside the certificate. Prints and asserts nothing.
"""

import random
import statistics
import sys
import time

from hwmodel.einsum.notation import parse
from hwmodel.hardware.catalogue import device
from hwmodel.mappers.nests.certify import certified
from hwmodel.mappers.nests.levels import map_levels
from hwmodel.mappers.nests.mapped import NestMapped
from tests.mappers.nests.test_levels import PRODUCT, TEXTS, ragged_case, ragged_costs

SIDE = 16
CLOSE = 1e-9


def mapped(sizes: dict[str, int], objective: str, mapspace: str) -> NestMapped:
    """The best nest of a product on the three-level machine, in two seconds at the most."""
    cascade = parse(PRODUCT, sizes=sizes, dtypes={"*": "int8"})
    return certified(
        *(map_levels, cascade, device("peer-a3")),
        objective=objective,
        mapspace=mapspace,
        time_limit_s=2.0,
    )


def products(many: int) -> None:
    """Random sizes beside the next multiples."""
    draw = random.Random(2026)
    ratios: list[float] = []
    gaps: list[float] = []
    worked: list[float] = []
    for at in range(many):
        sizes = {rank: int(2 ** draw.uniform(4.1, 11)) for rank in "mnk"}
        whole = {rank: -(-size // SIDE) * SIDE for rank, size in sizes.items()}
        objective = ("energy", "latency")[at % 2]
        ours = mapped(sizes, objective, "ragged")
        following = mapped(whole, objective, "interleaved")
        ratios.append(ours.certificate.value / following.certificate.value)
        gaps.append(ours.certificate.mapspace_gap)
        worked.append(ours.utilisation or 0.0)
    for name, values in (("to next multiple", ratios), ("gap", gaps), ("utilisation", worked)):
        print(
            f"{name:16} least {min(values):.4f} median {statistics.median(values):.4f}"
            f" most {max(values):.4f}"
        )


def cases(many: int) -> None:
    """Tiny cases, all nests counted; what is proven must lie between."""
    draw = random.Random(2027)
    seen = {"proven best": 0, "best, with a gap": 0, "not the best": 0, "WRONG": 0}
    while sum(seen.values()) < many:
        text = draw.choice(("row", "sum", "map", "outer"))
        array = draw.choice(((2, 1), (3, 1), (4, 1), (2, 2)))
        sizes = tuple(draw.choice((1, 2, 3, 5)) for _ in TEXTS[text][1])
        if max(sizes) * min(sizes) > 8:
            continue
        case = ragged_case(text, sizes, array)
        every = list(ragged_costs(case, text))
        for objective in ("energy", "latency", "edp"):
            least = min(costs.value(objective) for costs in every)
            proof = certified(
                map_levels, case.cascade, case.machine, objective=objective
            ).certificate
            best = proof.value <= least * (1 + CLOSE)
            wrong = proof.mapspace_bound > least * (1 + CLOSE) or proof.value < least * (1 - CLOSE)
            wrong |= proof.optimal_in_mapspace and not best
            key = "proven best" if proof.optimal_in_mapspace else "best, with a gap"
            seen["WRONG" if wrong else key if best else "not the best"] += 1
    print(", ".join(f"{name} {count}" for name, count in seen.items()))


if __name__ == "__main__":
    started_s = time.perf_counter()
    if many := int(sys.argv[1]) if len(sys.argv) > 1 else 1000:
        products(many)
    cases(int(sys.argv[2]) if len(sys.argv) > 2 else 500)
    print(f"{time.perf_counter() - started_s:.0f} s")
