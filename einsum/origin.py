"""What made a workload, so that it can be made again with other arguments."""

import copyreg
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from inspect import Parameter, signature
from types import MappingProxyType
from typing import Any, Protocol, TypeVar

from hwmodel.quantity.errors import InputError, UnknownNameError


def _view(table: dict[Any, Any]) -> Mapping[Any, Any]:
    return MappingProxyType(table)


def _shown(view: Mapping[Any, Any]) -> tuple[Callable[..., Any], tuple[dict[Any, Any]]]:
    """Views of tables, of which workloads have many, go to other processes as what they show."""
    return _view, (dict(view),)


copyreg.pickle(MappingProxyType, _shown)  # pyright: ignore[reportArgumentType]


@dataclass(frozen=True)
class Origin:
    """The workload, by name, the arguments that made a cascade, and the function that did."""

    workload: str
    arguments: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    make: Callable[..., Any] | None = field(default=None, compare=False)


Made = TypeVar("Made", bound="Workload")


class Workload(Protocol):
    """What a workload's function has made: a cascade, or a network of them."""

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    @property
    def origin(self) -> Origin | None:
        """What made it; None where it was written or changed by hand."""
        ...


def again(made: Made, changes: Mapping[str, Any]) -> Made:
    """The same workload with other arguments: its function, called again.

    Raises `UnknownNameError` for an argument that the function lacks, `InputError` for what no
    workload function made.
    """
    origin = made.origin
    if origin is None or origin.make is None:
        raise InputError(
            f"{made.name}: expected a workload made by a function such as hw.workloads.gemm; this"
            " one was written or changed by hand, so use with_sizes"
        )
    return called(origin.workload, origin.make, {**origin.arguments, **changes})


def called(name: str, make: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    """What a workload's function makes; unknown and missing arguments are refused by name."""
    known, needed = _arguments(make)
    for given in arguments:
        if given not in known:
            raise UnknownNameError(f"argument of {name}", given, known)
    missing = [argument for argument in needed if argument not in arguments]
    if missing:
        raise InputError(f"{name}: expected the argument {missing[0]!r}, found none")
    return make(**arguments)


def defaults_of(origin: Origin | None) -> dict[str, Any]:
    """Arguments that have the value which nobody needs to say, by name; those left out say none."""
    if origin is None or origin.make is None:
        return {}
    return {
        name: value
        for name, value in _defaults(origin.make).items()
        if _is_same(origin.arguments.get(name), value)
    }


def _is_same(given: Any, default: Any) -> bool:
    return type(given) is type(default) and bool(given == default)


@lru_cache(maxsize=64)
def _defaults(make: Callable[..., Any]) -> dict[str, Any]:
    """Defaults of a function that say something: what a workload is called is none of it."""
    found = {n: p.default for n, p in signature(make).parameters.items() if n != "name"}
    return {n: value for n, value in found.items() if value not in (Parameter.empty, None)}


@lru_cache(maxsize=64)
def _arguments(make: Callable[..., Any]) -> tuple[frozenset[str], tuple[str, ...]]:
    """All arguments of a function, and those without a default."""
    parameters = signature(make).parameters
    needed = (n for n, p in parameters.items() if p.default is Parameter.empty)
    return frozenset(parameters), tuple(needed)
