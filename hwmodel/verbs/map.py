"""What `hwmodel map` is asked: Einsums, memories and a machine, and what is best of it."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hwmodel.mappers.cascades import map_forms, map_front
from hwmodel.mappers.nests.mapped import NestMapped
from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.verbs import answer as verbs
from hwmodel.verbs.einsums import Asked, read

if TYPE_CHECKING:
    from hwmodel.mappers.fusion.compare import Compared


def mapped(given: Mapping[str, Any]) -> Any:
    """The answer of `hwmodel map`, of the mapper for the machine's kind."""
    asked = _read(given, ("kernel", "objective", "mapspace", "rules", "double", "unfused"))
    changes = _named(given, "kernel", "objective", "mapspace", "rules")
    return verbs.map(
        asked.cascade,
        asked.hardware,
        shares=asked.shares or None,
        double=given.get("double", False),
        fused=not given.get("unfused", False),
        **changes,
    )


def draw(answer: Any, path: str) -> None:
    """Draw a loop nest; raises `InputError` for an answer of another kind."""
    from hwmodel.mappers.nests.picture import draw

    if not isinstance(answer, NestMapped):
        raise InputError("--picture: expected a loop nest to draw, found an answer without one")
    draw(answer, path)


def front(given: Mapping[str, Any]) -> tuple[NestMapped, ...]:
    """The answers of `hwmodel map --front`: it has two objectives of its own."""
    asked = _read(given, ("mapspace", "rules"))
    if asked.shares:
        raise InputError("--front: expected buffers that hold any tensor, found some that do not")
    return map_front(asked.cascade, asked.hardware, **_named(given, "mapspace", "rules"))


def forms(given: Mapping[str, Any]) -> "tuple[Compared, ...]":
    """The answers of `hwmodel map --forms`."""
    asked = _read(given, ("mapspace",))
    if asked.shares:
        raise InputError("--forms: expected buffers that hold any tensor, found some that do not")
    return map_forms(asked.cascade, asked.hardware, **_named(given, "mapspace"))


def _named(given: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: given[name] for name in names if name in given}


def _read(given: Mapping[str, Any], also: Sequence[str]) -> Asked:
    known = ("einsum", "cascade", "ranks", "dtype", "memory", "on")
    for name in given:
        if name not in (*known, *also):
            raise UnknownNameError("option beside --einsum and --cascade", name, (*known, *also))
    return read(**{name: given.get(name) for name in known})
