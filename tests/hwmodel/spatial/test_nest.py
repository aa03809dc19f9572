"""Counts of nests in closed form, against a walk of the loops, tile by tile."""

from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.notation import parse
from hwmodel.errors import CapacityError, CoverageError, InputError, UnknownNameError
from hwmodel.hardware import Limits
from hwmodel.mapping import Compute, Keep, Loop, Mapping, Nest, Node, Split
from hwmodel.spatial.nest import Counts, evaluate
from tests.loop_walk import Walked, walk

LEVELS = ["dram", "buffer", "register"]
ROOM = Limits(
    processors=1,
    capacity_bytes={"dram": 1e18, "buffer": 1e9, "register": 1e9},
    max_threads=1,
    max_blocks=1,
    registers=1,
    shared_per_block_bytes=0,
    arrays={"elements": (64, 64)},
)
TEXTS = {
    "product": ("Z[m, n] = A[m, k] * B[k, n]", "mnk"),
    "batch": ("Z[b, m] = A[b, m, k] * B[b, k]", "bmk"),
    "window": ("tensor I[i]\nZ[c, y] = I[y+r] * W[c, r]", "cyr"),
    "stride": ("tensor I[i]\nZ[y] = I[2*y+r] * W[r]", "yr"),
    "dilation": ("tensor I[i]\nZ[y] = I[2*y+3*r] * W[r]", "yr"),
    "map": ("Z[m, n] = exp(A[m, n]) + B[n]", "mn"),
}


@st.composite
def cascades(draw: st.DrawFn) -> Cascade:
    text, ranks = TEXTS[draw(st.sampled_from(sorted(TEXTS)))]
    sizes = {rank: draw(st.integers(1, 6)) for rank in ranks}
    return parse(
        text, sizes={**sizes, **({"i": 64} if "I[i]" in text else {})}, dtypes={"*": "int8"}
    )


@st.composite
def lone_nests(draw: st.DrawFn, spatial: bool = False) -> tuple[Cascade, Mapping]:
    cascade = draw(cascades())
    einsum = cascade.einsums[0]
    loops: list[Node] = [
        Loop(rank, draw(st.integers(1, 5)))
        for rank in einsum.ranks
        for _ in range(draw(st.integers(0, 2)))
    ]
    if spatial:
        axes = ("rows", "columns")[: draw(st.integers(1, 2))]
        loops += [
            Loop(draw(st.sampled_from(einsum.ranks)), draw(st.integers(1, 3)), a) for a in axes
        ]
    nodes = list(draw(st.permutations(loops)))
    for tensor in dict.fromkeys((einsum.name, *(a.tensor for a in einsum.reads))):
        levels = draw(st.sampled_from(((), ("buffer",), ("register",), ("buffer", "register"))))
        places = sorted(draw(st.integers(0, len(nodes))) for _ in levels)
        for place, level in reversed(list(zip(places, levels, strict=True))):
            nodes.insert(place, Keep(tensor, level, draw(st.booleans())))
    return cascade, Mapping("case", "machine", (*nodes, Compute(einsum.name)))


@st.composite
def fused_nests(draw: st.DrawFn) -> tuple[Cascade, Mapping]:
    """T is made, then read in the same turns of loops that both share; or the two run apart."""
    text = draw(
        st.sampled_from(
            (
                "T[m, n] = A[m, k] * B[k, n]\nZ[m, p] = T[m, n] * C[n, p]",
                "T[m, n] = A[m, k] * B[k, n]\nZ[m, n] = exp(T[m, n]) + C[n]",
            )
        )
    )
    ranks = "mnkp" if "p]" in text else "mnk"
    cascade = parse(text, sizes={r: draw(st.integers(1, 5)) for r in ranks}, dtypes={"*": "int8"})
    shared = [r for r in ranks if r != "k" and draw(st.booleans())]
    nodes: list[Node] = [Loop(r, draw(st.integers(1, 4))) for r in draw(st.permutations(shared))]
    inside: dict[str, list[Node]] = {"T": [], "Z": []}
    for einsum in cascade.einsums:
        loops = [Loop(r, draw(st.integers(1, 3))) for r in einsum.ranks if draw(st.booleans())]
        inside[einsum.name] = list(draw(st.permutations(loops)))
    users = {"A": "T", "B": "T", "C": "Z", "Z": "Z"}
    for tensor in "ABCZT":
        outside = draw(st.booleans())
        if outside:
            nodes.insert(draw(st.integers(0, len(nodes))), Keep(tensor, "buffer"))
            continue
        for name in (users[tensor],) if tensor in users else ("T", "Z"):
            place = draw(st.integers(0, len(inside[name])))
            inside[name].insert(place, Keep(tensor, "buffer"))
    branches = tuple((*inside[name], Compute(name)) for name in ("T", "Z"))
    return cascade, Mapping("case", "machine", (*nodes, Split(branches)))


def table(counts: Counts, column: str) -> dict[Any, int]:
    found: dict[Any, int] = defaultdict(int)
    for t in counts.transfers:
        found[t.tensor, t.outer, t.inner] += getattr(t, column)
    return {key: n for key, n in found.items() if n}


def assert_same(counts: Counts, walked: Walked) -> None:
    for column in ("fills", "copies", "drains", "partials", "returns", "returned"):
        expected = {key: n for key, n in getattr(walked, column).items() if n}
        assert table(counts, column) == expected, column
    touches: dict[Any, int] = {(t.einsum, t.tensor, t.level): t.points for t in counts.touches}
    assert touches == dict(walked.touches)


@settings(max_examples=250, deadline=None, derandomize=True)
@given(lone_nests())
def test_counts_are_those_of_a_walk_of_the_loops(case: tuple[Cascade, Mapping]) -> None:
    cascade, mapping = case
    counts = evaluate(cascade, mapping, ROOM)
    walked = walk(cascade, mapping, LEVELS)
    assert_same(counts, walked)
    assert counts.steps == walked.points["Z"]


@settings(max_examples=200, deadline=None, derandomize=True)
@given(lone_nests(spatial=True))
def test_array_elements_share_what_they_read_and_add_what_they_write(
    case: tuple[Cascade, Mapping],
) -> None:
    cascade, mapping = case
    assert_same(evaluate(cascade, mapping, ROOM), walk(cascade, mapping, LEVELS))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(fused_nests())
def test_fused_counts_are_those_of_a_walk_of_the_loops(case: tuple[Cascade, Mapping]) -> None:
    cascade, mapping = case
    try:
        counts = evaluate(cascade, mapping, ROOM)
    except InputError as refused:
        assert "exchange the two loops" in str(refused) or "around their Split" in str(refused)
        return
    walked = walk(cascade, mapping, LEVELS)
    assert_same(counts, walked)
