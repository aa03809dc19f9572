"""NVIDIA's ModelOpt, in `quantization_config` or in `hf_quant_config.json` beside the config.

`quant_algo` names one format for all linear layers, MIXED_PRECISION a table `quantized_layers` of
them by module. What runs: vLLM's `modelopt.py` (its FP8_PB_WO multiplies in fp8) and the list of
`QuantAlgo` in TensorRT-LLM. NVFP4: 16 weights share an fp8 scale, a tensor one of fp32.
"""

from collections.abc import Mapping
from typing import Any, cast

from hwmodel.einsum.workloads.formats import ModuleFormats
from hwmodel.einsum.workloads.quantisation.cache import cache
from hwmodel.einsum.workloads.quantisation.modules import pattern
from hwmodel.einsum.workloads.quantisation.rules import Rule, Said, method
from hwmodel.einsum.workloads.quantisation.table import Table

KEYS = (
    "quant_algo quantization_algo kv_cache_quant_algo kv_cache_scheme group_size quantized_layers"
    " config_groups producer has_zero_point pre_quant_scale smoothquant_val clamp_val"
    " use_meta_recipe moe_quant_algo scale_fmt quantization_status format"
)

ALGORITHMS = {
    "FP8": ("fp8", "fp8"),
    "FP8_PER_CHANNEL_PER_TOKEN": ("fp8", "fp8"),
    "FP8_ROWWISE": ("fp8", "fp8"),
    "FP8_PB_WO": ("fp8@16384:32", "fp8"),
    "FP8_BLOCK_SCALES": ("fp8@16384:32", "fp8"),
    "MXFP8": ("fp8@32:8", "fp8"),
    "NVFP4": ("nvfp4", "nvfp4"),
    "NVFP4_AWQ": ("nvfp4", "nvfp4"),
    "NVFP4_SVDQUANT": ("nvfp4", "nvfp4"),
    "W4A16_NVFP4": ("nvfp4", ""),
    "W4A8_NVFP4_FP8": ("nvfp4", "fp8"),
    "MXFP4": ("mxfp4", "mxfp4"),
    "W4A16_MXFP4": ("mxfp4", ""),
    "W4A8_MXFP4_FP8": ("mxfp4", "fp8"),
    "W4A8_MXFP4_MXFP8": ("mxfp4", "fp8"),
    "W4A16": ("int4", ""),
    "W4A16_AWQ": ("int4@{group}:16", ""),
    "INT4_AWQ": ("int4@{group}:16", ""),
    "W4A8_AWQ": ("int4@{group}:16", "fp8"),
    "W4A16_GPTQ": ("int4@{group}:20", ""),
    "W4A8_QSERVE_PER_GROUP": ("int4@{group}:12", "int8"),
    "W4A8_QSERVE_PER_CHANNEL": ("int4", "int8"),
    "W8A16": ("int8", ""),
    "W8A16_GPTQ": ("int8", ""),
    "INT8_SQ": ("int8", "int8"),
    "W8A8_SQ_PER_CHANNEL": ("int8", "int8"),
    "W8A8_SQ_PER_TENSOR_PLUGIN": ("int8", "int8"),
    "W8A8_SQ_PER_CHANNEL_PER_TENSOR_PLUGIN": ("int8", "int8"),
    "W8A8_SQ_PER_CHANNEL_PER_TOKEN_PLUGIN": ("int8", "int8"),
}
"""`quant_algo` -> format of weights, of what they multiply (empty: as stored)."""

GROUP = 128
"""Inputs that share a scale where `group_size` is absent (ModelOpt's INT4_AWQ_CFG)."""

MIXED = "MIXED_PRECISION"


def read(table: Table) -> Said:
    """Formats of a ModelOpt checkpoint."""
    if table.get("quantization") is not None:
        table = table.table("quantization")
    algorithm, kv = table.get("quant_algo", table.get("quantization_algo")), cache(table)
    if kv is None and not any(key in table.given for key in ("quant_algo", "quantization_algo")):
        raise table.unmodelled("quant_algo", None, f"expected one of {', '.join(ALGORITHMS)}")
    if algorithm is None or algorithm == "NO_QUANT":
        return Said(None, kv=kv)
    if isinstance(algorithm, str) and algorithm.upper() == MIXED:
        return Said(None, by_layer(table), head=True, kv=kv)
    return Said(formats(table, algorithm), head=True, kv=kv)


def by_layer(table: Table) -> tuple[Rule, ...]:
    """The rules of a table `quantized_layers`."""
    layers = table.table("quantized_layers")
    if not layers.given:
        raise table.unmodelled("quant_algo", MIXED, "expected a table quantized_layers beside it")
    rules: list[Rule] = []
    for name, said in layers.given.items():
        if not isinstance(said, Mapping):
            raise layers.wrong(name, "a table", said)
        line = layers.of(name, cast(Mapping[str, Any], said))
        rules.append(Rule(pattern(line.where, name), formats(line, line.get("quant_algo"))))
    return tuple(rules)


def formats(table: Table, algorithm: Any) -> ModuleFormats:
    """The formats that one algorithm makes."""
    name = algorithm.upper() if isinstance(algorithm, str) else ""
    if name not in ALGORITHMS:
        wanted = f"expected one of {', '.join((*ALGORITHMS, MIXED))}"
        raise table.unmodelled("quant_algo", algorithm, wanted)
    weight, linear = ALGORITHMS[name]
    if "{group}" in weight:
        weight = weight.format(group=table.number("group_size", GROUP))
    return ModuleFormats(weight, linear or table.stored)


METHOD = method(read, KEYS + " quantization")
