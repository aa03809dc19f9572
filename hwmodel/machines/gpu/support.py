"""What each library's kernels exist for: number formats, head dimensions, alignments, GPUs.

`SUPPORT` is the one place that says so; `refusal` reads it for a call, and `hwmodel kernels` and
the documentation print it. A call that no kernel of the library takes is refused by name, with the
kernels that would do. A format is spoken of without its scales (`int4` of `int4@128:20`).

Two libraries are priors: nobody measured them, and other kernels lend them their efficiencies
(`STAND_INS`), with the interval of a prior.

    weight-only  products whose weights are stored narrower than the activations and converted on
                 their way to the matrix units, which run in the activations' format: the Marlin
                 kernels of vLLM, torch's int4 and int8 weight-only products, TensorRT-LLM's
    quantised    attention over keys and values that are stored in 8 bits or fewer and converted in
                 the kernel, or wholly in fp8: FlashAttention-3, FlashInfer
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from hwmodel.hardware.hardware import Hardware
from hwmodel.quantity.dtypes import base_of, dtype
from hwmodel.quantity.errors import CoverageError

NVIDIA = ("ampere", "ada", "hopper", "blackwell")
GENERATIONS = (*NVIDIA, "cdna3")
SINCE_ADA = ("ada", "hopper", "blackwell", "cdna3")
HALVES = {"bf16": GENERATIONS, "fp16": GENERATIONS}
WORDS = {"fp32": GENERATIONS, "tf32": NVIDIA, "fp64": GENERATIONS}
FP8 = {"fp8": SINCE_ADA}


@dataclass(frozen=True)
class Support:
    """What one library's kernels of some schedules take.

    Attributes:
        formats: format of the operands -> generations of GPUs whose kernels take it.
        narrow: formats that the second operand (weights; keys and values) may have where it is
            stored narrower than the first; none: both have one format.
        alike: formats that both operands may have; None: all of `formats`.
        head_dim: largest head dimension by generation; none: of any size.
        multiples: format -> argument -> number that it has to be a multiple of.
        elsewhere: generation -> the library that torch calls in its place there, so that it cannot
            be asked for by its own name.
        source: where this is read.
    """

    library: str
    schedules: tuple[str, ...]
    formats: Mapping[str, tuple[str, ...]]
    source: str
    narrow: tuple[str, ...] = ()
    alike: tuple[str, ...] | None = None
    head_dim: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    multiples: Mapping[str, Mapping[str, int]] = field(default_factory=lambda: MappingProxyType({}))
    elsewhere: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


SIXTEEN = {"fp8": {"N": 16, "K": 16}, "nvfp4": {"N": 32, "K": 32}}
STORED = ("fp8", "int8", "int4", "mxfp4", "nvfp4")

SUPPORT: tuple[Support, ...] = (
    Support(
        "cublas",
        ("gemm",),
        {**HALVES, **WORDS, **FP8, "int8": GENERATIONS, "nvfp4": ("blackwell",)},
        "cuBLAS 13 documentation, cublasLtMatmul; torch._scaled_mm: fp8 from sm_89 on, K and N"
        " multiples of 16 (torch 2.11 refuses others); torch._int_mm: multiples of 8; fp4 in blocks"
        " of 16 on sm_100",
        multiples={**SIXTEEN, "int8": {"N": 8, "K": 8}},
        elsewhere={"cdna3": "hipBLASLt"},
    ),
    Support(
        "cublas-fast-accum",
        ("gemm",),
        {"fp8": ("ada", "hopper", "blackwell")},
        "torch._scaled_mm, use_fast_accum: sums of fp8 products only",
        multiples=SIXTEEN,
    ),
    Support(
        "cublas-row-scales",
        ("gemm",),
        {"fp8": ("hopper", "blackwell")},
        "PyTorch, torch._scaled_mm with scales [M, 1] and [1, N]: a CUTLASS kernel, from sm_90 on",
        multiples=SIXTEEN,
    ),
    Support(
        "cublas-row-scales-fast-accum",
        ("gemm",),
        {"fp8": ("hopper", "blackwell")},
        "the same with use_fast_accum: sums of fp8 products only",
        multiples=SIXTEEN,
    ),
    Support(
        "weight-only",
        ("gemm", "grouped"),
        {**HALVES, **WORDS, **FP8, "int8": GENERATIONS},
        "Frantar et al., MARLIN, arXiv 2408.11743; vLLM, Marlin kernels for dense layers and"
        " mixtures, sm_80 on",
        narrow=STORED,
        alike=(),
    ),
    Support(
        "torch",
        ("grouped",),
        {**HALVES, **WORDS, "nvfp4": ("blackwell",)},
        "PyTorch, aten/src/ATen/native/cuda/GroupMM.cu: bf16; other formats as one product after"
        " the other",
        multiples=SIXTEEN,
    ),
    Support(
        "torch-row-scales",
        ("grouped",),
        {"fp8": ("hopper", "blackwell", "cdna3")},
        "PyTorch, torch._scaled_grouped_mm: fp8 with a scale for each row, from sm_90 on",
        multiples=SIXTEEN,
    ),
    Support(
        "flash-attention-2",
        ("prefill", "decode"),
        HALVES,
        "Dao-AILab/flash-attention, README: fp16 and bf16, all head dimensions up to 256",
        head_dim=dict.fromkeys(GENERATIONS, 256),
    ),
    Support(
        "flash-attention-4",
        ("prefill",),
        {"bf16": ("blackwell",), "fp16": ("blackwell",)},
        "FlashAttention-4, arXiv 2603.05451: tensor memory of sm_100; head dimensions to 256",
        head_dim={"blackwell": 256},
    ),
    Support(
        "cudnn",
        ("prefill", "decode"),
        {"bf16": NVIDIA, "fp16": NVIDIA, "fp8": ("hopper", "blackwell")},
        "cuDNN frontend documentation, Attention, support matrix of cuDNN 9.18: sm_80 on, head"
        " dimensions that are multiples of 8 up to 256 (decode on Ampere and Ada up to 128)",
        head_dim=dict.fromkeys(NVIDIA, 256),
        multiples={name: {"head_dim": 8} for name in ("bf16", "fp16")} | {"fp8": {"head_dim": 16}},
    ),
    Support(
        "quantised",
        ("prefill", "decode"),
        {**HALVES, **FP8},
        "vLLM and FlashInfer: keys and values of 8 bits and fewer; FlashAttention-3, fp8",
        narrow=STORED,
        alike=("fp8",),
        head_dim=dict.fromkeys(GENERATIONS, 256),
    ),
    Support(
        "triton",
        ("gemm", "grouped"),
        {**HALVES, **WORDS, **FP8},
        "kernels/gemm.py and moe.py: tl.dot of one format; e4m3 from sm_89 on",
    ),
    Support(
        "triton",
        ("prefill",),
        {**HALVES, "fp32": GENERATIONS},
        "kernels/attention.py: q, k and v of one format, rows and keys of a block in shared memory",
        head_dim=dict.fromkeys(GENERATIONS, 256),
    ),
    Support(
        "triton",
        ("decode",),
        {**HALVES, "fp32": GENERATIONS},
        "kernels/decode.py: q, k and v of one format, keys of a block in shared memory",
        head_dim=dict.fromkeys(GENERATIONS, 512),
    ),
)
"""Library and schedules -> what exists. Schedules without a line (rows) take any format."""

COSTED_AS = {
    ("cudnn", "blackwell"): (
        "cudnn on blackwell: its kernels there keep scores in tensor memory, but those of Hopper"
        " are costed; its interval is widened"
    ),
    ("cublas", "blackwell"): (
        "cublas on blackwell: its tiles are taken from Hopper's menu; its interval is widened"
    ),
}
"""Library and generation -> what is told where kernels of another generation are costed."""

NATIVE = {
    ("flash-attention-2", "ampere"): 1 / 0.62,
    ("flash-attention-2", "ada"): 1 / 0.62,
}
"""Library and generation -> how many times more of the datasheet's matrix rate its instructions
reach than on Hopper, where a warp's mma gets 0.62 of the rate of a warpgroup's (Luo et al. 2024,
Benchmarking and Dissecting the NVIDIA Hopper GPU Architecture: 62 % on average)."""

INSTEAD = {
    ("gemm", "cublas"): ("weight-only",),
    ("grouped", "torch"): ("torch-row-scales", "weight-only"),
    ("prefill", "flash-attention-2"): ("quantised",),
    ("decode", "flash-attention-2"): ("quantised",),
}
"""Schedule and library of the stack `torch` -> libraries that run formats the first lacks."""

STAND_INS = {
    "gemm:weight-only": "gemm:cublas",
    "grouped:weight-only": "grouped:torch",
    "prefill:quantised": "prefill:flash-attention-2",
    "decode:quantised": "decode:cudnn",
}
"""Family that was never measured -> the one whose efficiencies it borrows."""


def adapted(parameters: Mapping[str, float], library: str, generation: str) -> dict[str, float]:
    """A family's parameters on another generation of GPUs than it was fitted on."""
    more = NATIVE.get((library, generation), 1.0)
    return {
        name: min(1.0, value * more) if name == "matrix" and more != 1 else value
        for name, value in parameters.items()
    }


