"""Hugging Face's transformers, as `model.generate` runs a batch: torch's kernels, launched eagerly.

Every kernel of the plain stack is launched by Python, in no graph, so that small batches wait for
their host. The cache is a tensor for each layer's keys and values which every step makes anew, one
token longer (`DynamicCache.update`: torch.cat), so that all of it is read and written beside what
attention reads; a prompt's keys are kept as they are. The most likely token of each sequence is
taken. Requests are batched by whoever calls: it schedules no stream.

Its host's costs are priors. No cache is set aside: what weights and a context leave of the memory.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hwmodel.einsum.attention_shape import AttentionShape, attention
from hwmodel.einsum.cascade import Stage
from hwmodel.einsum.notation import parse
from hwmodel.machines.gpu.engines.engine import Engine, Fusion, Graphs, Memory
from hwmodel.machines.gpu.engines.fused import TOKEN, greedy
from hwmodel.machines.gpu.libraries.library import priors
from hwmodel.quantity.units import Amount

HOST = priors(
    """
    step = 0 in 0 .. 0.01: seconds of the host for a step of decode, requests apart: in `gap`
    request = 0 in 0 .. 0.0002: seconds more for each request of a step
    gap = 0.001 in 0 .. 0.01: seconds from the last kernel of a step to the first of the next
    alone = 0.001 in 0 .. 0.01: seconds before the first kernel of a prompt and after the last
    kernel = 0.00001 in 0.000003 .. 0.0001: seconds to launch a kernel of a layer
    mixture = 0.002 in 0 .. 0.02: seconds more to launch a layer's experts, one after the other
    piece = 0.0001 in 0 .. 0.002: seconds to launch a layer's graph: none is captured
    dynamic = 0.85 in 0.5 .. 1.2: dynamic joules of a step over those of its kernels alone
    """
)
CONTEXT_BYTES = 0.6e9
"""What a process holds of a device: its context and libraries' workspaces (recalled)."""
MOST = 2**30
"""Tokens and sequences of a step that it takes: any."""
WRITES = ("kv write", "v write")


@dataclass(frozen=True)
class Longer:
    """Keys and values of all tokens copied behind one another, in the place of writes to a cache.

    A prompt's are as they are. Layers that write alike may attend to different numbers of tokens.
    """

    name: str = "longer cache"

    def applied(self, stages: Sequence[Stage]) -> tuple[Stage, ...]:
        """The stages, writes as copies."""
        shapes = [(stage.times, attention(stage.cascade)) for stage in stages]
        found: list[Stage] = []
        for stage in stages:
            if stage.name not in WRITES or stage.cascade.origin is None:
                found.append(stage)
                continue
            new = stage.cascade.origin.arguments["tokens"]
            read = [(t, s) for t, s in shapes if s is not None and np.all(s.queries == new)]
            every = sum((times for times, _ in read), start=0)
            found += [_copied(stage, stage.times * t / every, s) for t, s in read if _grows(s, new)]
        return tuple(found)


def _grows(shape: AttentionShape, new: Amount) -> bool:
    """Whether it attends to more tokens than are new."""
    return not np.all(np.equal(shape.keys, new))


def _copied(stage: Stage, times: Amount, shape: AttentionShape) -> Stage:
    """The cache of all tokens that are attended to, made anew."""
    given: dict[str, Any] = dict(stage.cascade.origin.arguments) if stage.cascade.origin else {}
    kind = given["kv_dtype"] or given["dtype"]
    sizes = {"r": given["batch"] * given["kv_heads"] * shape.keys, "c": given["head_dim"]}
    made = parse("Y[r, c] = copy(X[r, c])", sizes=sizes, dtypes={"*": kind}, name=stage.name)
    return replace(stage, cascade=made, times=times)


ENGINE = Engine(
    name="transformers",
    title="Hugging Face transformers",
    version="4.57",
    kernel={},
    fusions=(
        Longer(),
        Fusion("sampling", ("head",), greedy),
    ),
    graphs=Graphs((0,)),
    host=HOST,
    memory=Memory(1.0, 1, MOST, MOST, MOST, CONTEXT_BYTES, 0.0),
    plain=(TOKEN,),
    joins=1,
    flags=("generate", "DynamicCache", "no CUDA graphs"),
)
