"""fp8 as transformers and vLLM write it: by block, by channel, by tensor; read as fp8.

A block of weights (`weight_block_size`) has an fp32 scale (DeepSeek-V3, arXiv 2412.19437, section
3.3); `activation_scheme` "dynamic" (the default of transformers' FineGrainedFP8Config) and "static"
both multiply in fp8. DeepSeek-V4's `expert_dtype` "fp4" keeps routed experts in MXFP4, which its
code multiplies by fp8. A table `quantized_layers` of NVIDIA's names modules in other formats; the
list `ignore` beside it speaks of that table alone.
"""

from hwmodel.einsum.workloads.formats import ModuleFormats
from hwmodel.einsum.workloads.quantisation.cache import cache
from hwmodel.einsum.workloads.quantisation.modelopt import by_layer
from hwmodel.einsum.workloads.quantisation.modules import pattern
from hwmodel.einsum.workloads.quantisation.rules import Rule, Said, method
from hwmodel.einsum.workloads.quantisation.table import Table, block

KEYS = (
    "activation_scheme weight_block_size fmt scale_fmt kv_cache_scheme dequantize expert_dtype"
    " quantized_layers quant_algo moe_quant_algo config_groups group_size producer"
    " activation_scale_ub is_checkpoint_fp8_serialized weight_per_tensor act_per_tensor"
    " modules_to_fp8 store_dtype"
)


def read(table: Table) -> Said:
    """Formats of an fp8 checkpoint."""
    if table.get("dequantize"):
        said = f"{table.where}.dequantize: weights are widened when loaded, and counted so"
        return Said(None, warnings=(said,))
    weight = block(table, "weight_block_size", table.get("weight_block_size"))
    layers = by_layer(table) if table.get("quantized_layers") else ()
    experts = table.get("expert_dtype", "fp8")
    if experts not in ("fp4", "fp8"):
        raise table.unmodelled("expert_dtype", experts, "expected fp4 or fp8")
    narrow = Rule(pattern(table.where, "experts"), ModuleFormats("mxfp4", "fp8"))
    return Said(
        ModuleFormats(weight, "fp8"),
        (*layers, narrow) if experts == "fp4" else layers,
        excludes=not layers,
        kv=cache(table),
    )


METHOD = method(read, KEYS)
