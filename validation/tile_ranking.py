"""How well tiles are ranked unseen: the measured time of the first over that of the best.

Whole menus of our Triton kernels were measured on some shapes (rows whose pass is "menu"), which no
fit reads. For each shape the tiles that were measured are ranked by predicted time, each as it was
launched then: menus and kernels change.
"""

from typing import Any

import numpy as np

from hwmodel.hardware.catalogue import load_calibration
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.gpu.calls import run
from hwmodel.machines.gpu.libraries.shipped import family_of
from hwmodel.validation.calibrate import PRIORS
from hwmodel.validation.rows import Row, groups, read_rows


def losses(device_name: str, hardware: Hardware) -> tuple[float, ...]:
    """For each measured menu, how much slower the tile ranked first is than the best one."""
    menus = _menus(device_name)
    predicted = _predicted([row for rows in menus for row in rows], hardware)
    found: list[float] = []
    for rows in menus:
        first = min(rows, key=lambda row: predicted[id(row)])
        found.append(first.time_s / min(row.time_s for row in rows) - 1)
    return tuple(found)


def _predicted(rows: list[Row], hardware: Hardware) -> dict[int, float]:
    """Predicted seconds of every row, by the identity of the row."""
    calibration = hardware.calibration or load_calibration(PRIORS)
    found: dict[int, float] = {}
    for group in groups(rows):
        times = np.zeros(len(group.rows))
        for call in group.calls:
            values = family_of(calibration, call.family, call.library).values
            times = times + call.times * np.asarray(run(call, hardware, values).folded.time_s)
        found.update((id(row), float(time)) for row, time in zip(group.rows, times, strict=True))
    return found


def _menus(device_name: str) -> list[list[Row]]:
    """Measured rows of whole menus, by shape."""
    found: dict[tuple[Any, ...], list[Row]] = {}
    for row in read_rows(device_name):
        if row.columns.get("pass") == "menu":
            found.setdefault(row.shape, []).append(row)
    return [rows for rows in found.values() if len(rows) > 2]
