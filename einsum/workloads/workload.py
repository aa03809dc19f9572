"""From a workload's arguments to its cascade: sizes checked, text bound, origin remembered.

A workload is a text in the notation of `notation.py`, written once without sizes, and a function
that binds it. Sizes are whole numbers of 1 or more, or arrays of them that broadcast together.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache, wraps
from types import MappingProxyType, NoneType
from typing import Any, ParamSpec, TypeAlias, TypeVar

import numpy as np

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.known import known
from hwmodel.einsum.notation import parse
from hwmodel.einsum.origin import Origin
from hwmodel.quantity.dtypes import dtype
from hwmodel.quantity.errors import InputError
from hwmodel.quantity.printable import shown
from hwmodel.quantity.units import Amount, amount

P = ParamSpec("P")
R = TypeVar("R")

MOST = 2**53
"""No size is larger: arrays of sizes are float64, which is exact up to here."""


def whole(workload: str, **given: Any) -> dict[str, Amount]:
    """Check each named size as a whole number (or array of them) above 0; they must broadcast."""
    sizes: dict[str, Amount] = {}
    arrays = False
    for name, value in given.items():
        if type(value) is int and value > 0:
            if value > MOST:
                raise InputError(
                    f"{workload}: {name}: expected 2**53 at most, found {shown(value)}"
                )
            sizes[name] = value
        else:
            sizes[name] = amount(value, whole=True, where=f"{workload}: {name}")
            arrays = arrays or isinstance(sizes[name], np.ndarray)
    if arrays:
        _check_shapes(workload, sizes)
    return sizes


def _check_shapes(workload: str, sizes: Mapping[str, Amount]) -> None:
    shapes = {name: np.shape(size) for name, size in sizes.items() if np.ndim(size)}
    try:
        np.broadcast_shapes(*shapes.values())
    except ValueError:
        listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise InputError(
            f"{workload}: expected arrays whose shapes broadcast together, found {listed}"
        ) from None


def count(workload: str, name: str, value: Any) -> int:
    """Check a size that decides the structure of a workload, hence cannot be an array."""
    found = amount(value, whole=True, where=f"{workload}: {name}")
    if not isinstance(found, int):
        raise InputError(f"{workload}: {name}: expected one number, found an array")
    return found


def formats(workload: str, **given: str) -> dict[str, str]:
    """Canonical names of number formats; an unknown one is an error that names the argument."""
    names: dict[str, str] = {}
    for name, value in given.items():
        if not isinstance(value, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InputError(f"{workload}: {name}: expected a dtype's name, found {shown(value)}")
        names[name] = dtype(value).name
    return names


def product_format(name: str) -> str:
    """Format that a library's matrix product writes by default.

    The format of its inputs; bf16 for inputs of 8 bits or fewer (`torch._scaled_mm`), int32 for
    int8 (`torch._int_mm`).
    """
    if name in ("int8", "int4"):
        return "int32"
    return "bf16" if dtype(name).bits <= 8 else name


def once(function: Callable[P, R]) -> Callable[P, R]:
    """A workload's function that finds what it has made of the same single values before.

    What it makes never changes. With arrays it is called every time.
    """
    kept = lru_cache(maxsize=MADE, typed=True)(function)

    @wraps(function)
    def call(*args: P.args, **given: P.kwargs) -> R:
        if all([type(value) in PLAIN for value in (*args, *given.values())]):
            return kept(*args, **given)
        return function(*args, **given)

    return call


MADE = 1024
"""Workloads of a function that are kept, those not asked for longest forgotten first."""


def instance(
    workload: str,
    make: Callable[..., Any],
    text: str,
    *,
    sizes: Mapping[str, Amount],
    dtypes: Mapping[str, str],
    arguments: Mapping[str, Any],
    name: str | None = None,
) -> Cascade:
    """Bind a text to sizes (by rank) and dtypes (by tensor).

    `make` is the workload's function, which `arguments` can make it again with.
    """
    cascade = parse(text, sizes=sizes, dtypes=dtypes, name=name or workload)
    given = tuple(arguments.items())
    if all(type(value) in PLAIN for _, value in given):
        return _made(cascade, workload, make, given, str(given))
    return _of_origin(cascade, workload, make, given)


PLAIN = (int, str, bool, NoneType)
"""Kinds of argument that never change."""


Given: TypeAlias = tuple[tuple[str, Any], ...]


def _of_origin(cascade: Cascade, workload: str, make: Callable[..., Any], given: Given) -> Cascade:
    origin = Origin(workload, MappingProxyType(dict(given)), make)
    return replace(cascade, origin=origin).told(cascade.form)


@known(keep=lambda made: True)
def _made(
    cascade: Cascade, workload: str, make: Callable[..., Any], given: Given, _: str
) -> Cascade:
    """The cascade with what made it, the same value every time; True and 1 are written apart."""
    return _of_origin(cascade, workload, make, given)
