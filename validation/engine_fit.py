"""From an engine's measured steps to its families: kernels by class, then what the host adds.

    python -m hwmodel.validation.engine_fit h200 [--tables DIR] [--out FILE]

Kernels are fitted to GPU-busy seconds by class of a step (`engine_kernels.csv`), the host's costs
to steps by the wall (`engine.csv`), with the kernels as fitted, all on boards that may be fitted.
Long prompts, and mixtures of many shapes, run too seldom under the profiler, so that attention of
many queries is fitted to public rows of the same kernels, alone, and experts to such rows beside
the profiled ones (`--tables`: a folder with DEVICE_sxm.context_attention.csv and .moe.csv; without
it, they stay). The intervals of steps are of rows left out, by phase.
"""

import argparse
import csv
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from hwmodel.einsum.network import Stack
from hwmodel.einsum.workloads.moe import grouped_gemm
from hwmodel.hardware.calibration import HOST, Calibration, Family
from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.driver import divided, rested
from hwmodel.machines.gpu.calls import run
from hwmodel.machines.gpu.engines.settled import Loads, loads_of
from hwmodel.machines.gpu.engines.shipped import ENGINES
from hwmodel.machines.gpu.engines.step import Step, kernels, step_of, wall_s
from hwmodel.machines.gpu.libraries.shipped import SHIPPED, family_of, picks
from hwmodel.machines.gpu.lower import Call, lower
from hwmodel.quantity.errors import HwmodelError
from hwmodel.validation import calibrate
from hwmodel.validation.engine_rows import (
    ALONE,
    Busy,
    Measured,
    class_of_stage,
    fits,
    read_busy,
    read_steps,
)
from hwmodel.validation.fit import (
    Array,
    Fit,
    Sample,
    fitted_family,
    interval,
    left_out,
    samples,
    solve,
)
from hwmodel.validation.rows import Row, groups

ENGINE = ENGINES["vllm"]
CLASSES: Mapping[str, tuple[str, ...]] = {
    "prefill": ("attention",),
    "decode": ("attention",),
    "gemm": ("product",),
    "grouped": ("experts",),
    "rows": ("norm", "gate", "narrow", "cache"),
}
"""Schedule -> classes of kernels that it is fitted to."""

SCHEDULES = ("decode", "gemm", "grouped", "rows")
"""Those of the engine's own families that profiled steps inform."""

EAGER_S, STREAM_BYTES_PER_S, BYTES = 25e-6, 3.5e12, 2
"""What surrounds experts in public rows: launches without a graph, and a pace for bytes of bf16
(assumed)."""

LAUNCHES = ("kernel", "mixture", "gathered", "piece")
"""What a host's own speed is: fitted with the rest, and then kept at the middle of the hosts seen,
since those that were fitted are some of many."""

HELD = ("gathered", "piece")
"""What steps that were fitted do not tell from other costs: held at the middle in the fit, too."""

HOSTS = (0.7, 1.6)
"""How far hosts lie from the middle one, of 19 runs of an engine on nine machines whose eager steps
were bound by the host, at 0.6 to 2.3 of it: chosen by how many of all steps the intervals hold."""

LEAST_KIND = 8
"""Steps of a kind from which it has an interval of its own."""


@dataclass(frozen=True, eq=False)
class Launched:
    """The calls of one class of a step, each with how often it runs."""

    calls: tuple[tuple[Call, float], ...]
    row: Row
    seconds: float


def launched(busy: Busy, hardware: Hardware) -> dict[str, Launched]:
    """Class of kernels -> the calls that a profiled step made of it."""
    step = _step(busy.step, hardware)
    library_of = kernels(step, None)
    calls: dict[str, list[tuple[Call, float]]] = {}
    for stage in step.workload.stages:
        name = class_of_stage(stage.name)
        for call in lower(stage.cascade, library_of(stage.name)):
            calls.setdefault(name, []).append((call, float(stage.times) * float(call.times)))
    measured = dict(busy.busy_s)
    measured["attention"] = measured.get("attention", 0.0) + measured.pop("combine", 0.0)
    return {
        name: Launched(tuple(each), busy.step.row(name), measured[name])
        for name, each in calls.items()
        if measured.get(name)
    }


