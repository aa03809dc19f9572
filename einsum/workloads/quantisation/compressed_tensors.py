"""compressed-tensors, which llm-compressor writes: groups of modules, each with a scheme.

A group's `targets` are classes ("Linear"), names or expressions; a name decides before a class
(`find_matched_target` of compressed-tensors). `weights` and `input_activations` say bits, type and
scales: a group of inputs has a 16-bit scale and, where it is not symmetric, a zero point of its own
width; 16 (32) 4-bit floats share an 8-bit scale and are NVFP4 (MXFP4).
"""

from collections.abc import Mapping
from typing import Any, cast

from hwmodel.einsum.workloads.formats import ModuleFormats
from hwmodel.einsum.workloads.quantisation.cache import cache
from hwmodel.einsum.workloads.quantisation.modules import pattern
from hwmodel.einsum.workloads.quantisation.rules import Rule, Said, method
from hwmodel.einsum.workloads.quantisation.table import Table, block, integers

KEYS = (
    "config_groups format quantization_status global_compression_ratio kv_cache_scheme version"
    " sparsity_config transform_config"
)
CLASSES = ("Linear", "LinearBase", "FusedMoE", "RoutedExperts", "ColumnParallelLinear")
"""Classes that targets may name: linear layers all."""

MICROSCALED = {16: "nvfp4", 32: "mxfp4"}
PACKED = {"nvfp4": 16, "mxfp4": 32, "mxfp8": 32}
"""First word of `format` -> floats that share a scale, where a scheme does not say."""


def read(table: Table) -> Said:
    """Formats of a compressed-tensors checkpoint."""
    groups = table.table("config_groups")
    if not groups.given:
        raise table.unmodelled("config_groups", table.get("config_groups"), "expected a group")
    rules: list[Rule] = []
    otherwise: ModuleFormats | None = None
    warnings: list[str] = []
    for name, said in groups.given.items():
        if not isinstance(said, Mapping):
            raise groups.wrong(name, "a table", said)
        group = groups.of(name, cast(Mapping[str, Any], said))
        formats = scheme(group, str(group.get("format", table.get("format"))))
        targets = group.names("targets") or ("Linear",)
        if any(target in CLASSES for target in targets):
            otherwise = otherwise or formats
        named = [target for target in targets if target not in CLASSES]
        rules += [Rule(pattern(f"{group.where}.targets", target), formats) for target in named]
    sparsity = table.table("sparsity_config").get("format", "dense")
    if sparsity != "dense":
        warnings.append(f"{table.where}.sparsity_config: {sparsity} is counted as dense")
    return Said(
        otherwise, tuple(rules), head=True, towers=True, kv=cache(table), warnings=tuple(warnings)
    )


def scheme(group: Table, packed: str) -> ModuleFormats:
    """Formats of one group's modules; `packed` is how they are stored, "nvfp4-pack-quantized"."""
    weights, inputs = group.table("weights"), group.table("input_activations")
    weight = number_format(weights, packed) if weights.given else group.stored
    if not inputs.given:
        return ModuleFormats(weight, group.stored)
    return ModuleFormats(weight, number_format(inputs, packed).partition("@")[0])


def number_format(given: Table, packed: str) -> str:
    """The format that `num_bits`, `type`, `group_size` and `symmetric` make."""
    bits, kind, group = given.get("num_bits"), given.get("type", "int"), given.get("group_size")
    if kind == "float" and group is None and packed.partition("-")[0] in PACKED:
        group = PACKED[packed.partition("-")[0]]
    match kind, bits:
        case "float", 8 if group == 32:
            return "fp8@32:8"
        case "float", 8:
            return block(given, "block_structure", given.get("block_structure"))
        case "float", 4 if group in MICROSCALED:
            return MICROSCALED[group]
        case "float" | "bfloat", 16:
            return given.stored
        case "int", int():
            zero = 0 if given.get("symmetric", True) else bits
            return integers(given, "num_bits", bits, group, 16 + zero)
        case _:
            found = f"{kind} of {bits} bits, groups of {group}"
            wanted = "expected int, or float of 8 bits or of 4 in groups of 16 or 32"
            raise given.unmodelled("type", found, wanted)


METHOD = method(read, KEYS)
