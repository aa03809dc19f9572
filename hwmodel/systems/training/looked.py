"""Stages of blocks as a step of training runs them, and their gradients; each is looked at once.

A compiler fuses their row operations as an engine does (`gpu.engines`); nothing is written for a
cache alone, and rows are copied into the order of their experts.
"""

from collections.abc import Sequence
from typing import Any

from hwmodel.einsum.backward import Backward, backward
from hwmodel.einsum.cascade import Cascade, Stage
from hwmodel.einsum.division import Division
from hwmodel.einsum.notation import parse
from hwmodel.einsum.workloads.blocks.block import Block, Step
from hwmodel.einsum.workloads.blocks.share import Share
from hwmodel.einsum.workloads.training_step import Training
from hwmodel.machines.gpu.engines.vllm import FUSIONS

FUSED = tuple(
    fusion
    for fusion in FUSIONS
    if fusion.name not in ("norms", "mlp norm", "cache", "narrowed attention", "sampling")
)
"""Row operations that compilers and libraries of training fuse: gates, rotary, routing. Residuals
and norms stay apart: the sum is kept for the backward pass."""

ORDERED = ("rows align", "rows place")
"""Kernels of an engine that sorts rows by experts without a copy."""


class Seen:
    """Stages of layers, and gradients of their cascades, that executions have in common."""

    def __init__(self) -> None:
        self._stages: dict[tuple[Any, ...], tuple[Stage, ...]] = {}
        self._gradients: dict[int, tuple[Cascade, Backward]] = {}

    def stages(
        self, blocks: Sequence[Block], step: Step, work: Training, tp: int, layer: int | None
    ) -> tuple[Stage, ...]:
        """Those of blocks on one of tp devices."""
        key = (id(blocks), step.batch, step.queries, step.context, tp, layer)
        if key not in self._stages:
            share = Share(work.model.precision, Division(tp=tp), (layer,))
            self._stages[key] = _stages(blocks, step, share)
        return self._stages[key]

    def gradients(self, cascade: Cascade) -> Backward:
        """Those of a cascade."""
        if id(cascade) not in self._gradients:
            self._gradients[id(cascade)] = cascade, backward(cascade)
        return self._gradients[id(cascade)][1]


def workload_of(stage: Stage) -> str | None:
    """The name of the workload that a stage is, where it is one."""
    origin = stage.cascade.origin
    return None if origin is None else origin.workload


def _stages(blocks: Sequence[Block], step: Step, share: Share) -> tuple[Stage, ...]:
    """The stages that train: nothing is written for a cache alone.

    Rows are copied into the order of their experts, of which each has a product of its own, where
    an engine's one kernel reads them where they are.
    """
    found = tuple(
        stage
        for block in blocks
        for stage in block.stages(step, share)
        if not all(stage.cascade.tensors[n].role == "cache" for n in stage.cascade.outputs)
    )
    for fusion in FUSED:
        found = fusion.applied(found)
    grouped = [s for s in found if workload_of(s) == "grouped_gemm"][:1]
    permuted = [_permuted(stage, share.precision.activation) for stage in grouped]
    kept = (s for s in found if s.name not in ORDERED)
    return tuple(
        each for s in kept for each in ((*permuted, s) if grouped and s is grouped[0] else (s,))
    )


def _permuted(stage: Stage, dtype: str) -> Stage:
    """Rows of the first product of experts, as they are copied for it."""
    assert stage.cascade.origin is not None
    given = stage.cascade.origin.arguments
    sizes = {"r": given["tokens"] * given["top_k"], "d": given["K"]}
    made = parse(
        "Y[r, d] = copy(X[r, d])", sizes=sizes, dtypes={"*": dtype}, name="experts permute"
    )
    return Stage(made, stage.times)
