"""Attention and experts of serving engines in published tables, as rows for a fit.

The layout of aiconfigurator-core (Apache-2.0): a file for each GPU and family, `latency_us` of one
call; which kernel ran stands in `kernel_source`. Left out are kernels that are no engine's usual
choice (FlashAttention-4 for odd heads).
"""

from collections.abc import Mapping
from typing import Any

Line = Mapping[str, str]

ATTENTION = {
    "vllm_flash_attn": "vllm:flash-attention-2",
    "vllm_flash_attn_fa2": "vllm:flash-attention-2",
    "vllm_flash_attn_fa3": "vllm:flash-attention-3",
    "vllm_triton_attn": "vllm:triton-attention",
    "vllm_flashinfer_fiprefill": "vllm:flashinfer",
    "vllm_flashinfer_fidecode": "vllm:flashinfer",
    "vllm_flashinfer_trtllmprefill": "vllm:trtllm-gen",
    "vllm_flashinfer_trtllmdecode": "vllm:trtllm-gen",
    "torch_flow": "trtllm:attention",
    "torch_flow_flashinfer": "trtllm:attention",
}
"""Kernels of attention as the rows call them -> libraries; of fp8 caches those with `-fp8`, where
they multiply in fp8 with `-e4m3`."""

FORMATS = {"bfloat16": "bf16", "fp8": "fp8"}
"""Formats of caches and of experts -> those of a case."""

SCALED = "vllm_modeloptfp8moe_flashinfer_cutlass_flashinferexperts"
"""Experts in fp8 that have a library of their own."""

EXPERTS: Mapping[str, Mapping[str, str]] = {
    "bfloat16": {"dtype": "bf16"},
    "fp8": {"dtype": "fp8"},
    "fp8_block": {"dtype": "fp8", "weight_dtype": "fp8@16384:32"},
    "nvfp4": {"dtype": "nvfp4"},
    "int4_wo": {"dtype": "bf16", "weight_dtype": "int4@32:16"},
    "w4a16_mxfp4": {"dtype": "bf16", "weight_dtype": "mxfp4"},
    "w4a8_mxfp4_mxfp8": {"dtype": "fp8", "weight_dtype": "mxfp4"},
}
"""Formats of experts as that package calls them -> fields of a case."""

LIBRARY_ENDS = {
    **{"fp8_block": "-fp8-block", "nvfp4": "-nvfp4", "w4a16_mxfp4": "-mxfp4"},
    "w4a8_mxfp4_mxfp8": "-fp8-mxfp4",
}

LEFT_OUT = ("oaitriton", "triton_fp8_block")
"""Kernels of which rows of divided experts launch others, or multiply all devices' rows, and of
which the rest are too few."""

UNTUNED = ("moe_torch_flow", "w4a8_mxfp4_mxfp8")
"""TensorRT-LLM's experts in fp8 of mxfp4 on data centres' Blackwell: fits tell rows left out to 43
to 68 %, for no cause that is known."""

BY_CUTLASS = "flashinfer_cutlass"
"""Experts in 16 bits and nvfp4 that have a library of their own on Blackwell."""

GATED = "vllm_fused_moe"
"""Of vLLM 0.14, which was timed with a gate whatever the model has."""

UNGATED = (22, 1856)
"""Experts a token, or columns of an expert, of those models of the tables that have no gate."""


def attention(line: Line) -> dict[str, Any] | None:
    """Prompts where `isl` is above one, else a token for each sequence; None of other kernels."""
    library = ATTENTION.get(line["kernel_source"])
    if library is None:
        return None
    form, cache = FORMATS[line["attn_dtype"]], FORMATS[line["kv_cache_dtype"]]
    queries, past = _number(line, "isl"), _number(line, "step")
    decode = queries == 1
    heads = _number(line, "num_heads")
    window = _number(line, "window_size")
    end = "-e4m3" if form == "fp8" else "-fp8" if cache == "fp8" else ""
    return {
        **{"family": "attention", "kernel": library + end},
        **{"dtype": form, "kv_dtype": cache, "causal": not decode, "repeated": True},
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
    """Experts of one GPU, columns divided by `moe_tp_size`.

    Of GPUs that divide the experts a row is one's, where it has a row at all on average.
    """
    form = EXPERTS.get(line["moe_dtype"])
    tokens, chosen, columns = (_number(line, n) for n in ("num_tokens", "topk", "inter_size"))
    ways = _number(line, "moe_ep_size")
    engine, source = line["framework"], line["kernel_source"]
    untuned = (source, line["moe_dtype"]) == UNTUNED
    left_out = untuned or any(name in source for name in LEFT_OUT)
    if form is None or left_out or tokens * chosen < ways:
        return None
    library = f"{engine}:{_experts_of(engine, line['moe_dtype'], source)}"
    ungated = source != GATED and (chosen == UNGATED[0] or columns == UNGATED[1])
    return {
        **{"family": "moe", "kernel": library, **form},
        **({"gated": False} if ungated else {}),
        **({"ways": ways} if ways > 1 else {}),
        **_routing(line["distribution"]),
        **{"repeated": True, "tokens": tokens},
        **{"experts": _number(line, "num_experts"), "top_k": chosen},
        **{"hidden": _number(line, "hidden_size")},
        "intermediate": columns // _number(line, "moe_tp_size"),
        "time_s": float(line["latency_us"]) * 1e-6,
    }


def _routing(distribution: str) -> dict[str, Any]:
    """How rows spread over experts: evenly, or `power_law_` and its exponent."""
    law, _, exponent = distribution.rpartition("_")
    if law != "power_law":
        return {"routing": distribution}
    return {"routing": law, "exponent": float(exponent)}


def _experts_of(engine: str, form: str, source: str) -> str:
    """The library of an engine's experts in a format, by the kernel that ran."""
    if source == SCALED:
        return "scaled-experts"
    if "marlin" in source:
        return "experts-marlin"
    if BY_CUTLASS in source and form in ("bfloat16", "nvfp4"):
        return "experts-cutlass"
    return "experts" + LIBRARY_ENDS.get(form, "")


def _number(line: Line, name: str) -> float:
    return float(line.get(name) or 0)
