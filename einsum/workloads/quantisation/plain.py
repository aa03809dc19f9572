"""Methods that say one pair of formats for all linear layers, without more keys that matter."""

from collections.abc import Callable

from hwmodel.einsum.workloads.formats import ModuleFormats
from hwmodel.einsum.workloads.quantisation.cache import cache
from hwmodel.einsum.workloads.quantisation.rules import Method, Said, method
from hwmodel.einsum.workloads.quantisation.table import Table

KEYS = (
    "activation_scale_ub weights activations linear_class quantization_mode modules_to_fp8"
    " rms_norm_eps use_rms_norm activation_scheme weight_block_size kv_cache_scheme"
)

FORMATS = {
    "fbgemm_fp8": ("fp8", "fp8", "transformers' FbgemmFp8Config: rows of weights, tokens"),
    "mxfp8": ("fp8@32:8", "fp8", "vLLM's mxfp8: 32 values to an 8-bit scale"),
    "ptpc_fp8": ("fp8", "fp8", "vLLM's ptpc_fp8: a scale a channel and a token"),
    "eetq": ("int8", "", "transformers' EetqConfig: int8 weights, a scale a channel"),
    "experts_int8": ("int8", "", "vLLM's experts_int8"),
    "tpu_int8": ("int8", "", "vLLM's tpu_int8"),
    "deepspeedfp": ("fp8", "", "vLLM's deepspeedfp, 8 bits"),
    "bitnet": ("int2", "int8", "transformers' BitNetQuantConfig: four ternary weights a byte"),
}
"""Method -> weights, what they multiply (empty: as stored), source."""


def plain(name: str) -> Method:
    """The method of one line of `FORMATS`."""
    return method(_reader(name), KEYS)


def _reader(name: str) -> Callable[[Table], Said]:
    weight, linear, _ = FORMATS[name]

    def read(table: Table) -> Said:
        return Said(ModuleFormats(weight, linear or table.stored), towers=True, kv=cache(table))

    return read


def quanto(table: Table) -> Said:
    """Optimum-quanto: names of formats for weights and activations."""
    names = {"int8": "int8", "int4": "int4@128:32", "int2": "int2@128:32", "float8": "fp8"}
    weight, inputs = table.get("weights"), table.get("activations")
    if weight not in names:
        raise table.unmodelled("weights", weight, f"expected one of {', '.join(names)}")
    if inputs is not None and inputs not in names:
        raise table.unmodelled("activations", inputs, f"expected one of {', '.join(names)}")
    linear = names[inputs].partition("@")[0] if inputs else table.stored
    return Said(ModuleFormats(names[weight], linear), towers=True)


METHODS = {**{name: plain(name) for name in FORMATS}, "quanto": method(quanto, KEYS)}
