"""Errors of the families of engines' kernels on published tables, and of fits to few rows of one.

    python -m hwmodel.validation.family_errors l40s=l40s.moe.csv,l40s.context_attention.csv h100=...
    python -m hwmodel.validation.family_errors --curve gemm:cublas l40s=l40s.gemm.csv h100=...

The first prints, of each family that is fitted to published rows, the mean error in per cent of
shapes fitted and of shapes left out, and in brackets how many per cent of these lie in the interval
of those fitted (with a star the error of all, where half were too few to be fitted to), then all of
that over all rows left out.
The second fits a family to 25, 50, ... of a table's rows, drawn to what the device has otherwise
(`table_fit.PULL`), and prints errors on a quarter of the shapes, which no fit read.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hwmodel.hardware.catalogue import device as device_of
from hwmodel.hardware.hardware import Hardware
from hwmodel.validation.fit import Array, as_left_out, interval, is_test, samples
from hwmodel.validation.kernel_tables import kernel_rows
from hwmodel.validation.rows import Row, groups
from hwmodel.validation.table_fit import (
    ALL,
    COUNTS,
    Errors,
    beginning,
    errors_of,
    without_published,
)

LEFT_OUT = ("gemm:", "rows:")
"""Families that are judged elsewhere, by format (`table_errors`), or on other rows."""

JUDGES = 0.25
"""Share of the shapes that judge fits to few rows: half of those that were never fitted to."""


@dataclass(frozen=True)
class Line:
    """Errors of one family on one device, a number a row; all were fitted to where `starred`."""

    device: str
    family: str
    fitted: Array
    left_out: Array
    inside: NDArray[np.bool_]
    """Which rows left out lie in the interval of those fitted (the one shipped is of both)."""
    starred: bool

    def __str__(self) -> str:
        """Per cent: of shapes fitted and left out, and how many of these lie in the interval."""
        if self.starred:
            return f"{100 * np.concatenate((self.fitted, self.left_out)).mean():.0f} *"
        inside = f"({100 * self.inside.mean():.0f})"
        return f"{100 * self.fitted.mean():.0f}, {100 * self.left_out.mean():.0f} {inside}"


def lines(hardware: Hardware, rows: Sequence[Row]) -> Iterator[Line]:
    """A line for each family of a device that is fitted to published rows."""
    assert hardware.calibration is not None
    every = groups(rows)
    others = {name: family.values for name, family in hardware.calibration.families.items()}
    start = beginning(hardware, rows)
    others = {name: start.values(name) for name in start.families} | others
    for name, family in hardware.calibration.families.items():
        mine = [group for group in every if any(call.family == name for call in group.calls)]
        own = family.origin == "measured" and family.source.startswith("published")
        if not own or name.startswith(LEFT_OUT) or not mine:
            continue
        found = samples(name, mine, hardware, others)
        ratios = np.concatenate([each.measured_s / each.predict(family.values) for each in found])
        told = [row for each in found for row in each.rows]
        left = np.array([is_test(row) for row in told])
        starred = family.source.endswith(ALL)
        errors = np.abs(1 / ratios - 1)
        free = sum(each.low < each.high for each in family.parameters.values())
        low, high = interval(as_left_out(ratios[~left], free))
        inside = (low <= ratios[left]) & (ratios[left] <= high)
        yield Line(hardware.name, name, errors[~left], errors[left], inside, starred=starred)


def table(found: Sequence[Line]) -> str:
    """The lines in Markdown, a family a row and a device a column, and what they come to."""
    devices = list(dict.fromkeys(line.device for line in found))
    cells = {(line.family, line.device): str(line) for line in found}
    text = [f"| kernel | | {' | '.join(devices)} |", "|---" * (2 + len(devices)) + "|"]
    for family in dict.fromkeys(line.family for line in found):
        schedule, _, kernel = family.partition(":")
        told = " | ".join(cells.get((family, name), "") for name in devices)
        text.append(f"| `{kernel}` | {schedule} | {told} |")
    halves = [line for line in found if not line.starred]
    left = np.concatenate([line.left_out for line in halves])
    held = np.concatenate([line.inside for line in halves])
    each = [100 * line.inside.mean() for line in halves]
    text += [
        "",
        f"Of {len(left):,} rows left out the mean is {100 * left.mean():.1f} %, and 90 % intervals"
        f" of the rows fitted alone hold {100 * held.mean():.1f} % of them, between"
        f" {min(each):.0f} and {max(each):.0f} % by kernel and GPU.",
    ]
    return "\n".join(text)


def curve(family: str, hardware: Hardware, rows: Sequence[Row]) -> tuple[Errors, int]:
    """Errors on shapes that no fit read, before and by rows that are fitted to; rows as shipped."""
    assert hardware.calibration is not None
    entry = hardware.calibration.families[family]
    bare = without_published(hardware)
    return errors_of(family, bare, rows, entry, COUNTS, JUDGES), entry.rows


def main(words: Sequence[str]) -> None:
    """Print the table, or the curves of a family."""
    family = words[1] if words[0] == "--curve" else None
    tables = [word.partition("=") for word in (words[2:] if family else words)]
    read = {
        name: [row for path in paths.split(",") for row in kernel_rows(Path(path))]
        for name, _, paths in tables
    }
    if family is None:
        print(table([line for name, rows in read.items() for line in lines(device_of(name), rows)]))
        return
    print("| GPU | none | " + " | ".join(map(str, COUNTS)) + " | as shipped |")
    print("|---" * (3 + len(COUNTS)) + "|")
    for name, rows in read.items():
        found, last = curve(family, device_of(name), rows)
        each = {0: found.before, **found.curve}
        told = [f"{100 * each[n]:.1f}" if n in each else "" for n in (0, *COUNTS)]
        print(f"| {name} | {' | '.join(told)} | {last}: {100 * found.mean:.1f} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