def _step(measured: Measured, hardware: Hardware) -> Step:
    work = divided(measured.workload(), hardware * measured.tp, {"tp": measured.tp})
    return step_of(work, hardware * measured.tp, ENGINE)


def kernel_sample(
    family: str, every: Sequence[Launched], hardware: Hardware, calibration: Calibration
) -> Sample:
    """Classes of steps as one sample of a family; the others' calls as they are calibrated."""
    mine = [each for each in every if any(call.family == family for call, _ in each.calls)]
    fixed = [
        sum(
            times
            * float(run(call, hardware, family_of(calibration, call.family).values).folded.time_s)
            for call, times in each.calls
            if call.family != family
        )
        for each in mine
    ]

    def predict(values: Mapping[str, float]) -> Array:
        return np.array(
            [
                known
                + sum(
                    times * float(run(call, hardware, values).folded.time_s)
                    for call, times in each.calls
                    if call.family == family
                )
                for each, known in zip(mine, fixed, strict=True)
            ]
        )

    return Sample(tuple(each.row for each in mine), np.array([e.seconds for e in mine]), predict)


def fitted_kernels(
    hardware: Hardware,
    busy: Sequence[Busy],
    tables: Path | None = None,
    schedules: Sequence[str] = SCHEDULES,
) -> dict[str, tuple[Family, Fit]]:
    """The engine's families, of these schedules, that profiled steps inform."""
    calibration = hardware.calibration
    assert calibration is not None
    steps = [launched(each, hardware) for each in busy]
    found: dict[str, tuple[Family, Fit]] = {}
    for schedule in schedules:
        classes = CLASSES[schedule]
        library = picks(ENGINE.kernel)[schedule].libraries[0]
        family = library.family(schedule)
        every = [each[name] for each in steps for name in classes if name in each]
        sample = kernel_sample(family, every, hardware, calibration)
        prior = library.priors[schedule]
        if schedule == "grouped" and tables is not None:
            found[family] = _entry(prior, [sample, public_experts(hardware, tables)])
        elif schedule != "grouped" and len(sample.rows) >= calibrate.LEAST_ROWS:
            found[family] = _entry(prior, [sample])
    return found


def fitted_alone(hardware: Hardware) -> dict[str, tuple[Family, Fit]]:
    """The families that one model's steps alone inform, to those steps."""
    calibration = hardware.calibration
    assert calibration is not None
    found: dict[str, tuple[Family, Fit]] = {}
    for (name, schedule), sittings in ALONE.items():
        steps = [launched(each, hardware) for each in read_busy(hardware.name, sittings)]
        classes = CLASSES[schedule]
        every = [each[kind] for each in steps for kind in classes if kind in each]
        library = SHIPPED[name]
        sample = kernel_sample(library.family(schedule), every, hardware, calibration)
        if sample.rows:
            found[library.family(schedule)] = _entry(library.priors[schedule], [sample])
    return found


def _entry(prior: Family, made: Sequence[Sample]) -> tuple[Family, Fit]:
    ratios = left_out(prior, made)
    best = replace(solve(prior, made), fold_ratios=ratios)
    rows = [row for sample in made for row in sample.rows]
    return fitted_family(prior, best, ratios, rows), best


def public_prefill(hardware: Hardware, tables: Path) -> dict[str, tuple[Family, Fit]]:
    """Attention of many queries, from public rows of the engine's kernel alone."""
    family = f"prefill:{ENGINE.name}"
    path = tables / f"{hardware.name}_sxm.context_attention.csv"
    with path.open(encoding="utf-8", newline="") as stream:
        rows = [row for line in csv.DictReader(stream) if (row := _public(line)) is not None]
    calibration = hardware.calibration
    assert calibration is not None
    others = {name: calibration.values(name) for name in calibration.families}
    return {
        family: _entry(
            SHIPPED[ENGINE.name].priors["prefill"], samples(family, groups(rows), hardware, others)
        )
    }


