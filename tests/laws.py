"""Laws that every prediction obeys, as functions of one case (at random: `tests/law_cases.py`).

A case is a line of a cases file: JSON fields that name a workload, its sizes and a machine; or a
cascade in notation under `text`, with its `sizes`. Each law takes a case and returns what breaks
it, one sentence each, and nothing where it is refused: what no model covers obeys any law.
`test_laws` draws a few thousand, `benchmarks/laws.py` as many as one likes.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any, TypeAlias

import numpy as np
from hypothesis import strategies as st

import hwmodel as hw
from hwmodel.einsum.cascade import Cascade
from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import Hardware, limits
from hwmodel.machines.driver import Workload, predict
from hwmodel.machines.gpu.calls import run
from hwmodel.machines.gpu.libraries.shipped import family_of
from hwmodel.machines.gpu.lower import Call, lower
from hwmodel.machines.gpu.rates import rates
from hwmodel.quantity.errors import HwmodelError
from hwmodel.spine.activity import fold
from hwmodel.spine.estimate import Estimate
from hwmodel.verbs.cases import predict_lines
from tests.law_cases import (
    ALL,
    GPU,
    KERNELS,
    Case,
    models,
)

Law: TypeAlias = Callable[[Case], list[str]]

SLACK = 1e-9
"""Of sums in float64, relative."""


# From a case to predictions.


def workload_of(case: Case, **changed: Any) -> Workload:
    """The workload of a case, with other sizes or formats."""
    given = {name: value for name, value in case.items() if name not in ("on", "kernel")}
    given |= changed
    if "text" in given:
        dtypes = {"*": given["dtype"]}
        return hw.parse(given["text"], sizes=given["sizes"], dtypes=dtypes)
    name = given.pop("workload")
    if name != "llm":
        return hw.workloads.workload(name, **given)
    formats = {n: given[n] for n in ("weight_dtype", "kv_dtype", "quantise") if n in given}
    read = hw.model(given.pop("config"), **formats)
    phase = given.pop("phase")
    if phase == "decode":
        return read.decode(given["batch"], given["context"])
    return read.prefill(given["batch"], given["prompt"])


def estimate_of(case: Case, on: Hardware | None = None, **changed: Any) -> Estimate | None:
    """The prediction of a case, on another machine if given; None where it is refused."""
    machine = on or device(case["on"])
    try:
        if case.get("workload") == "collective":
            given = {**case, **changed}
            return hw.collective(given["op"], given["bytes"], given["ranks"], machine)
        return predict(workload_of(case, **changed), machine, kernel=case.get("kernel"))
    except HwmodelError:
        return None


def moved(estimate: Estimate) -> float:
    """Bytes across the DRAM's boundary."""
    return float(estimate.dram_bytes_read) + float(estimate.dram_bytes_written)


def converting(estimate: Estimate) -> float:
    """Bytes of the kernels that narrow what another wrote, which a wider format has no need of."""
    added = (part for part in estimate.parts if part.name.endswith(" to fp8"))
    each = (p.times * (p.counts.read["dram"] + p.counts.written["dram"]) for p in added)
    return float(estimate.devices) * sum(float(size) for size in each)


def above(more: Any, less: Any) -> bool:
    """Whether one number exceeds another by more than rounding."""
    return float(more) > float(less) * (1 + SLACK)


# Laws.


def floors(case: Case) -> list[str]:
    """No traffic below its bound, no time or fast end below the roofline, ends in order, energy."""
    found = estimate_of(case)
    if found is None:
        return []
    broken: list[str] = []
    time_s, low, high = (float(t) for t in (found.time_s, found.time_low_s, found.time_high_s))
    if above(found.bound_bytes, moved(found)):
        broken.append(f"bound {float(found.bound_bytes):.9g} B above traffic {moved(found):.9g}")
    if above(found.bound_s, time_s):
        broken.append(f"roofline {float(found.bound_s):.9g} s above time {time_s:.9g}")
    if above(found.bound_s, low):
        broken.append(f"roofline {float(found.bound_s):.9g} s above fast end {low:.9g}")
    if above(low, time_s) or above(time_s, high):
        broken.append(f"time {time_s:.9g} s outside {low:.9g} to {high:.9g}")
    if above(time_s, found.sustained_time_s):
        broken.append(f"time {time_s:.9g} s above sustained {float(found.sustained_time_s):.9g}")
    joules = float(found.energy_j)
    if not joules > 0:
        broken.append(f"energy {joules:.9g} J")
    parts = math.fsum(float(part) for part in found.energy_by_j.values())
    if not math.isclose(parts, joules, rel_tol=1e-6):
        broken.append(f"parts of the energy sum to {parts:.9g} of {joules:.9g} J")
    return broken


def json_is_python(case: Case) -> list[str]:
    """A line of a cases file gets the answer that Python gets."""
    if "text" in case:
        return []
    (answer,) = predict_lines([json.dumps(case)])
    found = estimate_of(case)
    if found is None or "error" in answer:
        return [] if found is None and "error" in answer else [f"refused once: {answer}"]
    record = found.record()
    unsaid = {*record.pop("warnings")} ^ {*answer["warnings"]}
    broken = [
        f"{name}: {answer[name]!r} in JSON, {value!r} in Python"
        for name, value in record.items()
        if not _same(answer.get(name), value)
    ]
    return [*broken, *(f"said in one of both: {warning}" for warning in unsaid)]


