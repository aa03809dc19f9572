"""Every workload by its name.

Names and argument names are those of the command line's case files.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from hwmodel.einsum.origin import called
from hwmodel.einsum.workloads.attention import attention
from hwmodel.einsum.workloads.attention_backward import attention_backward
from hwmodel.einsum.workloads.cnn import cnn
from hwmodel.einsum.workloads.collective import collective
from hwmodel.einsum.workloads.convolution import conv2d
from hwmodel.einsum.workloads.dispatch import gather_rows, top_k
from hwmodel.einsum.workloads.exported import exported
from hwmodel.einsum.workloads.fft import fft
from hwmodel.einsum.workloads.fft_convolution import fft_convolution
from hwmodel.einsum.workloads.gemm import gemm
from hwmodel.einsum.workloads.hyper_zzw import hyper_zzw
from hwmodel.einsum.workloads.kmeans import kmeans
from hwmodel.einsum.workloads.mlp import mlp
from hwmodel.einsum.workloads.model import llm
from hwmodel.einsum.workloads.moe import grouped_gemm, moe
from hwmodel.einsum.workloads.moe_layer import moe_layer
from hwmodel.einsum.workloads.norm_quantise import norm_quantise
from hwmodel.einsum.workloads.power_attention import power_attention
from hwmodel.einsum.workloads.pruned import pruned_attention
from hwmodel.einsum.workloads.rational_backward import rational_backward
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
from hwmodel.einsum.workloads.serving import serving
from hwmodel.einsum.workloads.training import training
from hwmodel.einsum.workloads.transformer import embedding, kv_write
from hwmodel.quantity.errors import UnknownNameError

__all__ = [
    "WORKLOADS",
    "add",
    "attention",
    "attention_backward",
    "cnn",
    "collective",
    "conv2d",
    "copy",
    "embedding",
    "exported",
    "fft",
    "gather_rows",
    "gelu",
    "gemm",
    "grouped_gemm",
    "hyper_zzw",
    "kmeans",
    "kv_write",
    "layernorm",
    "llm",
    "mlp",
    "moe",
    "moe_layer",
    "multiply",
    "pruned_attention",
    "residual",
    "rmsnorm",
    "serving",
    "silu",
    "softmax",
    "top_k",
    "training",
    "workload",
]

WORKLOADS: Mapping[str, Callable[..., Any]] = {
    **{"gemm": gemm, "attention": attention, "mlp": mlp, "moe": moe},
    **{"moe_layer": moe_layer, "grouped_gemm": grouped_gemm, "top_k": top_k, "gather": gather_rows},
    **{"conv2d": conv2d, "cnn": cnn, "fft": fft, "kmeans": kmeans},
    **{"pruned_attention": pruned_attention, "hyper_zzw": hyper_zzw},
    **{"softmax": softmax, "rmsnorm": rmsnorm, "layernorm": layernorm, "gelu": gelu},
    **{"silu": silu, "add": add, "multiply": multiply, "copy": copy, "residual": residual},
    **{"embedding": embedding, "kv_write": kv_write, "llm": llm, "collective": collective},
    **{"attention_backward": attention_backward, "training": training},
    **{"serving": serving, "exported": exported},
    **{"fft_convolution": fft_convolution, "power_attention": power_attention},
    **{"rational_backward": rational_backward, "norm_quantise": norm_quantise},
}


if not TYPE_CHECKING:  # what reads types is to know which names there are

    def __getattr__(name: str) -> NoReturn:
        """Say which workloads there are, where one is asked for that is none."""
        if name.startswith("_"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name)
        raise AttributeError(str(UnknownNameError("workload", name, WORKLOADS)), name=name)


def workload(name: str, /, **arguments: Any) -> Any:
    """Make the workload called `name`; unknown names, missing and unknown arguments are errors."""
    function = WORKLOADS.get(name)
    if function is None:
        raise UnknownNameError("workload", name, WORKLOADS)
    return called(name, function, arguments)
