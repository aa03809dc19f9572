"""Scale factors of fp8 operands in a request: `"scales": "tensor" | "row" | "block"`.

A short form, for products and experts in fp8: one scale for each operand (what `"dtype": "fp8"`
means), one for each row of the activations and each column of the weights (`[M, 1]` and `[1, N]` of
`torch._scaled_mm`: a kernel of its own), or one for each block of 128 x 128 weights, 4 bytes each.
"""

from collections.abc import Mapping
from typing import Any

from hwmodel.machines.gpu.libraries.shipped import DEFAULT, by_row
from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.quantity.printable import shown

SCALED = {"gemm": "gemm", "grouped_gemm": "grouped", "moe": "grouped"}
"""Workloads that take the field, and the schedule of their products."""

SCALES = ("tensor", "row", "block")
BLOCKS = "fp8@16384:32"
"""Format of weights with a 32-bit scale for each 128 x 128 of them."""


def unfolded(workload: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The request with `scales` put into other fields; `InputError` where they disagree."""
    found = dict(given)
    scales = found.pop("scales", None)
    if scales is None or workload not in SCALED:
        return dict(given)
    if not isinstance(scales, str) or scales not in SCALES:
        raise InputError(f"{workload}: {UnknownNameError('scales', shown(scales), SCALES)}")
    where = f"{workload}: scales {scales!r}"
    if found.get("dtype") != "fp8":
        asked = shown(found.get("dtype", "bf16"))
        raise InputError(f"{where}: expected dtype 'fp8', found {asked}")
    if scales == "block":
        if found.get("weight_dtype") not in (None, "fp8", BLOCKS):
            stored = shown(found["weight_dtype"])
            raise InputError(f"{where}: means weight_dtype {BLOCKS!r}, found {stored}")
        found["weight_dtype"] = BLOCKS
    if scales == "row":
        kernel = found.get("kernel") or DEFAULT.name
        known = by_row(SCALED[workload])
        if not isinstance(kernel, str) or kernel not in known:
            able = ", ".join(known)
            raise InputError(f"{where}: expected a kernel of {able}, found {shown(kernel)}")
        found["kernel"] = known[kernel]
    return found