def library_of(schedule: str, library: str, problem: Any) -> str:
    """The library that the stack `torch` calls: its own, or that for formats which it lacks."""
    others = INSTEAD.get((schedule, library))
    if others is None:
        return library
    first, second = _formats(problem)
    lines = (support(schedule, each) for each in (library, *others))
    able_ = (line.library for line in lines if line is not None and _pairs(line, first, second))
    return next(able_, library)


def support(schedule: str, library: str) -> Support | None:
    """The line of a library's schedule; None where it takes anything."""
    return next((s for s in SUPPORT if s.library == library and schedule in s.schedules), None)


def _formats(problem: Any) -> tuple[str, str]:
    """Formats of the two operands, without scales."""
    if hasattr(problem, "dtype_a"):
        return base_of(problem.dtype_a), base_of(problem.dtype_b)
    return base_of(problem.dtype), base_of(problem.kv_dtype)


def _pairs(line: Support, first: str, second: str) -> bool:
    """Whether a library multiplies these two formats on any GPU; a narrow first one is widened."""
    if first not in line.formats:
        return False
    narrower = dtype(first).bits - dtype(second).bits
    if narrower > 0:
        return second in line.narrow
    alike = line.alike is None or first in line.alike
    return alike and (first == second or narrower < 0 or dtype(first).bits >= 16)


