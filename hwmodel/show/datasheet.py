"""A machine's datasheet: every number with its unit and source, and the calibration in use."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hwmodel.hardware.calibration import Calibration, Family
from hwmodel.quantity.units import Amount, dimension_of, show
from hwmodel.quantity.value import Value, field_of
from hwmodel.text.grid import grid, wrapped
from hwmodel.text.markup import answer_html

if TYPE_CHECKING:
    from hwmodel.hardware.hardware import Hardware

FIELDS = ("field", "value", "source")
FIRST = (
    r"processors\.count|(?:matrix_)?clock|units\.\w+\.rate\.\w+|memories\.\w+\.(?:capacity|bandwidth)"
    r"|link\.bandwidth|power\.(?:limit|run)|price\.\w+|resources\.\w+"
)
"""Numbers that a reader looks for before all others."""
FAMILIES = ("kernel family", "parameters", "rows", "measured / predicted (90 %)")


def device_text(device: "Hardware") -> str:
    """Every number of a device with its source, and the calibration in use."""
    blocks = [finding(device), _numbers(device)]
    if device.calibration is not None:
        blocks.append(wrapped("", _calibrated(device)))
        blocks.append(grid(FAMILIES, _rows(device.calibration), left=(0, 1)))
    return "\n\n".join(block for block in blocks if block)


def _numbers(device: "Hardware") -> str:
    texts = list(dict.fromkeys(device.sources.values()))
    rows = [
        [path, _field(device, path), f"[{texts.index(text) + 1}]"]
        for path, text in device.sources.items()
    ]
    sources = "\n".join(wrapped(f"[{i}]", text) for i, text in enumerate(texts, 1))
    return f"{grid(FIELDS, rows, left=(0,))}\n\n{sources}".rstrip()


def device_html(device: "Hardware") -> str:
    """For a notebook: the numbers that matter most; all of them, and the fits, are opened."""
    first = [[p, _field(device, p)] for p in device.sources if re.fullmatch(FIRST, p)]
    folded = [(f"all {len(device.sources)} numbers and their sources", _numbers(device))]
    notes: list[str] = []
    if device.calibration is not None:
        notes = [_calibrated(device)]
        rows = _rows(device.calibration)
        folded.append((f"fits of {len(rows)} families", grid(FAMILIES, rows, left=(0, 1))))
    return answer_html(finding(device), [(FIELDS[:2], first)], notes, folded=folded)


def calibration_finding(calibration: Calibration) -> str:
    """Whose, how much, on what."""
    dated = f", {calibration.date}" if calibration.date else ""
    rows = sum(family.rows for family in calibration.families.values())
    return (
        f"{calibration.name}: {len(calibration.families)} families of kernels, {rows:,} rows{dated}"
    )


def calibration_text(calibration: Calibration) -> str:
    """Each family, and what it was fitted to."""
    versions = ", ".join(f"{name} {version}" for name, version in calibration.versions.items())
    told = f"{calibration.source}{'; ' if versions else ''}{versions}"
    table = grid(FAMILIES, _rows(calibration), left=(0, 1))
    return "\n\n".join((calibration_finding(calibration), wrapped("", told), table))


def calibration_html(calibration: Calibration) -> str:
    """The same for a notebook."""
    tables = [(FAMILIES, _rows(calibration))]
    return answer_html(calibration_finding(calibration), tables, [calibration.source])


PARAMETERS = ("parameter", "value", "standard error", "what it is")


def family_text(family: Family) -> str:
    """Where its numbers come from, and each of them."""
    return f"{_family_finding(family)}\n\n{grid(PARAMETERS, _parameters(family), left=(0, 3))}"


def family_html(family: Family) -> str:
    """The same for a notebook."""
    return answer_html(_family_finding(family), [(PARAMETERS, _parameters(family))])


def _family_finding(family: Family) -> str:
    low, high = family.interval
    rows = f", {family.rows:,} rows" if family.rows else ""
    return f"{family.told}{rows}: measured / predicted {low:.2f} to {high:.2f} (90 %)"


def _parameters(family: Family) -> list[list[str]]:
    return [
        [
            name,
            f"{each.value:.4g}",
            "-" if each.standard_error is None else f"{each.standard_error:.2g}",
            each.meaning,
        ]
        for name, each in family.parameters.items()
    ]


def finding(device: "Hardware") -> str:
    """Name, title, and how many of it."""
    many = f" x {device.devices}" if device.devices > 1 else ""
    return f"{device.name}{many}: {device.title}"


def _calibrated(device: "Hardware") -> str:
    assert device.calibration is not None
    return f"calibration {device.calibration.name}: {device.calibration.source}"


def _rows(calibration: Calibration) -> Sequence[Sequence[str]]:
    return [
        [
            name,
            family.told,
            f"{family.rows:,}",
            f"{family.interval[0]:.2f} to {family.interval[1]:.2f}",
        ]
        for name, family in calibration.families.items()
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
