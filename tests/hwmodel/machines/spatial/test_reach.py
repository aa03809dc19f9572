"""Reaches, point by point: of a band's tiles, and of windows of what windows ask for."""

from itertools import product

import pytest

from hwmodel.machines.spatial.reach import Ask, Reach


@pytest.mark.parametrize(("low", "high"), [(None, 3), (-5, None), (-2, 1), (4, 9)])
@pytest.mark.parametrize(("scale", "part"), [(1, 1), (3, 1), (1, 4), (3, 4)])
def test_spans_hold_what_points_ask_for(
    low: int | None, high: int | None, scale: int, part: int
) -> None:
    """A point q asks for r from (scale q + low) // part to (scale q + high) // part."""
    reach = Reach("q", "r", 7, 9, low, high, scale, part)

    def asks(q: int, r: int) -> bool:
        above = low is None or r >= (scale * q + low) // part
        return above and (high is None or r <= (scale * q + high) // part)

    for tile in range(1, 8):
        turns = [range(at, min(at + tile, 7)) for at in range(0, 7, tile)]
        asked = [{r for q, r in product(turn, range(9)) if asks(q, r)} for turn in turns]
        assert reach.visited(tile) == sum(map(len, asked))
        assert reach.widest(tile) == max(map(len, asked))


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("keeps", [False, True])
def test_windows_of_windows_ask_for_what_is_computed_in_between(stride: int, keeps: bool) -> None:
    """Windows of 3 rows, `stride` apart, of windows of 2: every row counted that a turn lacks."""
    rows = stride * 5 + 3  # 6 windows of 3
    ask = Ask(
        "i",
        (Reach("y", "h", 6, rows, 0, 2, stride), Reach("h", "i", rows, rows + 1, 0, 1)),
        ("Z",),
    )
    for tile in range(1, 7):
        asked: list[int] = []
        seen = set[int]()
        for at in range(0, 6, tile):
            window = {stride * y + u for y in range(at, min(at + tile, 6)) for u in range(3)}
            computed = window - seen if keeps else window
            seen |= window
            asked.append(len({h + r for h in computed for r in range(2)}))
        kept = frozenset({"Z"}) if keeps else frozenset[str]()
        assert ask.visited(tile, kept) == sum(asked)
        assert ask.widest(tile, kept) == max(asked)
