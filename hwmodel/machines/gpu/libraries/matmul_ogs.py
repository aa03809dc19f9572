"""Triton's gathered products of weights in mxfp4, as vLLM runs experts of gpt-oss on Hopper.

A prior: their efficiencies are those of vLLM's other experts, which are Triton's too.
"""

from hwmodel.machines.gpu.libraries.library import GENERATIONS, HALVES, Launch, Library, Support
from hwmodel.machines.gpu.schedules import matmul_ogs, triton_grouped

LIBRARY = Library(
    name="matmul-ogs",
    title="Triton's gathered products of mxfp4",
    launches={"grouped": Launch(triton_grouped.grouped, matmul_ogs.MENU, matmul_ogs.resolved)},
    support=(
        Support(
            ("grouped",),
            HALVES,
            "triton-lang/triton, triton_kernels, matmul_ogs: activations in bf16, weights in mxfp4",
            narrow=("mxfp4",),
            alike=(),
        ),
    ),
    costed_as=dict.fromkeys(
        (each for each in GENERATIONS if each != "hopper"),
        "matmul-ogs: costed as on Hopper; its interval is widened",
    ),
    borrows={"grouped": "grouped:vllm"},
)