def public_experts(hardware: Hardware, tables: Path) -> Sample:
    """Public rows of the engine's experts, evenly routed, as a sample of their family.

    They hold the kernels around the two products, which run without a graph there.
    """
    family, rows = f"grouped:{ENGINE.name}", list[Row]()
    path = tables / f"{hardware.name}_sxm.moe.csv"
    with path.open(encoding="utf-8", newline="") as stream:
        for line in csv.DictReader(stream):
            even = line["distribution"] == "balanced" and line["moe_ep_size"] == "1"
            if line["framework"] == ENGINE.name and line["moe_dtype"] == "bfloat16" and even:
                inner = int(line["inter_size"]) // int(line["moe_tp_size"])
                columns = {
                    **{"family": "moe", "kernel": ENGINE.name, "dtype": "bf16"},
                    **{"tokens": int(line["num_tokens"]), "experts": int(line["num_experts"])},
                    **{"top_k": int(line["topk"]), "hidden": int(line["hidden_size"])},
                    **{"intermediate": inner, "time_s": float(line["latency_us"]) * 1e-6},
                }
                rows.append(Row("public", "public", columns))
    sizes = {
        name: np.array([float(row.columns[name]) for row in rows])
        for name in ("tokens", "experts", "top_k", "hidden", "intermediate")
    }
    tokens, inner, outer = sizes["tokens"], sizes["intermediate"], sizes["hidden"]
    picked = tokens * sizes["top_k"]
    around = EAGER_S + (picked * (3 * inner + outer) + tokens * outer) * BYTES / STREAM_BYTES_PER_S
    spread = (tokens, sizes["experts"], sizes["top_k"])
    products = [
        *lower(grouped_gemm(*spread, 2 * inner, outer), ENGINE.name),
        *lower(grouped_gemm(*spread, outer, inner), ENGINE.name),
    ]
    assert all(call.family == family for call in products)

    def predict(values: Mapping[str, float]) -> Array:
        each = (np.asarray(run(call, hardware, values).folded.time_s) for call in products)
        return np.asarray(sum(each, start=around))

    return Sample(tuple(rows), np.array([row.time_s for row in rows]), predict)


def _public(line: Mapping[str, str]) -> Row | None:
    plain = line["kv_cache_dtype"] == "bfloat16" and line["window_size"] == "0"
    queries, dim = int(line["isl"]), int(line["head_dim"])
    if line["framework"] != ENGINE.name or not plain or queries <= 8 or dim > 256:
        return None
    heads = int(line["num_heads"])
    columns = {
        **{"family": "attention", "kernel": ENGINE.name, "dtype": "bf16", "causal": True},
        **{"batch": int(line["batch_size"]), "heads": heads, "head_dim": dim},
        **{"kv_heads": int(line["num_key_value_heads"]) or heads, "queries": queries},
        **{"keys": queries + int(line["step"]), "time_s": float(line["latency_us"]) * 1e-6},
    }
    return Row("public", "public", columns)


class Timed(Protocol):
    """What was timed of an engine by the wall: steps, one or several in a row."""

    @property
    def phase(self) -> str:
        """Which kind of step it is, or mostly holds."""
        ...

    @property
    def tp(self) -> int:
        """GPUs that divide the model."""
        ...

    @property
    def time_s(self) -> float:
        """Seconds of all of it."""
        ...

    def workloads(self) -> Sequence[tuple[Stack, float]]:
        """Its steps, and how often each runs."""
        ...

    def row(self) -> Row:
        """As a row that a fit reads."""
        ...


@dataclass(frozen=True, eq=False)
class _Run:
    """A step, what its kernels ask of the power limit, and how often it runs."""

    step: Step
    loads: Loads
    times: float

    def time_s(self, values: Mapping[str, float]) -> float:
        """Seconds of all its turns, at these costs of the host."""
        return self.times * float(wall_s(self.step, self.loads, values))


