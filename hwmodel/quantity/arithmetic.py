"""Arithmetic that is the same for ints and arrays: exact on ints, float64 on arrays.

Sizes are Python ints (exact at any size) or float64 arrays (exact below 2**53), never int64, which
overflows in silence. These few functions keep each kind what it is. One number is worked on by
Python's own arithmetic, which takes a tenth of NumPy's time on it, to the same last bit.
"""

import math
from collections.abc import Iterable
from typing import Any, cast

import numpy as np

from hwmodel.quantity.units import Amount


def ceil_div(a: Amount, b: Amount) -> Amount:
    """Least whole number of parts of size `b` that hold `a`.

    >>> ceil_div(10**30 + 1, 10**15)
    1000000000000001
    """
    if isinstance(a, int) and isinstance(b, int):
        return -(-a // b)
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        parts = a / b
        return float(math.ceil(parts)) if math.isfinite(parts) else parts
    return np.ceil(np.asarray(a, dtype=np.float64) / b)[()]


def floor_div(a: Amount, b: Amount) -> Amount:
    """How many whole parts of size `b` fit into `a`."""
    if isinstance(a, int) and isinstance(b, int):
        return a // b
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        parts = a / b
        return float(math.floor(parts)) if math.isfinite(parts) else parts
    return np.floor(np.asarray(a, dtype=np.float64) / b)[()]


def most(values: Iterable[Amount]) -> Amount:
    """The elementwise maximum of any number of amounts; 0 of none."""
    result: Amount | None = None
    for value in values:
        if result is None:
            result = value
        elif isinstance(result, (int, float)) and isinstance(value, (int, float)):
            result = max(result, value)
        else:
            result = np.maximum(result, value)
    return 0 if result is None else result


def least(values: Iterable[Amount]) -> Amount:
    """The elementwise minimum of one or more amounts."""
    result: Amount | None = None
    for value in values:
        if result is None:
            result = value
        elif isinstance(result, (int, float)) and isinstance(value, (int, float)):
            result = min(result, value)
        else:
            result = np.minimum(result, value)
    if result is None:
        raise ValueError("least of nothing")
    return result


def first_where(condition: Any, *values: Amount) -> tuple[float, ...]:
    """The values at the first place where a condition holds, for a refusal to name.

    >>> first_where(np.array([False, True, True]), np.array([1.0, 2.0, 3.0]), 7)
    (2.0, 7.0)
    """
    holds, *spread = np.broadcast_arrays(condition, *values)
    place = int(np.argmax(holds))
    return tuple(float(each.flat[place]) for each in spread)


def product(values: Iterable[Amount]) -> Amount:
    """The product of any number of amounts; 1 of none."""
    result: Amount = 1
    for value in values:
        result = result * value
    return result


def power(base: Amount, exponent: float) -> Amount:
    """`base ** exponent`, to the last bit the same for one number as inside an array.

    Python and NumPy scalars ask the C library, arrays NumPy's own loops: their last bits differ in
    a twentieth of all cases. Here all go through the loops.

    >>> power(2.0, 10.0) == power(np.array([3.0, 2.0]), 10.0)[1] == 1024
    True
    """
    if isinstance(base, (int, float)):
        return float(base) if base in (0, 1) and exponent > 0 else float(np.power(base, exponent))
    return np.power(base, exponent)


def powers(bases: list[Amount], exponent: float) -> list[Amount]:
    """`power` of each: of single numbers all at once, which takes little longer than one."""
    if len(bases) > 1 and all([isinstance(base, (int, float)) for base in bases]):
        return np.power(cast(list[float], bases), exponent).tolist()
    return [power(base, exponent) for base in bases]


def root(value: Amount) -> Amount:
    """The square root, which is rounded correctly everywhere."""
    return math.sqrt(value) if isinstance(value, (int, float)) else np.sqrt(value)


def where(condition: object, then: Amount, otherwise: Amount) -> Amount:
    """`then` where the condition holds: elementwise for arrays, one of the two for a plain bool."""
    if isinstance(condition, (bool, np.bool_)):
        return then if condition else otherwise
    return np.where(np.asarray(condition), then, otherwise)
