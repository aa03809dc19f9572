"""A benchmark of an engine beside the prediction of the same stream: what `profile` says of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwmodel.einsum.workloads.model import model
from hwmodel.hardware.hardware import Hardware
from hwmodel.quantity.errors import HwmodelError, InputError
from hwmodel.quantity.units import show
from hwmodel.text.frames import Framed
from hwmodel.text.grid import grid
from hwmodel.text.markup import Brief, answer_html
from hwmodel.validation.engine_benchmarks import config_named
from hwmodel.validation.readers.benchmarks import Run, runs_of

if TYPE_CHECKING:
    import polars

HEADS = ("run", "figure", "measured", "predicted", "measured / predicted")


@dataclass(frozen=True)
class Figure:
    """One figure of a run: seconds, or by the second. `predicted` is None where none is made."""

    run: str
    figure: str
    measured: float
    predicted: float | None = None

    @property
    def of_predicted(self) -> float | None:
        """Measured over predicted."""
        return self.measured / self.predicted if self.predicted else None


@dataclass(frozen=True, eq=False, repr=False)
class Benchmarked(Brief, Framed):
    """Runs of a serving benchmark beside the same streams through the simulation."""

    source: str
    device: str
    engine: str
    figures: tuple[Figure, ...]
    notes: tuple[str, ...] = ()

    @property
    def table(self) -> "polars.DataFrame":
        """A row a figure of a run; its name ends in its unit."""
        import polars

        names = ("run", "figure", "measured", "predicted", "of_predicted")
        kinds = {name: polars.String if name in names[:2] else polars.Float64 for name in names}
        return polars.DataFrame(
            {name: [getattr(each, name) for each in self.figures] for name in names}, schema=kinds
        )

    def record(self) -> dict[str, Any]:
        """Every field, for JSON."""
        rows = [
            {name: getattr(each, name) for name in ("run", "figure", "measured", "predicted")}
            | {"of_predicted": each.of_predicted}
            for each in self.figures
        ]
        told = {"source": self.source, "device": self.device, "engine": self.engine}
        return told | {"figures": rows, "notes": list(self.notes)}

    @property
    def finding(self) -> str:
        """In a sentence."""
        runs = len(dict.fromkeys(each.run for each in self.figures))
        return f"{self.source}: {runs} run{'s' * (runs > 1)}, by {self.engine} on {self.device}"

    def _rows(self) -> tuple[tuple[str, ...], list[list[str]]]:
        rows: list[list[str]] = []
        for each in self.figures:
            unit = "s" if not each.figure.endswith("_per_s") else "/s"
            told = each.of_predicted
            rows.append(
                [
                    *(each.run, each.figure.removesuffix("_s" if unit == "s" else "_per_s")),
                    *(_said(value, unit) for value in (each.measured, each.predicted)),
                    "-" if told is None else f"{told:.2f}",
                ]
            )
        return HEADS, rows

    def __str__(self) -> str:
        """The finding, a row a figure, and what is to be known."""
        heads, rows = self._rows()
        notes = "\n".join(f"- {note}" for note in self.notes)
        return "\n\n".join(p for p in (self.finding, grid(heads, rows, left=(0, 1)), notes) if p)

    def _repr_html_(self) -> str:
        return answer_html(self.finding, [self._rows()], list(self.notes))


def _said(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    return show(value, "s") if unit == "s" else f"{value:,.4g} /s"


def benchmarked(
    path: str | Path,
    machine: Hardware,
    config: str | None,
    engine: str | None,
    parallel: Mapping[str, int | None],
    told: Mapping[str, int | None],
) -> Benchmarked:
    """The runs of a file, each beside its prediction.

    `parallel` are degrees that the file does not say, or other ones; `told` are sizes that it does
    not say (`runs_of`). A run that is refused says why in the notes; raises the first refusal where
    all are.
    """
    from hwmodel.systems.serving.stream import predicted

    figures: list[Figure] = []
    notes: list[str] = []
    refused: list[HwmodelError] = []
    used = ""
    for number, run in enumerate(runs_of(path, told), 1):
        degrees = {name: degree for name, degree in parallel.items() if degree is not None}
        name, asked = f"{number}", {**run.asked, **degrees}
        if not run.model and config is None:
            raise InputError(
                f"{run.where}: model: expected its name in the file, or --config, found none"
            )
        used = engine or run.engine
        made_of: Mapping[str, float | None] = dict.fromkeys(run.measured)
        try:
            read = model(config or config_named(run.model, Path(path), "--config"))
            made = predicted(read.serving(**asked), machine, engine=used)
            made_of = {figure: float(getattr(made, figure)) for figure in run.measured}
        except HwmodelError as error:
            notes.append(f"run {name}: no prediction: {error}")
            refused.append(error)
        figures += [Figure(name, f, value, made_of[f]) for f, value in run.measured.items()]
        notes += _assumed(name, run, asked)
    if not any(each.predicted is not None for each in figures):
        raise refused[0]
    return Benchmarked(Path(path).name, machine.title, used, tuple(figures), tuple(notes))


def _assumed(name: str, run: Run, asked: Mapping[str, Any]) -> list[str]:
    """What the stream of a run was taken to be."""
    comes = "all at once" if run.rate_per_s is None else f"{run.rate_per_s:g} a second"
    if run.users is not None and run.rate_per_s is None:
        comes = f"{run.users} users who wait"
    spread = "as long as they were" if "cv" in run.inputs else "all of their mean lengths"
    lengths = f"{run.inputs['mean']:,.0f} tokens in, {run.outputs['mean']:,.0f} out"
    how = ", ".join(f"{degree}={asked[degree]}" for degree in ("tp", "dp") if degree in asked)
    found = [f"run {name}: {run.requests:,} requests, {comes}, {lengths}, {spread}; {how}"]
    if run.users is not None and run.rate_per_s is not None:
        found.append(f"run {name}: at a rate, that no more than {run.users} are there is left out")
    if run.failed:
        found.append(f"run {name}: {run.failed:,} more failed, and left out")
    return found
