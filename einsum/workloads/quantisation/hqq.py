"""HQQ: a 16-bit scale and zero point for each group of inputs, widened before the product.

`quant_config` holds `weight_quant_params` for all linear layers, or for each by the end of its name
(Badri & Shaji, Half-Quadratic Quantization, 2023; hqq's `BaseQuantizeConfig`).
"""

from collections.abc import Mapping
from typing import Any, cast

from hwmodel.einsum.workloads.formats import ModuleFormats
from hwmodel.einsum.workloads.quantisation.modules import pattern
from hwmodel.einsum.workloads.quantisation.rules import Rule, Said, method
from hwmodel.einsum.workloads.quantisation.table import Table, integers

KEYS = "quant_config nbits group_size view_as_float axis dynamic_config"
PARAMETERS = "weight_quant_params"
EXTRA = 32
"""Bits of the scale and zero point of a group."""


def read(table: Table) -> Said:
    """Formats of an HQQ checkpoint."""
    given = table.table("quant_config")
    if not given.given:
        return Said(_formats(table))
    if PARAMETERS in given.given:
        return Said(_formats(given.table(PARAMETERS)))
    rules: list[Rule] = []
    for name, said in given.given.items():
        if not isinstance(said, Mapping):
            raise given.wrong(name, "a table", said)
        line = given.of(name, cast(Mapping[str, Any], said))
        line = line.table(PARAMETERS) if PARAMETERS in line.given else line
        rules.append(Rule(pattern(given.where, name), _formats(line)))
    return Said(None, tuple(rules))


def _formats(line: Table) -> ModuleFormats:
    bits, group = line.number("nbits", 4), line.get("group_size", 64)
    return ModuleFormats(integers(line, "nbits", bits, group, EXTRA), line.stored)


METHOD = method(read, KEYS)
