"""`hwmodel calibrate`: a standard plan that measures and fits the user's own GPU, stage by stage.

    my_gpu/device.yaml        the GPU: its nearest relative, changed to what the driver says
    my_gpu/calibration.yaml   parameters fitted so far; families without rows are the relative's
    my_gpu/errors.json        errors of each fit on rows that it left out
    my_gpu/rows/              measured rows, a folder for each finished stage

The first stage holds what most predictions need, and is fitted by minute 3; all stages take less
than 8 minutes of the GPU. Every file is written whole or not at all, after each stage, so that an
interrupted run leaves the best so far, and the same command goes on where it stopped. What measures
is an argument (`Measure`), so that all but the GPU can be tested without one.
"""

import json
import shutil
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from hwmodel.hardware.calibration import Calibration
from hwmodel.hardware.catalogue import device, load_calibration
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.gpu.rates import ENERGY
from hwmodel.quantity.errors import InputError
from hwmodel.text.grid import grid
from hwmodel.validation import joules
from hwmodel.validation.calibrate import FoldErrors, calibrate, families_in, fold_errors, write
from hwmodel.validation.measure.sittings import planned
from hwmodel.validation.rows import Row, kernels_known, read_rows
from hwmodel.validation.store import write_sitting
from hwmodel.validation.users_gpu import inherited, own_device, own_name, relative_of, write_device

LEAST_JOULES = 15
"""Energies below which none are fitted."""


@dataclass(frozen=True)
class Stage:
    """A part of the plan: stages of `measure.run`, their seconds, and a seed for their shapes."""

    name: str
    stages: tuple[str, ...]
    seconds: float
    seed: int


PLAN = (
    Stage("essentials", ("anchors", *planned("essentials")), 75.0, 11),
    Stage("more", planned("more"), 110.0, 12),
    Stage("depth", planned("depth"), 90.0, 13),
    Stage("board", ("energy", "counters"), 100.0, 14),
)  # fmt: skip
"""What each library says of its stages: 375 s, each in a process of its own, some 20 s more."""


class Measure(Protocol):
    """Measures some stages into a folder: header.json and rows.jsonl, as `measure.run` does."""

    def __call__(
        self,
        stages: Sequence[str],
        seconds: float,
        seed: int,
        name: str,
        folder: Path,
        advance: Callable[[int], None],
    ) -> None:
        """`advance` hears the rows measured so far."""
        ...


@dataclass(frozen=True)
class Outcome:
    """Where the calibration stands, on what, and the errors of its fits on rows left out."""

    folder: Path
    device: str
    relative: str
    errors: tuple[FoldErrors, ...]
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        """A table by family, and how to use it."""
        heads = ("family", "rows", "mean error", "p90")
        rows = [[e.family, str(e.rows), f"{e.mean:.1%}", f"{e.p90:.1%}"] for e in self.errors]
        blocks = [
            f"{self.device}: error of predicted time on measured rows that the fit left out",
            grid(heads, rows, left=(0,)),
            *self.notes,
            f"other families are inherited from {self.relative}, with wider intervals",
            f"use it: hwmodel predict ... --on {self.folder}, or hw.device({str(self.folder)!r})",
        ]
        return "\n\n".join(blocks)


def calibrate_device(
    out: str | Path,
    device: str = "auto",
    *,
    plan: Sequence[Stage] = PLAN,
    find: Callable[[], Mapping[str, Any]] | None = None,
    measure: Measure | None = None,
) -> Outcome:
    """Measure this machine's GPU by a plan, fit it, and leave a device in the folder `out`.

    `device` names the relative in the catalogue, by default the nearest. Finished stages are
    skipped. Raises `InputError` where there is no GPU, or the folder holds another's calibration.
    """
    from hwmodel.validation.measure import own_gpu

    facts = (find or own_gpu.find_gpu)()
    relative = relative_of(facts, device)
    folder = opened(Path(out), facts, relative)
    try:
        with _progress(plan) as bar:
            for stage in plan:
                if not _stored(folder, stage, facts):
                    _measured(folder, stage, facts, measure or own_gpu.measure_stages, bar)
                if stage.name not in _stages_fitted(folder):
                    _fitted(folder, stage, facts, bar)
                bar.finish(stage)
    except KeyboardInterrupt:
        done = ", ".join(_stages_fitted(folder)) or "none"
        print(f"interrupted; stages finished: {done}; {folder} loads as it is, and the same command"
              " goes on from there", file=sys.stderr)  # fmt: skip
        raise
    errors = tuple(FoldErrors(**line) for line in _read_errors(folder).values())
    title = str(facts["device"])
    return Outcome(folder, title, relative.title, errors, _notes(folder, plan, facts))


def opened(folder: Path, facts: Mapping[str, Any], relative: Hardware) -> Path:
    """The folder with a device that loads from the beginning on: the relative's calibration."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--out {folder}: expected a folder, found a file")
    path = folder / "device.yaml"
    if path.is_file():
        found = device(folder).title
        if found != facts["device"]:
            raise InputError(
                f"--out {folder}: holds the calibration of {found}, but this GPU is"
                f" {facts['device']}; choose another folder"
            )
    else:
        folder.mkdir(parents=True, exist_ok=True)
        write_device(own_device(facts, relative), path)
    if not (folder / "calibration.yaml").is_file():
        write(inherited(relative, own_name(facts)), folder / "calibration.yaml")
    return folder


def _stages_fitted(folder: Path) -> list[str]:
    """Stages whose rows the calibration knows."""
    return load_calibration(folder / "calibration.yaml").versions.get("stages", "").split()


def _rows_of(folder: Path, stage: Stage, facts: Mapping[str, Any]) -> Path:
    return folder / "rows" / own_name(facts) / stage.name


def _stored(folder: Path, stage: Stage, facts: Mapping[str, Any]) -> bool:
    """Whether a stage's rows are all there: its header is written last."""
    return (_rows_of(folder, stage, facts) / "header.json").is_file()