def _runs(timed: Timed, hardware: Hardware) -> list[_Run]:
    machine, ways = hardware * timed.tp, {"tp": timed.tp}
    return [
        _Run(
            step_of(divided(work, machine, ways), machine, ENGINE),
            loads_of(rested(work, machine, ENGINE, ways), machine),
            times,
        )
        for work, times in timed.workloads()
    ]


def fitted_host(
    hardware: Hardware, steps: Sequence[Timed], *, own: bool = False
) -> tuple[Family, Fit]:
    """What the host adds, from steps and runs of them by the wall; intervals by phase.

    It is a user's `own` host, or one of many, whose launches are then kept at the middle.
    """
    made = [_runs(each, hardware) for each in steps]

    def predict(values: Mapping[str, float]) -> Array:
        return np.array([sum(run.time_s(values) for run in each) for each in made])

    rows = tuple(each.row() for each in steps)
    sample = Sample(rows, np.array([each.time_s for each in steps]), predict)
    entry, best = _entry(ENGINE.host if own else _held(ENGINE.host), [sample])
    assert best.fold_ratios is not None
    kinds = np.array([each.phase for each in steps])
    apart = {
        str(kind): interval(best.fold_ratios[kinds == kind])
        for kind in np.unique(kinds)
        if np.sum(kinds == kind) >= LEAST_KIND
    }
    rounded = {k: (float(f"{a:.4g}"), float(f"{b:.4g}")) for k, (a, b) in apart.items()}
    if own:
        return entry.model_copy(update={"intervals": rounded}), best
    rounded[HOST] = HOSTS
    kept = {name: ENGINE.host.parameters[name] for name in LAUNCHES}
    changes = {"intervals": rounded, "parameters": {**entry.parameters, **kept}}
    return entry.model_copy(update=changes), best


def _held(prior: Family) -> Family:
    """The priors, of which some are no longer free."""
    fixed = {name: prior.parameters[name] for name in HELD}
    ends = {n: p.model_copy(update={"low": p.value, "high": p.value}) for n, p in fixed.items()}
    return prior.model_copy(update={"parameters": {**prior.parameters, **ends}})


def main(arguments: Sequence[str]) -> None:
    """Fit the engine's families of a device, print them, and write what is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("device")
    parser.add_argument("--tables", type=Path, help="folder of public rows of kernels alone")
    parser.add_argument("--host", action="store_true", help="fit what the host adds alone")
    parser.add_argument("--out", type=Path, help="a calibration file to write the families into")
    options = parser.parse_args(arguments)
    hardware = device(options.device)
    busy = [each for each in read_busy(hardware.name) if fits(each.step)]
    found = {} if options.host else fitted_kernels(hardware, busy, options.tables)
    found |= {} if options.host else fitted_alone(hardware)
    if options.tables is not None:
        found |= public_prefill(hardware, options.tables)
    hardware = with_families(hardware, found)
    steps = [step for step in read_steps(hardware.name) if fits(step)]
    found[ENGINE.family] = fitted_host(hardware, steps)
    for name, (entry, best) in found.items():
        print(f"{name:16} rows {entry.rows:4}  fitted {best.mean_error:.3f}  90% {entry.interval}"
              f" {entry.intervals or ''}")  # fmt: skip
        for parameter, p in entry.parameters.items():
            print(f"    {parameter:16} {p.value:8.4g} +- {p.standard_error}")
    if options.out is not None:
        fitted = with_families(hardware, found).calibration
        assert fitted is not None
        calibrate.write(fitted, options.out)


def with_families(hardware: Hardware, found: Mapping[str, tuple[Family, Fit]]) -> Hardware:
    """The device with these families in its calibration."""
    calibration = hardware.calibration
    assert calibration is not None
    families = {**calibration.families, **{name: entry for name, (entry, _) in found.items()}}
    fitted = calibration.model_copy(update={"families": families})
    return hardware.model_copy(update={"calibration": fitted})


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except HwmodelError as error:
        raise SystemExit(f"error: {error}") from None
