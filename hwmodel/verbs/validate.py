"""The verb `validate`: how wrong predictions are, by family, with DRAM traffic and joules.

Apart from the other verbs, since it loads the measured rows and what a fit needs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np

from hwmodel.hardware.catalogue import device
from hwmodel.quantity.errors import InputError
from hwmodel.text.grid import grid
from hwmodel.text.markup import Brief
from hwmodel.verbs.ask import ON, Question, Word, in_python

if TYPE_CHECKING:
    from hwmodel.validation import engine_busy, report

HEADS = (
    *("family", "tested on", "rows", "mean", "median", "p90", "worst", "bias", "in 90 %"),
    *("/ noise", "baseline"),
)


@dataclass(frozen=True, eq=False, repr=False)
class Validation(Brief):
    """How wrong predictions are on a device: times by family, DRAM bytes, joules."""

    device: str
    lines: "tuple[report.Line, ...]"
    traffic: "tuple[report.Traffic, ...]"
    energy_errors: tuple[float, ...]
    judged: "Mapping[str, Sequence[report.Judged]]"
    sustained: "tuple[report.Line, ...]" = ()
    """Times in unbroken repetition, under the power limit."""

    ranked_losses: tuple[float, ...] = ()
    """How much slower the tile ranked first was than the best of each measured menu."""

    busy: "tuple[engine_busy.Share, ...]" = ()
    """Predicted kernels of an engine's steps against GPU-busy time, by class."""

    joules: "tuple[engine_busy.Joules, ...]" = ()
    """Joules of an engine's steps."""

    def __str__(self) -> str:
        """The tables of the accuracy report."""
        return validation_text(self)


class Validate(Question):
    """How wrong the predictions are, on measured shapes that no fit has seen.

    Errors of the shipped calibration on the rows of `validation/data` that it never saw. Raises
    `InputError` for a device of which nothing was measured.
    """

    verb: ClassVar[str] = "validate"
    drawn: ClassVar[str] = "pictures"
    places: ClassVar[tuple[str, ...]] = ("on",)
    example: ClassVar[str] = "validate --on h200"

    on: Annotated[str, ON] = "h200"
    pictures: Annotated[str | None, Word("A folder for parity and residual plots.", alone=True)] = (
        None
    )

    def answer(self) -> Validation:
        """The accuracy report."""
        return validated(self.on)

    def draw(self, answer: Validation, path: str) -> None:
        """The report as plots, in a folder."""
        from pathlib import Path

        from hwmodel.validation.pictures import draw

        folder = Path(path)
        folder.mkdir(parents=True, exist_ok=True)
        name = f"{self.on}-parity.png"
        draw(answer.judged, folder / name, f"{answer.device}: shapes never fitted")

    def record(self, answer: Validation) -> dict[str, Any]:
        """The tables of the report."""
        from hwmodel.show.json import plain

        tables = ("lines", "sustained", "traffic", "energy_errors", "busy", "joules")
        return {"device": answer.device, **{k: plain(getattr(answer, k)) for k in tables}}


validate = in_python(Validate)


def validated(on: str) -> Validation:
    """The errors of a device, by family."""
    from hwmodel.validation import engine_busy, report
    from hwmodel.validation.rows import sittings
    from hwmodel.validation.tile_ranking import losses

    machine = device(on)
    if not sittings(machine.name):
        raise InputError(f"validate: {machine.name} has no measured rows in validation/data")
    judged = report.judge_all(machine.name, machine)
    return Validation(
        device=machine.title,
        lines=tuple(report.lines(judged, machine)),
        sustained=tuple(report.lines(report.steady(judged), machine)),
        traffic=tuple(report.traffic_lines(machine.name, machine)),
        energy_errors=tuple(float(e) for e in report.energy_errors(machine.name, machine)),
        judged=report.by_family(judged, machine),
        ranked_losses=losses(machine.name, machine),
        busy=tuple(engine_busy.shares(machine.name, machine)),
        joules=tuple(engine_busy.joules(machine.name, machine)),
    )


def _row(line: "report.Line") -> list[str]:
    """A line of the report as words."""
    percent: Callable[[float], str] = "{:.1%}".format
    return [
        line.family,
        line.column,
        str(line.rows),
        *map(percent, (line.mean, line.median, line.p90, line.worst)),
        f"{line.bias:+.1%}",
        f"{line.coverage:.0%}",
        f"{line.mean / line.noise_floor:.1f}" if line.noise_floor else "-",
        percent(line.baseline_mean),
    ]


def validation_text(validation: Validation) -> str:
    """Tables of times, traffic and joules; errors are |predicted / measured - 1|."""
    percent: Callable[[float], str] = "{:.1%}".format
    blocks = [
        f"{validation.device}: error of predicted time on shapes that no fit has seen",
        grid(HEADS, [_row(line) for line in validation.lines], left=(0, 1)),
    ]
    if validation.sustained:
        told = "the same in unbroken repetition, under the power limit"
        blocks += [told, grid(HEADS, [_row(line) for line in validation.sustained], left=(0, 1))]
    if validation.busy:
        heads = ("kernels of vLLM", "tested on", "steps", "share", "mean", "p90", "bias", "moved")
        parts = [
            [each.kernels, each.column, str(each.steps)]
            + [percent(e) for e in (each.share, each.mean, each.p90)]
            + [f"{each.bias:+.1%}", percent(each.moved)]
            for each in validation.busy
        ]
        blocks.append(grid(heads, parts, left=(0, 1)))
    blocks += [
        f"joules of vLLM's steps, {each.column}: {each.steps}, mean error {each.mean:.1%}, median"
        f" {each.median:.1%}, p90 {each.p90:.1%}, bias {each.bias:+.1%}"
        for each in validation.joules
    ]
    if validation.traffic:
        heads = ("DRAM bytes", "rows", "reads: mean", "all: mean", "p90", "worst")
        counted = [
            [t.family, str(t.rows)]
            + [percent(e) for e in (t.read_mean, t.total_mean, t.total_p90, t.total_worst)]
            for t in validation.traffic
        ]
        every = sum(t.rows for t in validation.traffic)
        mean = sum(t.rows * t.total_mean for t in validation.traffic) / every
        counted.append(["all", str(every), "", percent(mean), "", ""])
        blocks.append(grid(heads, counted, left=(0,)))
    if validation.energy_errors:
        errors = np.array(validation.energy_errors)
        blocks.append(
            f"joules: {len(errors)} rows, mean error {errors.mean():.1%}, median"
            f" {np.median(errors):.1%}, p90 {np.quantile(errors, 0.9):.1%},"
            f" worst {errors.max():.1%}"
        )
    if validation.ranked_losses:
        lost = np.array(validation.ranked_losses)
        blocks.append(
            f"tiles of our Triton kernels: {len(lost)} measured menus, the one ranked first is"
            f" {lost.mean():.1%} slower than the best on average, at worst {lost.max():.1%}"
        )
    return "\n\n".join(blocks)
