"""One command that measures a sitting: stages in order, each within its share of the time.

    python -m hwmodel.validation.measure.run --sitting NAME --seed 1 --seconds 300 --out DIR

Writes DIR/header.json (device, board, driver, libraries, date, method) and DIR/rows.jsonl, one row
a line, flushed as it is measured; `store.py` turns them into the files of `validation/data/`.
A case that the library refuses becomes a row with `error`.
"""

# pyright: basic, reportMissingImports=false

import argparse
import json
import time
import traceback
from collections.abc import Iterator
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from triton.runtime.errors import TritonError

from hwmodel.machines.gpu.libraries.library import Sampled
from hwmodel.quantity.errors import HwmodelError
from hwmodel.validation.fit import is_test
from hwmodel.validation.measure import counters, launches, passes
from hwmodel.validation.measure.arena import Arena, pool_bytes
from hwmodel.validation.measure.board import describe, open_board
from hwmodel.validation.measure.cases import all_streams, build_of
from hwmodel.validation.measure.energy import measure_energy
from hwmodel.validation.measure.library import check_conventions
from hwmodel.validation.measure.models import CONFIGS, DECODE_POINTS, PREFILL_POINTS
from hwmodel.validation.measure.shapes import (
    HOT_BYTES_PER_S,
    HOT_FLOP_PER_S,
    Case,
    anchors,
    round_robin,
    streams,
    work,
)
from hwmodel.validation.measure.sittings import STAGES as SITTING
from hwmodel.validation.measure.timer import Timer, Timing
from hwmodel.validation.measure.triton_kernels import MENU
from hwmodel.validation.rows import Row
from hwmodel.validation.torch_decoder import (
    Step,
    cache_bytes,
    forward_step,
    random_stack,
    read_config,
    stack_bytes,
    use_flash,
)

STAGES = {**SITTING} | {stage: Sampled() for stage in all_streams(0) if stage not in SITTING}
"""The stages of a sitting, with those of libraries that say nothing of theirs."""
OWN_COUNTERS = {stage: each.counters for stage, each in STAGES.items() if each.counters}
MEMORY_BYTES = 125e9
REFUSALS = (RuntimeError, ValueError, TypeError, HwmodelError, TritonError)
"""What a library raises where it refuses a case."""


class Sitting:
    """The open files, the timer and the clock of one run."""

    def __init__(self, folder: Path, name: str, seed: int, quick: bool) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.name, self.seed, self.quick = folder, name, seed, quick
        self.rows = (folder / "rows.jsonl").open("w")
        memory_bytes = torch.cuda.get_device_properties(0).total_memory
        self.timer = Timer(board=open_board(), arena=Arena(capacity_bytes=pool_bytes(memory_bytes)))
        self.header = describe(self.timer.board) | {"sitting": name, "seed": seed}
        self.sources = all_streams(seed)
        self.timed: list[Case] = []
        self.recorded: tuple[str, ...] = ()
        self.measured = 0

    def write(self, stage: str, row: dict[str, Any]) -> None:
        """One row, flushed."""
        self.rows.write(json.dumps({"stage": stage} | row) + "\n")
        self.rows.flush()
        self.measured += "error" not in row

    def save_header(self, **more: Any) -> None:
        """The header, rewritten as facts come in."""
        self.header |= more
        (self.folder / "header.json").write_text(json.dumps(self.header, indent=1))


def name_of(case: Case) -> dict[str, Any]:
    """The columns that say what was measured."""
    head = {"family": case.family, "kernel": case.kernel, "dtype": case.dtype}
    return head | dict(case.shape) | ({"anchor": True} if case.anchor else {})


def hot_below_s(case: Case) -> float:
    """A time below which the case may meet the power limit, by its matrix work or its traffic."""
    flop, _, once = work(case)
    return max(flop / HOT_FLOP_PER_S[case.dtype], once / HOT_BYTES_PER_S)


def flat(timing: Timing) -> dict[str, Any]:
    """A timing as columns."""
    columns = asdict(timing)
    return columns | columns.pop("facts")


