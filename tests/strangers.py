"""One question asked alone and inside an array of strangers: the answers, and where they differ."""

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

import hwmodel as hw
from hwmodel.hardware.hardware import Hardware
from hwmodel.spine.estimate import Estimate

Columns: TypeAlias = Mapping[str, NDArray[np.float64]]
Answer: TypeAlias = dict[str, Any]

TOTALS = (
    *("time_s", "time_low_s", "time_high_s", "sustained_time_s", "energy_j", "flop"),
    *("dram_bytes_read", "dram_bytes_written", "bound_bytes", "bound_s", "bottleneck"),
    *("extrapolated", "tokens_per_s", "joules_per_token", "devices", "fits_by_point"),
)


def answer(estimate: Estimate, place: int) -> Answer:
    """Every number and word of an estimate at one point, by name.

    An array has the calls and resources of all its points: what takes no time at this one is not
    part of its answer.
    """
    whole: Answer = {name: getattr(estimate, name) for name in TOTALS}
    whole |= {f"busy {name}": seconds for name, seconds in estimate.busy_s.items()}
    if estimate.serving is not None:
        whole["tokens"] = estimate.serving.tokens
        whole |= {f"memory {n}": v for n, v in vars(estimate.serving.memory).items()}
    found = {name: at(value, place) for name, value in whole.items()}
    parts = [part for part in estimate.parts if at(part.times, place) > 0]
    for number, part in enumerate(parts):
        found[f"{number} of"] = (part.name, part.family)
        mine: Answer = {n: getattr(part, n) for n in ("times", "time_s", "sustained_s", "energy_j")}
        mine |= {f"interval {end}": value for end, value in enumerate(part.interval)}
        if is_dataclass(part.tile):
            mine |= {f.name: getattr(part.tile, f.name) for f in fields(part.tile)}
        found |= {f"{number} {name}": at(value, place) for name, value in mine.items()}
    idle = [name for name, value in found.items() if name.startswith("busy ") and value == 0]
    return {name: value for name, value in found.items() if name not in idle}


def at(value: Any, place: int) -> Any:
    """A value at one point of an array; a single value stands everywhere."""
    flat = np.ravel(value)
    return flat[place if flat.size > 1 else 0]


def differences(alone: Answer, among: Answer) -> dict[str, tuple[Any, Any]]:
    """Fields whose values are not equal to the last bit."""
    both = {name: (alone.get(name), among.get(name)) for name in {**alone, **among}}
    return {n: (a, b) for n, (a, b) in both.items() if a != b and (a == a or b == b)}


def check(
    build: Callable[..., Any],
    columns: Columns,
    on: Hardware,
    kernel: str | None = None,
    ask: Callable[..., Any] = hw.predict,
) -> None:
    """Assert that every point of `columns` is answered alone as it is among the others."""
    together = ask(build(**columns), on, kernel=kernel)
    for place in range(len(next(iter(columns.values())))):
        sizes = {name: int(column[place]) for name, column in columns.items()}
        alone = answer(ask(build(**sizes), on, kernel=kernel), 0)
        assert (sizes, differences(alone, answer(together, place))) == (sizes, {})
