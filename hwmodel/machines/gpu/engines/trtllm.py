"""TensorRT-LLM's engine: its own scaled products, otherwise kernels that fuse as vLLM's do.

Nothing of it was measured here. Its products, attention and experts are of published tables
(`libraries/trtllm.py`); what else it fuses is taken from vLLM, which fuses the same (residual with
norm, gate with its activation). Its attention is one operator, which rotates, writes the cache and
narrows queries before it attends, and its products narrow their rows: the tables time all of that.
Its host is C++ and Python without a compiled graph between: priors, but for the gap between steps,
some 580 us an iteration on a B200 (issue 13957 of NVIDIA/TensorRT-LLM, PyExecutor), and what each
stage of a pipeline adds, which published rows of pipelines of RTX PRO 6000 say.
"""

from collections.abc import Sequence
from dataclasses import replace

from hwmodel.einsum.cascade import Stage
from hwmodel.machines.gpu.engines.engine import Engine, Graphs, Memory, Stages, replaced
from hwmodel.machines.gpu.engines.fused import TOKEN, greedy
from hwmodel.machines.gpu.engines.vllm import FIXED_BYTES, FUSIONS, HELD, SHARED, TORCHS
from hwmodel.machines.gpu.libraries import vllm
from hwmodel.machines.gpu.libraries.library import BLACKWELL, Launch, priors
from hwmodel.machines.gpu.schedules import inductor, rows


def _within(stages: Stages) -> Sequence[Stage]:
    """Nothing: what attention's operator does, which is timed with it."""
    return ()


OWN = {"sampling": greedy, "rotary": _within, "cache": _within}
FUSED = replaced(FUSIONS, OWN, without=("narrowed attention",))

HOST = priors(
    """
    step = 0.001 in 0 .. 0.01: seconds of the host for a step of decode, requests apart
    request = 0.000002 in 0 .. 0.0002: seconds more for each request of a step
    stage = 0.008 in 0 .. 0.1: the same of each stage of a pipeline, whose ranks hand each other the
        tokens of a batch as pickled objects
    staged = 0.000034 in 0 .. 0.001: seconds more for each request of a stage's batch
    active = 0.0000038 in 0 .. 0.0001: seconds more for each request in all batches, which every
        stage looks through for answers after each
    gap = 0.00058 in 0 .. 0.002: seconds from the last kernel of a step to the first of the next
    alone = 0.002 in 0.001 .. 0.01: seconds before the first kernel of a prompt and after the last
    kernel = 0.000006 in 0 .. 0.0001: seconds to launch a kernel of a layer without a graph
    mixture = 0.00003 in 0 .. 0.001: seconds more to launch a layer's experts
    piece = 0.00003 in 0 .. 0.001: seconds to launch a layer's graph and its attention
    dynamic = 0.85 in 0.5 .. 1.2: dynamic joules of a step over those of its kernels alone
    """
)

CAPTURED = (1, 2, 4, *range(8, 129, 8), 256, 512, 1024, 2048)
"""Sequences that a graph is captured for: small ones by 8, then doublings and the largest batch
(NVIDIA/TensorRT-LLM, llm_args.py, `_generate_cuda_graph_batch_sizes` with padding)."""

ROWS = replace(
    vllm.LIBRARY,
    launches={"rows": Launch(rows.activity, inductor.MENU, inductor.joined)},
)
"""Rows at the pace of vLLM's, but for its kernels that narrow by groups: TensorRT-LLM's are not
those, and were never timed apart."""

ENGINE = Engine(
    name="trtllm",
    title="TensorRT-LLM",
    version="1.0",
    kernel={**dict.fromkeys(("attention", "grouped", "gemm"), "trtllm"), "rows": ROWS},
    fusions=FUSED,
    graphs=Graphs(CAPTURED, last=True),
    host=HOST,
    memory=Memory(0.9, 32, 8192, 2048, 17000, FIXED_BYTES, HELD, of_rest=True, whole=True),
    plain=(TOKEN,),
    aside=(SHARED,),
    together=(*TORCHS, "rows align", "experts relu squared", "relu2"),
    reduces="vllm",
    dispatch="gather",
    narrowed={"fp32": "bf16"},
    schemes={"fp8": "fp8", "nvfp4": "nvfp4", "fp4": "nvfp4"},
    eighths=dict.fromkeys(BLACKWELL, ("mxfp4",)),
    flags=("max_num_tokens 8192", "max_batch_size 2048", "overlap scheduling"),
)
