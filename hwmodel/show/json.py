"""Answers as plain data for JSON: numbers, texts, lists and tables, in SI units.

Field names are those of the Python values. What is not modelled, or has no finite value, is null.
"""

import math
from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any, cast

import numpy as np

from hwmodel.hardware.hardware import Hardware
from hwmodel.quantity.value import Value
from hwmodel.show.fields import ALL, SCHEMA, held, read


def full_record(answer: Any) -> dict[str, Any]:
    """All fields of an answer: those of `hwmodel.show.fields`, or those that it lists itself."""
    listed = ALL.get(type(cast(object, answer)))
    return plain(answer.record() if listed is None else read(listed, answer))


def device_record(device: Hardware) -> dict[str, Any]:
    """Every field of a device, with the source of each number."""
    return plain(device)


def versioned(record: Any, **also: Any) -> Any:
    """A record that says the version of its fields, and `also`; of a list each does."""
    if isinstance(record, list):
        return [versioned(each, **also) for each in cast(list[Any], record)]
    return {**record, "schema": SCHEMA, **also}


def plain(value: Any) -> Any:
    """The same value in dictionaries, lists, texts, numbers and null only."""
    if isinstance(value, (np.ndarray, np.generic)):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        items = cast(Mapping[Any, Any], value).items()
        return {str(name): plain(item) for name, item in items}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in cast(list[Any], value)]
    if isinstance(value, Value):
        return {name: plain(getattr(value, name)) for name in type(value).model_fields}
    if is_dataclass(value) and not isinstance(value, type):
        return plain(held(value))
    return value
