"""The search against every loop tree there is (`trees`), on cascades of small Einsums."""

import random
from collections.abc import Callable
from itertools import product

import pytest

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.notation import parse
from hwmodel.mappers.fusion.form import form_of
from hwmodel.mappers.fusion.search import Search
from tests.mappers.fusion.trees import Oracle, Windows
from tests.thorough import but_first, thorough

CHAIN = "Z[m, n] = A[m, k] * B[k, n]\nY[m, l] = sum(n) Z[m, n] * C[n, l]"
SCORES = "S[m, p] = Q[p, e] * K[m, e]\nX[m, p] = exp(S[m, p])\nO[p, f] = sum(m) X[m, p] * V[m, f]"
SUMMED = "S[m, p] = Q[p, e] * K[m, e]\nD[p] = sum(m) S[m, p]\nA[m, p] = S[m, p] / D[p]"
TWICE = "T[m, n] = A[m, n] + B[n]\nU[m] = sum(n) T[m, n] * A[m, n]"
ROWS = "G[p] = max(m) S[m, p]\nN[m, p] = exp(S[m, p] - G[p])\nD[p] = sum(m) N[m, p]"
FORK = "Z[m, n] = A[m, k] * B[k, n]\nY[m] = sum(n) Z[m, n]\nX[n] = sum(m) Z[m, n] * Y[m]"


LONG = ((SCORES, 3), (SUMMED, 6), (TWICE, 80), (ROWS, 80))


def random_case(text: str, seed: int) -> tuple[Cascade, int]:
    """Sizes of 1 to 4 and a buffer from next to nothing to nearly everything."""
    draw = random.Random(f"{text} {seed}")
    sizes = {rank: draw.choice((1, 2, 2, 3, 4)) for rank in "mnklpef" if f"{rank}" in text}
    sizes = {
        rank: size
        for rank, size in sizes.items()
        if any(c in text for c in (f"[{rank}", f" {rank}]", f" {rank},"))
    }
    dtypes = {"*": draw.choice(("int8", "bf16"))}
    return parse(text, sizes=sizes, dtypes=dtypes), draw.choice((4, 6, 8, 10, 13, 17, 24, 36, 60))


@pytest.mark.parametrize(
    ("text", "cases"),
    but_first(2, [(CHAIN, 3), (FORK, 4), (CHAIN, 10), (FORK, 20), *LONG]),
)
def test_search_finds_the_least_of_all_trees(text: str, cases: int) -> None:
    for seed in range(cases):
        cascade, room = random_case(text, seed)
        form = form_of(cascade)
        found, _ = Search(form, {}).best(room)
        assert found == Oracle(form).least(room), (dict(form.sizes), room)


BANDED = (
    "S[m, p] = Q[p, e] * K[m, e] | {band}\nO[p] = sum(m) S[m, p] * V[m] | {band}",
    "G[p] = max(m) S[m, p] | {band}\nN[m, p] = exp(S[m, p] - G[p]) | {band}",
    "N[m, p] = exp(S[m, p]) | {band}\nD[p] = sum(m) N[m, p] * V[m] | {band}",
)
BANDS: dict[str, tuple[str, Callable[[int, int], bool]]] = {
    "causal": ("m <= p", lambda m, p: m <= p),
    "window": ("-1 <= m - p <= 0", lambda m, p: -1 <= m - p <= 0),
    "both sides": ("-1 <= m - p <= 1", lambda m, p: -1 <= m - p <= 1),
}


IN_BANDS = [(BANDED[0], "window"), (BANDED[1], "causal"), (BANDED[2], "both sides")]
"""Each cascade once, each band once."""


@pytest.mark.parametrize(
    ("text", "band"),
    but_first(3, [*IN_BANDS, *(c for c in product(BANDED, BANDS) if c not in IN_BANDS)]),
)
def test_search_finds_the_least_of_all_trees_in_a_band(text: str, band: str) -> None:
    words, keeps = BANDS[band]
    draw = random.Random(f"{text} {band}")
    for _ in range(4):
        size = draw.choice((3, 4))
        sizes = {"m": size, "p": size} | ({"e": 2} if "e]" in text else {})
        cascade = parse(text.format(band=words), sizes=sizes, dtypes={"*": "int8"})
        form, room = form_of(cascade), draw.choice((4, 5, 6, 8, 10, 13, 17))
        found, _ = Search(form, {}).best(room)
        assert found == pytest.approx(Oracle(form, keeps).least(room)), (sizes, room)


LINES = """tensor I[c, i]
Z[k, h] = sum(c, r) I[c, h+r] * F[k, c, r]
Y[l, y] = sum(k, u) Z[k, y+u] * G[l, k, u]"""
SQUARE = """tensor I[i, j]
Z[h, w] = sum(r, s) I[h+r, w+s] * F[r, s]
Y[y, x] = sum(u, v) Z[y+u, x+v] * G[u, v]"""


@pytest.mark.parametrize(
    ("text", "sizes", "rooms"),
    [
        (LINES, {"y": 3, "c": 2, "k": 2, "l": 1, "u": 2, "r": 2}, (10, 14, 17)),
        (SQUARE, {"y": 3, "x": 3, "u": 2, "r": 1}, (12, 13, 15)),
        thorough((LINES, {"y": 4, "c": 1, "k": 2, "l": 2, "u": 3, "r": 2}, (15, 17, 18))),
        thorough((SQUARE, {"y": 3, "x": 2, "u": 2, "r": 2}, (13, 16, 20, 22))),
    ],
)
def test_search_finds_the_least_of_all_trees_of_windows(
    text: str, sizes: dict[str, int], rooms: tuple[int, ...]
) -> None:
    rows = {"h": sizes["y"] + sizes["u"] - 1, "i": sizes["y"] + sizes["u"] + sizes["r"] - 2}
    if "x" in sizes:
        rows |= {"v": sizes["u"], "s": sizes["r"]}
        rows |= {"w": sizes["x"] + sizes["u"] - 1, "j": sizes["x"] + sizes["u"] + sizes["r"] - 2}
    form = form_of(parse(text, sizes=sizes | rows, dtypes={"*": "int8"}))
    taps = sizes["r"], sizes["u"]
    oracles = [Windows(form, slid, taps) for slid in (None, 1, 2, 3)]
    for room in rooms:
        found, _ = Search(form, {}).best(room)
        least = [oracle.least(room) for oracle in oracles]
        assert found == pytest.approx(min(least)), (room, least)
