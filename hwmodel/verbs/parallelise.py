"""`parallelise`: the best of all legal ways to divide a model's phase over devices."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Annotated, Any, ClassVar

from hwmodel.einsum.division import Division
from hwmodel.einsum.network import Workload
from hwmodel.einsum.workloads.blocks.block import Step
from hwmodel.einsum.workloads.phases import decoding, prefilling
from hwmodel.einsum.workloads.training_step import Training
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines import driver
from hwmodel.machines.blockwise import Blockwise
from hwmodel.machines.gpu.engines.shipped import engine as engine_of
from hwmodel.machines.kept import Kept
from hwmodel.mappers.parallelism.floors import KINDS, Floors
from hwmodel.mappers.parallelism.search import Costs, Counted, Searched, search
from hwmodel.mappers.parallelism.space import Space
from hwmodel.mappers.parallelism.steps import DEGREES, RUN, Steps
from hwmodel.mappers.parallelism.trained import Ways
from hwmodel.quantity.errors import CapacityError, InputError, UnknownNameError
from hwmodel.quantity.printable import shown
from hwmodel.quantity.units import counted, show
from hwmodel.show.html import Notebook
from hwmodel.show.json import plain
from hwmodel.spine.estimate import Estimate
from hwmodel.spine.memory import RESERVE_FRACTION
from hwmodel.systems.training.step import fabric_of
from hwmodel.text.grid import grid, hanging, wrapped
from hwmodel.verbs.ask import Word, in_python
from hwmodel.verbs.work import OfRun

OBJECTIVES = {"time": 0, "throughput": 1}
"""What is best -> its place among the costs: seconds of the step, device-seconds a token."""

SENT = ("all-to-all", "once", "low-latency")
"""How rows may go to experts; behind one switch the last is the first, and it is for decoding."""
KEPT = 3
"""Divisions that are told, the best first; beside them the front of both costs."""


@dataclass(frozen=True)
class Row:
    """A division, what it takes, and the memory that the fullest device has left."""

    division: Mapping[str, Any]
    time_s: float
    tokens_per_s: float
    full_tokens_per_s: float
    free_bytes: float

    @property
    def words(self) -> str:
        """The degrees, for people."""
        return " ".join(f"{name}={value}" for name, value in self.division.items()) or "tp=1"


@dataclass(frozen=True, eq=False, repr=False)
class Parallelised(Notebook):
    """The best divisions by the objective, the front of time and throughput, and the proof.

    `counted` says how all legal divisions were settled. `margin` is how much more the runner-up
    costs than the best; what was ruled out costs `least` or more.
    """

    name: str
    device: str
    objective: str
    estimate: Any
    """Of the best: an `Estimate`, or the answer to a step of training."""
    best: tuple[Row, ...]
    front: tuple[Row, ...]
    counted: Counted
    margin: float
    solve_time_s: float
    searched: str = ""
    """Of a step of training: what was searched beside its degrees."""
    notes: tuple[str, ...] = ()
    """What is told of the best: of a step of training its warnings."""

    def record(self) -> dict[str, Any]:
        """Every field, for JSON."""
        first = self.best[0]
        return plain(
            {
                "name": self.name,
                "device": self.device,
                "objective": self.objective,
                "division": first.division,
                "time_s": first.time_s,
                "tokens_per_s": first.tokens_per_s,
                "full_tokens_per_s": first.full_tokens_per_s,
                "runner_up_margin": None if math.isinf(self.margin) else self.margin,
                "best": self.best,
                "front": self.front,
                "divisions": self.counted,
                "searched": self.searched or None,
                "solve_time_s": self.solve_time_s,
                "warnings": list(self.estimate.warnings),
            }
        )

    def __str__(self) -> str:
        """The best, the front, and what was settled how."""
        first, counts = self.best[0], self.counted
        head = (
            f"{self.name} on {self.device}: {first.words} is best by {self.objective}:"
            f" {show(first.time_s, 's')}, {_rate(first.full_tokens_per_s)}"
        )
        if not math.isinf(self.margin):
            head += f"; the runner-up costs {self.margin:.1%} more"
        proof = hanging(
            f"proof     {counts.all:,} legal divisions: {counts.evaluated:,} evaluated, of which"
            f" {counts.failed:,} do not fit, {counts.ruled_out:,} ruled out by bounds,"
            f" {counts.too_large:,} by what their devices would hold; none left"
        )
        tables = (f"best by {self.objective}\n{_table(self.best)}",)
        if len(self.front) > 1:
            tables += (f"front of time and throughput\n{_table(self.front)}",)
        solved = f"search    {show(self.solve_time_s, 's')}"
        solved = f"{hanging(f'searched  {self.searched}')}\n{solved}" if self.searched else solved
        told = "\n".join(wrapped("  -", f"warning: {text}") for text in self.notes)
        return "\n\n".join((head, *tables, f"{proof}\n{solved}", *([told] if told else [])))


def _rate(tokens_per_s: float) -> str:
    return f"{show(tokens_per_s, '').rstrip()} tokens/s"


def _table(rows: tuple[Row, ...]) -> str:
    heads = ("division", "time", "tokens/s", "in a full pipeline", "free a device")
    cells = [
        [
            row.words,
            show(row.time_s, "s"),
            show(row.tokens_per_s, "").rstrip(),
            show(row.full_tokens_per_s, "").rstrip(),
            show(row.free_bytes, "bytes"),
        ]
        for row in rows
    ]
    return grid(heads, cells, left=(0,))


class Parallelise(OfRun):
    """The best of all legal ways to divide a model's phase over devices.

    `on` is as many of a device as are to share the model, `h200 * 64`; `objective` is "time", the
    seconds of the step, or "throughput", tokens a second with as many such batches under way as a
    pipeline has stages, where their caches fit. Divisions are tp, cp, dp, pp, ep, etp, sp,
    micro-batches of a pipeline, how rows go to experts (`dispatch`), and of a step of training
    whether beside other kernels (`overlap`) and, where it does not say them, its micro-batch, what
    it computes again and chunks of a pipeline (`vp`), with layers dealt to stages by their seconds.
    Bounds rule out what cannot be among the three best by any of the costs, so that best, runner-up
    and front are those of all (`searched` says of which). Raises `CapacityError` where none fits.
    """

    verb: ClassVar[str] = "parallelise"
    example: ClassVar[str] = (
        "parallelise llama-3.1-70b --context 4096 --batch 64 --on h200 --devices 8"
    )

    objective: Annotated[str, Word("What is best: time or throughput.")] = "time"
    devices: Annotated[Any, Word("How many of the device share the model.", int, words=True)] = None

    def of(self, workload: Any, on: Any, kernel: Any) -> Parallelised:
        """The best divisions."""
        if self.ways is not None:
            raise InputError(
                f"parallelise: expected no degrees, since it finds them, found {shown(self.ways)}"
            )
        machine = driver.machine_of(on)
        if self.devices is not None:
            machine = machine * counted(self.devices, where="parallelise: devices")
        if isinstance(workload, Training):
            return trained(workload, machine, self.objective, self.topology)
        return parallelised(
            workload, machine, self.objective, kernel=kernel, topology=self.topology,
            engine=self.engine,
        )  # fmt: skip

    def status(self, answer: Any) -> int:
        """What was found fits."""
        return 0


parallelise = in_python(Parallelise)


def parallelised(
    workload: Workload,
    machine: Hardware,
    objective: str = "time",
    *,
    kernel: Any = None,
    topology: Any = None,
    engine: Any = None,
) -> Parallelised:
    """The answer of the verb."""
    start = time.perf_counter()
    step = step_of(workload)
    model = workload.origin.arguments["config"]  # pyright: ignore[reportOptionalMemberAccess]
    runs, network = engine_of(engine), driver.topology_of(topology)
    share = 1 - RESERVE_FRACTION if runs is None else runs.memory.most_share
    sent = SENT if network is not None and step.decoding else SENT[:-1]
    space = list(Space(model.network, step, machine.devices, dispatches=sent))
    if objective not in OBJECTIVES:
        raise UnknownNameError("objective", objective, OBJECTIVES)
    place = OBJECTIVES[objective]
    order = [place, 1 - place]
    floors = Floors(model, step, machine, share)
    evaluate, known = evaluation(workload, machine, kernel, network, runs)

    def closer(ways: Division) -> Costs:
        """What is known of its blocks, and what the others take at the least."""
        pass_s, unknown = known(ways)
        both = floors.costs(ways, pass_s + floors.rest_s(ways, unknown))
        return both[order[0]], both[order[1]]

    def costs(ways: Division) -> Costs | None:
        found = evaluate(ways)
        both = costs_of(found)
        return (both[order[0]], both[order[1]]) if found.fits else None

    bounds = floors.of(space)[:, order]
    found: Searched[Division] = search(space, bounds, costs, keep=KEPT, closer=closer)
    if not found.best:
        raise CapacityError(
            f"parallelise: {workload.name} fits {machine.devices} x {machine.title} in none of"
            f" {found.counted.all} legal divisions; use more devices, or fewer sequences"
        )
    rows = {ways: _row(ways, evaluate(ways)) for ways, _ in (*found.best, *found.front)}
    best = found.best[0][0]
    answer = driver.predict(
        workload, machine, parallel=best, kernel=kernel, topology=network, engine=engine
    )
    return Parallelised(
        name=workload.name,
        device=answer.device,
        objective=objective,
        estimate=answer,
        best=tuple(rows[ways] for ways, _ in found.best),
        front=tuple(rows[ways] for ways, _ in found.front),
        counted=found.counted,
        margin=found.margin,
        solve_time_s=time.perf_counter() - start,
    )


def trained(
    work: Training, machine: Hardware, objective: str = "time", topology: Any = None
) -> Parallelised:
    """The best division of a step of training, and how it runs, of what the step leaves open.

    What it says (ZeRO, the schedule, a micro-batch) stands.
    """
    start = time.perf_counter()
    if objective not in OBJECTIVES:
        raise UnknownNameError("objective", objective, OBJECTIVES)
    if "global_batch" not in work.parallel:
        raise InputError(
            f"parallelise: {work.name}: global_batch: expected the sequences of a step, whichever"
            " devices share them; found none"
        )
    steps = Steps(work.model.network, work.sequence, dict(work.parallel), machine.devices)
    one = machine.but(devices=1)
    ways = Ways(work, steps, one, fabric_of(one, topology, machine.devices))
    found, searched = ways.search(KEPT)
    if not found.best:
        raise CapacityError(
            f"parallelise: {work.name} fits {machine.devices} x {machine.title} in none of"
            f" {found.counted.all} legal divisions; use more devices, or ZeRO"
        )
    known = {each: ways.found[each.how] for each, _ in found.best}
    rows = tuple(_trained_row(known[each]) for each, _ in found.best)
    answer = known[found.best[0][0]]
    return Parallelised(
        name=work.name,
        device=answer.device,
        objective=objective,
        estimate=answer,
        best=rows,
        front=rows[:1],
        counted=found.counted,
        margin=found.margin,
        solve_time_s=time.perf_counter() - start,
        searched=f"what the step leaves open of recompute and vp; {searched}",
        notes=answer.warnings,
    )


def _trained_row(found: Any) -> Row:
    how = found.execution
    rate = float(found.tokens_per_s_per_device) * found.devices
    free = float(found.capacity_bytes - found.memory_bytes)
    degrees = {name: value for name, value in how.given.items() if name in (*DEGREES, *RUN)}
    degrees |= {"dispatch": how.dispatch} if how.ep > 1 else {}
    degrees |= {"layers": _runs(how.layers)} if how.layers else {}
    return Row(degrees, float(found.step_time_s), rate, rate, free)


def _runs(layers: Sequence[int]) -> str:
    """Layers of each stage, equal ones that follow each other told once.

    >>> _runs((5, 4, 4, 4, 1))
    '5,3x4,1'
    """
    runs = [(count, len(list(same))) for count, same in groupby(layers)]
    return ",".join(f"{often}x{count}" if often > 1 else f"{count}" for count, often in runs)


def step_of(workload: Workload) -> Step:
    """The step of a model's phase, undivided; `InputError` for anything else."""
    origin = workload.origin
    if workload.served is None or origin is None:
        raise InputError(
            "parallelise: expected a phase of a model, such as hw.model(...).decode(batch=64,"
            f" context=4096), found {workload.name!r}"
        )
    given, phase = origin.arguments, origin.arguments["phase"]
    if workload.served.devices > 1 or phase == "mixed":
        what = phase if phase == "mixed" else f"one divided over {workload.served.devices} devices"
        raise InputError(f"parallelise: expected an undivided prefill or decode, found {what}")
    routing = given["routing"], given["exponent"]
    if phase == "decode":
        return decoding("parallelise", given["batch"], given["context"], *routing)
    sizes = given["batch"], given["prompt"], given.get("cached")
    return prefilling("parallelise", *sizes, *routing)


