"""Sweeps in chunks of points that stay in the cache, on a few threads (NumPy releases the lock).

Arrays of any number of dimensions that broadcast against each other are one sweep: they are
flattened here and take their shape again in the answer.
"""

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import fields, is_dataclass, replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from hwmodel.quantity.errors import InputError
from hwmodel.quantity.remembered import arrays_in, remembered

CHUNK = 8_192
"""Points evaluated at once: a menu of tiles times this many floats stays near the cache."""

CORES = max(1, min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1))
THREADS: ContextVar[int] = ContextVar("THREADS", default=CORES)
"""Threads that share the chunks; 1 in processes that work beside others."""


def in_chunks(evaluate: Callable[[Any], Any], inputs: tuple[Any, ...]) -> Any:
    """Evaluate flattened pieces of `inputs` and join the pieces of the answer.

    The first is new at every call, the others are a machine's.
    """
    problem, *machine = inputs
    shapes: set[tuple[int, ...]] = {array.shape for array in arrays_in(problem)}
    shapes.update(*map(_shapes, machine))
    if not shapes:
        return evaluate(inputs)
    try:
        shape = np.broadcast_shapes(*shapes)
    except ValueError:
        raise InputError(f"sizes: arrays of shapes {sorted(shapes)} do not broadcast") from None
    points = int(np.prod(shape))
    if len(shape) <= 1 and points <= CHUNK:
        return evaluate(inputs)
    flat = _each(inputs, lambda a: (np.broadcast_to(a, shape) if a.size > 1 else a).reshape(-1))
    varies = [_varies(value) for value in flat]
    starts, threads = range(0, points, CHUNK), THREADS.get()

    def piece(start: int) -> Any:
        def cut(array: NDArray[np.float64]) -> NDArray[np.float64]:
            return array[start : start + CHUNK] if array.size > 1 else array

        pairs = zip(flat, varies, strict=True)
        return evaluate(tuple(_each(v, cut) if changes else v for v, changes in pairs))

    if len(starts) == 1 or threads == 1:
        pieces = [piece(start) for start in starts]
    else:
        with ThreadPoolExecutor(threads) as pool:
            pieces = list(pool.map(piece, starts))
    return _joined(pieces, [slice(s, min(s + CHUNK, points)) for s in starts], shape)


def _varies(value: Any) -> bool:
    """Whether a nested value holds an array of more than one number."""
    return any(array.size > 1 for array in arrays_in(value))


@remembered(keep=lambda shapes: not shapes)
def _shapes(value: Any) -> frozenset[tuple[int, ...]]:
    """Shapes of all arrays in a nested value."""
    return frozenset(array.shape for array in arrays_in(value))


def _each(value: Any, change: Callable[[NDArray[np.float64]], Any]) -> Any:
    """The same nested value with every array in it changed."""
    if isinstance(value, np.ndarray):
        return change(cast(NDArray[np.float64], value))
    if isinstance(value, Mapping):
        return {key: _each(item, change) for key, item in cast(Mapping[Any, Any], value).items()}
    if isinstance(value, tuple):
        return tuple(_each(item, change) for item in cast(tuple[Any, ...], value))
    if is_dataclass(value) and not isinstance(value, type):
        changed = {f.name: _each(getattr(value, f.name), change) for f in fields(value)}
        return replace(value, **changed)
    return value


def _joined(pieces: list[Any], places: list[slice], shape: tuple[int, ...]) -> Any:
    """One nested value from the values of consecutive chunks, each with its place in the whole."""
    first: Any = pieces[0]
    if isinstance(first, (np.ndarray, float, int, np.generic)):
        if all(np.ndim(p) == 0 for p in pieces):
            return cast(Any, first)
        whole = np.empty(places[-1].stop)
        for place, part in zip(places, pieces, strict=True):
            whole[place] = part
        return whole.reshape(shape)
    if isinstance(first, Mapping):
        keys = cast(Mapping[Any, Any], first)
        return {key: _joined([p[key] for p in pieces], places, shape) for key in keys}
    if isinstance(first, tuple):
        items = range(len(cast(tuple[Any, ...], first)))
        return tuple(_joined([p[i] for p in pieces], places, shape) for i in items)
    if is_dataclass(first) and not isinstance(first, type):
        joined = {
            f.name: _joined([getattr(p, f.name) for p in pieces], places, shape)
            for f in fields(first)
        }
        return replace(first, **joined)
    return first