def most_sets(case: Case) -> int:
    """Sets whose building costs host time are fewer."""
    return 8 if case.family == "moe" else 400


def time_cases(sitting: Sitting, stage: str, cases: Iterator[Case], until: float) -> None:
    """Times cases until the clock or the row limit says stop."""
    limit = 3 if sitting.quick else STAGES[stage].rows
    if sitting.quick and stage.startswith("anchors"):
        limit = 1000
    for case in islice(cases, limit):
        if time.perf_counter() > until:
            return
        try:
            timing = sitting.timer.time(
                build_of(case),
                most_sets=most_sets(case),
                hold_below_s=0.0 if stage == MENU else hot_below_s(case),
            )
        except REFUSALS as error:
            sitting.write(stage, name_of(case) | {"error": str(error)[:200]})
            sitting.timer.change_pool()
            continue
        sitting.write(stage, name_of(case) | flat(timing))
        if STAGES[stage].traced:
            sitting.timed.append(case)


def energy_cases(seed: int) -> Iterator[Case]:
    """Cases of all families in turn."""
    return round_robin(list(streams(seed + 7000).values()))


def measure_energies(sitting: Sitting, until: float) -> None:
    """Energies of a sample over all families."""
    fixed = [replace(c, anchor=True) for c in anchors()[10::9]]
    source = iter([*fixed, *islice(energy_cases(sitting.seed), 200)])
    for case in islice(source, 4 if sitting.quick else STAGES["energy"].rows):
        if time.perf_counter() > until:
            return
        try:
            burst = sitting.timer.time(build_of(case), most_sets=most_sets(case))
            energy = measure_energy(sitting.timer, build_of(case), most_sets=most_sets(case))
        except (RuntimeError, HwmodelError) as error:
            sitting.write("energy", name_of(case) | {"error": str(error)[:200]})
            continue
        sitting.write("energy", name_of(case) | {"time_s": burst.time_s} | asdict(energy))


def measure_probes(sitting: Sitting, until: float) -> None:
    """Probes of the board."""
    from hwmodel.validation.measure.probes import probe

    for result in probe(sitting.timer):
        sitting.write("probes", asdict(result))
        if time.perf_counter() > until:
            return


def llm_points(seed: int) -> list[tuple[str, list[tuple[str, int, int]]]]:
    """(model, points) of a sitting: largest models first, and points that turn with the seed."""
    plan: list[tuple[str, list[tuple[str, int, int]]]] = []
    for index, name in enumerate(CONFIGS):
        at = 5 * index + 3 * seed
        decode = [DECODE_POINTS[(at + 5 * i) % len(DECODE_POINTS)] for i in range(3)]
        prefill = [PREFILL_POINTS[(at + 4 * i) % len(PREFILL_POINTS)] for i in range(2)]
        points = [("decode", *point) for point in decode]
        plan.append((name, points + [("prefill", *point) for point in prefill]))
    return plan[::-1]


def measure_llms(sitting: Sitting, until: float) -> None:
    """Whole steps of the plain decoder stack."""
    sitting.timer.arena.clear()
    sitting.timer.new_pool()
    use_flash()
    plan = llm_points(sitting.seed)
    for name, points in plan[:2] + plan[-1:] if sitting.quick else plan:
        if time.perf_counter() > until:
            return
        measure_model(sitting, name, points, until)