def _same(one: Any, other: Any) -> bool:
    if one is None or other is None or isinstance(other, str):
        return bool(one == other) or (one is None and other != other)
    return math.isclose(float(one), float(other), rel_tol=SLACK)


def scalar_is_array(case: Case) -> list[str]:
    """A point of a sweep gets the answer that it gets alone."""
    if "text" in case:
        return []
    names = [n for n, v in case.items() if type(v) is int and n not in ("kv_heads", "heads")]
    names = [n for n in names if n not in ("experts", "top_k", "ranks", "head_dim")]
    if case["workload"] == "attention":
        names.remove("queries")  # one call has few queries or many
    arrays: Case = {n: np.array([case[n], 2.0 * case[n], 64.0 * case[n]]) for n in names}
    alone, among = estimate_of(case), estimate_of(case, None, **arrays)
    if alone is None or among is None:
        return []
    return [
        f"{name}: {one} alone, {first} in an array"
        for name in ("time_s", "time_low_s", "energy_j", "dram_bytes_read", "bound_bytes")
        for one, first in ((getattr(alone, name), np.ravel(getattr(among, name))[0]),)
        if not math.isclose(float(one), float(first), rel_tol=1e-12)
    ]


BETTER: dict[str, Callable[[Hardware], Hardware]] = {
    "dram bandwidth": lambda h: _memory(h, "dram", "bandwidth_bytes_per_s"),
    "l2 bandwidth": lambda h: _memory(h, "l2", "bandwidth_bytes_per_s"),
    "l2 capacity": lambda h: _memory(h, "l2", "capacity_bytes"),
    "shared bandwidth": lambda h: _memory(h, "shared", "bandwidth_bytes_per_s"),
    "matrix rate": lambda h: _unit(h, "matrix"),
    "vector rate": lambda h: _unit(h, "vector"),
    "exp rate": lambda h: _unit(h, "exp"),
    "port": lambda h: h.but(
        processors={"port_bytes_per_clock": 2 * h.processors.port_bytes_per_clock}
    ),
    "clock": lambda h: h.but(clock_hz=1.5 * h.clock_hz),
    "a processor more": lambda h: _processors(h, int(h.processors.count) + 1),
    "twice the processors": lambda h: _processors(h, 2 * int(h.processors.count)),
    "many processors": lambda h: _processors(h, 131072),
    "launch": lambda h: h.but(launch={"graph_s": h.launch.graph_s / 2}),
}
"""Machines of which one number is better, and what follows it."""


def _processors(machine: Hardware, count: int) -> Hardware:
    """More of them, and as much L2 for each: of more rows in flight it would keep less."""
    share = machine.memories["l2"].capacity_bytes / machine.processors.count
    return machine.but(processors={"count": count}, l2={"capacity_bytes": share * count})


def _memory(machine: Hardware, level: str, field: str) -> Hardware:
    return machine.but(memories={level: {field: 2 * getattr(machine.memories[level], field)}})


def _unit(machine: Hardware, name: str) -> Hardware:
    known = machine.units[name].rate_per_s
    return machine.but(units={name: {"rate_per_s": {d: 2 * rate for d, rate in known.items()}}})


@cache
def better(name: str, kind: str) -> Hardware:
    """A shipped GPU, better in one number."""
    return BETTER[kind](device(name))


ANOMALY = 5e-3
"""Of one processor more: blocks that fill whole waves and those left over are two phases, and a
block that moves from the second, which waits for latencies, to the first takes its bytes along."""


def better_is_no_slower(case: Case) -> list[str]:
    """More of anything never slows a kernel whose tile stays, at the full clock."""
    machine = device(case["on"])
    broken: list[str] = []
    try:
        workload = workload_of(case)
        assert isinstance(workload, Cascade)
        calls = lower(workload, case.get("kernel"))
        times = [(call, *_tiled(call, machine)) for call in calls]
    except HwmodelError:
        return []
    for call, tile, time_s in times:
        for kind in BETTER:
            other = better(case["on"], kind)
            room = 1 + ANOMALY if kind == "a processor more" else 1
            later_s = _at(call, tile, other)
            if above(later_s, time_s * room):
                broken.append(f"{call.name}: {kind}: {time_s:.9g} s become {later_s:.9g} s")
            best_s = _tiled(call, other)[1] if len(call.menu) > 1 and not call.resolve else 0.0
            if above(best_s, time_s * room):
                broken.append(
                    f"{call.name}: {kind}: of the menu's best, {time_s:.9g} s become {best_s:.9g} s"
                )
    return broken


def _tiled(call: Call, machine: Hardware) -> tuple[Any, float]:
    """The tile that a kernel is launched with, and its time at the full clock."""
    found = run(call, machine, _parameters(call, machine))
    return found.tile, float(found.folded.time_s)


