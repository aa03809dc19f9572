"""Counts of nests in closed form, against a walk of the loops, tile by tile."""

from collections import defaultdict
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import strategies as st

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.notation import parse
from hwmodel.hardware.hardware import Limits
from hwmodel.machines.spatial.counts import Counts
from hwmodel.machines.spatial.nest import evaluate
from hwmodel.quantity.errors import CapacityError, CoverageError, InputError, UnknownNameError
from hwmodel.spine.mapping import Compute, Keep, Loop, Mapping, Nest, Node, Split
from tests.loop_walk import Walked, walk
from tests.thorough import tried

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
SHARED = replace(ROOM, instances={"dram": 1, "buffer": 1, "register": 64 * 64})
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


@tried(80, 250, lone_nests())
def test_counts_are_those_of_a_walk_of_the_loops(case: tuple[Cascade, Mapping]) -> None:
    cascade, mapping = case
    counts = evaluate(cascade, mapping, ROOM)
    walked = walk(cascade, mapping, LEVELS)
    assert_same(counts, walked)
    assert counts.steps == walked.points["Z"]
    assert counts.footprint_bytes == walked.held


@tried(70, 200, lone_nests(spatial=True))
def test_array_elements_share_what_they_read_and_add_what_they_write(
    case: tuple[Cascade, Mapping],
) -> None:
    cascade, mapping = case
    assert_same(evaluate(cascade, mapping, ROOM), walk(cascade, mapping, LEVELS))


@tried(80, 300, lone_nests(spatial=True))
def test_a_shared_memory_holds_the_tiles_of_all_elements_as_one(
    case: tuple[Cascade, Mapping],
) -> None:
    """Also inside of loops over the array, where parts of windows lie apart."""
    cascade, mapping = case
    counts = evaluate(cascade, mapping, SHARED)
    walked = walk(cascade, mapping, LEVELS, frozenset({"buffer"}))
    assert_same(counts, walked)
    assert counts.footprint_bytes.get("buffer") == walked.held.get("buffer")


@tried(70, 200, fused_nests())
def test_fused_counts_are_those_of_a_walk_of_the_loops(case: tuple[Cascade, Mapping]) -> None:
    cascade, mapping = case
    counts = evaluate(cascade, mapping, ROOM)
    walked = walk(cascade, mapping, LEVELS)
    assert_same(counts, walked)


def mapping(*nest: Any) -> Mapping:
    return Mapping("case", "machine", tuple(nest))


PRODUCT = parse("Z[m, n] = A[m, k] * B[k, n]", sizes={"m": 8, "n": 8, "k": 8}, dtypes={"*": "int8"})
CHAIN = parse(
    "T[m, n] = A[m, k] * B[k, n]\nZ[m, p] = T[m, n] * C[n, p]",
    sizes={"m": 8, "n": 8, "k": 8, "p": 8},
    dtypes={"*": "int8"},
)


def test_a_product_by_hand() -> None:
    """Tiles of 4 x 3: B's 64 words twice, A's three times (8 = 3 + 3 + 2), Z's once."""
    nest = (Loop("m", 4), Loop("n", 3), Keep("Z", "buffer"), Loop("k", 1))
    nest = (*nest, Keep("A", "buffer"), Keep("B", "buffer"), Compute("Z"))
    counts = evaluate(PRODUCT, mapping(*nest), ROOM)
    assert counts.traffic_bytes("dram") == 64 + 3 * 64 + 2 * 64
    assert counts.footprint_bytes == {"buffer": 4 * 3 + 4 + 3}
    assert counts.operations == {("multiply", "int8"): 512, ("add", "int8"): 512}


def test_sums_that_leave_half_done_come_back() -> None:
    """With k outermost in four parts: Z goes out four times and comes back three times."""
    counts = evaluate(
        PRODUCT, mapping(Loop("k", 2), Loop("m", 4), Keep("Z", "buffer"), Compute("Z")), ROOM
    )
    (moved,) = counts.transfers
    assert (moved.drains, moved.returns, moved.fills) == (4 * 64, 3 * 64, 0)


def test_a_tile_that_stays_is_not_fetched_again() -> None:
    stays = mapping(Loop("m", 4), Loop("n", 1), Keep("A", "buffer"), Compute("Z"))
    assert evaluate(PRODUCT, stays, ROOM).transfers[0].fills == 64
    once = mapping(Loop("n", 1), Loop("m", 8), Keep("A", "buffer"), Compute("Z"))
    assert evaluate(PRODUCT, once, ROOM).transfers[0].fills == 64
    again = mapping(Loop("n", 1), Loop("m", 4), Keep("A", "buffer"), Compute("Z"))
    assert evaluate(PRODUCT, again, ROOM).transfers[0].fills == 8 * 64


