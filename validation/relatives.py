"""What a GPU's kernels are worth to another: errors with the parameters of a relative.

    python -m hwmodel.validation.relatives l40s=l40s.gemm.csv,l40s.moe.csv h100=h100.gemm.csv ...

Each of the GPUs is left out in turn: of every family that it shares with a relative, the errors on
the shapes left out with the relative's parameters and the GPU's own catalogue numbers, then with
those of the nearest drawn to fifty of its own rows (`table_fit.PULL`), then with its own. One
line a GPU, a relative and a kind of kernel; families count by their rows. The relative is the
nearest GPU of the catalogue that was fitted to rows, and one of another generation.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hwmodel.hardware.calibration import Family
from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import Hardware
from hwmodel.validation.kernel_tables import kernel_rows
from hwmodel.validation.rows import Row, groups
from hwmodel.validation.table_fit import errors_of

FEW = 50
"""Rows of a device of its own that a relative's parameters are drawn to."""

RELATIVES: Mapping[str, tuple[str, ...]] = {
    "a100": ("l40s", "h100"),
    "l40s": ("rtx-pro-6000", "a100"),
    "rtx-pro-6000": ("l40s", "b200"),
    "h100": ("h200", "b200"),
    "h200": ("h100", "b200"),
    "b200": ("gb200", "h100"),
    "b300": ("b200", "h100"),
    "gb200": ("b200", "h100"),
}
"""Device -> the nearest of the others, and one of another generation."""

KINDS = (
    ("bf16 products", ("gemm:cublas",)),
    ("fp8 products", ("gemm:vllm:fp8", "gemm:sglang:fp8", "gemm:trtllm:fp8")),
    ("nvfp4 and int products", ("gemm:",)),
    ("attention, prompts", ("prefill:",)),
    ("attention, decode", ("decode:",)),
    ("experts", ("grouped:",)),
)
"""Kinds of kernel, and how the names of their families begin: the first that does."""


@dataclass(frozen=True)
class Lent:
    """Errors of one family on one device: with a relative's parameters, few rows, its own."""

    family: str
    device: str
    relative: str
    rows: int
    """Rows left out, which the errors are of."""
    lent: float
    few: float
    own: float


def lent_errors(
    on: str, near: str, rows: Sequence[Row], counts: Sequence[int] = (FEW,)
) -> Iterator[Lent]:
    """A line for each family that both devices have fitted, and that the rows are of."""
    hardware = device(on)
    mine, others = _fitted(hardware), _fitted(device(near))
    told = {call.family for group in groups(rows) for call in group.calls}
    assert hardware.calibration is not None
    for name in (name for name in mine if name in others and name in told):
        families = {**hardware.calibration.families, name: others[name]}
        calibration = hardware.calibration.model_copy(update={"families": families})
        there = hardware.but(calibration=calibration)
        found = errors_of(name, there, rows, mine[name], counts)
        few = found.curve.get(FEW, np.nan)
        yield Lent(name, on, near, found.left_out, found.before, few, found.mean)


def _fitted(hardware: Hardware) -> Mapping[str, Family]:
    """The families of a device that were fitted to rows of its own, or that others published."""
    assert hardware.calibration is not None
    families = hardware.calibration.families
    return {name: each for name, each in families.items() if each.origin == "measured"}


def by_kind(lines: Iterable[Lent]) -> list[tuple[str, str, str, int, float, float, float]]:
    """(kind, device, relative, rows, lent, few, own) of families together, by their rows."""
    kinds: dict[tuple[str, str, str], list[Lent]] = {}
    for line in lines:
        kind = next((k for k, begins in KINDS if line.family.startswith(begins)), None)
        if kind is not None:
            kinds.setdefault((kind, line.device, line.relative), []).append(line)
    order = [kind for kind, _ in KINDS]
    found: list[tuple[str, str, str, int, float, float, float]] = []
    for key in sorted(kinds, key=lambda key: order.index(key[0])):
        weight = np.array([line.rows for line in kinds[key]])
        each = np.array([(line.lent, line.few, line.own) for line in kinds[key]])
        known = ~np.isnan(each[:, 1])
        few = np.average(each[known, 1], weights=weight[known]) if known.any() else np.nan
        lent, own = (float(np.average(each[:, n], weights=weight)) for n in (0, 2))
        found.append((*key, int(weight.sum()), lent, float(few), own))
    return found


def main(words: Sequence[str]) -> None:
    """Print the table in Markdown."""
    lines: list[Lent] = []
    for name, _, paths in (word.partition("=") for word in words):
        rows = [row for path in paths.split(",") for row in kernel_rows(Path(path))]
        nearest, other = RELATIVES[name]
        lines += [*lent_errors(name, nearest, rows), *lent_errors(name, other, rows, ())]
    print(f"| kind | GPU | parameters of | rows | left out | with {FEW} rows | its own |")
    print("|---" * 7 + "|")
    for kind, on, near, rows, *errors in by_kind(lines):
        told = " | ".join("" if np.isnan(e) else f"{100 * e:.1f}" for e in errors)
        print(f"| {kind} | {on} | {near} | {rows} | {told} |")


if __name__ == "__main__":
    main(sys.argv[1:])
