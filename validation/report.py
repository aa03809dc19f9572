"""How wrong the predictions are: errors by kernel family on shapes that no fit has seen.

Two columns. *Same board*: shapes of the test half, on boards whose other shapes were fitted.
*Another board*: all shapes that were not fitted, on boards of which nothing was. A row's error is
|predicted/measured - 1|; `coverage` is the share of rows inside the 90 % interval; `bias` the
geometric mean of predicted/measured. Beside them stand the noise floor, the mean disagreement of
two boards on the same shapes, and a baseline with two constants, roofline / 0.8 + 3 us.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TypeVar

import numpy as np

from hwmodel.einsum.workloads.blocks.mixture import Mixture
from hwmodel.einsum.workloads.collective import collective as exchange
from hwmodel.einsum.workloads.model import model
from hwmodel.hardware.calibration import Calibration
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.driver import estimated, predict
from hwmodel.machines.gpu.libraries.library import Library, Reported
from hwmodel.machines.gpu.libraries.shipped import is_known
from hwmodel.machines.gpu.libraries.shipped import library as library_named
from hwmodel.machines.gpu.predict import run
from hwmodel.network import collectives
from hwmodel.quantity.arithmetic import most
from hwmodel.quantity.remembered import remembered
from hwmodel.spine.estimate import Estimate
from hwmodel.validation import collective, engine_rows
from hwmodel.validation.fit import Array, is_test
from hwmodel.validation.joules import column, read, traffic
from hwmodel.validation.rows import (
    LAUNCHED,
    STEPS,
    Row,
    groups,
    kernels_known,
    libraries_of,
    may_fit,
    read_rows,
)

Item = TypeVar("Item")
APART = (*STEPS, collectives.FAMILY)
"""Families that are judged in other ways than kernels."""

SPREAD = 0.95
"""Share of the experts that random routing reaches, from which routing counts as spread."""

BASELINE_EFFICIENCY, BASELINE_S = 0.8, 3e-6

FITTED = "fitted"
"""The column of rows that a fit did see."""

WARMED_TWICE_S = 5.5e-3
"""A graph shorter than this is replayed twice before it is timed, a longer one once
(`measure/timer.py`); nothing rests in between."""


def _family(*names: str, kernel: str = "torch") -> Callable[[Row], bool]:
    return lambda row: row.columns["family"] in names and row.columns["kernel"] == kernel


def _phase(phase: str) -> Callable[[Row], bool]:
    return lambda row: (
        row.columns["family"] == "llm" and row.columns["phase"] == phase and spread(row)
    )


def _engine(kind: str) -> Callable[[Row], bool]:
    return lambda row: row.columns["family"] == "step" and row.columns["kind"] == kind


def _ranks(ranks: int) -> Callable[[Row], bool]:
    nccl = _family(collectives.FAMILY, kernel="nccl")
    return lambda row: nccl(row) and float(row.columns["ranks"]) == ranks


def spread(row: Row) -> bool:
    """Whether the tokens of a step reach as many experts as random routing would let them.

    The first sittings' prompts do not: their stack let a random router send nearly all tokens to
    the same few experts (see `stack.random_stack`), and did not count them. Their prefill rows of
    mixtures stay in the data and out of the report.
    """
    if row.columns["phase"] == "decode":
        return True
    mixture = _mixture(str(row.columns["model"]))
    if mixture is None:
        return True
    tokens = float(row.columns["batch"]) * float(row.columns["prompt"])
    expected = mixture.experts * (1 - (1 - mixture.picks / mixture.experts) ** tokens)
    return float(row.columns.get("experts_touched", 0.0)) >= SPREAD * expected


@cache
def _mixture(name: str) -> Mixture | None:
    """The first mixture of experts of a model."""
    blocks = (block for block, _ in model(name).network.placed)
    return next((block for block in blocks if isinstance(block, Mixture)), None)


WHOLE: dict[str, Callable[[Row], bool]] = {
    "LLM prefill": _phase("prefill"),
    "LLM decode": _phase("decode"),
    **{kind: _engine(kind) for kind in engine_rows.KINDS},
    "NCCL, two GPUs": _ranks(2),
    "NCCL, four GPUs": _ranks(4),
}
"""Lines of the report that are no library's kernels: whole steps of models, and messages."""


