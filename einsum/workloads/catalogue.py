"""Every workload by its name.

Names and argument names are those of the command line's case files.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from hwmodel.einsum.origin import called
from hwmodel.quantity.errors import UnknownNameError
from hwmodel.quantity.lazily import Lazily

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
    "fft_convolution",
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
    "norm_quantise",
    "power_attention",
    "pruned_attention",
    "rational_backward",
    "residual",
    "rmsnorm",
    "serving",
    "silu",
    "softmax",
    "top_k",
    "training",
    "workload",
]

_HERE = "hwmodel.einsum.workloads"
WORKLOADS: Mapping[str, Callable[..., Any]] = Lazily(
    {
        "gemm": f"{_HERE}.gemm:gemm",
        "attention": f"{_HERE}.attention:attention",
        "mlp": f"{_HERE}.mlp:mlp",
        "moe": f"{_HERE}.moe:moe",
        "moe_layer": f"{_HERE}.moe_layer:moe_layer",
        "grouped_gemm": f"{_HERE}.moe:grouped_gemm",
        "top_k": f"{_HERE}.dispatch:top_k",
        "gather": f"{_HERE}.dispatch:gather_rows",
        "conv2d": f"{_HERE}.convolution:conv2d",
        "cnn": f"{_HERE}.cnn:cnn",
        "fft": f"{_HERE}.fft:fft",
        "kmeans": f"{_HERE}.kmeans:kmeans",
        "pruned_attention": f"{_HERE}.pruned:pruned_attention",
        "hyper_zzw": f"{_HERE}.hyper_zzw:hyper_zzw",
        "softmax": f"{_HERE}.rows:softmax",
        "rmsnorm": f"{_HERE}.rows:rmsnorm",
        "layernorm": f"{_HERE}.rows:layernorm",
        "gelu": f"{_HERE}.rows:gelu",
        "silu": f"{_HERE}.rows:silu",
        "add": f"{_HERE}.rows:add",
        "multiply": f"{_HERE}.rows:multiply",
        "copy": f"{_HERE}.rows:copy",
        "residual": f"{_HERE}.rows:residual",
        "embedding": f"{_HERE}.transformer:embedding",
        "kv_write": f"{_HERE}.transformer:kv_write",
        "llm": f"{_HERE}.model:llm",
        "collective": f"{_HERE}.collective:collective",
        "attention_backward": f"{_HERE}.attention_backward:attention_backward",
        "training": f"{_HERE}.training:training",
        "serving": f"{_HERE}.serving:serving",
        "exported": f"{_HERE}.exported:exported",
        "fft_convolution": f"{_HERE}.fft_convolution:fft_convolution",
        "power_attention": f"{_HERE}.power_attention:power_attention",
        "rational_backward": f"{_HERE}.rational_backward:rational_backward",
        "norm_quantise": f"{_HERE}.norm_quantise:norm_quantise",
    }
)
"""Name -> function that makes it; its module is loaded when it is first asked for."""


if TYPE_CHECKING:  # what reads types is to know which names there are
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
else:

    def __getattr__(name: str) -> Callable[..., Any]:
        """A workload, loaded now; where one is asked for that is none, which there are."""
        if name.startswith("_"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name)
        called = {"gather_rows": "gather"}.get(name, name)
        if name != "gather" and called in WORKLOADS:
            return WORKLOADS[called]
        raise AttributeError(str(UnknownNameError("workload", name, WORKLOADS)), name=name)


def __dir__() -> list[str]:
    """Names of workloads, loaded or not."""
    return sorted({*globals(), *__all__})


def workload(name: str, /, **arguments: Any) -> Any:
    """Make the workload called `name`; unknown names, missing and unknown arguments are errors."""
    function = WORKLOADS.get(name)
    if function is None:
        raise UnknownNameError("workload", name, WORKLOADS)
    return called(name, function, arguments)
