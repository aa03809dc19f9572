"""The fields of answers, each named once: JSON, lines of cases, tables and text read them here.

Names end in their SI unit. A field of a kind in `COLUMNS` has one value a point: those are the
answers to lines of cases and the columns of tables. What is not modelled is None in all of them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from hwmodel.bounds.limit import Limit
from hwmodel.quantity.units import dimension_of
from hwmodel.spine.estimate import Estimate, Part

SCHEMA = 1
"""The version of the fields; one that goes, or means something else, makes a new version."""

COLUMNS = (float, str, bool)
"""Kinds of fields that have one value a point."""


@dataclass(frozen=True)
class Field:
    """A field of an answer: its name, the kind of its values, and how it is read."""

    name: str
    kind: type
    """`float`, `str` or `bool` of one value a point; `list` or `dict` of what is more."""
    read: Callable[[Any], Any]
    aside: bool = False
    """Left out of a print-out that has many columns."""

    @property
    def unit(self) -> str | None:
        """The unit that its name ends in, a key of `units.DIMENSIONS`; None for a plain number."""
        return dimension_of(self.name)


def _own(name: str, kind: type = float, *, aside: bool = False) -> Field:
    """A field that is an attribute of the answer."""
    return Field(name, kind, lambda answer: getattr(answer, name), aside)


def _memory_bytes(estimate: Estimate) -> Any:
    return None if estimate.serving is None else estimate.serving.memory.total_bytes


def _kv_capacity(estimate: Estimate) -> Any:
    return None if estimate.serving is None else estimate.serving.memory.kv_capacity_tokens


def _largest_batch(estimate: Estimate) -> Any:
    return None if estimate.serving is None else estimate.serving.memory.largest_batch


def _fits(estimate: Estimate) -> Any:
    known = estimate.serving is not None or estimate.stores
    return estimate.fits_by_point if known else None


def _stores(estimate: Estimate) -> list[dict[str, Any]]:
    return [{**held(each), "short_by_bytes": each.short_by_bytes} for each in estimate.stores]


def _warnings(estimate: Estimate) -> list[str]:
    """Those of all points; of many, what holds at some stands with the points."""
    return list(estimate.everywhere if np.ndim(estimate.time_s) else estimate.warnings)


def _operations(part: Part) -> dict[str, Any]:
    return {" ".join(key): count for key, count in part.counts.operations.items()}


POINT: tuple[Field, ...] = (
    _own("time_s"),
    _own("time_low_s", aside=True),
    _own("time_high_s", aside=True),
    _own("sustained_time_s", aside=True),
    _own("busy_time_s", aside=True),
    _own("energy_j"),
    _own("dram_bytes_read", aside=True),
    _own("dram_bytes_written", aside=True),
    _own("bound_bytes", aside=True),
    _own("bound_s", aside=True),
    _own("bottleneck", str),
    _own("extrapolated", bool, aside=True),
    _own("tokens_per_s"),
    _own("full_tokens_per_s", aside=True),
    _own("joules_per_token"),
    _own("bubble", aside=True),
    _own("area_m2", aside=True),
    Field("memory_bytes", float, _memory_bytes, aside=True),
    Field("kv_capacity_tokens", float, _kv_capacity, aside=True),
    Field("largest_batch", float, _largest_batch, aside=True),
    Field("fits", bool, _fits),
)
"""Fields of an `Estimate` that have one value a point."""

ESTIMATE: tuple[Field, ...] = (
    _own("name", str),
    _own("device", str),
    *POINT,
    Field("tokens", float, lambda e: None if e.serving is None else e.serving.tokens),
    _own("time_per_token_s"),
    Field("energy_by_j", dict, lambda e: e.energy_by_j or None),
    _own("busy_s", dict),
    _own("area_range_m2", list),
    Field("area_reason", str, lambda e: e.area_reason or None),
    Field("memory", dict, lambda e: None if e.serving is None else e.serving.memory),
    Field("stores", list, _stores),
    _own("by_layer", list),
    _own("assumptions", list),
    Field("warnings", list, _warnings),
    Field("parts", list, lambda e: [read(PART, part) for part in e.parts]),
)
"""All fields of an `Estimate`."""

PART: tuple[Field, ...] = (
    _own("name", str),
    _own("family", str),
    _own("times"),
    _own("time_s"),
    _own("energy_j"),
    _own("bottleneck", str),
    _own("busy_s", dict),
    Field("operations", dict, _operations),
    Field("bytes_read", dict, lambda part: part.counts.read),
    Field("bytes_written", dict, lambda part: part.counts.written),
    _own("tile", dict),
    _own("interval", list),
)
"""Fields of one kernel of an estimate."""

LIMIT_POINT: tuple[Field, ...] = (
    _own("dram_bytes"),
    _own("time_s"),
    _own("gap_to_bound"),
    _own("time_over_limit"),
)
"""Fields of a `Limit` that have one value a point."""

LIMIT: tuple[Field, ...] = (
    *LIMIT_POINT,
    Field("name", str, lambda limit: limit.bound.name),
    Field("levels", list, lambda limit: limit.bound.levels),
    Field("compulsory_bytes", float, lambda limit: limit.bound.compulsory_bytes),
    Field("passes", dict, lambda limit: limit.bound.passes),
    _own("sensitivity", list),
)
"""All fields of a `Limit`."""

POINTS: Mapping[type, tuple[Field, ...]] = {Estimate: POINT, Limit: LIMIT_POINT}
"""Class of an answer -> its fields with one value a point."""

ALL: Mapping[type, tuple[Field, ...]] = {Estimate: ESTIMATE, Limit: LIMIT}
"""Class of an answer -> all of its fields."""


def read(listed: Sequence[Field], answer: Any) -> dict[str, Any]:
    """The values of these fields, by name, in their order."""
    return {field.name: field.read(answer) for field in listed}


def point_record(estimate: Estimate) -> dict[str, Any]:
    """The fields with one value a point, and the warnings of all points."""
    return {**read(POINT, estimate), "warnings": _warnings(estimate)}


def held(value: Any) -> dict[str, Any]:
    """The fields of a frozen record, by name."""
    return {field.name: getattr(value, field.name) for field in fields(value)}
