"""bitsandbytes: nf4 and fp4 with one or two levels of scales, and LLM.int8().

Four bits: 64 weights share an fp32 maximum; with double quantisation the maxima are 8 bits and 256
of them share an fp32 scale (Dettmers et al., QLoRA, arXiv 2305.14314). Weights are
widened to `bnb_4bit_compute_dtype`. Eight bits: rows times columns in int8 (Dettmers et al.,
LLM.int8(), arXiv 2208.07339); its few columns of outliers in fp16 are not counted apart.
"""

from hwmodel.einsum.workloads.formats import ModuleFormats
from hwmodel.einsum.workloads.quantisation.rules import Said, method
from hwmodel.einsum.workloads.quantisation.table import Table
from hwmodel.quantity.dtypes import dtype

KEYS = (
    "load_in_4bit load_in_8bit _load_in_4bit _load_in_8bit bnb_4bit_quant_type"
    " bnb_4bit_quant_storage bnb_4bit_use_double_quant bnb_4bit_compute_dtype llm_int8_threshold"
    " llm_int8_has_fp16_weight llm_int8_enable_fp32_cpu_offload"
)
BLOCK, MAXIMA = 64, 256
"""Weights that share a maximum; maxima that share a scale."""


def read(table: Table) -> Said:
    """Formats of a bitsandbytes checkpoint."""
    if table.get("load_in_4bit"):
        kind = table.get("bnb_4bit_quant_type", "fp4")
        if kind not in ("nf4", "fp4"):
            raise table.unmodelled("bnb_4bit_quant_type", kind, "expected nf4 or fp4")
        scales = f"{BLOCK}:32"
        if table.get("bnb_4bit_use_double_quant"):
            scales = f"{BLOCK * MAXIMA}:{8 * MAXIMA + 32}"
        computed = table.get("bnb_4bit_compute_dtype")
        read_in = table.stored if computed is None else dtype(computed.removeprefix("torch.")).name
        return Said(ModuleFormats(f"{kind}@{scales}", read_in), towers=True)
    if table.get("load_in_8bit"):
        return Said(ModuleFormats("int8", "int8"), towers=True)
    raise table.unmodelled("load_in_4bit", False, "expected load_in_4bit or load_in_8bit")


METHOD = method(read, KEYS)
