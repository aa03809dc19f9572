"""A machine's datasheet: every number with its unit and source, and the calibration in use."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hwmodel.quantity.units import Amount, dimension_of, show
from hwmodel.quantity.value import Value, field_of
from hwmodel.text.grid import grid, wrapped
from hwmodel.text.markup import answer_html

if TYPE_CHECKING:
    from hwmodel.hardware.hardware import Hardware

FIELDS = ("field", "value", "source")
FAMILIES = ("kernel family", "parameters", "rows", "measured / predicted (90 %)")


def device_text(device: "Hardware") -> str:
    """Every number of a device with its source, and the calibration in use."""
    texts = list(dict.fromkeys(device.sources.values()))
    rows = [
        [path, _field(device, path), f"[{texts.index(text) + 1}]"]
        for path, text in device.sources.items()
    ]
    blocks = [
        finding(device),
        grid(FIELDS, rows, left=(0,)),
        "\n".join(wrapped(f"[{i}]", text) for i, text in enumerate(texts, 1)),
    ]
    if device.calibration is not None:
        blocks.append(wrapped("", _calibrated(device)))
        blocks.append(grid(FAMILIES, _families(device), left=(0, 1)))
    return "\n\n".join(block for block in blocks if block)


def device_html(device: "Hardware") -> str:
    """The same for a notebook."""
    rows = [[path, _field(device, path), text] for path, text in device.sources.items()]
    notes = [] if device.calibration is None else [_calibrated(device)]
    tables = [(FIELDS, rows), (FAMILIES, _families(device))]
    return answer_html(finding(device), tables, notes)


def finding(device: "Hardware") -> str:
    """Name, title, and how many of it."""
    many = f" x {device.devices}" if device.devices > 1 else ""
    return f"{device.name}{many}: {device.title}"


def _calibrated(device: "Hardware") -> str:
    assert device.calibration is not None
    return f"calibration {device.calibration.name}: {device.calibration.source}"


def _families(device: "Hardware") -> Sequence[Sequence[str]]:
    if device.calibration is None:
        return []
    return [
        [
            name,
            family.told,
            f"{family.rows:,}",
            f"{family.interval[0]:.2f} to {family.interval[1]:.2f}",
        ]
        for name, family in device.calibration.families.items()
    ]


def _field(device: "Hardware", path: str) -> str:
    """The number at a dotted path of bare names, with its unit; of an array, its ends."""
    value: Any = device
    name = ""
    for step in path.split("."):
        if isinstance(value, Value):
            field = field_of(type(value), step)
            name, value = (field if dimension_of(field) else name), getattr(value, field)
        else:
            value = value[step]
    dimension = dimension_of(name)
    if np.size(value) > 1:
        ends = (_one(np.min(value), dimension), _one(np.max(value), dimension))
        return f"{ends[0]} to {ends[1]}"
    return _one(value, dimension)


def _one(value: Any, dimension: str | None) -> str:
    number = float(np.ravel(value)[0])
    if dimension == "bytes":
        return capacity(number)
    return rate(number, dimension) if dimension else f"{number:,.6g}"


def capacity(size: float) -> str:
    """A size as its maker says it: in binary units where it is a round number of them."""
    for factor, unit in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if size % factor == 0 and size < 1024 * factor:
            return f"{size / factor:g} {unit}"
    return show(size, "bytes")


def rate(value: Amount, dimension: str) -> str:
    """A number with its unit; the first of several."""
    number = float(np.ravel(value)[0])
    if dimension == "m2":  # a prefix would be squared with its unit
        return f"{number * 1e6:.4g} mm2"
    return show(number, dimension)