def _measured(
    folder: Path, stage: Stage, facts: Mapping[str, Any], measure: Measure, bar: "Bar"
) -> None:
    """Measure a stage aside, and store its rows."""
    aside = folder / "measuring"
    if aside.exists():
        shutil.rmtree(aside)
    bar.start(stage)
    measure(stage.stages, stage.seconds, stage.seed, stage.name, aside, bar.advance)
    write_sitting(aside, own_name(facts), data=folder / "rows")
    shutil.rmtree(aside)


def _fitted(folder: Path, stage: Stage, facts: Mapping[str, Any], bar: "Bar") -> None:
    """Fit the families that a stage brought rows of, to all rows so far, and write them."""
    data, name = folder / "rows", own_name(facts)
    hardware = device(folder)
    before = hardware.calibration
    assert before is not None
    new = [row for row in read_rows(name, [stage.name], data) if _usable(row)]
    rows = [row for row in read_rows(name, data=data) if _usable(row)]
    found = calibrate(hardware, rows, families_in(new), priors=before, told=bar.fitting)
    families = before.families | {each: entry for each, (entry, _) in found.items()}
    errors = _read_errors(folder) | {e.family: asdict(e) for e in fold_errors(found)}
    fitted = hardware.but(calibration=_with(before, families=families))
    energies = [row for row in joules.read(name, "energy.csv", data) if _usable(row)]
    if "energy" in stage.stages and len(energies) >= LEAST_JOULES:
        bar.fitting(ENERGY)
        families[ENERGY], _ = joules.fit_energy(energies, fitted, rows)
    done = f"{before.versions.get('stages', '')} {stage.name}".strip()
    header = json.loads((_rows_of(folder, stage, facts) / "header.json").read_text("utf-8"))
    versions = {k: str(header[k]) for k in ("driver", "cuda", "torch", "cudnn") if header.get(k)}
    versions |= {"stages": done, "fitted_boards": str(header["board"])}
    source = before.source if before.versions else f"hwmodel calibrate; the rest {before.source}"
    date = str(header.get("date", ""))
    changes = {"families": families, "versions": versions, "source": source, "date": date}
    _write_json(errors, folder / "errors.json")
    write(_with(before, **changes), folder / "calibration.yaml")


def _usable(row: Row) -> bool:
    return row.columns["family"] != "llm" and kernels_known(row)


def _with(calibration: Calibration, **changes: Any) -> Calibration:
    return Calibration.build(dict(calibration) | changes, where=calibration.name)


def _read_errors(folder: Path) -> dict[str, Any]:
    path = folder / "errors.json"
    return json.loads(path.read_text("utf-8")) if path.is_file() else {}


def _write_json(tree: Any, path: Path) -> None:
    part = path.with_suffix(".tmp")
    part.write_text(json.dumps(tree, indent=1) + "\n", encoding="utf-8")
    part.rename(path)


def _notes(folder: Path, plan: Sequence[Stage], facts: Mapping[str, Any]) -> tuple[str, ...]:
    """What the stages could not do."""
    notes: list[str] = []
    for stage in plan:
        path = _rows_of(folder, stage, facts) / "header.json"
        header = json.loads(path.read_text("utf-8"))
        if "counters_refused" in header:
            why = str(header["counters_refused"]).strip().splitlines()[-1]
            notes.append(f"hardware counters were skipped: {why}")
        notes += [
            f"stage {key.removeprefix('failed_')} failed: {why}"
            for key, why in header.items()
            if key.startswith("failed_")
        ]
    return tuple(notes)


class Bar:
    """A progress bar over the seconds of a plan, with the stage and its rows."""

    def __init__(self, progress: Any, plan: Sequence[Stage]) -> None:
        self.progress = progress
        self.task = progress.add_task("", total=sum(stage.seconds for stage in plan), rows="")
        self.done = 0.0
        self.stage: Stage | None = None
        self.begin = 0.0

    def start(self, stage: Stage) -> None:
        """A stage begins to be measured."""
        self.stage, self.begin = stage, time.monotonic()
        self.progress.update(self.task, description=stage.name, rows="starting")

    def advance(self, rows: int) -> None:
        """So many rows of the stage are there."""
        assert self.stage is not None
        spent = min(time.monotonic() - self.begin, self.stage.seconds)
        self.progress.update(self.task, completed=self.done + spent, rows=f"{rows} rows")

    def fitting(self, family: str) -> None:
        """A family is being fitted."""
        self.progress.update(self.task, rows=f"fitting {family}")

    def finish(self, stage: Stage) -> None:
        """A stage is measured and fitted."""
        self.done += stage.seconds
        self.progress.update(self.task, completed=self.done)


@contextmanager
def _progress(plan: Sequence[Stage]) -> Generator[Bar, None, None]:
    """A bar on standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[rows]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield Bar(progress, plan)
