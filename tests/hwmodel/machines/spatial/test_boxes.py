"""Boxes of Einsums in turns of bands and windows, against masks drawn point by point."""

import random
from collections import Counter

import pytest

import hwmodel as hw
from hwmodel.einsum.notation import parse
from hwmodel.hardware.hardware import Limits, limits
from hwmodel.machines.spatial.counts import Counts
from hwmodel.machines.spatial.nest import evaluate
from hwmodel.mappers.fusion.turns import boxes_of
from hwmodel.spine.mapping import Box, Compute, Keep, Loop, Mapping, Nest, Node, Split

PRODUCT = "Z[m, n] = A[m, k] * B[k, n]"
SCORES = "S[m, p] = Q[p, e] * K[m, e] {}\nO[p] = sum(m) S[m, p] {}"
CHAIN = "R[h, c] = I[h, c] * W[c]\nO[y] = sum(u) sum(c) R[y+{}*u, c] * F[u, c]"


def machine() -> Limits:
    return limits(hw.device("peer-a3"))


def on(cascade: str, nest: Nest) -> Mapping:
    return Mapping(cascade, "peer-a3", nest)


def facts(counts: Counts) -> tuple[object, ...]:
    """What is moved and touched, whatever the order of keeps."""
    moved = {
        (t.tensor, t.outer, t.inner): (t.fills, t.copies, t.drains, t.partials)
        for t in counts.transfers
    }
    again = {(t.tensor, t.inner): (t.returns, t.returned) for t in counts.transfers}
    return moved, again, {t.tensor: t.accesses for t in counts.touches}, counts.steps


@pytest.mark.parametrize("seed", range(25))
def test_a_box_of_a_dense_product_counts_as_its_loops_do(seed: int) -> None:
    """Where tiles of all three tensors in the elements' memories move within a turn."""
    draw = random.Random(seed)
    sizes = {rank: draw.choice((4, 8)) for rank in "mnk"}
    work = parse(PRODUCT, sizes=sizes, dtypes={"*": "int8"})
    outer = [Loop(rank, draw.choice((2, 4))) for rank in draw.sample("mnk", 3)]
    left = {loop.rank: loop.tile for loop in outer}
    spread = draw.choice("mnk")
    inner: list[Node] = [Loop(spread, 1, "rows")]
    walked = [rank for rank in draw.sample("mnk", 3) if rank != spread]
    for rank in walked:
        inner.append(Loop(rank, 1))
    inner += [Keep(name, "register") for name in ("A", "B", "Z")]
    tile = tuple(Keep(name, "buffer") for name in ("A", "B", "Z"))
    flat = evaluate(work, on("x", (*outer, *tile, *inner, Compute("Z"))), machine())
    box = Box("Z", (*inner, Compute("Z")))
    boxed = evaluate(work, on("x", (*outer, *tile, box)), machine())
    assert boxed.steps == flat.steps
    assert boxed.operations == flat.operations
    many = all(
        any(left[rank] > 1 for rank in walked if rank in ranks) for ranks in ("mk", "kn", "mn")
    )
    if many:
        assert facts(boxed) == facts(flat)
    for level in ("dram", "buffer", "register"):
        assert boxed.traffic_bytes(level) >= flat.traffic_bytes(level)


@pytest.mark.parametrize("seed", range(12))
def test_boxes_of_a_band_are_what_a_mask_leaves_of_each_turn(seed: int) -> None:
    draw = random.Random(seed)
    queries, keys = draw.randint(2, 7), draw.randint(7, 9)
    window, tile = draw.randint(2, 5), draw.randint(1, 5)
    band = f"| m - p <= {keys - queries}, m - p > {keys - queries - window}"
    work = parse(SCORES.format(band, band), sizes={"m": keys, "p": queries, "e": 2})
    nest = (Loop("p", tile), Keep("S", "buffer"), Split(((Compute("S"),), (Compute("O"),))))
    found = boxes_of(work, on("x", nest), machine())
    expected: Counter[tuple[int, int]] = Counter()
    for begin in range(0, queries, tile):
        kept = [
            (m, p)
            for p in range(begin, min(begin + tile, queries))
            for m in range(keys)
            if keys - queries - window < m - p <= keys - queries
        ]
        rows, columns = {p for _, p in kept}, {m for m, _ in kept}
        expected[max(columns) - min(columns) + 1, len(rows)] += 1
    for name in ("S", "O"):
        made: Counter[tuple[int, int]] = Counter()
        for (extents, _), times in found[name].items():
            made[dict(extents)["m"], dict(extents)["p"]] += times
        assert made == expected


def test_sums_along_a_band_begin_once_and_go_on_in_later_turns() -> None:
    """Of 4 queries in tiles of 2 and 6 keys in tiles of 2, 3 and 2 pairs of tiles hold points."""
    band = "| m - p <= 2"
    work = parse(SCORES.format(band, band), sizes={"m": 6, "p": 4, "e": 2})
    body = (Keep("S", "buffer"), Split(((Compute("S"),), (Compute("O"),))))
    found = boxes_of(work, on("x", (Loop("p", 2), Loop("m", 2), *body)), machine())["O"]
    assert sum(times for (_, first), times in found.items() if first) == 2
    assert sum(times for (_, first), times in found.items() if not first) == 3


@pytest.mark.parametrize("slides", [False, True])
@pytest.mark.parametrize("dilation", [1, 3])
@pytest.mark.parametrize("tile", [1, 3, 4])
def test_boxes_of_windows_are_the_rows_that_each_turn_computes(
    slides: bool, tile: int, dilation: int
) -> None:
    """With dilation all rows between a window's first and last."""
    rows = 7 + 2 * dilation
    work = parse(CHAIN.format(dilation), sizes={"h": rows, "y": 7, "u": 3, "c": 2})
    nest = (
        Loop("y", tile),
        Keep("R", "buffer", slides=slides),
        Split(((Compute("R"),), (Compute("O"),))),
    )
    found = boxes_of(work, on("x", nest), machine())["R"]
    expected: Counter[int] = Counter()
    done = 0
    for begin in range(0, 7, tile):
        end = min(begin + tile, 7) + 2 * dilation
        expected[end - (max(begin, done) if slides else begin)] += 1
        done = end
    made = Counter[int]()
    for (extents, _), times in found.items():
        made[dict(extents)["h"]] += times
    assert made == expected