def measure_model(
    sitting: Sitting, name: str, points: list[tuple[str, int, int]], until: float
) -> None:
    """The points of one model whose weights and cache fit."""
    shape = read_config(CONFIGS[name])
    torch.cuda.empty_cache()
    stack = random_stack(shape)
    for phase, batch, length in points:
        prefill = phase == "prefill"
        need = stack_bytes(shape) + cache_bytes(shape, batch, length)
        if need > MEMORY_BYTES or time.perf_counter() > until:
            continue
        case = {"family": "llm", "kernel": "torch", "dtype": "bf16", "model": name}
        case |= {"phase": phase, "batch": batch, "prompt" if prefill else "context": length}
        count, first = (length, 0) if prefill else (1, length - 1)
        try:
            with torch.cuda.stream(sitting.timer.stream):
                step = forward_step(stack, batch=batch, count=count, first=first)
                touched = experts_touched(step) if shape.experts else {}
            made = {"most_sets": 1, "hold_below_s": float("inf")}
            timing = sitting.timer.time(lambda _, step=step: step, **made)
            row = flat(timing) | {"set_bytes": need} | touched
        except RuntimeError as error:
            row = {"error": str(error)[:200]}
        sitting.write("llm", case | row)
        step = None
        sitting.timer.new_pool()


def experts_touched(step: Step) -> dict[str, float]:
    """Mean number of experts that a layer's tokens reach, and the rows of the fullest."""
    reached: list[float] = []
    fullest: list[float] = []

    def routed(chosen: torch.Tensor) -> None:
        rows = torch.bincount(chosen.flatten())
        reached.append(float((rows > 0).sum()))
        fullest.append(float(rows.max()))

    step(routed)
    return {
        "experts_touched": sum(reached) / len(reached),
        "largest_expert_rows": sum(fullest) / len(fullest),
    }


def measure_counters(sitting: Sitting, until: float) -> None:
    """Hardware counters of a sample over all families."""
    sitting.timer.arena.clear()
    sitting.timer.new_pool()
    pool = [c for c in anchors()[::4] if counters.worth_counting(c)]
    pool += [
        case
        for case in islice(energy_cases(sitting.seed + 1000), 600)
        if counters.worth_counting(case)
    ]
    count_cases(sitting, pool[: 6 if sitting.quick else STAGES["counters"].rows], until)


def measure_own_counters(sitting: Sitting, until: float) -> None:
    """The same of our own kernels in bf16, products and attention."""
    sitting.timer.arena.clear()
    sitting.timer.new_pool()
    sources = all_streams(sitting.seed + 1000)
    cases: list[Case] = []
    for stage, wanted in OWN_COUNTERS.items():
        drawn = (c for c in sources[stage] if c.dtype == "bf16" and counters.worth_counting(c))
        cases += islice(drawn, 2 if sitting.quick else wanted)
    count_cases(sitting, cases, until)


def count_cases(sitting: Sitting, cases: list[Case], until: float) -> None:
    """Counters of cases, or the reason why there are none."""
    try:
        rows = counters.count(cases, sitting.folder, timeout_s=until - time.perf_counter())
    except counters.CountersRefused as error:
        print(f"counters: {error}", flush=True)
        sitting.save_header(counters_refused=str(error)[-1500:])
        return
    for case, row in zip(cases, rows, strict=True):
        sitting.write("counters", name_of(case) | row)


def measure_launches(sitting: Sitting, until: float) -> None:
    """Which kernels the libraries launch, for shapes of the half that models are fitted to."""
    sources = all_streams(sitting.seed + 5000)
    for stage, wanted in ((stage, each.launches) for stage, each in STAGES.items()):
        if not wanted or (sitting.recorded and stage not in sitting.recorded):
            continue
        drawn = (case for case in sources[stage] if not is_test(row_of(case)))
        trace(sitting, list(islice(drawn, 6 if sitting.quick else wanted)), until)


def trace(sitting: Sitting, cases: list[Case], until: float) -> None:
    """The launches of cases, some at a time."""
    for start in range(0, len(cases), launches.CHUNK):
        if time.perf_counter() > until:
            return
        part = cases[start : start + launches.CHUNK]
        write_launches(sitting, part, launches.record(part, sitting.timer.arena))


def measure_passes(sitting: Sitting, until: float) -> None:
    """Kernels and times of products in passes of the profiler: stored shapes, then new ones."""
    cases = passes.pass_cases(sitting.seed)
    limit = 40 if sitting.quick else STAGES["passes"].rows
    for start in range(0, limit, passes.CHUNK):
        if time.perf_counter() > until:
            return
        part = list(islice(cases, min(passes.CHUNK, limit - start)))
        write_launches(sitting, part, passes.record_cold(part, sitting.timer.arena))