def check(calls: Sequence[Any], hardware: Hardware, kernel: str | None) -> None:
    """Raise `CoverageError` for a call of `lower` that its library has no kernel for here."""
    for call in calls:
        why = refusal(call.schedule, call.library, call.problem, hardware.architecture, call.times)
        line = support(call.schedule, call.library)
        if why is None and line is not None and kernel == call.library:
            other = line.elsewhere.get(hardware.architecture)
            why = other and f"is {other} on {hardware.architecture}, which kernel 'torch' calls"
        if why:
            would = able(call.schedule, call.problem, hardware.architecture, call.times)
            raise CoverageError(
                f"{hardware.name}: {call.name}: {call.library} ({call.schedule}) {why};"
                f" kernels that would do: {', '.join(would) or 'none'}"
            )


def able(schedule: str, problem: Any, generation: str, used: Any = True) -> list[str]:
    """Names of kernels that run a problem on that generation."""
    lines = [line for line in SUPPORT if schedule in line.schedules]
    return [
        "torch" if generation in line.elsewhere else line.library
        for line in lines
        if refusal(schedule, line.library, problem, generation, used) is None
    ]


def refusal(
    schedule: str, library: str, problem: Any, generation: str, used: Any = True
) -> str | None:
    """Why the library has no kernel for a problem on that generation of GPUs; None where it has.

    `used` says at which points of a sweep the call runs at all.
    """
    line = support(schedule, library)
    if line is None or generation not in GENERATIONS:
        return None
    first, second = _formats(problem)
    where = line.formats.get(first, ())
    if not _pairs(line, first, second):
        both = first if first == second else f"{first} times {second}"
        known = ", ".join(name for name, places in line.formats.items() if generation in places)
        stored = f", the second stored in {', '.join(line.narrow)}" if line.narrow else ""
        return f"computes no {both}; it takes {known or 'nothing'} on {generation}{stored}"
    if generation not in where:
        return f"has no {first} on {generation}; it has on {', '.join(where)}"
    most = line.head_dim.get(generation)
    if schedule == "decode" and library == "cudnn" and generation in ("ampere", "ada"):
        most = 128
    widest = _where(getattr(problem, "head_dim", 0), used)
    if most is not None and np.any(widest > most):
        return f"ends at head_dim {most} on {generation}, found {np.max(widest):g}"
    for name, multiple in line.multiples.get(first, {}).items():
        sizes = _where(getattr(problem, name), used)
        if np.any(sizes % multiple):
            found = sizes[sizes % multiple != 0][0]
            padded = int(-(-found // multiple) * multiple)
            return (
                f"takes {first} where {name} is a multiple of {multiple}, found {found:g};"
                f" pad it to {padded}"
            )
    return None


def _where(size: Any, used: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The sizes at the points where a call runs, as a list."""
    sizes, runs = np.broadcast_arrays(np.asarray(size, dtype=np.float64), np.asarray(used))
    return sizes[runs.astype(bool)].reshape(-1)
