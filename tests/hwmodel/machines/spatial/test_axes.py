"""Elements along an axis that several places of an array touch at once, by hand."""

import pytest

from hwmodel.machines.spatial.axes import apart, united
from hwmodel.machines.spatial.positions import FOREVER
from hwmodel.machines.spatial.projection import Axis

ROWS: Axis = (("y", 1), ("r", 1))
STEPS = (((0, 4, False), (1, 1, True)), ((2, 1, True),))
"""Outputs y in turns of 4, one a column; a tap r a row."""


def test_the_diagonals_of_an_array_take_each_row_of_the_input_once() -> None:
    """4 columns and 3 rows need rows 0 .. 5 of the input, 12 elements one row each."""
    assert united(ROWS, (4, 3), STEPS, FOREVER, 1, False) == ((1, 6, -1),)
    assert apart(ROWS, (4, 3), STEPS, FOREVER) == [(12, 1, -1)]


def test_what_an_idle_element_alone_holds_is_not_read_again() -> None:
    """Of 7 outputs 4 and then 3: the fourth column idles in the second turn, and keeps its rows.

    First turn: rows 0 .. 4, and row 5, which the fourth column takes alone; second: rows 4 .. 8.
    """
    assert sorted(united(ROWS, (7, 3), STEPS, FOREVER, 1, False)) == [(1, 1, -1), (2, 5, 0)]


@pytest.mark.parametrize(("axis", "rows"), [((("y", 2), ("r", 1)), 9), ((("y", 1), ("r", 2)), 8)])
def test_strides_and_dilations_leave_rows_out(axis: Axis, rows: int) -> None:
    """2y + r of 4 and 3: 0 .. 8; y + 2r: 0 .. 7."""
    assert united(axis, (4, 3), STEPS, FOREVER, 1, False) == ((1, rows, -1),)


def test_a_shared_memory_holds_parts_that_lie_apart_as_one() -> None:
    """Columns hold outputs 0 .. 1 and 4 .. 5, then the others: with 3 taps 8 rows each time."""
    steps = (((0, 4, True), (1, 2, False)), ())
    assert united(ROWS, (8, 3), steps, FOREVER, 0, True) == ((2, 8, 1),)
