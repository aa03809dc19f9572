"""Launch records in the columns of a case, one `tile_...` for each field, and back."""

from dataclasses import asdict, replace
from typing import Any

from hwmodel.validation.measure.shapes import Case

PREFIX = "tile_"


def with_tile(case: Case, tile: Any, **more: Any) -> Case:
    """The case with its tile in columns."""
    columns = {PREFIX + name: int(value) for name, value in asdict(tile).items()}
    return replace(case, shape={**case.shape, **columns, **more})


def tile_of(case: Case, record: type) -> Any:
    """The launch record that a case's columns hold."""
    columns = {k.removeprefix(PREFIX): v for k, v in case.shape.items() if k.startswith(PREFIX)}
    return record(**columns)