def test_an_idle_element_of_an_array_keeps_its_tile() -> None:
    """Three m in turns of 2 over two rows: row 1 has nothing but m = 1, and holds it for all k.

    Row 0 holds m = 0 and m = 2 in turn: both leave and come back for the second half of their sums.
    """
    cascade = parse("Z[m] = A[m, k] * B[k]", sizes={"m": 3, "k": 2}, dtypes={"*": "int8"})
    rows = (Loop("m", 2), Loop("m", 1, "rows"), Keep("Z", "register"), Compute("Z"))
    (moved,) = evaluate(cascade, mapping(Loop("k", 1), *rows), ROOM).transfers
    assert (moved.drains, moved.returns) == (2 + 1 + 2, 2)


def test_halos_are_fetched_with_every_tile() -> None:
    """Eight outputs of a 3-tap filter in tiles of 4: 6 inputs each, 12 in all instead of 10."""
    cascade = parse("tensor I[i]\nZ[y] = I[y+r] * W[r]", sizes={"y": 8, "r": 3, "i": 10})
    counts = evaluate(cascade, mapping(Loop("y", 4), Keep("I", "buffer"), Compute("Z")), ROOM)
    assert (counts.transfers[0].fills, counts.transfers[0].tile) == (12, 6)


def test_a_tile_kept_twice_takes_twice_the_room_and_moves_the_same() -> None:
    once, twice = (
        evaluate(PRODUCT, mapping(Loop("m", 4), Keep("A", "buffer", double), Compute("Z")), ROOM)
        for double in (False, True)
    )
    assert once.footprint_bytes == {"buffer": 32}
    assert twice.footprint_bytes == {"buffer": 64}
    assert once.traffic_bytes("dram") == twice.traffic_bytes("dram")


def test_an_intermediate_between_its_maker_and_reader_moves_nothing() -> None:
    branches = ((Compute("T"),), (Compute("Z"),))
    nest = mapping(Loop("m", 2), Keep("T", "buffer"), Split(branches))
    counts = evaluate(CHAIN, nest, ROOM)
    assert all(t.moved_bytes == 0 for t in counts.transfers)
    assert counts.footprint_bytes == {"buffer": 2 * 8}
    apart = mapping(
        Split(((Keep("T", "buffer"), Compute("T")), (Keep("T", "buffer"), Compute("Z"))))
    )
    out, back = evaluate(CHAIN, apart, ROOM).transfers
    assert (out.drains, back.fills) == (64, 64)


def test_branches_take_turns_in_a_memory_and_share_what_is_kept_around_them() -> None:
    first = (Loop("m", 4), Keep("A", "buffer"), Compute("T"))
    second = (Loop("n", 1), Keep("C", "buffer"), Compute("Z"))
    nest = mapping(Keep("T", "buffer"), Split((first, second)))
    assert evaluate(CHAIN, nest, ROOM).footprint_bytes == {"buffer": 64 + max(4 * 8, 8)}


def test_a_loop_that_repeats_an_einsum_stands_outside_of_its_reduction() -> None:
    """T lacks p and sums over k: with p inside of k every term would be added twice."""
    for loops in ((Loop("p", 4), Loop("k", 2)), (Loop("p", 4), Loop("k", 8))):
        made = mapping(Keep("T", "buffer"), Split(((*loops, Compute("T")), (Compute("Z"),))))
        assert evaluate(CHAIN, made, ROOM).operations["multiply", "int8"] == 2 * 8**3 + 8**3
    inside = (Loop("k", 2), Loop("p", 4), Compute("T"))
    with pytest.raises(InputError, match="inside the loop over k that it reduces"):
        evaluate(CHAIN, mapping(Keep("T", "buffer"), Split((inside, (Compute("Z"),)))), ROOM)


def test_a_loop_over_a_rank_that_an_einsum_lacks_repeats_it() -> None:
    """T has no p: in every of two turns of p it is made anew."""
    nest = mapping(Loop("p", 4), Keep("T", "buffer"), Split(((Compute("T"),), (Compute("Z"),))))
    counts = evaluate(CHAIN, nest, ROOM)
    assert counts.operations["multiply", "int8"] == 2 * 8**3 + 8**3


