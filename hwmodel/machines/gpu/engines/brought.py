"""Experts whose rows DeepEP brings: what an engine that calls DeepGEMM for them runs.

Where experts are divided so, vLLM and SGLang multiply fp8 by blocks with DeepGEMM's grouped
products on Hopper (as their documentation has it). The exchange counts rows and knows their places.
Normal kernels leave a row once on a device, from which each expert's are copied together, and the
device's experts are summed before they go back (recalled: sgl-project/sglang, ep_scatter and
ep_gather); those of low latency put each expert's rows in their place, and sum what comes back.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hwmodel.einsum.cascade import Stage
from hwmodel.einsum.division import Division
from hwmodel.einsum.notation import parse
from hwmodel.machines.gpu.engines.engine import Engine
from hwmodel.quantity.arithmetic import most
from hwmodel.quantity.dtypes import base_of

FIRST = ("experts gate-up", "experts up")
COUNTED, PLACED, SUMMED = "rows align", "rows place", "experts sum"
LEFT = {"once": (COUNTED,), "low-latency": (COUNTED, PLACED, SUMMED)}
"""How rows are sent -> kernels that the exchange does the work of."""

LIBRARY, ARCHITECTURE, FORMAT = "deep-gemm", "hopper", "fp8"


def brought(
    engine: Engine, stages: Sequence[Stage], ways: Division, architecture: str | None
) -> tuple[Engine, tuple[Stage, ...]]:
    """The engine and what it runs, where DeepEP brings its experts' rows; as they are elsewhere."""
    found = tuple(stages)
    first = next((stage for stage in found if stage.name in FIRST), None)
    if first is None or not (engine.brings and _taken(first, ways, architecture)):
        return engine, found
    kept: list[Stage] = []
    for stage in found:
        if stage.name == PLACED and ways.dispatch == "once":
            kept.append(_together(stage, first))
        elif stage.name not in LEFT[ways.dispatch]:
            kept.append(stage)
    return engine.but(kernel={**engine.kernel, "grouped": LIBRARY}), tuple(kept)


def _taken(first: Stage, ways: Division, architecture: str | None) -> bool:
    """Whether the products are DeepGEMM's."""
    if ways.ep == 1 or ways.dispatch not in LEFT or architecture != ARCHITECTURE:
        return False
    given = _arguments(first)
    weights = str(given.get("weight_dtype"))
    return "@" in weights and {base_of(weights), base_of(str(given["dtype"]))} == {FORMAT}


def _together(stage: Stage, first: Stage) -> Stage:
    """Each expert's rows, copied to follow one another."""
    given = _arguments(first)
    rows = most((given["tokens"] * given["top_k"] // given["ways"], 1))
    sizes = {"r": rows, "c": given["K"]}
    text = "Y[r, c] = copy(X[r, c])"
    made = parse(text, sizes=sizes, dtypes={"*": given["dtype"]}, name="rows together")
    return replace(stage, cascade=made)


def _arguments(stage: Stage) -> dict[str, Any]:
    return dict(stage.cascade.origin.arguments) if stage.cascade.origin else {}
