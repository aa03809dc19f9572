"""Attention and experts of serving engines in published tables, as rows for a fit.

The layout of aiconfigurator-core (Apache-2.0): a file for each GPU and family, `latency_us` of one
call; which kernel ran stands in `kernel_source`. Left out are kernels that are no engine's usual
choice (Triton's and FlashAttention-4 for odd heads), attention that multiplies in fp8, experts
divided over GPUs (the tokens told are not those that one GPU gets) and those without a gate, whose
weights are two matrices and not three.
"""

from collections.abc import Mapping
from typing import Any

Line = Mapping[str, str]

ATTENTION = {
    "vllm_flash_attn": "vllm:flash-attention-2",
    "vllm_flash_attn_fa2": "vllm:flash-attention-2",
    "vllm_flash_attn_fa3": "vllm:flash-attention-3",
    "vllm_flashinfer_fiprefill": "vllm:flashinfer",
    "vllm_flashinfer_fidecode": "vllm:flashinfer",
    "vllm_flashinfer_trtllmprefill": "vllm:trtllm-gen",
    "vllm_flashinfer_trtllmdecode": "vllm:trtllm-gen",
    "torch_flow": "trtllm:attention",
    "torch_flow_flashinfer": "trtllm:attention",
}
"""Kernels of attention as the rows call them -> libraries; of fp8 caches those with `-fp8`."""

FORMATS = {"bfloat16": "bf16", "fp8": "fp8"}
"""Formats of caches and of experts -> those of a case."""

SCALED = "vllm_modeloptfp8moe_flashinfer_cutlass_flashinferexperts"
"""Experts in fp8 that have a library of their own."""

UNGATED = (22, 1856)
"""Experts a token, or columns of an expert, of those models of the tables that have no gate."""


def attention(line: Line) -> dict[str, Any] | None:
    """Prompts where `isl` is above one, else a token for each sequence; None of other kernels."""
    library = ATTENTION.get(line["kernel_source"])
    if library is None or line["attn_dtype"] != "bfloat16":
        return None
    cache = FORMATS[line["kv_cache_dtype"]]
    queries, past = _number(line, "isl"), _number(line, "step")
    decode = queries == 1
    heads = _number(line, "num_heads")
    window = _number(line, "window_size")
    return {
        **{"family": "attention", "kernel": library + ("-fp8" if cache == "fp8" else "")},
        **{"dtype": "bf16", "kv_dtype": cache, "causal": not decode, "repeated": True},
        **({"window": window} if window else {}),
        **{"batch": _number(line, "batch_size"), "heads": heads, "queries": queries},
        "kv_heads": _number(line, "num_key_value_heads") or heads,
        **{"keys": queries + past, "head_dim": _number(line, "head_dim")},
        "time_s": float(line["latency_us"]) * 1e-6,
    }


def latent_attention(line: Line) -> dict[str, Any] | None:
    """Multi-head latent attention: of prompts every head has keys of 192 and values of 128.

    Tokens attend to latents of 512 and 64, which all heads share. Prompts whose cache is fp8 run
    the same kernel as others.
    """
    cache, queries = FORMATS[line["kv_cache_dtype"]], _number(line, "isl")
    heads, decode = _number(line, "num_heads"), _number(line, "step") > 0
    if not decode and cache != "bf16":
        return None
    told: dict[str, Any] = {"kv_heads": heads, "head_dim": 192.0, "value_dim": 128.0}
    if decode:
        told = {"kv_heads": 1.0, "head_dim": 576.0, "value_dim": 512.0, "shared": True}
    end = "-fp8" if cache == "fp8" else ""
    return {
        **{"family": "attention", "kernel": f"{line['framework']}:latent-attention{end}"},
        **{"dtype": "bf16", "kv_dtype": cache, "causal": not decode, "repeated": True},
        **{"batch": _number(line, "batch_size"), "heads": heads, "queries": queries},
        **told,
        "keys": queries + _number(line, "step"),
        "time_s": float(line["latency_us"]) * 1e-6,
    }


def experts(line: Line) -> dict[str, Any] | None:
    """Gated experts of one GPU, rows spread evenly, columns divided by `moe_tp_size`."""
    dtype = FORMATS.get(line["moe_dtype"])
    chosen, columns = _number(line, "topk"), _number(line, "inter_size")
    apart = line["moe_ep_size"] != "1" or line["distribution"] != "balanced"
    if dtype is None or apart or UNGATED[0] == chosen or UNGATED[1] == columns:
        return None
    library = "scaled-experts" if line["kernel_source"] == SCALED else "experts"
    return {
        **{"family": "moe", "kernel": f"{line['framework']}:{library}", "dtype": dtype},
        **{"routing": "balanced", "repeated": True, "tokens": _number(line, "num_tokens")},
        **{"experts": _number(line, "num_experts"), "top_k": chosen},
        **{"hidden": _number(line, "hidden_size")},
        "intermediate": columns // _number(line, "moe_tp_size"),
        "time_s": float(line["latency_us"]) * 1e-6,
    }


def _number(line: Line, name: str) -> float:
    return float(line.get(name) or 0)