def families(rows: Iterable[Row] = ()) -> dict[str, Callable[[Row], bool]]:
    """Line of the report -> which rows it holds: those of all libraries, then the others.

    Libraries are those shipped and those that `rows` name; lines of one title are one, which stands
    with the last library that has it.
    """
    titles: dict[str, list[tuple[Library, Reported]]] = {}
    for library in libraries_of(rows):
        for line in library.reported or (Reported(library.title),):
            titles[line.title] = [*titles.pop(line.title, []), (library, line)]
    return {
        title: _Held({library.name: line for library, line in parts})
        for title, parts in titles.items()
    } | WHOLE


@dataclass(frozen=True)
class _Held:
    """Rows of the kernels of some libraries that their lines of the report hold."""

    lines: Mapping[str, Reported]

    def line(self, kernel: str) -> Reported | None:
        """The line that may hold a kernel's rows."""
        return self.lines.get(library_named(kernel).name) if is_known(kernel) else None

    def __call__(self, row: Row) -> bool:
        line = None if row.columns["family"] in APART else self.line(str(row.columns["kernel"]))
        return line is not None and line.holds(row.columns)


def by_line(
    items: Sequence[Item], row_of: Callable[[Item], Row]
) -> Iterator[tuple[str, list[Item]]]:
    """Line of the report -> what it holds, in the order of both; each kernel is looked up once."""
    rows = [row_of(item) for item in items]
    kernels: dict[str, list[int]] = {}
    for place, row in enumerate(rows):
        kernels.setdefault(str(row.columns.get("kernel", "")), []).append(place)
    for title, belongs in families(rows).items():
        places = range(len(rows))
        if isinstance(belongs, _Held):
            known = (there for kernel, there in kernels.items() if belongs.line(kernel))
            places = sorted(place for there in known for place in there)
        yield title, [items[place] for place in places if belongs(rows[place])]


@dataclass(frozen=True, eq=False)
class Judged:
    """A row with what was predicted for it, in seconds."""

    row: Row
    time_s: float
    low_s: float
    high_s: float
    roofline_s: float
    sustained_s: float

    @property
    def ratio(self) -> float:
        """Predicted over measured."""
        return self.time_s / self.row.time_s

    @property
    def covered(self) -> bool:
        """Whether the measurement lies in the interval."""
        return self.low_s <= self.row.time_s <= self.high_s


@dataclass(frozen=True)
class Line:
    """One family in one column of the report; errors are fractions."""

    family: str
    column: str
    rows: int
    mean: float
    median: float
    p90: float
    worst: float
    bias: float
    coverage: float
    noise_floor: float | None
    baseline_mean: float


def judge(rows: Iterable[Row], hardware: Hardware) -> list[Judged]:
    """Predict every row, in one vectorised call for each form of kernel and phase of a model."""
    wanted = list(rows)
    judged: list[Judged] = []
    for group in groups([row for row in wanted if row.columns["family"] not in APART]):
        kernel = str(group.rows[0].columns["kernel"])
        ran = run(group.cascade, hardware, kernel, launched=group.calls)
        estimate = estimated(group.cascade, hardware, ran)
        judged += _judged(group.rows, estimate)
    phases: dict[tuple[str, ...], list[Row]] = {}
    for row in wanted:
        if row.columns["family"] == "llm":
            named = tuple(str(row.columns[name]) for name in ("model", "dtype", "phase", "kernel"))
            phases.setdefault(named, []).append(row)
    for rows in phases.values():
        judged += _judged(rows, _steps(rows, hardware))
    for each, estimate in engine_rows.predicted(
        [row for row in wanted if row.columns["family"] == "step"], hardware
    ):
        judged += _judged(each, estimate)
    messages = [row for row in wanted if row.columns["family"] == collectives.FAMILY]
    for sample in collective.samples(messages, hardware):
        op = str(sample.rows[0].columns["op"])
        size, ranks = collective.sizes(sample.rows)
        judged += _judged(sample.rows, predict(exchange(op, size, ranks), hardware))
    return judged


def _steps(rows: Sequence[Row], hardware: Hardware) -> Estimate:
    """Whole steps of one phase of a model, at the sizes of each row."""
    name, dtype, phase, kernel = (
        str(rows[0].columns[column]) for column in ("model", "dtype", "phase", "kernel")
    )
    read, length = model(name, dtype=dtype), "prompt" if phase == "prefill" else "context"
    batch, tokens = (
        np.array([float(row.columns[column]) for row in rows]) for column in ("batch", length)
    )
    made = read.prefill if phase == "prefill" else read.decode
    return predict(made(batch, tokens), hardware, kernel=kernel)


