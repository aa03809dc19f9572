"""Ways of quantising by the name that a config gives in `quant_method`."""

from collections.abc import Mapping
from typing import Any

from hwmodel.einsum.workloads.quantisation import (
    bitsandbytes,
    compressed_tensors,
    fp8,
    gguf,
    hqq,
    integers,
    modelopt,
    mxfp4,
    plain,
    quark,
    torchao,
)
from hwmodel.einsum.workloads.quantisation.rules import Method

METHODS: Mapping[str, Method] = {
    "fp8": fp8.METHOD,
    "compressed-tensors": compressed_tensors.METHOD,
    "modelopt": modelopt.METHOD,
    "gptq": integers.GPTQ_METHOD,
    "awq": integers.AWQ_METHOD,
    "auto-round": integers.AUTOROUND_METHOD,
    "bitsandbytes": bitsandbytes.METHOD,
    "mxfp4": mxfp4.METHOD,
    "torchao": torchao.METHOD,
    "quark": quark.METHOD,
    "hqq": hqq.METHOD,
    "gguf": gguf.METHOD,
    **plain.METHODS,
}

ALIASES = {
    "compressed_tensors": "compressed-tensors",
    "modelopt_fp4": "modelopt",
    "modelopt_fp8": "modelopt",
    "modelopt_mixed": "modelopt",
    "nvfp4": "modelopt",
    "gptq_marlin": "gptq",
    "gptqmodel": "gptq",
    "awq_marlin": "awq",
    "moe_wna16": "gptq",
    "intel/auto-round": "auto-round",
    "auto_round": "auto-round",
    "autoround": "auto-round",
    "bnb-4bit": "bitsandbytes",
    "bnb-8bit": "bitsandbytes",
    "bitsandbytes_4bit": "bitsandbytes",
    "bitsandbytes_8bit": "bitsandbytes",
    "gpt_oss_mxfp4": "mxfp4",
}


def named(given: Mapping[str, Any]) -> Any:
    """The method that a table names, or that its keys show where it names none."""
    said = given.get("quant_method")
    if said is None:
        if "quant_algo" in given or "quantization" in given or "kv_cache_quant_algo" in given:
            return "modelopt"
        if given.get("load_in_4bit") or given.get("load_in_8bit"):
            return "bitsandbytes"
        if "config_groups" in given:
            return "compressed-tensors"
    return ALIASES.get(said.lower(), said.lower()) if isinstance(said, str) else said
