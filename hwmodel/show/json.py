"""Answers as plain data for JSON: numbers, texts, lists and tables, in SI units.

Field names are those of the Python values. What is not modelled, or has no finite value, is null.
"""

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, cast

import numpy as np

from hwmodel.bounds.limit import Limit
from hwmodel.hardware.hardware import Hardware
from hwmodel.quantity.value import Value
from hwmodel.spine.estimate import Estimate, Part


def estimate_record(estimate: Estimate) -> dict[str, Any]:
    """The fields that every answer carries, then what they rest on, down to each kernel."""
    serving = estimate.serving
    return plain(
        {
            "name": estimate.name,
            "device": estimate.device,
            **estimate.record(),
            "bound_s": estimate.bound_s,
            "sustained_time_s": estimate.sustained_time_s,
            "energy_by_j": estimate.energy_by_j or None,
            "busy_s": estimate.busy_s,
            "area_m2": estimate.area_m2,
            "area_reason": estimate.area_reason or None,
            "tokens": serving and serving.tokens,
            "tokens_per_s": estimate.tokens_per_s,
            "joules_per_token": estimate.joules_per_token,
            "fits": estimate.fits_by_point,
            "memory": serving and serving.memory,
            "stores": [
                {**_items(store), "short_by_bytes": store.short_by_bytes}
                for store in estimate.stores
            ],
            "assumptions": estimate.assumptions,
            "parts": [_part_record(part) for part in estimate.parts],
        }
    )


def bound_record(limit: Limit) -> dict[str, Any]:
    """Least bytes at each level with the reason, passes, least time, and the kernels' distance."""
    return plain(
        {
            "dram_bytes": limit.dram_bytes,
            "time_s": limit.time_s,
            "gap_to_bound": limit.gap_to_bound,
            "time_over_limit": limit.time_over_limit,
            **_items(limit.bound),
            "sensitivity": limit.sensitivity,
        }
    )


def device_record(device: Hardware) -> dict[str, Any]:
    """Every field of a device, with the source of each number."""
    return plain(device)


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
        return plain(_items(value))
    return value


def _part_record(part: Part) -> dict[str, Any]:
    return {
        **{"name": part.name, "family": part.family, "times": part.times, "time_s": part.time_s},
        **{"energy_j": part.energy_j, "bottleneck": part.bottleneck, "busy_s": part.busy_s},
        "operations": {" ".join(key): count for key, count in part.counts.operations.items()},
        **{"bytes_read": part.counts.read, "bytes_written": part.counts.written},
        **{"tile": part.tile, "interval": part.interval},
    }


def _items(value: Any) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in fields(value)}
