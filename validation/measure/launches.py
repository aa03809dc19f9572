"""Which kernels a library launches for a case: name, grid, block, shared memory, registers.

Read from torch's profiler (CUPTI's activity records), one trace for many cases, between which a
marker kernel runs. The names of cuBLAS's kernels state their tile, cluster and splits, so that the
rules of the library can be read off rather than guessed from times. The times of the trace are for
orientation only: inputs are warm and the clock is not watched.
"""

# pyright: basic, reportMissingImports=false

import re
from collections.abc import Sequence
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from hwmodel.quantity.errors import HwmodelError
from hwmodel.validation.measure.arena import Arena, Carver
from hwmodel.validation.measure.cases import build_of
from hwmodel.validation.measure.shapes import Case
from hwmodel.validation.measure.trace_events import MARKER, gpu_events

CHUNK = 100
"""Cases of one trace."""

LONGEST_NAME = 160
NAMED_TWICE = re.compile(r"void cutlass::Kernel2?<(\w+)>\(")
"""A kernel, then its arguments, which are named after it."""


def record(cases: Sequence[Case], arena: Arena) -> list[list[dict[str, Any]] | str]:
    """For each case its launches in order, or the words in which the library refused it."""
    found: list[list[dict[str, Any]] | str] = []
    for start in range(0, len(cases), CHUNK):
        found += _traced(cases[start : start + CHUNK], arena)
    return found


def _traced(cases: Sequence[Case], arena: Arena) -> list[list[dict[str, Any]] | str]:
    marker = torch.zeros(8, dtype=torch.int16, device=arena.device)
    refused: dict[int, str] = {}
    calls = [_prepared(case, arena, refused, at) for at, case in enumerate(cases)]
    torch.cuda.synchronize()
    with profile(activities=[ProfilerActivity.CUDA]) as trace:
        for at, call in enumerate(calls):
            marker.fill_(1)
            try:
                if call is not None:
                    call()
            except RuntimeError as error:
                refused[at] = str(error)[:200]
        marker.fill_(1)
        torch.cuda.synchronize()
    groups = split_at_markers(gpu_events(trace))
    plain = [[_without_start(launch) for launch in group] for group in groups[: len(cases)]]
    return [refused.get(at, group) for at, group in enumerate(plain)]


def _prepared(case: Case, arena: Arena, refused: dict[int, str], at: int) -> Any:
    """The call of a case, run once so that modules are loaded and workspaces exist."""
    try:
        call = build_of(case)(Carver(arena))
        call()
    except (RuntimeError, HwmodelError) as error:
        refused[at] = str(error)[:200]
        return None
    return call


def _without_start(launch: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in launch.items() if name != "start_s"}


def split_at_markers(events: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """The launches after each marker, in the stream's order; `start_s` is by the trace's clock."""
    groups: list[list[dict[str, Any]]] = []
    for event in sorted(events, key=lambda e: float(e["ts"])):
        if MARKER.search(event["name"]):
            groups.append([])
        elif groups:
            groups[-1].append(_launch(event))
    return groups


def _launch(event: dict[str, Any]) -> dict[str, Any]:
    facts = event.get("args", {})
    return {
        "name": short(event["name"]),
        "grid": "x".join(str(n) for n in facts.get("grid", ())),
        "threads": _product(facts.get("block", ())),
        "shared_bytes": facts.get("shared memory"),
        "registers": facts.get("registers per thread"),
        "start_s": float(event["ts"]) * 1e-6,
        "traced_s": float(event.get("dur", 0.0)) * 1e-6,
    }


def _product(sizes: Sequence[int]) -> int:
    total = 1
    for size in sizes:
        total *= int(size)
    return total


def short(name: str) -> str:
    """A kernel's name; of a long template its first word and the tile shapes in its arguments.

    Where it states none, the beginning of its arguments (cuDNN's kernels name their tile there).
    """
    if named := NAMED_TWICE.match(name):
        return named.group(1)
    if len(name) <= LONGEST_NAME:
        return name
    head = re.split(r"[<(]", name.removeprefix("void "), maxsplit=1)[0]
    shapes = re.findall(r"tuple<((?:cute::C<\d+>(?:, )?|_\d+(?:, )?)+)\s*>", name)
    tiles = ["x".join(re.findall(r"\d+", shape)) for shape in shapes]
    schedules = re.findall(r"Kernel\w*(?:Pingpong|Cooperative|WarpSpecialized)\w*", name)
    told = [*schedules[:2], *tiles[:6]]
    return " ".join(dict.fromkeys([head, *told]) if told else [name])[: 2 * LONGEST_NAME]
