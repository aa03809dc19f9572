"""`hwmodel patches`: the split and the patches of a network that fit a microcontroller, and why.

The network is named as in `hwmodel predict cnn`, by fields such as network=mobilenetv2
resolution=160, or is a `.tflite` file.
"""

from collections.abc import Mapping
from typing import Any

from hwmodel.einsum.workloads.cnn import cnn
from hwmodel.hardware.catalogue import device
from hwmodel.mappers.patches import DEFAULT_OBJECTIVE, PatchMapped, certified, map_patches
from hwmodel.quantity.errors import InputError, UnknownNameError

FIELDS = ("resolution", "width", "classes", "dtype")


def mapped(given: Mapping[str, Any], fields: Mapping[str, Any]) -> PatchMapped:
    """The answer of the command; raises as `certified` does."""
    for name in fields:
        if name not in FIELDS:
            raise UnknownNameError("field of a network", name, FIELDS)
    machine = device(given["on"])
    if machine.kind != "mcu":
        raise InputError(f"--on: expected a microcontroller, found {machine.name} ({machine.kind})")
    return certified(
        map_patches,
        cnn(given["network"], **fields),
        machine,
        objective=given.get("objective") or DEFAULT_OBJECTIVE,
        kernel=given.get("kernel"),
        sram_bytes=given.get("sram"),
    )
