"""Kept answers: by which value they are of, without its arrays, and not for ever."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from hwmodel.quantity.remembered import MOST, arrays_in, marked, remembered, same, single


@dataclass(frozen=True, eq=False)
class Box:
    size: Any


def test_an_answer_is_worked_out_once_for_each_value_and_word() -> None:
    asked: list[tuple[Box, str]] = []

    @remembered(keep=single)
    def answer(box: Box, word: str) -> object:
        asked.append((box, word))
        return object()

    one, other = Box(1), Box(1)
    assert answer(one, "a") is answer(one, "a")
    assert answer(one, "a") is not answer(other, "a")
    assert answer(one, "a") is not answer(one, "b")
    assert len(asked) == 3


def test_what_holds_an_array_is_worked_out_again() -> None:
    """So that a sweep's arrays are let go, and one changed in place is seen."""

    @remembered(keep=single)
    def doubled(box: Box) -> Box:
        return Box({"sizes": (2 * box.size,)})

    box = Box(np.array([1.0, 2.0]))
    assert doubled(box).size["sizes"][0].tolist() == [2, 4]
    box.size[0] = 5
    assert doubled(box).size["sizes"][0].tolist() == [10, 4]


def test_the_oldest_answers_are_forgotten() -> None:
    asked: list[Box] = []

    @remembered(keep=single)
    def answer(box: Box) -> int:
        asked.append(box)
        return box.size

    boxes = [Box(n) for n in range(2 * MOST)]
    assert [answer(box) for box in boxes] == list(range(2 * MOST))
    assert answer(boxes[-1]) == 2 * MOST - 1
    assert len(asked) == 2 * MOST
    assert answer(boxes[0]) == 0
    assert len(asked) == 2 * MOST + 1


def test_arrays_are_found_in_records_tables_and_tuples() -> None:
    first, second, third = (np.zeros(n) for n in (1, 2, 3))
    nested = ({"a": first, "b": 1.0}, Box((second, Box(third))), "c", None)
    assert [array.size for array in arrays_in(nested)] == [1, 2, 3]
    assert single((1, "a", Box(2.0)))


def test_nested_values_are_the_same_where_every_number_kind_and_order_is() -> None:
    sizes = np.array([1.0, 2.0])
    one = (1, {"a": sizes, "b": (2.0, "x")}, Box((1, 2.0)))
    assert same(one, (1, {"a": sizes.copy(), "b": (2.0, "x")}, Box((1, 2.0))))
    others = (
        (1.0, *one[1:]),
        (1, {"b": (2.0, "x"), "a": sizes}, one[2]),
        (1, {"a": sizes + 1, "b": (2.0, "x")}, one[2]),
        (1, {"a": sizes, "b": (2.0,)}, one[2]),
        (*one[:2], Box((1, 3.0))),
    )
    assert not any(same(one, other) for other in others)


def test_equal_values_have_one_mark() -> None:
    sizes = np.array([1.0, 5.0, 2.0])
    one, other = (Box({"a": each}) for each in (sizes, sizes.copy()))
    assert marked(one) == marked(other) != marked(Box({"a": sizes * 2}))
    assert {marked(one): "kept"}[marked(other)] == "kept"
