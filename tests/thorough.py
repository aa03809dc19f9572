"""Cases of a test that `pytest` leaves to `pytest -m thorough`: those past the first few."""

from collections.abc import Iterable
from typing import Any, cast

import pytest


def but_first(kept: int, cases: Iterable[Any]) -> list[Any]:
    """The cases, of which those past the first `kept` are marked `thorough`."""
    given = list(cases)
    return [*given[:kept], *(thorough(case) for case in given[kept:])]


def thorough(case: Any) -> Any:
    """One case, marked."""
    values = cast(tuple[Any, ...], case if isinstance(case, tuple) else (case,))
    return pytest.param(*values, marks=pytest.mark.thorough)
