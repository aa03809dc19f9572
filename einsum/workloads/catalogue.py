"""Every workload by its name, and the same workload with other arguments.

Names and argument names are those of the command line's case files.
"""

import inspect
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, TypeVar

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.network import Stack
from hwmodel.einsum.workloads.attention import attention
from hwmodel.einsum.workloads.cnn import cnn
from hwmodel.einsum.workloads.convolution import conv2d
from hwmodel.einsum.workloads.dispatch import gather_rows, top_k
from hwmodel.einsum.workloads.fft import fft
from hwmodel.einsum.workloads.gemm import gemm
from hwmodel.einsum.workloads.kmeans import kmeans
from hwmodel.einsum.workloads.mlp import mlp
from hwmodel.einsum.workloads.model import llm
from hwmodel.einsum.workloads.moe import grouped_gemm, moe
from hwmodel.einsum.workloads.moe_layer import moe_layer
from hwmodel.einsum.workloads.pruned import pruned_attention
from hwmodel.einsum.workloads.rows import (
    add,
    copy,
    gelu,
    layernorm,
    multiply,
    residual,
    rmsnorm,
    silu,
    softmax,
)
from hwmodel.einsum.workloads.transformer import embedding, kv_write
from hwmodel.quantity.errors import InputError, UnknownNameError

Workload = TypeVar("Workload", Cascade, Stack)

WORKLOADS: Mapping[str, Callable[..., Cascade | Stack]] = {
    **{"gemm": gemm, "attention": attention, "mlp": mlp, "moe": moe},
    **{"moe_layer": moe_layer, "grouped_gemm": grouped_gemm, "top_k": top_k, "gather": gather_rows},
    **{"conv2d": conv2d, "cnn": cnn, "fft": fft, "kmeans": kmeans},
    **{"pruned_attention": pruned_attention},
    **{"softmax": softmax, "rmsnorm": rmsnorm, "layernorm": layernorm, "gelu": gelu},
    **{"silu": silu, "add": add, "multiply": multiply, "copy": copy, "residual": residual},
    **{"embedding": embedding, "kv_write": kv_write, "llm": llm},
}


def workload(name: str, /, **arguments: Any) -> Cascade | Stack:
    """Make the workload called `name`; unknown names, missing and unknown arguments are errors."""
    function = WORKLOADS.get(name)
    if function is None:
        raise UnknownNameError("workload", name, WORKLOADS)
    known, needed = _arguments(name)
    for given in arguments:
        if given not in known:
            raise UnknownNameError(f"argument of {name}", given, known)
    missing = [argument for argument in needed if argument not in arguments]
    if missing:
        raise InputError(f"{name}: expected the argument {missing[0]!r}, found none")
    return function(**arguments)


@lru_cache(maxsize=64)
def _arguments(name: str) -> tuple[frozenset[str], tuple[str, ...]]:
    """All arguments of a workload, and those without a default."""
    parameters = inspect.signature(WORKLOADS[name]).parameters
    needed = (n for n, p in parameters.items() if p.default is inspect.Parameter.empty)
    return frozenset(parameters), tuple(needed)


def but(made: Workload, **changes: Any) -> Workload:
    """The same workload with other arguments: its function, called again.

    Raises `UnknownNameError` for an argument that the function lacks, `InputError` for a cascade
    that no workload function made.
    """
    if made.origin is None:
        raise InputError(
            f"{made.name}: expected a workload made by one of {', '.join(sorted(WORKLOADS))};"
            " this one was written or changed by hand, so use with_sizes"
        )
    again = workload(made.origin.workload, **{**made.origin.arguments, **changes})
    assert isinstance(again, type(made))
    return again