def _parameters(call: Call, machine: Hardware) -> Mapping[str, float]:
    assert machine.calibration is not None
    family = family_of(machine.calibration, call.family)
    return {name: parameter.value for name, parameter in family.parameters.items()}


def _at(call: Call, tile: Any, machine: Hardware) -> float:
    """Seconds of a kernel with a given tile."""
    activity = call.activity(call.problem, tile, limits(machine))
    return float(fold(activity, rates(machine, _parameters(call, machine))).time_s)


WHOLE = 128
"""Sizes that are multiples of it keep the alignment of their rows when they double."""


FIRST_KEYS, QUERIED = 0.1, ("queries", "heads")
"""Share of a short attention's time by which more blocks of one head may shorten it: its first keys
come once for all of them (fitted: `schedules.attention.ends`)."""


def doubling_costs(case: Case) -> list[str]:
    """Twice of a size never lowers bound or roofline, nor the time where tiles stay as they were.

    A library's next tile may be faster, and so are rows that begin on a line of memory.
    """
    found = estimate_of(case)
    if found is None:
        return []
    broken: list[str] = []
    for name, doubled in _doubled(case):
        after = estimate_of(case, None, **doubled)
        if after is None:
            continue
        if above(found.bound_bytes, after.bound_bytes):
            broken.append(
                f"twice {name}: bound {float(found.bound_bytes):.9g} B falls to"
                f" {float(after.bound_bytes):.9g}"
            )
        if above(found.bound_s, after.bound_s):
            broken.append(
                f"twice {name}: roofline {float(found.bound_s):.9g} s falls to"
                f" {float(after.bound_s):.9g}"
            )
        tiles = [[part.tile for part in each.parts] for each in (found, after)]
        sized = {**case, **case.get("sizes", {})}.get(name, 0)
        same = sized % WHOLE == 0 and tiles[0] == tiles[1] and None not in tiles[0]
        room = FIRST_KEYS if case.get("workload") == "attention" and name in QUERIED else 0
        if same and above(float(found.time_s) * (1 - room), after.time_s):
            broken.append(
                f"twice {name}: the same tile, yet {float(found.time_s):.9g} s fall to"
                f" {float(after.time_s):.9g}"
            )
    return broken


def _doubled(case: Case) -> Iterator[tuple[str, Case]]:
    """Each size that may be doubled by itself."""
    if "text" in case:
        for rank, size in case["sizes"].items():
            yield rank, {"sizes": {**case["sizes"], rank: 2 * size}}
        return
    held = ("kv_heads", "top_k", "ranks", "head_dim")
    causal = ("queries",) if case.get("causal") else ()
    for name, value in case.items():
        if type(value) is int and name not in (*held, *causal):
            yield name, {name: 2 * value}


NARROWER: dict[str, tuple[Case, ...]] = {
    "gemm": ({"dtype": "fp8"}, {"weight_dtype": "fp8"}, {"weight_dtype": "int4"}),
    "attention": ({"dtype": "fp8"}, {"kv_dtype": "fp8"}),
    "moe": ({"dtype": "fp8"}, {"weight_dtype": "fp8"}, {"weight_dtype": "int4"}),
    "llm": (
        *({"weight_dtype": "fp8"}, {"kv_dtype": "fp8"}, {"weight_dtype": "int4"}),
        *({"quantise": "fp8"}, {"quantise": "w4a16"}, {"quantise": "nvfp4"}),
    ),
}
"""Workload -> formats of fewer bytes than the 16 bits that it has."""
WIDE = ("bf16", "fp16")


def narrow_moves_less(case: Case) -> list[str]:
    """A format of fewer bytes never moves more, and is no slower where the DRAM binds in both.

    Conversions aside: to write a key in fp8 takes a kernel that a short context never earns back.
    """
    dtype = case.get("dtype", "bf16")
    narrower = NARROWER.get(case.get("workload", ""), ()) if dtype in WIDE else ()
    narrower = ({"dtype": "bf16"},) if dtype == "fp32" else narrower
    found = estimate_of(case) if narrower else None
    if found is None:
        return []
    broken: list[str] = []
    for change in narrower:
        after = estimate_of(case, None, **change)
        if after is None:
            continue
        size = moved(after) - converting(after)
        if above(size, moved(found)):
            broken.append(f"{change}: {moved(found):.9g} B grow to {size:.9g}")
        families = [tuple(p.family for p in each.parts) for each in (found, after)]
        bound = {str(found.bottleneck), str(after.bottleneck)} == {"dram"}
        if bound and families[0] == families[1] and above(after.time_s, found.time_s):
            broken.append(
                f"{change}: dram binds in both, yet {float(found.time_s):.9g} s become"
                f" {float(after.time_s):.9g}"
            )
    return broken


LAWS: dict[str, tuple[Law, st.SearchStrategy[Case]]] = {
    "floors": (floors, ALL),
    "better machines": (better_is_no_slower, KERNELS),
    "doubling": (doubling_costs, GPU),
    "narrower formats": (narrow_moves_less, st.one_of(KERNELS, models())),
    "scalar is array": (scalar_is_array, GPU),
    "JSON is Python": (json_is_python, ALL),
}
"""Name -> the law, and the cases that it is about."""
