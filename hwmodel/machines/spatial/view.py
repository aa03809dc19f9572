"""Views of a spatial machine and its work for the mappers of loop nests, which know less of it.

For one Einsum a mapper sees DRAM, the buffer and the 2D array with its registers; for several,
whose traffic alone it answers for, DRAM and the buffer. The 1D array belongs to a binding. Arrays
that store one width of number keep the values between Einsums in the operands' format, whatever a
workload would accumulate in.
"""

from dataclasses import replace
from types import MappingProxyType

from hwmodel.einsum.cascade import Cascade
from hwmodel.hardware.hardware import Hardware
from hwmodel.quantity.errors import CoverageError

LEVELS = {"dram": "", "buffer": "", "register": "matrix"}
"""The memories that stay, and the array that each belongs to."""


def view(cascade: Cascade, hardware: Hardware) -> tuple[Cascade, Hardware]:
    """What a mapper sees; a machine without a binding is seen as it is.

    Raises `CoverageError` for a fixed pipeline, which has no loop nest to choose.
    """
    if not hardware.binding:
        return cascade, hardware
    missing = [level for level in LEVELS if level not in hardware.memories]
    if missing or "matrix" not in hardware.arrays:
        raise CoverageError(
            f"{hardware.name}: expected memories {', '.join(LEVELS)} and the array matrix, as on"
            f" fusemax, for a loop nest to choose; found a fixed pipeline with"
            f" {', '.join(hardware.memories)}; hwmodel predict runs attention on it"
        )
    array = "matrix" if len(cascade.einsums) == 1 else ""
    seen = {
        "memories": {n: hardware.memories[n] for n, of in LEVELS.items() if of in ("", array)},
        "arrays": {array: hardware.arrays[array]} if array else {},
        "units": {"matrix": hardware.units["matrix"]},
        "functions": {},
    }
    return in_words(cascade), hardware.model_copy(update=seen)


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
