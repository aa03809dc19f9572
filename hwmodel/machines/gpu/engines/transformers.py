"""Hugging Face's transformers, as `model.generate` runs a batch: torch's kernels, launched eagerly.

Every kernel of the plain stack is launched by Python, in no graph, so that small batches wait for
their host. The cache is a tensor for each layer's keys and values which every step makes anew, one
token longer (`DynamicCache.update`: torch.cat), so that all of it is read and written beside what
attention reads; a prompt's keys are kept as they are. The most likely token of each sequence is
taken. Requests are batched by whoever calls: it schedules no stream.

Its host's costs are priors, set by hand in view of 24 steps of random models on an H200
(transformers 4.57.6, torch 2.11, 2026-11-30): a kernel of ours is launched in 18 us of GPT-NeoX, 25
of Llama, whose norms are several kernels there; in its slow state that host took 71 and 116.
Seconds of Llama's kernels are 10 % off there; with `sdpa`, GPT-NeoX copies its caches twice more
than counted here. Experts were not measured.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from hwmodel.einsum.attention_shape import attention
from hwmodel.einsum.cascade import Stage
from hwmodel.einsum.notation import parse
from hwmodel.machines.gpu.engines.engine import Engine, Fusion, Graphs, Memory, Stages
from hwmodel.machines.gpu.engines.fused import TOKEN, greedy
from hwmodel.machines.gpu.libraries.library import priors
from hwmodel.quantity.arithmetic import most
from hwmodel.quantity.units import Amount

HOST = priors(
    """
    step = 0 in 0 .. 0.01: seconds of the host for a step of decode, requests apart
    request = 0 in 0 .. 0.0002: seconds more for each request of a step
    gap = 0.0002 in 0 .. 0.01: seconds from the last kernel of a step to the first of the next
    alone = 0.0005 in 0 .. 0.01: seconds before the first kernel of a prompt and after the last
    kernel = 0.000024 in 0.000015 .. 0.00012: seconds to launch a kernel of a layer
    mixture = 0.002 in 0 .. 0.02: seconds more to launch a layer's experts, one after the other
    piece = 0.0001 in 0 .. 0.002: seconds to launch a layer's graph: none is captured
    dynamic = 0.85 in 0.5 .. 1.2: dynamic joules of a step over those of its kernels alone
    """
)
MOST = 2**30
"""Tokens and sequences of a step that it takes: any."""
WRITES = ("kv write", "v write")


class Longer(Fusion):
    """Keys and values of tokens before copied, beside new ones, to where both have room.

    A prompt's are as they are. Layers that write alike may attend to different numbers of tokens.
    """

    def applied(self, stages: Sequence[Stage]) -> tuple[Stage, ...]:
        """The stages, copies before writes."""
        shapes = [(stage.times, attention(stage.cascade)) for stage in stages]
        found: list[Stage] = []
        for stage in stages:
            if stage.name not in WRITES or stage.cascade.origin is None:
                found.append(stage)
                continue
            new = stage.cascade.origin.arguments["tokens"]
            read = [(t, s) for t, s in shapes if s is not None and np.all(s.queries == new)]
            every, grown = sum((times for times, _ in read), start=0), False
            for times, shape in read:
                if np.any(np.greater(shape.keys, new)):
                    grown, before = True, most((shape.keys - new, 1))
                    found.append(_copied(stage, stage.times * times / every, before))
            found += [stage] if grown else []
        return tuple(found)


def _apart(stages: Stages) -> Sequence[Stage]:
    """Nothing by name: `applied` looks at all of them."""
    return ()


def _copied(stage: Stage, times: Amount, before: Amount) -> Stage:
    """The cache of tokens before, copied."""
    given: dict[str, Any] = dict(stage.cascade.origin.arguments) if stage.cascade.origin else {}
    kind = given["kv_dtype"] or given["dtype"]
    sizes = {"r": given["batch"] * given["kv_heads"], "c": before * given["head_dim"]}
    made = parse("Y[r, c] = copy(X[r, c])", sizes=sizes, dtypes={"*": kind}, name="cache copy")
    return replace(stage, cascade=made, times=times)


ENGINE = Engine(
    name="transformers",
    title="Hugging Face transformers",
    version="4.57",
    kernel={},
    fusions=(
        Longer("cache copies", WRITES, _apart),
        Fusion("sampling", ("head",), greedy),
    ),
    graphs=Graphs((0,)),
    host=HOST,
    memory=Memory(1.0, 1, MOST, MOST, MOST, 0.0, 0.0),
    plain=(TOKEN,),
    joins=1,
    eager=True,
    flags=("generate", "DynamicCache", "no CUDA graphs"),
)
