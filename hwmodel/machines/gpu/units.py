"""Which unit of a GPU does which operation.

Products of two tensors summed run on the matrix units where these know the operands' format (fp32
is unknown to them, unless TF32 is allowed, which is then the tensors' declared format).
Transcendentals run on the special-function unit, 16 a clock per SM (CUDA C++ Programming Guide,
arithmetic throughput table), one instruction each; a division is a reciprocal there and a
multiplication. All else runs on the fp32 lanes, whatever the stored format.
"""

from collections.abc import Mapping

from hwmodel.quantity.dtypes import base_of, dtype, structure_of
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Operation

SPECIAL = frozenset(
    {"exp", "log", "rsqrt", "sqrt", "tanh", "divide", "sigmoid", "erf", "sin", "cos"}
)
"""Kinds of operation that need the special-function unit."""

FREE = frozenset({"copy", "cast", "gather"})
"""Kinds that move data and compute nothing."""

NOT_ON_MATRIX = ("fp32", "int32", "int64", "int16")


def product_unit(a: str, b: str) -> tuple[str, str]:
    """(unit, dtype) of a product of operands in formats `a` and `b`.

    Operands of two widths run at the wider one's rate: the narrow one is converted on the way in.
    Where two in each four of `b` are no zero, units that skip the others have a rate of its own.
    """
    wide = a if dtype(a).bits >= dtype(b).bits else b
    wide = base_of(wide)
    return ("vector" if wide in NOT_ON_MATRIX else "matrix", wide + structure_of(b))


def scalar_operations(counts: Mapping[tuple[str, str], Amount]) -> dict[Operation, Amount]:
    """Operations by unit from counts by (kind, dtype), of an Einsum that is no matrix product."""
    special: Amount = 0
    plain: Amount = 0
    for (kind, _), count in counts.items():
        if kind in FREE:
            continue
        if kind in SPECIAL:
            special = special + count
        else:
            plain = plain + count
    found: dict[Operation, Amount] = {}
    if not isinstance(special, int) or special:
        found["exp", "exp", "fp32"] = special
    if not isinstance(plain, int) or plain:
        found["vector", "flop", "fp32"] = plain
    return found
