"""torchao: a configuration class, or its older name, for all linear layers or for some by name.

transformers writes `quant_type` as {"default": {"_type": class, "_data": fields}}; the older form
is a name with `quant_type_kwargs`. `ModuleFqnToConfig` (`FqnToConfig`) has one for each module.
int4 weight-only is tinygemm's: a 16-bit scale and zero for each group. Source:
`torchao.quantization`, `quant_api.py` of torchao 0.13.
"""

from collections.abc import Mapping
from typing import Any, cast

from hwmodel.einsum.workloads.formats import ModuleFormats
from hwmodel.einsum.workloads.quantisation.modules import HEAD, expression, pattern
from hwmodel.einsum.workloads.quantisation.rules import Rule, Said, method
from hwmodel.einsum.workloads.quantisation.table import Table, integers

KEYS = (
    "quant_type quant_type_kwargs include_input_output_embeddings include_embedding"
    " untie_embedding_weights"
)

CLASSES = {
    "Int4WeightOnly": ("int4", 32, ""),
    "Int8WeightOnly": ("int8", 0, ""),
    "Int8DynamicActivationInt8Weight": ("int8", 0, "int8"),
    "Int8DynamicActivationInt4Weight": ("int4", 16, "int8"),
    "Int8DynamicActivationIntxWeight": ("weight_dtype", 16, "int8"),
    "IntxWeightOnly": ("weight_dtype", 16, ""),
    "UIntXWeightOnly": ("dtype", 32, ""),
    "GemliteUIntXWeightOnly": ("bit_width", 32, ""),
    "Float8WeightOnly": ("fp8", 0, ""),
    "Float8DynamicActivationFloat8Weight": ("fp8", 0, "fp8"),
    "Float8StaticActivationFloat8Weight": ("fp8", 0, "fp8"),
    "Float8DynamicActivationInt4Weight": ("int4", 16, "fp8"),
    "MXFPInference": ("mxfp4", 0, "mxfp4"),
    "NVFP4Inference": ("nvfp4", 0, "nvfp4"),
    "NVFP4WeightOnly": ("nvfp4", 0, ""),
    "NVFP4DynamicActivationNVFP4Weight": ("nvfp4", 0, "nvfp4"),
}
"""Class without `Config` -> weights (or the field that says their bits), bits that each group of
inputs has beside them, and what they multiply (empty: as stored)."""

NAMES = {
    "int4_weight_only": "Int4WeightOnly",
    "int4wo": "Int4WeightOnly",
    "int8_weight_only": "Int8WeightOnly",
    "int8wo": "Int8WeightOnly",
    "int8_dynamic_activation_int8_weight": "Int8DynamicActivationInt8Weight",
    "int8dq": "Int8DynamicActivationInt8Weight",
    "int8_dynamic_activation_int4_weight": "Int8DynamicActivationInt4Weight",
    "float8_weight_only": "Float8WeightOnly",
    "float8wo": "Float8WeightOnly",
    "float8_dynamic_activation_float8_weight": "Float8DynamicActivationFloat8Weight",
    "float8dq": "Float8DynamicActivationFloat8Weight",
}
"""Older names -> class."""

GROUPS = {"Int4WeightOnly": 128, "Float8DynamicActivationInt4Weight": 128, "default": 32}
"""Inputs to a group where none is said: torchao's own defaults."""


def read(table: Table) -> Said:
    """Formats of a torchao checkpoint."""
    said = table.get("quant_type")
    if isinstance(said, Mapping):
        inner = table.table("quant_type")
        made = inner.table("default") if "default" in inner.given else inner
        kind, fields = made.get("_type"), made.table("_data")
    else:
        kind, fields = NAMES.get(str(said), said), table.table("quant_type_kwargs")
    embeddings = bool(table.get("include_input_output_embeddings"))
    if str(kind).removesuffix("Config") in ("ModuleFqnTo", "FqnTo"):
        return _by_module(fields)
    formats = _formats(table, kind, fields)
    rules = (Rule(pattern(table.where, "embed_tokens"), formats),) if embeddings else ()
    return Said(formats, rules, head=embeddings, towers=True)


def _by_module(fields: Table) -> Said:
    """A configuration for each module; `_default` for all others."""
    keys = ("module_fqn_to_config", "fqn_to_config")
    lines = next((fields.table(key) for key in keys if key in fields.given), fields)
    rules: list[Rule] = []
    otherwise: ModuleFormats | None = None
    for name, given in lines.given.items():
        formats: ModuleFormats | None = None
        if isinstance(given, Mapping):
            line = lines.of(name, cast(Mapping[str, Any], given))
            formats = _formats(line, line.get("_type"), line.table("_data"))
        elif given is not None:
            raise lines.wrong(name, "a table", given)
        if name == "_default":
            otherwise = formats
        elif name.startswith("re:"):
            rules.append(Rule(expression(lines.where, name[3:]), formats))
        else:
            rules.append(Rule(pattern(lines.where, name), formats))
    head = any(rule.pattern.names(HEAD) for rule in rules)
    return Said(otherwise, tuple(rules), head=head, towers=True)


def _formats(table: Table, kind: Any, fields: Table) -> ModuleFormats:
    name = str(kind).removesuffix("Config")
    if name not in CLASSES:
        raise table.unmodelled("quant_type", kind, f"expected one of {', '.join(CLASSES)}")
    weight, extra, linear = CLASSES[name]
    if weight in ("weight_dtype", "dtype", "bit_width"):
        weight = f"int{_bits(fields, weight)}"
    if weight.startswith("int"):
        group = _group(fields, name) if extra else None
        weight = integers(fields, "group_size", int(weight[3:]), group, extra)
    return ModuleFormats(weight, linear or table.stored)


def _bits(fields: Table, key: str) -> int:
    """Bits in `torch.int4`, {"_data": "int4"} or 4."""
    said = fields.get(key)
    if isinstance(said, Mapping):
        said = cast(Mapping[str, Any], said).get("_data")
    digits = str(said).rpartition("int")[2]
    if not digits.isdigit():
        raise fields.wrong(key, "whole numbers of some bits, such as torch.int4", said)
    return int(digits)


def _group(fields: Table, name: str) -> int:
    granularity = fields.get("granularity")
    if isinstance(granularity, Mapping):
        inner = fields.table("granularity")
        if "Group" in str(inner.get("_type")):
            return inner.table("_data").number("group_size")
        return -1
    return fields.number("group_size", GROUPS.get(name, GROUPS["default"]))


METHOD = method(read, KEYS)
