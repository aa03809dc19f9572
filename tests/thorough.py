"""What `pytest` leaves to `pytest -m thorough`: cases past the first few, and most of the draws."""

from collections.abc import Callable, Iterable
from typing import Any, cast

import pytest


def but_first(kept: int, cases: Iterable[Any]) -> list[Any]:
    """The cases, of which those past the first `kept` are marked `thorough`."""
    given = list(cases)
    return [*given[:kept], *(thorough(case) for case in given[kept:])]


def but(slow: Iterable[Any], cases: Iterable[Any]) -> list[Any]:
    """The cases, of which those that are `slow` are marked `thorough`."""
    given, marked = list(cases), list(slow)
    assert all(case in given for case in marked), marked
    return [thorough(case) if case in marked else case for case in given]


def thorough(case: Any) -> Any:
    """One case, marked."""
    values = cast(tuple[Any, ...], case if isinstance(case, tuple) else (case,))
    return pytest.param(*values, marks=pytest.mark.thorough)


def tried(
    few: int, many: int, *strategies: Any, **named: Any
) -> Callable[[Callable[..., None]], Callable[[int], None]]:
    """A property of what Hypothesis draws: it holds in a few cases, and in many where thorough."""
    from hypothesis import given, settings  # absent on a bare GPU machine

    def of(holds: Callable[..., None]) -> Callable[[int], None]:
        @pytest.mark.parametrize("examples", [few, thorough(many)])
        def test(examples: int) -> None:
            often = settings(max_examples=examples, deadline=None, derandomize=True)
            often(given(*strategies, **named)(holds))()

        test.__name__, test.__doc__ = holds.__name__, holds.__doc__
        return test

    return of
