"""Nests whose loops ask for intervals, by hand: line buffers, halos computed anew, bands."""

from typing import Any

import pytest

from hwmodel.einsum.notation import parse
from hwmodel.hardware.hardware import Limits
from hwmodel.machines.spatial.counts import Counts
from hwmodel.machines.spatial.nest import evaluate
from hwmodel.quantity.errors import CoverageError
from hwmodel.spine.mapping import Compute, Keep, Loop, Mapping, Node, Split

ROOM = Limits(1, {"dram": 1e12, "buffer": 1e9}, 1, 1, 1, 1)
ROWS = parse(
    "tensor I[i]\nZ[h] = sum(r) I[h+r] * F[r]\nY[y] = sum(u) Z[y+u] * G[u]",
    sizes={"y": 4, "u": 2, "h": 5, "r": 2, "i": 6},
    dtypes={"*": "int8"},
)
SQUARE = parse(
    "tensor I[i, j]\nZ[h, w] = sum(r, s) I[h+r, w+s] * F[r, s]\n"
    "Y[y, x] = sum(u, v) Z[y+u, x+v] * G[u, v]",
    sizes={"y": 3, "x": 2, "u": 2, "v": 2, "h": 4, "w": 3, "r": 2, "s": 2, "i": 5, "j": 4},
    dtypes={"*": "int8"},
)
BOTH = Split(((Compute("Z"),), (Compute("Y"),)))


def counted(cascade: Any, *nodes: Node) -> tuple[Counts, dict[str, int | float]]:
    """The counts, and elements filled by tensor."""
    counts = evaluate(cascade, Mapping("case", "machine", nodes), ROOM)
    return counts, {t.tensor: t.fills for t in counts.transfers if t.fills}


def slides(tensor: str) -> Keep:
    return Keep(tensor, "buffer", slides=True)


def keep(tensor: str) -> Keep:
    return Keep(tensor, "buffer")


@pytest.mark.parametrize(
    ("keeps", "rows_made", "rows_read"),
    [
        ((slides("Z"), slides("I")), 5, 6),  # each row once
        ((slides("Z"), keep("I")), 5, 3 + 2 + 2 + 2),  # a new row needs two, the first turn three
        ((keep("Z"), slides("I")), 4 * 2, 6),  # both rows of each turn
        ((keep("Z"), keep("I")), 4 * 2, 4 * 3),
    ],
)
def test_halos_are_held_or_computed_anew(
    keeps: tuple[Keep, Keep], rows_made: int, rows_read: int
) -> None:
    counts, filled = counted(ROWS, keep("F"), keep("G"), Loop("y", 1), *keeps, keep("Y"), BOTH)
    assert counts.operations["multiply", "int8"] == rows_made * 2 + 4 * 2
    assert filled == {"I": rows_read, "F": 2, "G": 2}
    assert counts.steps == rows_made * 2 + 4 * 2
    assert counts.footprint_bytes["buffer"] == 3 + 2 + 2 + 2 + 1  # I, Z, F, G, Y


def test_a_line_buffer_computes_each_point_once() -> None:
    """Rows y outside, columns x inside; 12 points of Z, 20 of I, by hand.

    Held behind y, Z takes 2 rows of 3, I 3 rows of 4, and all is made and read once. Held behind x
    as well, Z takes 2 x 2 points, but its rows are computed in each turn of y that needs them: 2 of
    them 3 times over, and I's 3 rows 3 times.
    """
    shared = (keep("F"), keep("G"), Loop("y", 1))
    line, filled = counted(SQUARE, *shared, slides("Z"), slides("I"), Loop("x", 1), keep("Y"), BOTH)
    assert line.operations["multiply", "int8"] == 12 * 4 + 6 * 4
    assert filled["I"] == 20
    assert line.footprint_bytes["buffer"] == 2 * 3 + 3 * 4 + 4 + 4 + 1
    tile, filled = counted(SQUARE, *shared, Loop("x", 1), slides("Z"), slides("I"), keep("Y"), BOTH)
    assert tile.operations["multiply", "int8"] == 3 * 2 * 3 * 4 + 6 * 4
    assert filled["I"] == 3 * 3 * 4
    assert tile.footprint_bytes["buffer"] == 2 * 2 + 3 * 3 + 4 + 4 + 1


def test_keys_in_a_band_stay_with_the_loop_over_queries_or_come_anew() -> None:
    """8 queries by 2 that see 3 keys each: windows of 2, then 4; in a loop over keys as well."""
    band = "-2 <= m - p <= 0"
    text = f"S[m, p] = Q[p] * K[m] | {band}\nO[p] = sum(m) S[m, p] * V[m] | {band}"
    cascade = parse(text, sizes={"m": 8, "p": 8}, dtypes={"*": "int8"})
    both = Split(((Compute("S"),), (Compute("O"),)))
    nodes = (Loop("p", 2), keep("Q"), keep("S"), keep("O"))
    counts, filled = counted(cascade, *nodes, keep("K"), keep("V"), both)
    assert filled == {"K": 8, "V": 8, "Q": 8}
    assert counts.operations["multiply", "int8"] == 2 * (1 + 2 + 6 * 3)
    assert counts.footprint_bytes["buffer"] == 4 + 4 + 2 * 4 + 2  # K, V, S, and Q or O
    inner = tuple((Loop("m", 1), Keep(t, "buffer"), Compute(e)) for t, e in ("KS", "VO"))
    assert counted(cascade, *nodes, Split(inner))[1] == {"K": 2 + 3 * 4, "V": 2 + 3 * 4, "Q": 8}


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        (
            (Loop("y", 1), keep("Z"), Split(((Loop("r", 1), Compute("Z")), (Compute("Y"),)))),
            "whole",
        ),
        ((Loop("y", 2), keep("Z"), Loop("h", 1), BOTH), "walked by two loops"),
        ((Loop("y", 1), keep("I"), BOTH), "kept nowhere"),
        (
            (Loop("y", 1), Split(((keep("Z"), Compute("Z")), (keep("Z"), Compute("Y"))))),
            "expected its Keep around all that read it",
        ),
    ],
)
def test_nests_that_take_windows_apart_are_refused(nodes: tuple[Node, ...], words: str) -> None:
    with pytest.raises(CoverageError, match=words):
        counted(ROWS, *nodes)
