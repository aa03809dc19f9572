"""The format of keys and values, as checkpoints state it."""

from collections.abc import Mapping
from typing import Any, cast

from hwmodel.einsum.workloads.quantisation.table import Table

KEYS = "kv_cache_scheme kv_cache_quant_algo kv_cache_dtype kv_cache_quant_method"
NAMES = {
    **{"fp8": "fp8", "fp8_e4m3": "fp8", "fp8_e5m2": "fp8", "fp8_ds_mla": "fp8"},
    **{"nvfp4": "nvfp4", "int8": "int8", "int4": "int4"},
}
WIDE = ("none", "no_quant", "auto")


def cache(table: Table) -> str | None:
    """Format of keys and values; None where they are as the activations."""
    for key in KEYS.split():
        said = table.get(key)
        if said is not None:
            return _format(table, key, said)
    return None


def _format(table: Table, key: str, said: Any) -> str | None:
    if isinstance(said, Mapping):
        scheme = table.of(key, cast(Mapping[str, Any], said))
        kind, bits = scheme.get("type"), scheme.get("num_bits")
        said = {("float", 8): "fp8", ("int", 8): "int8", ("float", 4): "nvfp4"}.get((kind, bits))
        if said is None:
            raise scheme.unmodelled("type", f"{kind} of {bits} bits", "expected 8 bits")
    if isinstance(said, str) and said.lower() in WIDE:
        return None
    if not isinstance(said, str) or said.lower() not in NAMES:
        raise table.unmodelled(key, said, f"expected one of {', '.join(NAMES)}")
    return NAMES[said.lower()]
