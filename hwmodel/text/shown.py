"""Values whose text, line and HTML are written elsewhere: lower floors know nothing of tables.

`hwmodel.show.writers` says which functions write a value of which class. It is loaded by name, when
the first value is printed: what computes imports nothing of what shows.
"""

import importlib
from typing import Any

WRITERS = "hwmodel.show.writers"


class Shown:
    """Prints, shows itself in a notebook and names itself in one line, as its writers say."""

    def __repr__(self) -> str:
        """One line: arrays of a sweep would fill the screen."""
        return f"<{type(self).__name__}: {_written('line', self)}>"

    def __str__(self) -> str:
        """The whole text."""
        return _written("text", self)

    def _repr_html_(self) -> str:
        return _written("html", self)


def columns(value: Any) -> Any:
    """A polars table of an answer, a row for each point."""
    return importlib.import_module(WRITERS).columns(value)


def part_columns(value: Any) -> Any:
    """A polars table of the parts of an answer, a row each."""
    return importlib.import_module(WRITERS).part_columns(value)


def record(value: Any) -> dict[str, Any]:
    """The fields of an answer that have one value a point, and its warnings."""
    return importlib.import_module(WRITERS).record(value)


def _written(how: str, value: Any) -> str:
    return importlib.import_module(WRITERS).write(how, value)
