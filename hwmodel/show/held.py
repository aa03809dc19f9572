"""What memories and fabric have to hold, as text: all of a network, and layer by layer."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hwmodel.quantity.units import Amount, show
from hwmodel.spine.estimate import Store
from hwmodel.text.grid import grid


def stores_text(stores: Sequence[Store]) -> str:
    """A row for each memory: what is needed, what there is, and when most is."""
    rows = [
        [
            *(store.name, sized(store.needed_bytes), sized(store.capacity_bytes)),
            f"short by {sized(store.short_by_bytes)}" if _first(store.short_by_bytes) else "fits",
            store.where,
        ]
        for store in stores
    ]
    heads = ("memory", "needed", "there is", "verdict", "most is needed by")
    return grid(heads, rows, left=(0, 4)) if rows else ""


def layers_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """A row for each layer; sizes in the unit of their makers, other numbers as they are."""
    if not rows:
        return ""
    texts = [[_cell(name, value) for name, value in row.items()] for row in rows]
    heads = [re.sub("_(bytes|s|j)$", "", name).replace("_", " ") for name in rows[0]]
    words = [at for at, value in enumerate(rows[0].values()) if isinstance(value, str)]
    return grid(heads, texts, left=tuple(words))


def held(store: Store) -> str:
    """What a memory has to hold, in a few words."""
    missing = store.short_by_bytes
    short = f", short by {sized(missing)}" if _first(missing) else ""
    return f"{store.name} {sized(store.needed_bytes)}{short}"


def sized(size: Amount) -> str:
    """A memory's size, a small one in the unit of its makers."""
    one = _first(size)
    return f"{one / 1024:,.1f} KiB" if one < 2**30 else show(float(one), "bytes")


def _cell(name: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return "-"
    if name.endswith(("_s", "_j")):
        return show(value, name[-1])
    if name.endswith(("_gap", "utilisation")):
        return f"{value:.2%}"
    return sized(value) if name.endswith("_bytes") else f"{value:,}"


def _first(value: Amount) -> Any:
    """The first of many points."""
    return np.ravel(value)[0].item()
