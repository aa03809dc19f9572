"""Sweeps in chunks of points that stay in the cache, on a few threads (NumPy releases the lock).

Arrays of any number of dimensions that broadcast against each other are one sweep: they are
flattened here and take their shape again in the answer. Points that are alike are evaluated once:
of a sweep over batches and contexts, most kernels of a model see the few batches alone.
"""

import os
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import fields, is_dataclass, replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from hwmodel.quantity.errors import InputError
from hwmodel.quantity.remembered import arrays_in, remembered, single

CHUNK, LONG_CHUNK = 8_192, 16_384
"""Points evaluated at once: a menu of tiles times this many floats stays near the cache, and so do
the many counts of attention; of a lone tile more do."""

MANY, SAMPLE = 1_024, 1_024
"""Points from which on it is looked whether many are alike, and of how many of them first."""

CORES = max(1, min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1))
THREADS: ContextVar[int] = ContextVar("THREADS", default=CORES)
"""Threads that share the chunks; 1 in processes that work beside others."""


def in_chunks(evaluate: Callable[[Any], Any], inputs: tuple[Any, ...], chunk: int = CHUNK) -> Any:
    """Evaluate flattened pieces of `inputs` of so many points and join the pieces of the answer.

    The first is new at every call, the others are a machine's.
    """
    problem, *machine = inputs
    if single(problem) and not any(map(_shapes, machine)):
        return evaluate(inputs)
    shapes: set[tuple[int, ...]] = {array.shape for array in arrays_in(problem)}
    shapes.update(*map(_shapes, machine))
    try:
        shape = np.broadcast_shapes(*shapes)
    except ValueError:
        raise InputError(f"sizes: arrays of shapes {sorted(shapes)} do not broadcast") from None
    points = int(np.prod(shape))
    if len(shape) <= 1 and points < MANY:
        return evaluate(inputs)
    flat = _each(inputs, lambda a: (np.broadcast_to(a, shape) if a.size > 1 else a).reshape(-1))
    alike = _alike(flat) if points >= MANY else None
    if alike is None:
        return _in_pieces(evaluate, flat, points, shape, chunk)
    chosen, place = alike
    few = _each(flat[0], lambda a: a[chosen] if a.size > 1 else a)
    found = _in_pieces(evaluate, (few, *flat[1:]), len(chosen), (len(chosen),), chunk)
    return _each(found, lambda a: a[place].reshape(shape) if a.size > 1 else a)


def _alike(
    flat: tuple[Any, ...],
) -> tuple[NDArray[np.intp], NDArray[np.intp]] | None:
    """One of each kind of points, and of which kind every point is; None where most differ.

    Points are alike where all their numbers are; those of a machine that varies are not looked at.
    """
    problem, *machine = flat
    arrays = [array for array in arrays_in(problem) if array.size > 1]
    if not arrays or any(map(_varies, machine)):
        return None
    if any(len(np.unique(array[:SAMPLE])) > SAMPLE // 2 for array in arrays):
        return None
    values = np.unique(arrays[0])
    place: NDArray[np.intp] = np.searchsorted(values, arrays[0])
    chosen: NDArray[np.intp] = np.empty(len(values), dtype=np.intp)
    chosen[place] = np.arange(len(place))
    same = all(np.array_equal(array[chosen][place], array) for array in arrays[1:])
    return (chosen, place) if same and 1 < len(values) <= len(place) // 4 else None


def _in_pieces(
    evaluate: Callable[[Any], Any],
    flat: tuple[Any, ...],
    points: int,
    shape: tuple[int, ...],
    chunk: int,
) -> Any:
    """Evaluate pieces of flat inputs, and join their answers in a shape."""
    if points <= chunk and len(shape) == 1:
        return evaluate(flat)
    varies = [_varies(value) for value in flat]
    starts, threads = range(0, points, chunk), THREADS.get()

    def piece(start: int) -> Any:
        def cut(array: NDArray[np.float64]) -> NDArray[np.float64]:
            return array[start : start + chunk] if array.size > 1 else array

        pairs = zip(flat, varies, strict=True)
        return evaluate(tuple(_each(v, cut) if changes else v for v, changes in pairs))

    if len(starts) == 1 or threads == 1:
        pieces = [piece(start) for start in starts]
    else:
        from concurrent.futures import ThreadPoolExecutor  # loads much, and few answers need it

        with ThreadPoolExecutor(threads) as pool:
            pieces = list(pool.map(piece, starts))
    return _joined(pieces, [slice(s, min(s + chunk, points)) for s in starts], shape)


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
