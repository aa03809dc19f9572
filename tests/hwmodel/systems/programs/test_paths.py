"""Ways through a program: expectations of maxima, not maxima of expectations."""

import pytest

from hwmodel.quantity.errors import InputError
from hwmodel.systems.programs.paths import Way, along, chosen, mean_s, path_of, repeated


def one(name: str, time_s: float) -> list[Way]:
    return [Way(1.0, time_s, {name: time_s})]


def test_the_longest_path_and_what_it_is_made_of() -> None:
    ways = along(
        ("a", "b", "c", "d"),
        {"a": (), "b": ("a",), "c": ("a",), "d": ("b", "c")},
        {"a": one("a", 1), "b": one("b", 5), "c": one("c", 2), "d": one("d", 3)},
    )
    assert mean_s(ways) == 9
    assert path_of(ways) == {"a": 1, "b": 5, "d": 3}


def test_two_coins_side_by_side_take_what_their_maximum_takes() -> None:
    """Each 0 or 4 s with chance 1/2: 3/4 of the time one is 4; the mean of each alone is 2."""
    coin = chosen([(0.5, one("a", 4))])
    ways = along(("a", "b"), {"a": (), "b": ()}, {"a": coin, "b": coin})
    assert mean_s(ways) == 3
    assert {way.time_s: way.chance for way in ways} == {0: 0.25, 4: 0.75}


def test_one_of_several_or_none() -> None:
    ways = chosen([(0.25, one("fast", 1)), (0.5, one("slow", 8))])
    assert sorted((w.time_s, w.chance) for w in ways) == [(0, 0.25), (1, 0.25), (8, 0.5)]
    assert path_of(ways) == {"fast": 0.25, "slow": 4}


def test_what_is_repeated_takes_its_mean_each_time() -> None:
    (way,) = repeated(chosen([(0.5, one("a", 4))]), 3)
    assert (way.chance, way.time_s, way.path) == (1, 6, {"a": 6})


def test_too_many_ways_are_refused_at_the_step_that_makes_them() -> None:
    names = tuple("abcdefghijklm")
    coins = {name: [Way(0.5, i, {}), Way(0.5, 0, {})] for i, name in enumerate(names, 1)}
    with pytest.raises(InputError, match=r"at most 4,096 ways through it, found 8,192 at step m"):
        along(names, {name: () for name in names}, coins)
