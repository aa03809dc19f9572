"""SGLang's engine: its own scaled products, otherwise kernels that fuse as vLLM's do.

Nothing of it was measured here. Its products in narrow formats are of published tables
(`libraries/sglang.py`), narrowing of their rows inside; attention (FlashAttention-3 on Hopper,
FlashInfer elsewhere), experts (a Triton kernel of one ancestor) and what else it fuses are vLLM's,
but that it never copies whole queries beside latents (recalled: models/deepseek_v2.py: they are
rotated in place, and attention takes both parts of a query).
A step of decode is one graph; prompts have none, each kernel is launched by Python, and no step
does both (`systems/serving/scheduler.py`). The scheduler works one step ahead, so that the GPU
waits for a graph's launch alone. Memory as `arg_groups/memory_hook.py` of version 0.5.23 keeps it
back: half a GiB, 1.5 MiB for each token of a chunk, and graphs, of which both a device's memory and
its tp set the largest (`started`). The host's costs are priors.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from hwmodel.einsum.cascade import Stage
from hwmodel.einsum.division import ALONE, Division
from hwmodel.machines.gpu.engines.engine import Engine, Graphs, Memory, Stages, replaced
from hwmodel.machines.gpu.engines.fused import TOKEN, greedy
from hwmodel.machines.gpu.engines.vllm import FUSIONS, SHARED, TORCHS
from hwmodel.machines.gpu.libraries.library import priors


def _in_place(stages: Stages) -> Sequence[Stage]:
    """Nothing: the rotated part of queries beside latents is written where it stands."""
    return ()


FUSED = replaced(
    FUSIONS, {"sampling": greedy, "queries": _in_place}, without=("narrowed attention",)
)

HOST = priors(
    """
    step = 0.002 in 0 .. 0.01: seconds of the host for a step of decode, requests apart
    request = 0.00001 in 0 .. 0.0002: seconds more for each request of a step
    gap = 0.0002 in 0 .. 0.002: seconds from the last kernel of a step to the first of the next
    alone = 0.003 in 0.001 .. 0.01: seconds before the first kernel of a prompt and after the last
    kernel = 0.000012 in 0 .. 0.0005: seconds to launch a kernel of a layer without a graph
    mixture = 0.0001 in 0 .. 0.005: seconds more to launch a layer's experts
    piece = 0.00015 in 0 .. 0.002: seconds to launch a layer's kernels of a prompt
    dynamic = 0.85 in 0.5 .. 1.2: dynamic joules of a step over those of its kernels alone
    """
)

CAPTURED = (1, 2, 4, 8, 12, *range(16, 257, 8), *range(272, 513, 16))
"""Sequences that a graph is captured for, up to a device's largest (recalled: server_args.py)."""

SIZES = (
    (20, 2048, 8, 8),
    (35, 4096, 48, 160),
    (60, 4096, 32, 160),
    (90, 8192, 256, 512),
    (160, 8192, 256, 512),
    (math.inf, 16384, 512, 512),
)
"""GiB of a device below which a chunk has so many tokens, and the largest graph so many sequences,
or with tp of 4 and more so many (`arg_groups/memory_hook.py` of version 0.5.23)."""

WIDE_TP = 4
"""Devices of tensor parallelism from which graphs are larger."""

GIB, MIB = 2.0**30, 2.0**20
CONTEXT_BYTES, TOKEN_BYTES, GRAPH_BYTES, JOINING_BYTES = 512 * MIB, 1.5 * MIB, 2 * MIB, 128 * MIB
"""What a device keeps beside weights and cache: at least, of each token of a chunk, of each
sequence of the largest graph (recalled) and for each device that it joins."""


def started(memory_bytes: float, ways: Division) -> Mapping[str, Any]:
    """The chunk, graphs and reserve of an engine on a device, where nothing is said."""
    told = next(each for each in SIZES if memory_bytes < each[0] * GIB)
    chunk, largest = told[1], told[3 if ways.tp * ways.dp >= WIDE_TP else 2]
    fixed = CONTEXT_BYTES + largest * GRAPH_BYTES + ways.tp * ways.pp * JOINING_BYTES
    return {
        "graphs": Graphs(tuple(n for n in CAPTURED if n <= largest)),
        "memory": Memory(1.0, 1, chunk, 2048, 17000, fixed, 0.0, token_bytes=TOKEN_BYTES),
    }


H200_BYTES = 141e9
"""The device of which the engine is shown."""

ENGINE = Engine(
    name="sglang",
    title="SGLang",
    version="0.5",
    kernel={**dict.fromkeys(("attention", "grouped", "rows"), "vllm"), "gemm": "sglang"},
    fusions=FUSED,
    host=HOST,
    **started(H200_BYTES, ALONE),
    started=started,
    plain=(TOKEN,),
    aside=(SHARED,),
    together=(*TORCHS, "rows align", "experts relu squared", "relu2"),
    reduces="vllm",
    brings=True,
    narrowed={"fp32": "bf16"},
    schemes={"fp8": "fp8", "w8a8_fp8": "fp8"},
    flags=(
        "chunked_prefill_size and cuda_graph_max_bs by memory and tp (an H200's 8192 and 256)",
        "overlap scheduling",
    ),
)
