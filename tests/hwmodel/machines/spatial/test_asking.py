"""Who asks for what: chains of windows with their extents, nests that walk them, refusals."""

import pytest

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.notation import parse
from hwmodel.machines.spatial.asking import asking, needed
from hwmodel.quantity.errors import CoverageError
from hwmodel.spine.mapping import Compute, Keep, Loop, Split

CHAIN = """
tensor I[c, i]
Z[k, h] = sum(c, r) I[c, h+r] * F[k, c, r]
R[k, h] = max(Z[k, h], 0)
Y[l, y] = sum(k, u) R[k, 2*y+u] * G[l, k, u]
"""


def chain(text: str = CHAIN, **sizes: int) -> Cascade:
    known = {"c": 2, "k": 2, "l": 2, "r": 2, "u": 3, "y": 4, "h": 9, "i": 10}
    return parse(text, sizes={name: n for name, n in (known | sizes).items() if name in text})


def test_rows_ask_for_windows_all_the_way_up() -> None:
    """4 rows with windows of 3, 2 apart, ask for 9, those with windows of 2 for 10."""
    found = asking(chain(), windows=True)
    assert found.sizes == {"h": 9, "I.i": 10}
    assert found.taps == {"r", "u"}
    assert {at: (ask.rank, ask.through) for at, ask in found.asks.items()} == {
        ("y", "R"): ("h", ()),
        ("y", "Z"): ("h", ("R",)),
        ("y", "I"): ("I.i", ("R", "Z")),
        ("h", "I"): ("I.i", ()),
    }
    assert found.asks["y", "I"].visited(1, frozenset()) == 4 * 4  # 3 rows of Z need 4 of I
    assert found.asks["y", "I"].visited(1, frozenset({"R"})) == 4 + 3 * 3  # 2 new rows, 3 of I


def test_nests_that_walk_tap_by_tap_ask_for_no_windows() -> None:
    cascade = chain()
    apart = tuple((Compute(name),) for name in "ZRY")
    loops = (Loop("y", 1), Compute("Y"))
    assert not needed(cascade, (Split((*apart[:2], loops)),))
    assert needed(cascade, (Loop("y", 1), Split(apart)))
    assert needed(cascade, (Keep("R", "buffer"), Split(apart)))
    assert needed(cascade, (Split((*apart[:2], (Loop("y", 1), Keep("R", "buffer", slides=True)))),))


@pytest.mark.parametrize(
    ("old", "new", "sizes", "words"),
    [
        ("2*y+u", "4*y+u", {"y": 2}, "windows with gaps"),
        ("2*y+u", "2*y+u+1", {"y": 3}, "expected a window of one place and one tap"),
        ("2*y+u", "y+u", {}, "9 points of h, of which windows ask for 6"),
        ("Y[l", "X[k, h] = exp(R[k, h])\nY[l", {}, "read by X, Y; expected one, copy it"),
        ("tensor I", "output R, Y\ntensor I", {}, "is an output, and read in windows"),
    ],
)
def test_windows_that_are_no_such_intervals_are_refused(
    old: str, new: str, sizes: dict[str, int], words: str
) -> None:
    with pytest.raises(CoverageError, match=words):
        asking(chain(CHAIN.replace(old, new), **sizes), windows=True)
