"""mxfp4 as gpt-oss states it: experts alone, 32 weights to an 8-bit scale, read in bf16.

OCP Microscaling Formats v1.0; gpt-oss's model card: the weights of experts are MXFP4, all others
bf16. transformers' and vLLM's kernels widen them to the activations' format.
"""

from hwmodel.einsum.workloads.formats import ModuleFormats
from hwmodel.einsum.workloads.quantisation.cache import cache
from hwmodel.einsum.workloads.quantisation.modules import pattern
from hwmodel.einsum.workloads.quantisation.rules import Rule, Said, method
from hwmodel.einsum.workloads.quantisation.table import Table

KEYS = "dequantize kv_cache_scheme"


def read(table: Table) -> Said:
    """Formats of an mxfp4 checkpoint."""
    if table.get("dequantize"):
        said = f"{table.where}.dequantize: weights are widened when loaded, and counted so"
        return Said(None, warnings=(said,))
    experts = Rule(pattern(table.where, "experts"), ModuleFormats("mxfp4", table.stored))
    return Said(None, (experts,), kv=cache(table))


METHOD = method(read, KEYS)
