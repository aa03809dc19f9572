"""A digest of what a function is: its code, its defaults, what it closes over and calls of its own.

Two functions of one digest do the same, as far as their own module and plain values tell; a library
that they call may have changed, which only their answers show. What cannot be read (built-in
functions, objects without a representation of their own) counts by its type and name alone.
"""

import functools
import hashlib
import platform
import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, cast

import numpy as np
from pydantic import BaseModel

PYTHON = ".".join(platform.python_version_tuple()[:2])
"""Version whose bytecode a digest is of."""

DEPTH = 12
"""Functions and values within one another that are followed."""


def digest_of(function: Callable[..., Any]) -> str:
    """SHA-256 of a function's code and values, in hexadecimal."""
    digest = hashlib.sha256()
    for piece in pieces_of(function):
        digest.update(piece)
        digest.update(b"\0")
    return digest.hexdigest()


def pieces_of(value: Any) -> Iterable[bytes]:
    """What tells a value from others."""
    return _pieces(value, frozenset(), DEPTH)


def _pieces(value: Any, seen: frozenset[int], depth: int) -> Iterable[bytes]:
    """What tells a value from others, piece by piece; what has been met on the way ends it."""
    name = type(value).__qualname__
    if value is None or isinstance(value, (bool, int, float, complex, str, bytes)):
        yield f"{name} {value!r}".encode("utf-8", "surrogatepass")
        return
    if id(value) in seen or not depth:
        yield name.encode()
        return
    yield name.encode()
    for part in _parts(value):
        yield from _pieces(part, seen | {id(value)}, depth - 1)


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, functools.partial):
        return (value.func, value.args, value.keywords)
    if isinstance(value, types.MethodType):
        return (value.__func__, value.__self__)
    if isinstance(value, types.FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or () if _filled(cell)]
        return (_code(value), value.__defaults__, value.__kwdefaults__, cells, _globals(value))
    if isinstance(value, types.CodeType):
        return (value.co_code, value.co_names, value.co_varnames, value.co_consts)
    if isinstance(value, np.ndarray):
        array = cast(Any, value)
        return (str(array.dtype), array.shape, array.tobytes() if array.dtype != object else b"")
    if isinstance(value, BaseModel):
        return [(field, getattr(value, field)) for field in type(value).model_fields]
    if is_dataclass(value) and not isinstance(value, type):
        return [(field.name, getattr(value, field.name)) for field in fields(value)]
    if isinstance(value, Mapping):
        return list(cast(Mapping[Any, Any], value).items())
    if isinstance(value, (list, tuple)):
        return cast(list[Any], value)
    if isinstance(value, (set, frozenset)):
        return sorted(map(repr, cast(set[Any], value)))
    return (str(getattr(value, "__module__", "")), str(getattr(value, "__qualname__", "")))


def _code(function: types.FunctionType) -> types.CodeType:
    """The code without its docstring."""
    code, text = function.__code__, function.__doc__
    return code.replace(co_consts=tuple(None if c is text else c for c in code.co_consts))


def _filled(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:  # not yet assigned
        return False
    return True


def _globals(function: types.FunctionType) -> list[tuple[str, Any]]:
    """Functions and plain values of the function's own module that its code names."""
    found: list[tuple[str, Any]] = []
    for name in _names(function.__code__):
        value: Any = function.__globals__.get(name)
        own = getattr(value, "__module__", None) == function.__module__
        plain = isinstance(value, (bool, int, float, str, tuple))
        if plain or (isinstance(value, types.FunctionType) and own):
            found.append((name, cast(Any, value)))
    return found


def _names(code: types.CodeType) -> list[str]:
    """Names that the code, and code within it, looks up."""
    inner = [n for c in code.co_consts if isinstance(c, types.CodeType) for n in _names(c)]
    return sorted({*code.co_names, *inner})