def _judged(rows: Sequence[Row], estimate: Estimate) -> list[Judged]:
    later = as_timed(rows, estimate)
    times = (estimate.time_s, estimate.time_low_s, estimate.time_high_s)
    others = estimate.bound_s, estimate.sustained_time_s
    wide = [
        np.broadcast_to(np.asarray(values, dtype=np.float64), (len(rows),))
        for values in (*(later * time_s for time_s in times), *others)
    ]
    return [Judged(row, *map(float, values)) for row, *values in zip(rows, *wide, strict=True)]


def as_timed(rows: Sequence[Row], estimate: Estimate) -> Array:
    """Time of a call when it was timed, over that of one after a rest, which is what is predicted.

    Replays are timed after one or two more, without a rest. Together they end before the power
    limit acts (`window_s`), but for calls longer than some 10 ms: of a step of 30 ms the second and
    the third are timed, 30 to 90 ms after the rest.
    """
    calls, replays = (
        np.array([float(row.columns.get(name, 0)) for row in rows]) for name in ("calls", "replays")
    )
    full_s = sum(part.times * np.asarray(part.time_s) for part in estimate.parts)
    slowdown = np.asarray(estimate.sustained_time_s) / full_s - 1

    def elapsed_s(full_s: Array) -> Array:
        return full_s + np.maximum(0.0, full_s - estimate.window_s) * slowdown

    warm_s = calls * full_s * np.where(calls * full_s < WARMED_TWICE_S, 2, 1)
    timed_s = elapsed_s(warm_s + replays * calls * full_s) - elapsed_s(warm_s)
    known = calls * replays > 0
    each_s = timed_s / np.where(known, calls * replays, 1)
    return np.where(known, each_s / np.asarray(estimate.time_s), 1.0)


def held_out(judged: Sequence[Judged], calibration: Calibration) -> dict[str, list[Judged]]:
    """Judged rows by column: only shapes that the calibration's fit did not see.

    A board counts as fitted for the kernels of which rows of it were fitted. An engine's steps are
    too few to be halved: those that its fit saw are told apart, in a column of their own.
    """
    boards = set(calibration.versions.get("fitted_boards", "").split())
    fitted = [j for j in judged if j.row.board in boards and may_fit(j.row)]
    seen = {j.row.shape for j in fitted if not is_test(j.row)}
    known = {(j.row.board, j.row.columns["kernel"]) for j in fitted}
    steps = [j for j in judged if j.row.columns["family"] == "step"]
    if steps:
        saw = [engine_rows.seen(j.row.columns["step"]) for j in steps]
        return {
            FITTED: [j for j, seen in zip(steps, saw, strict=True) if seen],
            "another board": [j for j, seen in zip(steps, saw, strict=True) if not seen],
        }
    unseen = [j for j in judged if j.row.shape not in seen]
    at_home = [(j.row.board, j.row.columns["kernel"]) in known for j in unseen]
    return {
        "same board": [j for j, home in zip(unseen, at_home, strict=True) if home],
        "another board": [j for j, home in zip(unseen, at_home, strict=True) if not home],
    }


@remembered(bool)
def judge_all(device_name: str, hardware: Hardware) -> Sequence[Judged]:
    """Every timed row of a device whose kernel the model knows, with its prediction."""
    timed = (row for row in read_rows(device_name) if row.columns.get("pass") != "menu")
    kernels = [row for row in timed if kernels_known(row)]
    steps = engine_rows.step_rows(device_name)
    return judge([*kernels, *collective.read_collectives(device_name), *steps], hardware)


def steady(judged: Iterable[Judged]) -> list[Judged]:
    """The same rows in unbroken repetition, under the power limit, where they were timed so.

    Intervals are as wide as those of the rested state. An engine's steps are left out: they are
    timed in a loop, and stand in the report as that.
    """
    found: list[Judged] = []
    for each in judged:
        measured = each.row.columns.get("sustained_time_s")
        if isinstance(measured, float) and measured > 0:
            row = replace(each.row, columns={**each.row.columns, "time_s": measured})
            wide = each.low_s / each.time_s, each.high_s / each.time_s
            low_s, high_s = (each.sustained_s * share for share in wide)
            made = replace(each, row=row, time_s=each.sustained_s, low_s=low_s, high_s=high_s)
            found.append(made)
    return found


