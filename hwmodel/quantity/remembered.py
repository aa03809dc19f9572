"""Answers that are kept by which values they were worked out from, of values that never change.

For what follows from a machine or a calibration alone and is asked for at every call. A value is
told by its identity, which costs nothing; what is kept holds on to it, so that no other takes its
place. What holds arrays can be large, and is better not kept (`single`).
"""

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from functools import lru_cache, wraps
from threading import Lock
from types import NoneType
from typing import Any, ParamSpec, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

P = ParamSpec("P")
R = TypeVar("R")

PLAIN = frozenset((int, float, str, bool, NoneType))
MOST = 128
"""Answers that are kept, the oldest forgotten first."""


def remembered(keep: Callable[[Any], bool]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A function that answers from memory where it is given the same values again, by place.

    `keep` says which answers are kept.
    """

    def decorated(function: Callable[P, R]) -> Callable[P, R]:
        kept: dict[tuple[int | str, ...], tuple[tuple[Any, ...], R]] = {}
        lock = Lock()

        @wraps(function)
        def call(*args: P.args, **given: P.kwargs) -> R:
            key = tuple([each if isinstance(each, str) else id(each) for each in args])
            found = None if given else kept.get(key)
            if found is not None:
                return found[1]
            answer = function(*args, **given)
            if not given and keep(answer):
                with lock:
                    while len(kept) >= MOST:
                        del kept[next(iter(kept))]
                    kept[key] = (args, answer)
            return answer

        return call

    return decorated


def single(value: Any) -> bool:
    """Whether a nested value holds no array."""
    if isinstance(value, np.ndarray):
        return False
    items: Iterable[Any]
    if isinstance(value, tuple):
        items = cast(tuple[Any, ...], value)
    elif value.__class__ is dict or isinstance(value, Mapping):
        items = cast(Mapping[Any, Any], value).values()
    else:
        items = [getattr(value, name) for name in _names(value.__class__)]
    return all([item.__class__ in PLAIN or single(item) for item in items])


def marked(value: Any) -> Hashable:
    """What equal nested values have alike, to look one up by; of an array its shape and ends."""
    if value.__class__ in PLAIN:
        return value
    if isinstance(value, np.ndarray):
        array = cast(NDArray[Any], value)
        return (array.shape, array.flat[0], array.flat[-1]) if array.size else array.shape
    if isinstance(value, Mapping):
        table = cast(Mapping[Any, Any], value)
        return (*table, *[marked(item) for item in table.values()])
    if isinstance(value, tuple):
        return tuple([marked(item) for item in cast(tuple[Any, ...], value)])
    names = _names(value.__class__)
    return tuple([marked(getattr(value, name)) for name in names]) if names else id(value)


def same(one: Any, other: Any) -> bool:
    """Whether two nested values hold the same numbers, of the same kinds and in the same order."""
    if one is other:
        return True
    if one.__class__ is not other.__class__:
        return False
    if isinstance(one, np.ndarray):
        return np.array_equal(cast(NDArray[Any], one), other)
    if isinstance(one, Mapping):
        first, second = cast(Mapping[Any, Any], one), cast(Mapping[Any, Any], other)
        return [*first] == [*second] and all([same(first[key], second[key]) for key in first])
    if isinstance(one, tuple):
        left, right = cast(tuple[Any, ...], one), cast(tuple[Any, ...], other)
        return len(left) == len(right) and all(map(same, left, right))
    names = _names(one.__class__)
    if not names:
        return bool(one == other)
    return all([same(getattr(one, name), getattr(other, name)) for name in names])


def arrays_in(value: Any) -> list[NDArray[Any]]:
    """Every array in a nested value of records, tables and tuples."""
    found: list[NDArray[Any]] = []
    _gather(value, found)
    return found


def _gather(value: Any, found: list[NDArray[Any]]) -> None:
    """Append the arrays in a nested value: fits ask millions of times, most of single numbers."""
    kind = value.__class__
    items: Iterable[Any]
    if isinstance(value, np.ndarray):
        found.append(cast(NDArray[Any], value))
        return
    if isinstance(value, tuple):
        items = cast(tuple[Any, ...], value)
    elif kind is dict or isinstance(value, Mapping):
        items = cast(Mapping[Any, Any], value).values()
    else:
        items = [getattr(value, name) for name in _names(kind)]
    for item in items:
        if item.__class__ not in PLAIN:
            _gather(item, found)


@lru_cache(maxsize=256)
def _names(kind: type) -> tuple[str, ...]:
    """The fields of a class of records; none of any other class."""
    return tuple(field.name for field in fields(kind)) if is_dataclass(kind) else ()
