"""Certificates beside every mapping there is, on hundreds of random cases, counted one by one.

    python benchmarks/exhaustive.py [share]

Products and sums on arrays and windows over them (energy and latency of all nests), arrays whose
links bind, fused chains and causal or windowed attention (bytes of all trees). `share` of the cases
that are meant (default 1, some ten minutes). Prints how many were equal and asserts nothing.
"""

import math
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from hwmodel.einsum.notation import parse
from hwmodel.mappers.fusion.form import form_of
from hwmodel.mappers.fusion.search import Search
from hwmodel.mappers.nests.certify import certified
from hwmodel.mappers.nests.levels import map_levels
from tests.mappers.fusion.test_search import (
    BANDED,
    BANDS,
    CHAIN,
    FORK,
    ROWS,
    SCORES,
    SUMMED,
    TWICE,
    Oracle,
    random_case,
)
from tests.mappers.nests.exhaustive import (
    PICO,
    TEXTS,
    WINDOWS,
    Tiny,
    every_mapping,
    ragged_case,
    ragged_costs,
    tiny,
)

CLOSE = 1e-9
FIRST = 5000
"""The first seed: tests have those below."""
CHAINS = ((TWICE, 60), (ROWS, 50), (FORK, 20), (SUMMED, 12), (CHAIN, 14), (SCORES, 4))


def proven(case: Tiny, objective: str, least: float, mapspace: str) -> bool:
    """Whether what is proven of the best nest is true, `least` being that of all."""
    asked: dict[str, Any] = {"objective": objective, "mapspace": mapspace}
    proof = certified(map_levels, case.cascade, case.machine, **asked).certificate
    right = proof.mapspace_bound <= least * (1 + CLOSE) and proof.value >= least * (1 - CLOSE)
    best = proof.value <= least * (1 + CLOSE)
    return right and proof.bound <= least * (1 + CLOSE) and (best or not proof.optimal_in_mapspace)


def nests(texts: dict[str, tuple[str, str, int]], many: int) -> Iterator[bool]:
    """Random Einsums on random small machines with an array."""
    for seed in range(FIRST, FIRST + many):
        case = tiny(seed, texts)
        joules, seconds = (np.concatenate(x) for x in zip(*every_mapping(case), strict=True))
        yield proven(case, "energy", float(joules.min()) * PICO, "interleaved")
        yield proven(case, "latency", float(seconds.min()) * 1e-9, "interleaved")


def links(many: int) -> Iterator[bool]:
    """Arrays whose networks have a rate, a latency and joules."""
    draw = random.Random(FIRST)
    for _ in range(many):
        text = draw.choice(("row", "map", "sum"))
        sizes = tuple(draw.choice((1, 2, 2, 3)) for _ in TEXTS[text][1])
        if math.prod(sizes) > 8:
            continue
        sides = {
            "network": draw.choice(("mesh", "bus")),
            "link": f"{draw.choice((1, 2, 5))} GB/s",
            "hop_latency": "1 ns",
            "hop_energy": f"{draw.randint(0, 9)} pJ/B",
        }
        plain = ragged_case(text, sizes, draw.choice(((2, 1), (2, 2))))
        case = replace(plain, machine=plain.machine.but(arrays={"elements": sides}))
        every = list(ragged_costs(case, text))
        for objective in ("energy", "latency"):
            yield proven(case, objective, min(c.value(objective) for c in every), "ragged")


def chains(share: float) -> Iterator[bool]:
    """Fused chains, forks and softmaxes: all trees of them."""
    for text, many in CHAINS:
        for seed in range(FIRST, FIRST + round(many * share)):
            cascade, room = random_case(text, seed)
            form = form_of(cascade)
            yield Search(form, {}).best(room)[0] == Oracle(form).least(room)


def bands(many: int) -> Iterator[bool]:
    """Einsums over a band of two ranks: all trees of them."""
    for at in range(many):
        words, keeps = BANDS[list(BANDS)[at % len(BANDS)]]
        draw = random.Random(FIRST + at)
        text, size = draw.choice(BANDED), draw.choice((3, 4))
        sizes = {"m": size, "p": size} | ({"e": 2} if "e]" in text else {})
        form = form_of(parse(text.format(band=words), sizes=sizes, dtypes={"*": "int8"}))
        room = draw.choice((4, 5, 6, 8, 10, 13, 17))
        least = Oracle(form, keeps).least(room)
        found = Search(form, {}).best(room)[0]
        yield found == least or math.isclose(found, least)


def main() -> None:
    share = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    kinds = {
        "arrays": nests(TEXTS, round(120 * share)),
        "windows": nests(WINDOWS, round(30 * share)),
        "links": links(round(80 * share)),
        "chains": chains(share),
        "bands": bands(round(120 * share)),
    }
    for name, cases in kinds.items():
        started_s = time.process_time()
        right = list(cases)
        took_s = time.process_time() - started_s
        print(f"{name:8} {sum(right)} of {len(right)} true, {took_s:.0f} s", flush=True)


if __name__ == "__main__":
    main()
