"""What makes two functions one: code, defaults, closures, functions and values of their module."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

import hwmodel as hw
from hwmodel.sweeps.fingerprint import digest_of

FACTOR = 2


def helped(x: float) -> float:
    return x * FACTOR


def function(x: float) -> float:
    return helped(x) + 1


def compiled(text: str) -> Callable[..., Any]:
    names: dict[str, Any] = {}
    exec(text, names)
    return names["f"]


def closed_over(value: Any) -> Callable[[float], Any]:
    return lambda x: (x, value)


def test_the_same_text_has_one_digest() -> None:
    one, again = (
        compiled("def f(x):\n  return x + 1"),
        compiled("\n\ndef f(x): # y\n  return x + 1"),
    )
    assert digest_of(one) == digest_of(again)
    assert digest_of(function) == digest_of(function)
    assert digest_of(compiled("def f(x):\n 'a'\n return x")) == digest_of(
        compiled("def f(x):\n 'b'\n return x")
    )


def test_what_changes_answers_changes_the_digest() -> None:
    texts = [
        "x + 1",
        "x + 2",
        "x - 1",
        "y(x)",
        "[x + 1 for _ in range(2)]",
        "[x + 2 for _ in range(2)]",
    ]
    digests = {digest_of(compiled(f"def f(x, y=None):\n  return {text}")) for text in texts}
    assert len(digests) == len(texts)
    defaults = (compiled(f"def f(x, y={value}): return x") for value in (1, 2, "'1'"))
    assert len({digest_of(each) for each in defaults}) == 3


def test_values_that_are_closed_over_count() -> None:
    h200 = hw.device("h200")
    values = [1, 2, "1", [1], (1, 2), {"a": 1}, {"a": 2}, np.arange(3), np.arange(4.0), None]
    values += [h200, h200.but(hbm={"bandwidth": "5 TB/s"}), hw.device("b200")]
    assert len({digest_of(closed_over(value)) for value in values}) == len(values)
    assert digest_of(closed_over(h200)) == digest_of(closed_over(hw.device("h200").but()))
    assert digest_of(functools.partial(helped, 1)) != digest_of(functools.partial(helped, 2))


def test_functions_of_the_same_module_count(monkeypatch: Any) -> None:
    before = digest_of(function)
    monkeypatch.setitem(globals(), "FACTOR", 3)
    assert digest_of(function) != before


def test_what_leads_back_into_itself_ends() -> None:
    circle: list[Any] = []
    circle.append(circle)
    assert len(digest_of(closed_over(circle))) == 64
