"""Formats by module as a GGUF file has them (`gguf_file.py`): each weight by its own name."""

from collections.abc import Mapping
from typing import Any

from hwmodel.einsum.workloads.formats import ModuleFormats
from hwmodel.einsum.workloads.quantisation.modules import spelled
from hwmodel.einsum.workloads.quantisation.rules import Said, method
from hwmodel.einsum.workloads.quantisation.table import Table
from hwmodel.quantity.dtypes import dtype


def read(table: Table) -> Said:
    """Formats of the tensors of a file; their products run in the activations' format."""
    given: Mapping[str, Any] = table.table("formats").given
    exact: dict[tuple[str, ...], ModuleFormats] = {}
    for path, said in given.items():
        if not isinstance(said, str):
            raise table.wrong(f"formats.{path}", "the name of a format", said)
        weight = dtype(said).name
        exact[spelled(path)] = ModuleFormats(weight, table.stored)
    return Said(None, exact=exact)


METHOD = method(read, "formats")
