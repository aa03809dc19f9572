"""Errors on measured rows that no fit saw, held to what today's model reaches.

Every family of the report and every GPU with rows: the rows of a family and number format are
judged as a whole and in parts (the shortest and longest third, the least and largest third of each
size, each value of a launch record's fields), so that a change that trades one region's error for
another's is seen. `held_out.csv` holds each part's mean error, |bias| and the share of rows inside
the 90 % interval; none may be worse by more than the room. Where the model gets better, or worse
for a reason, write the file anew in the same commit:

    python -m tests.validation.test_held_out
"""

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import compress
from pathlib import Path

import numpy as np
import pytest

from hwmodel.hardware.catalogue import device, devices
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.driver import predict
from hwmodel.validation.fit import is_test
from hwmodel.validation.joules import column, read
from hwmodel.validation.joules import traffic as traffic_of
from hwmodel.validation.report import by_family, judge_all
from hwmodel.validation.rows import LAUNCHED, SIZES, Row, groups, kernels_known, sittings

FILE = Path(__file__).parent / "held_out.csv"
LEAST_ROWS = 6
"""Rows from which a part is judged on its own."""

ROOM = {"mean": 0.2, "bias": 0.2, "inside": -1.0}
"""Points by which a part may be worse than its line in the file."""

Part = tuple[str, str, str]
"""Device, what is judged, which part of it."""


@dataclass(frozen=True, eq=False)
class Sample:
    """Rows with predicted over measured; times also with whether the interval holds them."""

    rows: Sequence[Row]
    ratios: Sequence[float]
    inside: Sequence[bool] = ()

    def some(self, keep: Sequence[bool]) -> "Sample":
        """Those rows alone."""
        rows, ratios = compress(self.rows, keep), compress(self.ratios, keep)
        return Sample(list(rows), list(ratios), list(compress(self.inside, keep)))

    def figures(self) -> dict[str, float]:
        """Mean error, |bias| and share inside, in points."""
        ratios = np.array(self.ratios)
        found = {
            "mean": float(np.abs(ratios - 1).mean()),
            "bias": abs(float(np.exp(np.log(ratios).mean())) - 1),
        }
        if self.inside:
            found["inside"] = float(np.mean(self.inside))
        return {name: round(100 * value, 2) for name, value in found.items()}


def parts(sample: Sample) -> Iterator[tuple[str, Sample]]:
    """The whole, and its parts that hold rows enough."""
    yield "all", sample
    sizes = SIZES.get(str(sample.rows[0].columns["family"]), ("batch", "prompt", "context"))
    for name in ("time_s", *sizes):
        if any(name not in row.columns for row in sample.rows):
            continue
        numbers = [float(row.columns[name]) for row in sample.rows]
        low, high = np.quantile(numbers, (1 / 3, 2 / 3))
        if low < high:
            yield f"least {name}", sample.some([number <= low for number in numbers])
            yield f"largest {name}", sample.some([number >= high for number in numbers])
    fields = sorted({n for row in sample.rows for n in row.columns if n.startswith(LAUNCHED)})
    for name in (*fields, "causal", "routing"):
        words = [f"{row.columns.get(name, '')}" for row in sample.rows]
        for value in sorted(set(words) - {""}) if len(set(words)) > 1 else ():
            yield f"{name} {value}", sample.some([word == value for word in words])


def times(name: str, machine: Hardware) -> Iterator[tuple[str, Sample]]:
    """Held-out times by family of the report, kind of kernel and number format."""
    for family, found in by_family(judge_all(name, machine), machine).items():
        for one in found:
            words = (one.row.columns.get(c, "") for c in ("family", "kernel", "dtype", "op"))
            form = " ".join((f"{family}:", *map(str, words))).strip()
            yield form, Sample((one.row,), (one.ratio,), (one.covered,))


def bytes_of_dram(name: str, machine: Hardware) -> Iterator[tuple[str, Sample]]:
    """DRAM bytes read and written over those that hardware counters counted."""
    rows = [row for row in read(name, "counters.csv") if kernels_known(row)]
    for group in groups(rows):
        moved = traffic_of(group, machine)
        for kind, predicted in moved.items():
            counted = column(group, f"dram_bytes_{kind}")
            form = f"DRAM {kind}: " + " ".join(group.rows[0].form[:2])
            yield form, Sample(group.rows, list(predicted / counted))


def joules(name: str, machine: Hardware) -> Iterator[tuple[str, Sample]]:
    """Joules of shapes never fitted, with predicted sustained times."""
    rows = [row for row in read(name, "energy.csv") if kernels_known(row) and is_test(row)]
    for group in groups(rows):
        estimate = predict(group.cascade, machine, kernel=str(group.rows[0].columns["kernel"]))
        ratios = estimate.energy_j / column(group, "energy_j")
        for form in ("joules", f"joules: {group.rows[0].columns['family']}"):
            yield form, Sample(group.rows, list(ratios))


def joined(pairs: Iterable[tuple[str, Sample]]) -> dict[str, Sample]:
    """Samples of one name as one."""
    found: dict[str, Sample] = {}
    for name, new in pairs:
        old = found.get(name, Sample((), ()))
        found[name] = Sample(
            [*old.rows, *new.rows], [*old.ratios, *new.ratios], [*old.inside, *new.inside]
        )
    return found


DEVICES = tuple(name for name in devices() if sittings(name))
KINDS = (times, bytes_of_dram, joules)


@cache
def judged(name: str) -> dict[Part, tuple[int, dict[str, float]]]:
    """Rows and figures of every part of a device's rows that is judged."""
    machine = device(name)
    return {
        (name, form, part): (len(some.rows), some.figures())
        for kind in KINDS
        for form, sample in joined(kind(name, machine)).items()
        for part, some in parts(sample)
        if part == "all" or len(some.rows) >= LEAST_ROWS
    }


def kept() -> dict[Part, dict[str, float]]:
    """The lines of the file."""
    with FILE.open(encoding="utf-8", newline="") as stream:
        return {
            (line["device"], line["of"], line["part"]): {
                name: float(line[name]) for name in ROOM if line[name]
            }
            for line in csv.DictReader(stream)
        }


@pytest.mark.parametrize("name", DEVICES)
def test_no_part_of_the_held_out_rows_is_predicted_worse_than_it_was(name: str) -> None:
    lines, worse = kept(), list[str]()
    for part, (rows, figures) in judged(name).items():
        if part not in lines:
            worse.append(f"{part}: {rows} rows that {FILE.name} does not know")
            continue
        for figure, value in figures.items():
            limit = lines[part][figure] + ROOM[figure]
            if (value < limit) if figure == "inside" else (value > limit):
                worse.append(f"{part}: {figure} {value:.2f} of {rows} rows, limit {limit:.2f}")
    assert not worse, "\n".join(worse[:40])


def test_every_line_of_the_file_is_judged() -> None:
    assert set(kept()) == {part for name in DEVICES for part in judged(name)}


def main() -> None:
    """Write the file anew."""
    with FILE.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("device", "of", "part", "rows", *ROOM))
        for name in DEVICES:
            for part, (rows, figures) in judged(name).items():
                writer.writerow((*part, rows, *(figures.get(figure, "") for figure in ROOM)))


if __name__ == "__main__":
    main()
