"""A network as a value: stages, each a cascade that runs a number of times in a row.

A decoder stack is `embedding, layers x (norm, qkv, rotary, ...), norm, head`. A stage is what one
library call computes; repeating a stage costs its counts times `times`, and equal layers are never
unrolled. Sizes inside the cascades may be arrays, as everywhere.
"""

from dataclasses import dataclass

from hwmodel.einsum.cascade import Cascade, Origin


@dataclass(frozen=True)
class Stage:
    """One cascade, run `times` in sequence (once per layer, say)."""

    cascade: Cascade
    times: int = 1


@dataclass(frozen=True)
class Stack:
    """Stages in order; `origin` says which model, phase and sizes made them."""

    name: str
    stages: tuple[Stage, ...]
    origin: Origin | None = None