def by_family(judged: Sequence[Judged], hardware: Hardware) -> dict[str, list[Judged]]:
    """Rows of all columns, by family of the report: held out, and an engine's steps."""
    calibration = hardware.calibration
    assert calibration is not None
    found: dict[str, list[Judged]] = {}
    for family, mine in by_line(judged, lambda j: j.row):
        columns = held_out(mine, calibration)
        rows = [j for part in columns.values() for j in part]
        if rows:
            found[family] = rows
    return found


def lines(judged: Sequence[Judged], hardware: Hardware) -> list[Line]:
    """The report: one line for each family and column."""
    calibration = hardware.calibration
    assert calibration is not None
    found: list[Line] = []
    for family, mine in by_line(judged, lambda j: j.row):
        floor = noise_floor([j.row for j in mine])
        for column_name, part in held_out(mine, calibration).items():
            if part:
                found.append(_line(family, column_name, part, floor))
    return found


def _line(family: str, column: str, part: Sequence[Judged], floor: float | None) -> Line:
    ratios: Array = np.array([j.ratio for j in part])
    errors = np.abs(ratios - 1)
    measured: Array = np.array([j.row.time_s for j in part])
    baseline: Array = np.array([j.roofline_s for j in part]) / BASELINE_EFFICIENCY + BASELINE_S
    return Line(
        family=family,
        column=column,
        rows=len(part),
        mean=float(errors.mean()),
        median=float(np.median(errors)),
        p90=float(np.quantile(errors, 0.9)),
        worst=float(errors.max()),
        bias=float(np.exp(np.mean(np.log(ratios))) - 1),
        coverage=float(np.mean([j.covered for j in part])),
        noise_floor=floor,
        baseline_mean=float(np.abs(baseline / measured - 1).mean()),
    )


def noise_floor(rows: Sequence[Row]) -> float | None:
    """Mean |a/b - 1| of two boards' medians on the same shape; None where no shape has two."""
    by_shape: dict[tuple[object, ...], dict[str, list[float]]] = {}
    for row in rows:
        tile = tuple(v for n, v in sorted(row.columns.items()) if n.startswith(LAUNCHED))
        by_shape.setdefault((row.shape, tile), {}).setdefault(row.board, []).append(row.time_s)
    gaps: list[float] = []
    for boards in by_shape.values():
        medians = [float(np.median(times)) for times in boards.values()]
        gaps += [
            abs(a / b - 1) for i, a in enumerate(medians) for j, b in enumerate(medians) if i != j
        ]
    return float(np.mean(gaps)) if gaps else None


def worst(judged: Sequence[Judged], count: int = 10) -> list[Judged]:
    """The rows with the largest |log(predicted/measured)|."""
    return sorted(judged, key=lambda j: -float(most((j.ratio, 1 / j.ratio))))[:count]


@dataclass(frozen=True)
class Traffic:
    """Predicted against counted DRAM bytes of one family."""

    family: str
    rows: int
    read_mean: float
    total_mean: float
    total_p90: float
    total_worst: float


def traffic_lines(device_name: str, hardware: Hardware) -> list[Traffic]:
    """DRAM bytes against hardware counters, reads alone and reads with writes."""
    found: list[Traffic] = []
    rows = [row for row in read(device_name, "counters.csv") if kernels_known(row)]
    for family, mine in by_line(rows, lambda row: row):
        reads: list[float] = []
        totals: list[float] = []
        for group in groups(mine):
            predicted = traffic(group, hardware)
            counted_read = column(group, "dram_bytes_read")
            counted = counted_read + column(group, "dram_bytes_written")
            reads += list(np.abs(predicted["read"] / counted_read - 1))
            totals += list(np.abs((predicted["read"] + predicted["written"]) / counted - 1))
        if totals:
            found.append(
                Traffic(
                    family,
                    len(totals),
                    float(np.mean(reads)),
                    float(np.mean(totals)),
                    float(np.quantile(totals, 0.9)),
                    float(np.max(totals)),
                )
            )
    return found


def energy_errors(device_name: str, hardware: Hardware) -> Array:
    """|predicted/measured - 1| of joules of shapes never fitted, with predicted sustained times."""
    rows = [r for r in read(device_name, "energy.csv") if kernels_known(r) and is_test(r)]
    errors: list[float] = []
    for group in groups(rows):
        kernel = str(group.rows[0].columns["kernel"])
        estimate = predict(group.cascade, hardware, kernel=kernel)
        predicted = np.broadcast_to(np.asarray(estimate.energy_j), (len(group.rows),))
        errors += list(np.abs(predicted / column(group, "energy_j") - 1))
    return np.array(errors)