def evaluation(
    workload: Workload, machine: Hardware, kernel: Any, network: Any, engine: Any
) -> tuple[Callable[[Division], Estimate], Callable[[Division], tuple[float, frozenset[str]]]]:
    """The estimate of a division, from what divisions have in common, worked out once.

    And the seconds of a pass that are known of it without that, and of which blocks they are not.

    Without an engine that is whole blocks; engines join kernels across them.
    """
    if engine is None:
        model = workload.origin.arguments["config"]  # pyright: ignore[reportOptionalMemberAccess]
        library, asked = driver.exchanged(kernel, workload)
        blocks = Blockwise(model, step_of(workload), machine, asked, network, library)
        return blocks.estimate, blocks.known_s
    keeping = Kept()
    how = {"kernel": kernel, "topology": network, "engine": engine, "keeping": keeping}
    made = partial(driver.answered, workload, machine, **how)
    return lambda ways: made(parallel=ways), lambda ways: (0.0, frozenset(KINDS))


def costs_of(found: Estimate) -> tuple[float, float]:
    """Seconds of the step, and device-seconds a token."""
    return float(found.time_s), float(found.devices) / rate_of(found)


def rate_of(found: Estimate) -> float:
    """Tokens a second with as many batches under way as a pipeline has stages, if they fit.

    Each keeps a cache of its own; where those do not fit, what the step alone makes.
    """
    flow, rate = found.flow, float(found.tokens_per_s)
    if flow is None or found.serving is None:
        return rate
    memory = found.serving.memory
    more = max(float(flow.stages / flow.passes) - 1, 0.0)
    fits = memory.total_bytes + more * memory.kv_cache_bytes <= memory.capacity_bytes
    return float(found.full_tokens_per_s) if fits else rate


def _row(ways: Division, found: Estimate) -> Row:
    assert found.serving is not None
    memory = found.serving.memory
    free = float(memory.capacity_bytes - memory.total_bytes) / float(found.devices)
    return Row(ways.given, float(found.time_s), float(found.tokens_per_s), rate_of(found), free)
