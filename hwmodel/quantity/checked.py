"""Arguments of public functions, checked against the kinds that their annotations declare.

`checked` refuses, by `InputError` with the function's and the argument's name, what an annotation
of plain kinds does not allow: a list as a name, a text as a number, a truth value as a count, a
number that is none (NaN) or that no float holds. Arrays pass where numbers may: what takes them
says so, and what does not. Annotations of other kinds are the function's own to check.
"""

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, ParamSpec, TypeVar, Union, cast, get_args, get_origin

import numpy as np

from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.quantity.extras import as_missing
from hwmodel.quantity.printable import shown
from hwmodel.quantity.units import LARGEST_BITS

P = ParamSpec("P")
R = TypeVar("R")


def _is_name(value: Any) -> bool:
    return isinstance(value, str)


def _is_flag(value: Any) -> bool:
    """A truth value, or 0 or 1, as tables of numbers have it."""
    return isinstance(value, (bool, np.bool_)) or (
        isinstance(value, (int, float, np.number)) and value in (0, 1)
    )


def _is_number(value: Any) -> bool:
    """A finite number, or an array of them."""
    if isinstance(value, np.ndarray):
        array = cast(Any, value)
        return array.dtype.kind in "iuf" and bool(np.all(np.isfinite(array)))
    if isinstance(value, (bool, np.bool_)):
        return False
    if isinstance(value, int):
        return value.bit_length() <= LARGEST_BITS
    return isinstance(value, (float, np.integer, np.floating)) and math.isfinite(
        float(cast(Any, value))
    )


def _is_list(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return bool(cast(Any, value).ndim)
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))


KINDS: dict[Any, tuple[Callable[[Any], bool], str]] = {
    str: (_is_name, "a name"),
    bool: (_is_flag, "true or false"),
    int: (_is_number, "a whole number"),
    float: (_is_number, "a number"),
    Path: (lambda value: isinstance(value, Path), "a path"),
    Mapping: (lambda value: isinstance(value, Mapping), "a table"),
    Sequence: (_is_list, "a list"),
    NoneType: (lambda value: value is None, "none"),
}
"""Kind in an annotation -> whether a value is of it, and what it is called."""


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """The function, with arguments of plain kinds checked before it is called.

    Arguments that it has not, or lacks, are refused as other bad input is.
    """
    parameters = inspect.signature(function).parameters
    kinds = {name: kinds_of(each.annotation) for name, each in parameters.items()}
    names = tuple(parameters)

    @wraps(function)
    def call(*args: P.args, **given: P.kwargs) -> R:
        for name, value in (*zip(names, args, strict=False), *given.items()):
            allowed = kinds.get(name)
            if allowed and not any(KINDS[kind][0](value) for kind in allowed):
                wanted = " or ".join(KINDS[kind][1] for kind in allowed)
                called = f"{function.__name__}: {name}"
                raise InputError(f"{called}: expected {wanted}, found {shown(value)}")
        try:
            return function(*args, **given)
        except TypeError:
            _check_names(function, args, given)
            raise
        except ModuleNotFoundError as error:
            raise as_missing(error) from None

    return call


def named(function: Callable[P, R]) -> Callable[P, R]:
    """The function, with arguments that it has not, or lacks, refused as other bad input is."""

    @wraps(function)
    def call(*args: P.args, **given: P.kwargs) -> R:
        try:
            return function(*args, **given)
        except TypeError:
            _check_names(function, args, given)
            raise
        except ModuleNotFoundError as error:
            raise as_missing(error) from None

    return call


def _check_names(
    function: Callable[..., Any], args: tuple[object, ...], given: Mapping[str, object]
) -> None:
    """Refuses arguments that a function does not have, and their lack, as `InputError`."""
    signature = inspect.signature(function)
    try:
        signature.bind(*args, **given)
    except TypeError as error:
        called, all_of = function.__name__, signature.parameters.values()
        names = [each.name for each in all_of if each.kind not in _OPEN and each.name != "self"]
        strange = [name for name in given if name not in signature.parameters]
        if strange and not any(each.kind is inspect.Parameter.VAR_KEYWORD for each in all_of):
            raise UnknownNameError(f"argument of {called}", strange[0], names) from None
        wanted = ", ".join(names) or "no arguments"
        raise InputError(f"{called}: expected {wanted}; found {error}") from None


_OPEN = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
"""Kinds of parameters that take any number of arguments."""


def either(annotation: Any) -> tuple[Any, ...]:
    """The kinds of a union, of whichever sort Python makes of it; of another the kind itself."""
    return get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)


def kinds_of(annotation: Any) -> tuple[Any, ...]:
    """The plain kinds that an annotation allows; none where it allows others too."""
    found = tuple(get_origin(part) or part for part in either(annotation))
    plain = all(isinstance(part, type) and part in KINDS for part in found)
    return tuple(dict.fromkeys(found)) if plain else ()
