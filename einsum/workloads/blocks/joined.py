"""Stages of layers that differ, in one order: what they have in common is one stage.

Equal stages are found by value, since a sweep's sizes are arrays, made anew for each kind of layer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any, cast

import numpy as np

from hwmodel.einsum.cascade import Stage


def interleaved(layers: Sequence[Sequence[Stage]]) -> list[Stage]:
    """Stages of several kinds of layers (or formats) in one order, equal ones joined.

    Each kind's order is kept. Stages that a further kind alone has come before the next that it
    shares with the ones already there.
    """
    found: list[Stage] = list(layers[0]) if layers else []
    for stages in layers[1:]:
        at, new = 0, list[Stage]()
        for stage in stages:
            same = next((i for i in range(at, len(found)) if _joinable(found[i], stage)), None)
            if same is None:
                new.append(stage)
                continue
            both = found[same]
            joined = replace(
                both, times=both.times + stage.times, layers=(*both.layers, *stage.layers)
            )
            found[same : same + 1] = [*new, joined]
            at, new = same + len(new) + 1, list[Stage]()
        found += new
    return found


def _joinable(one: Stage, other: Stage) -> bool:
    return (
        one.name == other.name
        and one.role == other.role
        and alike(one.cascade, other.cascade)
        and alike(one.collective, other.collective)
    )


def alike(one: Any, other: Any) -> bool:
    """Whether two values are the same, arrays in them too."""
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray):
        return np.array_equal(cast(Any, one), other)
    if is_dataclass(one):
        names = [f.name for f in fields(one) if f.compare]
        return all(alike(getattr(one, name), getattr(other, name)) for name in names)
    if isinstance(one, Mapping):
        first, second = cast(Mapping[Any, Any], one), cast(Mapping[Any, Any], other)
        return [*first] == [*second] and all(alike(first[key], second[key]) for key in first)
    if isinstance(one, tuple):
        pair = cast(tuple[Any, ...], one), cast(tuple[Any, ...], other)
        return len(pair[0]) == len(pair[1]) and all(map(alike, *pair))
    return bool(one == other)