def measure_large_counters(sitting: Sitting, until: float) -> None:
    """Hardware counters of products whose operands exceed the L2 many times."""
    sitting.timer.arena.clear()
    sitting.timer.new_pool()
    limit = 3 if sitting.quick else STAGES["large-counters"].rows
    count_cases(sitting, list(islice(passes.large_products(sitting.seed), limit)), until)


def write_launches(
    sitting: Sitting, cases: list[Case], found: list[list[dict[str, Any]] | str]
) -> None:
    """A row for each kernel of each case, or for its refusal."""
    for case, each in zip(cases, found, strict=True):
        if isinstance(each, str):
            sitting.write("launches", name_of(case) | {"error": each})
            continue
        for index, launch in enumerate(each):
            sitting.write("launches", name_of(case) | {"launch": index} | launch)


def row_of(case: Case) -> Row:
    """The case as a stored row (numbers as floats), which knows to which half it belongs."""
    named = name_of(case)
    return Row("", "", {k: v if isinstance(v, str) else float(v) for k, v in named.items()})


def run_stage(sitting: Sitting, stage: str, seconds: float) -> None:
    """One stage within its time."""
    begin, before = time.perf_counter(), sitting.measured
    until = begin + seconds
    if stage in ("anchors", "anchors-again"):
        time_cases(sitting, stage, iter(anchors()), until + 20)
    elif stage == "energy":
        measure_energies(sitting, until)
    elif stage == "probes":
        measure_probes(sitting, until)
    elif stage == "llm":
        measure_llms(sitting, until)
    elif stage == "counters":
        measure_counters(sitting, until)
    elif stage == "triton-counters":
        measure_own_counters(sitting, until)
    elif stage == "large-counters":
        measure_large_counters(sitting, until)
    elif stage == "launches":
        measure_launches(sitting, until)
    elif stage == "passes":
        measure_passes(sitting, until)
    elif stage == "traced":
        trace(sitting, sitting.timed, until)
    else:
        time_cases(sitting, stage, sitting.sources[stage], until)
    spent_s = time.perf_counter() - begin
    print(f"{stage:14} {sitting.measured - before:4} rows {spent_s:6.1f} s", flush=True)


def main() -> None:
    """Parses the command line and runs the stages."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stages", default=",".join(STAGES))
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sitting", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--launches-of", help="stages whose launches are recorded, by commas: all")
    parser.add_argument("--quick", action="store_true", help="a few rows of each stage")
    options = parser.parse_args()
    stages = options.stages.split(",")
    unknown = [stage for stage in stages if stage not in STAGES]
    if unknown:
        parser.error(f"unknown stages {', '.join(unknown)}; known: {', '.join(STAGES)}")
    sitting = Sitting(options.out, options.sitting, options.seed, options.quick)
    sitting.recorded = tuple(options.launches_of.split(",")) if options.launches_of else ()
    torch.manual_seed(options.seed)
    try:
        with torch.cuda.stream(sitting.timer.stream):
            sitting.save_header(check_errors=check_conventions())
    except RuntimeError as error:  # a library that this GPU lacks; its cases will be refused too
        sitting.save_header(check_refused=str(error)[:500])
    sitting.save_header(**sitting.timer.calibrate())
    print(json.dumps(sitting.header), flush=True)
    end = time.perf_counter() + options.seconds
    for index, stage in enumerate(stages):
        left = sum(STAGES[name].share for name in stages[index:])
        try:
            run_stage(sitting, stage, (end - time.perf_counter()) * STAGES[stage].share / left)
        except Exception as error:  # one failed stage must not lose those after it
            traceback.print_exc()
            sitting.save_header(**{f"failed_{stage}": str(error)[:500]})
    sitting.save_header(rows=sitting.measured)


if __name__ == "__main__":
    main()
