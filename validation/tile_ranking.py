"""How well tiles are ranked unseen: the measured time of the first over that of the best.

Whole menus of our Triton kernels were measured on some shapes (rows whose pass is "menu"), which no
fit reads. For each shape the menu is ranked by predicted time (`hwmodel.mappers.gpu_tiles`).
"""

from typing import Any, cast

from hwmodel.einsum.workloads.catalogue import WORKLOADS
from hwmodel.hardware.hardware import Hardware
from hwmodel.mappers.gpu_tiles import rank_tiles
from hwmodel.validation.rows import SIZES, Row, read_rows

CHOSEN_LATER = ("resident", "persistent")
"""Fields of a launch record that follow from the others when the kernel is compiled."""


def losses(device_name: str, hardware: Hardware) -> tuple[float, ...]:
    """For each measured menu, how much slower the tile ranked first is than the best one."""
    found: list[float] = []
    for rows in _menus(device_name):
        first = _first(rows[0], hardware)
        fields = [name for name in cast(dict[str, Any], vars(first)) if name not in CHOSEN_LATER]
        names = [name for name in fields if f"tile_{name}" in rows[0].columns]
        measured = [
            row.time_s
            for row in rows
            if all(row.columns[f"tile_{name}"] == getattr(first, name) for name in names)
        ]
        if measured:
            found.append(measured[0] / min(row.time_s for row in rows) - 1)
    return tuple(found)


def _first(row: Row, hardware: Hardware) -> Any:
    columns = row.columns
    family = str(columns["family"])
    sizes: dict[str, Any] = {name: int(columns[name]) for name in SIZES[family]}
    if family == "attention":
        sizes["causal"] = bool(columns["causal"])
    work: Any = WORKLOADS[family](**sizes, dtype=columns["dtype"])
    return rank_tiles(work, hardware)[0].tile


def _menus(device_name: str) -> list[list[Row]]:
    """Measured rows of whole menus, by shape."""
    found: dict[tuple[Any, ...], list[Row]] = {}
    for row in read_rows(device_name):
        if row.columns.get("pass") == "menu":
            found.setdefault(row.shape, []).append(row)
    return [rows for rows in found.values() if len(rows) > 2]
