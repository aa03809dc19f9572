"""Views of a spatial machine and its work for the mappers of loop nests, which know less of it.

A mapper of loop nests sees DRAM and one buffer, with the 2D array as the one unit that computes;
registers and the second array belong to a binding. Arrays that store one width of number keep the
values between Einsums in the operands' format, whatever a workload would accumulate in.
"""

from dataclasses import replace
from types import MappingProxyType

from hwmodel.einsum.cascade import Cascade
from hwmodel.hardware import Hardware

LEVELS = ("dram", "buffer")
"""The memories that stay."""


def two_levels(hardware: Hardware) -> Hardware:
    """The machine as DRAM and a buffer; any other machine as it is."""
    if not hardware.binding:
        return hardware
    kept = {name: hardware.memories[name] for name in LEVELS}
    unit = {"matrix": hardware.units["matrix"]}
    return hardware.model_copy(
        update={"memories": kept, "arrays": {}, "functions": {}, "units": unit}
    )


def in_words(cascade: Cascade) -> Cascade:
    """The cascade with every tensor that is neither input nor output in the operands' format."""
    outer = (*cascade.inputs, *cascade.outputs)
    if not cascade.inputs:
        return cascade
    word = cascade.tensors[cascade.inputs[0]].dtype
    tensors = {
        name: tensor if name in outer else replace(tensor, dtype=word)
        for name, tensor in cascade.tensors.items()
    }
    return replace(cascade, tensors=MappingProxyType(tensors), origin=None)
