"""Arguments are of the kinds that annotations declare, or refused by name."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from hwmodel.quantity.checked import checked
from hwmodel.quantity.errors import InputError, UnknownNameError


def declared(
    name: str,
    share: float = 0.5,
    ways: int | None = None,
    fast: bool = False,
    table: Mapping[str, int] | None = None,
    names: Sequence[str] = (),
    free: Any = None,
    either: "str | object" = "",
) -> str:
    """A function with an argument of each kind."""
    return f"{name} {share} {ways} {fast} {table} {names} {free} {either}"


bake: Any = checked(declared)


def test_what_is_declared_passes() -> None:
    assert bake("a") == "a 0.5 None False None () None "
    assert bake("a", 1, 2, np.bool_(True), {}, ["x"], 1j, 5).startswith("a 1 2 True {} ['x'] 1j 5")
    assert bake("a", np.float32(0.5), np.int64(3)) == "a 0.5 3 False None () None "
    assert bake("a", share=np.array([1.0, 2.0])).startswith("a [1. 2.]")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"name": 3}, "declared: name: expected a name, found 3"),
        ({"name": None}, "declared: name: expected a name, found None"),
        ({"name": ["a"]}, "declared: name: expected a name"),
        ({"share": "1"}, "declared: share: expected a number, found '1'"),
        ({"share": True}, "declared: share: expected a number, found True"),
        ({"share": float("nan")}, "declared: share: expected a number, found nan"),
        ({"share": 10**400}, "declared: share: expected a number, found a whole number of some 40"),
        ({"share": 1j}, "declared: share: expected a number, found 1j"),
        ({"share": np.datetime64("2020-01-01")}, "declared: share: expected a number"),
        ({"share": np.array(["1"])}, "declared: share: expected a number"),
        ({"share": np.array([np.inf])}, "declared: share: expected a number"),
        ({"ways": [8]}, "declared: ways: expected a whole number or none"),
        ({"fast": 2}, "declared: fast: expected true or false, found 2"),
        ({"fast": "yes"}, "declared: fast: expected true or false, found 'yes'"),
        ({"table": []}, "declared: table: expected a table or none"),
        ({"names": "abc"}, "declared: names: expected a list, found 'abc'"),
    ],
)
def test_other_kinds_are_refused_by_name(given: dict[str, Any], expected: str) -> None:
    with pytest.raises(InputError) as caught:
        bake(**{"name": "a", **given})
    assert str(caught.value).startswith(expected)


def test_arguments_that_are_not_there_or_lack_are_refused_as_bad_input() -> None:
    with pytest.raises(
        UnknownNameError, match=r"argument of declared 'shar' \(did you mean 'share'"
    ):
        bake("a", shar=0.5)
    with pytest.raises(InputError, match=r"declared: expected name, share, .*missing .* 'name'"):
        bake(share=0.5)
    with pytest.raises(InputError, match="multiple values for argument 'name'"):
        bake("a", name="b")


def test_what_lacks_is_told_where_any_options_are_taken() -> None:
    def opens(name: str, **options: int) -> str:
        return f"{name} {options}"

    assert checked(opens)("a", slack=1) == "a {'slack': 1}"
    with pytest.raises(InputError, match="opens: expected name; found missing"):
        checked(opens)(slack=1)  # type: ignore[call-arg]


def test_a_type_error_from_within_stays_one() -> None:
    def fails(name: str) -> int:
        return name + 1  # type: ignore[operator]

    with pytest.raises(TypeError, match="concatenate"):
        checked(fails)("a")
