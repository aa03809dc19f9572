"""AMD's Quark: a scheme for all layers, others by name, each with weights and inputs.

`global_quant_config` and the lines of `layer_quant_config` (names with `*`) hold `weight` and
`input_tensors`, whose `dtype`, `qscheme` and `group_size` say the format; 32 fp4 values with an
e8m0 scale are MXFP4. `kv_cache_quant_config`, or outputs of the k and v projections, say the
cache's. Source: Quark's `Config`, and vLLM's `quark.py`.
"""

from collections.abc import Mapping
from typing import Any, cast

from hwmodel.einsum.workloads.formats import ModuleFormats
from hwmodel.einsum.workloads.quantisation.cache import cache
from hwmodel.einsum.workloads.quantisation.modules import pattern
from hwmodel.einsum.workloads.quantisation.rules import Rule, Said, method
from hwmodel.einsum.workloads.quantisation.table import Table, integers

KEYS = (
    "global_quant_config layer_quant_config layer_type_quant_config kv_cache_quant_config export"
    " algo_config quant_mode pre_quant_opt_config pre_optimization_config softmax_quant_spec"
    " log_severity_level version kv_cache_post_rope kv_cache_group custom_mode exclude"
)
EIGHT = {"fp8_e4m3": "fp8", "fp8_e5m2": "fp8", "int8": "int8", "uint8": "int8"}
MICROSCALED = {("fp4", 16): "nvfp4", ("fp4", 32): "mxfp4", ("fp6", 32): "fp6@32:8"}
BLOCK = 32
"""Values of fp4 and fp6 that share a scale where no group is said (OCP Microscaling)."""


def read(table: Table) -> Said:
    """Formats of a Quark checkpoint."""
    rules: list[Rule] = []
    lines = table.table("layer_quant_config")
    kv = cache(table) or _kept(table.table("kv_cache_quant_config"))
    for name, said in lines.given.items():
        if not isinstance(said, Mapping):
            raise lines.wrong(name, "a table", said)
        line = lines.of(name, cast(Mapping[str, Any], said))
        rules.append(Rule(pattern(lines.where, name), _formats(line)))
        if kv is None and name.rpartition(".")[2].strip("*") in ("k_proj", "v_proj"):
            kv = _number_format(line, "output_tensors")
    otherwise = _formats(table.table("global_quant_config"))
    return Said(otherwise, tuple(rules), head=True, kv=kv and kv.partition("@")[0])


def _kept(lines: Table) -> str | None:
    """The format in which any of these modules puts out its result."""
    for name, said in lines.given.items():
        if isinstance(said, Mapping):
            found = _number_format(lines.of(name, cast(Mapping[str, Any], said)), "output_tensors")
            if found:
                return found
    return None


def _formats(line: Table) -> ModuleFormats | None:
    weight = _number_format(line, "weight")
    if weight is None:
        return None
    inputs = _number_format(line, "input_tensors", weight)
    return ModuleFormats(weight, inputs.partition("@")[0] if inputs else line.stored)


def _number_format(line: Table, key: str, otherwise: str | None = None) -> str | None:
    """The format of one tensor; None where it stays as it is, `otherwise` where it has no dtype."""
    said = line.get(key)
    if isinstance(said, list):  # scales of scales: the first says how values are stored
        steps = cast(list[Any], said)
        line = line.of(key, {key: steps[0]}) if steps else line.of(key, {})
    given = line.table(key)
    if not given.given:
        return None
    if given.get("dtype") is None:
        return otherwise
    name = str(given.get("dtype")).removesuffix("_e2m1")
    group = given.get("group_size") if given.get("qscheme") == "per_group" else None
    if name in ("fp4", "fp6"):
        group = given.get("group_size", BLOCK)
    if name in EIGHT and group is None:
        return EIGHT[name]
    if isinstance(group, int) and (name, group) in MICROSCALED:
        return MICROSCALED[name, group]
    if name in ("bfloat16", "float16"):
        return None
    digits = name.rpartition("int")[2]
    if name.startswith(("int", "uint")) and digits.isdigit():
        zero = 0 if given.get("symmetric", True) else int(digits)
        return integers(given, "dtype", int(digits), group, 16 + zero)
    known = ", ".join((*EIGHT, "int4", "fp4 in groups of 16 or 32"))
    raise given.unmodelled("dtype", f"{name} in groups of {group}", f"expected one of {known}")


METHOD = method(read, KEYS)
