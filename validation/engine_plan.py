"""`hwmodel calibrate --engine vllm`: from an installed engine to one fitted to this machine.

    my_gpu/device.yaml, calibration.yaml   as `plan.py` has them; made here where they are not
    my_gpu/engine/NAME/                    what measuring a model wrote; `done` when it is whole
    my_gpu/engine-rows/                    the same as rows

Each model of the plan is measured once, in a process of its own (`measure/vllm_engine.py`: two to
four minutes a model, random weights, only its config is needed), and kept, so that the same command
goes on where it stopped. After each the kernels that its profile informs, and what this host adds,
are fitted to all that is there, and written. What measures is an argument, so that all but the GPU
can be tested without one.

Runs of vLLM's own benchmarks (`engine_benchmarks.py`) take the plan's place where they are given:
nothing is measured, what the host adds is fitted to them and to all that was measured before, and
they are kept. On a device that is named no GPU is needed.
"""

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwmodel.hardware.calibration import Family
from hwmodel.hardware.catalogue import device as device_of
from hwmodel.machines.gpu.engines.shipped import ENGINES
from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.text.grid import grid
from hwmodel.validation.calibrate import write
from hwmodel.validation.engine_benchmarks import keep, read_benchmarks
from hwmodel.validation.engine_fit import fitted_host, fitted_kernels, with_families
from hwmodel.validation.engine_rows import LEARNT, read_busy, read_steps
from hwmodel.validation.engine_store import write_sitting
from hwmodel.validation.fit import Fit
from hwmodel.validation.plan import opened
from hwmodel.validation.users_gpu import relative_of, write_device

LEAST_RUNS = 6
"""Runs from which what a host adds is fitted."""

FITTED = ("decode", "gemm")
"""Schedules that few models inform; the others stay the relative's."""


@dataclass(frozen=True)
class Served:
    """A model of the plan: a shipped config, and the quantisation that the engine is given."""

    model: str
    quantization: str = ""

    @property
    def name(self) -> str:
        """What its rows are called."""
        return f"{self.model}.{self.quantization}" if self.quantization else self.model


PLAN = (Served("llama-3.1-8b"), Served("qwen2.5-1.5b"), Served("llama-3.1-8b", "fp8"))
"""A model that its kernels bind, one that its host does, and narrow products."""

Measure = Callable[[Served, Path], None]
"""Measures one model into a folder, as `measure.vllm_engine` does."""


@dataclass(frozen=True)
class EngineOutcome:
    """What was fitted of an engine, and where."""

    folder: Path
    engine: str
    families: Mapping[str, tuple[Family, Fit]]

    def __str__(self) -> str:
        """A table by family, and how to use it."""
        rows = [
            [name, str(entry.rows), f"{best.mean_error:.1%}"]
            for name, (entry, best) in self.families.items()
        ]
        return "\n\n".join(
            (
                grid(("family", "rows", "mean error, fitted"), rows, left=(0,)),
                f"use it: hwmodel predict ... --on {self.folder} --engine {self.engine}",
            )
        )


MEASURED = ("vllm",)
"""Engines that are started and timed."""


def calibrate_engine(
    out: str | Path,
    engine: str = "vllm",
    device: str = "auto",
    *,
    benchmarks: Sequence[str | Path] = (),
    plan: Sequence[Served] = PLAN,
    find: Callable[[], Mapping[str, Any]] | None = None,
    measure: Measure | None = None,
) -> EngineOutcome:
    """Measure an installed engine on this machine's GPU, fit it, and leave it in the folder `out`.

    Models that were measured are skipped; none is where `benchmarks` are given, files of vLLM's own
    or folders of them. Raises `UnknownNameError` for an engine that is not measured, `InputError`
    where there is no GPU, or the folder holds another's calibration.
    """
    if engine not in MEASURED:
        raise UnknownNameError("engine to measure", engine, MEASURED)
    runs = read_benchmarks(benchmarks) if benchmarks else ()
    folder = _folder(Path(out), device, find, needed=not runs)
    if runs:
        keep(folder, runs)
        return EngineOutcome(folder, engine, _fitted(folder))
    found: Mapping[str, tuple[Family, Fit]] = {}
    for served in plan:
        run = folder / "engine" / served.name
        if not (run / "done").is_file():
            run.mkdir(parents=True, exist_ok=True)
            (measure or measured)(served, run)
            write_sitting(run, OWN, served.name, data=folder / ROWS)
            (run / "done").touch()
            found = _fitted(folder)
    return EngineOutcome(folder, engine, found or _fitted(folder))


def _folder(
    out: Path, device: str, find: Callable[[], Mapping[str, Any]] | None, *, needed: bool
) -> Path:
    """The folder with a device: this machine's GPU's, or a named one where no GPU is needed."""
    if not needed and device != "auto" and not (out / "device.yaml").is_file():
        named = device_of(device)
        assert named.calibration is not None
        out.mkdir(parents=True, exist_ok=True)
        write_device(named, out / "device.yaml")
        write(named.calibration, out / "calibration.yaml")
    if not needed and (out / "device.yaml").is_file():
        return out
    from hwmodel.validation.measure import own_gpu

    facts = (find or own_gpu.find_gpu)()
    return opened(out, facts, relative_of(facts, device))


OWN, ROWS = "own", "engine-rows"
"""The name of the device and the folder under which rows are kept."""


def measured(served: Served, folder: Path) -> None:
    """One model in a process of its own; its words go to a log beside the rows."""
    words = [sys.executable, "-m", "hwmodel.validation.measure.vllm_engine"]
    words += ["--model", served.model, "--out", str(folder)]
    words += ["--quantization", served.quantization] if served.quantization else []
    log = folder / "log.txt"
    with log.open("w", encoding="utf-8") as stream:
        done = subprocess.run(words, stdout=stream, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        last = " ".join(log.read_text(encoding="utf-8").strip().splitlines()[-1:])
        raise InputError(f"{served.name}: the engine ended with {done.returncode}: {last}; {log}")


def _fitted(folder: Path) -> dict[str, tuple[Family, Fit]]:
    """Families of all rows that are there, written into the folder's calibration."""
    hardware, data = device_of(folder), folder / ROWS
    there = [OWN] if (data / OWN).is_dir() else []
    busy = [b for own in there for b in read_busy(own, data=data) if b.step.phase in LEARNT]
    steps = [s for own in there for s in read_steps(own, data=data) if s.phase in LEARNT]
    timed = (*steps, *keep(folder, ()))
    if len(timed) < LEAST_RUNS:
        raise InputError(
            f"{folder}: expected {LEAST_RUNS} runs or steps to fit the host to, found {len(timed)};"
            " benchmark more batches and lengths"
        )
    found = fitted_kernels(hardware, busy, schedules=FITTED) if busy else {}
    found[ENGINES["vllm"].family] = fitted_host(with_families(hardware, found), timed, own=True)
    calibration = with_families(hardware, found).calibration
    assert calibration is not None
    write(calibration, folder / "calibration.yaml")
    return found