@pytest.mark.parametrize(
    ("nest", "kind", "words"),
    [
        ((Loop("q", 2), Compute("Z")), UnknownNameError, "rank in .*'q'; known: k, m, n"),
        ((Keep("Q", "buffer"), Compute("Z")), UnknownNameError, "tensor in .*'Q'"),
        ((Keep("A", "cache"), Compute("Z")), UnknownNameError, "level in .*'cache'; known: buffer"),
        ((Compute("Y"),), UnknownNameError, "Einsum in .*'Y'"),
        ((Loop("m", 0), Compute("Z")), InputError, "a tile of 1 or more in the loop over m"),
        ((Loop("m", 2),), InputError, "end in Compute or Split"),
        ((Compute("Z"), Loop("m", 2)), InputError, "nothing after Compute"),
        ((Split(((Compute("Z"),), (Compute("Z"),))),), InputError, "each Einsum once, found Z"),
        (
            (Keep("A", "register"), Keep("A", "buffer"), Compute("Z")),
            InputError,
            "inside of register, where it lives already; found buffer",
        ),
        ((Loop("m", 1, "lanes"), Compute("Z")), UnknownNameError, "axis .*'lanes'"),
    ],
)
def test_a_tree_that_makes_no_sense_is_refused(
    nest: Nest, kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words):
        evaluate(PRODUCT, mapping(*nest), ROOM)


def test_an_einsum_that_no_nest_computes_is_named() -> None:
    with pytest.raises(InputError, match=r"expected Compute\('Z'\), found none"):
        evaluate(CHAIN, mapping(Compute("T")), ROOM)


def test_a_reader_of_half_a_sum_is_refused() -> None:
    half = mapping(Loop("k", 4), Keep("T", "buffer"), Split(((Compute("T"),), (Compute("Z"),))))
    with pytest.raises(InputError, match="Z reads T, which is reduced or recurrent along k"):
        evaluate(CHAIN, half, ROOM)


def test_tiles_larger_than_their_memory_name_it_and_what_would_do() -> None:
    tight = Limits(1, {"dram": 1e9, "buffer": 63}, 1, 1, 1, 1)
    with pytest.raises(CapacityError, match=r"tiles in buffer need 64 bytes \(A 64\); it has 63;"):
        evaluate(PRODUCT, mapping(Keep("A", "buffer"), Compute("Z")), tight)
    exact = Limits(1, {"dram": 1e9, "buffer": 64}, 1, 1, 1, 1)
    assert evaluate(PRODUCT, mapping(Keep("A", "buffer"), Compute("Z")), exact)


def test_an_array_has_no_more_elements_than_it_has() -> None:
    small = Limits(1, {"dram": 1e9}, 1, 1, 1, 1, arrays={"elements": (4, 2)})
    with pytest.raises(CapacityError, match="loops over rows need 8 elements; it has 4"):
        evaluate(PRODUCT, mapping(Loop("m", 1, "rows"), Compute("Z")), small)
    counts = evaluate(PRODUCT, mapping(Loop("m", 2, "rows"), Compute("Z")), small)
    assert (counts.elements, counts.steps) == (4, 8**3 // 4)


@pytest.mark.parametrize(
    ("text", "sizes", "words"),
    [
        ("Z[m] = A[m, n] * B[n] * C | m <= n", {"m": 4, "n": 4}, "touches C, which has neither"),
        ("Z[i, j] = A[i, k] * A[j, k]", {"i": 2, "j": 2, "k": 2}, "A at two different places"),
        ("Z[i] = A[i, i]", {"i": 3}, "rank i indexes two axes of A"),
        ("tensor A[x]\nZ[i] = A[i+j+k]", {"i": 2, "j": 2, "k": 2, "x": 8}, "sums 3 ranks"),
    ],
)
def test_what_has_no_closed_form_is_refused_by_name(
    text: str, sizes: dict[str, int], words: str
) -> None:
    with pytest.raises(CoverageError, match=words):
        evaluate(parse(text, sizes=sizes), mapping(Compute("Z")), ROOM)


def test_counts_beyond_64_bits_stay_exact() -> None:
    size = 10**7
    huge = PRODUCT.with_sizes(m=size, n=size, k=size)
    nest = mapping(Loop("m", 3), Loop("n", 7), Keep("A", "buffer"), Loop("k", 1), Compute("Z"))
    counts = evaluate(huge, nest, ROOM)
    assert counts.operations["add", "int8"] == 10**21
    assert counts.steps == 10**21
