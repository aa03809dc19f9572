"""SGLang's engine: its own scaled products, otherwise kernels that fuse as vLLM's do.

Nothing of it was measured here. Its products in narrow formats are of published tables
(`libraries/sglang.py`), narrowing of their rows inside; attention (FlashAttention-3 on Hopper,
FlashInfer elsewhere), experts (a Triton kernel of one ancestor) and what else it fuses are vLLM's,
but that it never copies whole queries beside latents (recalled: models/deepseek_v2.py: they are
rotated in place, and attention takes both parts of a query).
A step of decode is one graph; prompts have none, each kernel is launched by Python, and no step
does both (`systems/serving/scheduler.py`). The scheduler works one step ahead, so that the GPU
waits for a graph's launch alone. Memory as `arg_groups/memory_hook.py` of version 0.5.23 keeps it
back: half a GiB, 1.5 MiB for each token of a chunk, and graphs. The host's costs are priors.
"""

from collections.abc import Sequence

from hwmodel.einsum.cascade import Stage
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

CAPTURED = (1, 2, 4, 8, 12, *range(16, 257, 8))
"""Sequences that a graph is captured for where memory is 60 GB or more and tp below 4 (recalled:
sgl-project/sglang, server_args.py); with tp of 4 and more it goes on by 16 to 512."""

FIXED_BYTES, TOKEN_BYTES = 1.2e9, 1.5 * 2**20
"""What a device keeps beside weights and cache: half a GiB, graphs of 256 sequences and buffers of
joining devices; of each token of a chunk."""

ENGINE = Engine(
    name="sglang",
    title="SGLang",
    version="0.5",
    kernel={**dict.fromkeys(("attention", "grouped", "rows"), "vllm"), "gemm": "sglang"},
    fusions=FUSED,
    graphs=Graphs(CAPTURED),
    host=HOST,
    memory=Memory(1.0, 1, 8192, 2048, 17000, FIXED_BYTES, 0.0, token_bytes=TOKEN_BYTES),
    plain=(TOKEN,),
    aside=(SHARED,),
    together=(*TORCHS, "rows align", "experts relu squared", "relu2"),
    reduces="vllm",
    brings=True,
    narrowed={"fp32": "bf16"},
    schemes={"fp8": "fp8", "w8a8_fp8": "fp8"},
    flags=(
        "chunked_prefill_size 8192",
        "cuda_graph_max_bs 256",
        "overlap scheduling",
    ),
)
