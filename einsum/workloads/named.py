"""Values by name, and as text with options: `razor-attention:full=0.2,local=256`.

A kind of value (cache policies, modifiers) is a table from names to frozen classes, whose fields
are the options: whole numbers, shares from 0 to 1, or names, as their defaults are. Shares of a
field of `Shares` may be one for each layer, separated by slashes: `density=0.4/0.3/0.3`. A value
that Python gives is held to the same limits as a text.
"""

from collections.abc import Mapping
from dataclasses import Field, field, fields
from typing import Any, TypeAlias, cast

from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.quantity.printable import shown

Shares: TypeAlias = float | tuple[float, ...]
"""A share, or one for each layer."""


def counted(default: int, *, least: int = 1, most: int | None = None) -> Any:
    """A field of whole numbers between limits, both included: a size, or a switch of 0 and 1."""
    return field(default=default, metadata={"least": least, "most": most})


def share_in(layer: int, shares: Shares, where: str) -> float:
    """The share of a layer; raises `InputError` where each should have one and this has none."""
    if not isinstance(shares, tuple):
        return shares
    if layer >= len(shares):
        raise InputError(
            f"{where}: expected a share for each layer, found {len(shares)} and a layer {layer}"
        )
    return shares[layer]


def named(kind: str, given: Any, known: Mapping[str, type[Any]]) -> Any:
    """The value of a kind that a text names, or the value itself where it is one already.

    Raises `UnknownNameError` for a name, `InputError` for an option, or for what is no such value.
    """
    where = kind.replace(" ", "_")
    if not isinstance(given, str):
        if not hasattr(given, "NAME"):
            names = ", ".join(known)
            raise InputError(
                f"{where}: expected a name ({names}), its options behind a colon, or a value of"
                f" such a class; found {shown(given)}"
            )
        return _within(where, given) if type(given) is known.get(given.NAME) else given
    name, _, rest = given.partition(":")
    if name not in known:
        raise UnknownNameError(kind, name, known)
    options = {field.name: field for field in fields(known[name])}
    values: dict[str, Any] = {}
    for option in rest.split(",") if rest else ():
        key, _, value = option.partition("=")
        if key not in options:
            raise UnknownNameError(f"option of {name}", key, options)
        default = cast(Any, options[key].default)
        listed = "/" in value and options[key].type == Shares
        each = value.split("/") if listed else [value]
        read = tuple(_option(f"{where}: {name}: {key}", part, default) for part in each)
        values[key] = read if listed else read[0]
    return _within(where, known[name](**values))


def _within(where: str, value: Any) -> Any:
    """The value; `InputError` where an option is of another kind or beyond its limits."""
    for option in fields(value):
        found: Any = getattr(value, option.name)
        listed = isinstance(found, tuple) and option.type == Shares
        for part in cast(tuple[Any, ...], found if listed else (found,)):
            wanted = _wanted(option, part)
            if wanted:
                place = f"{where}: {value.NAME}: {option.name}"
                raise InputError(f"{place}: expected {wanted}, found {shown(part)}")
    return value


def _wanted(option: Field[Any], found: Any) -> str:
    """What an option should be where it is not; empty where it is."""
    if isinstance(option.default, str):
        return "" if isinstance(found, str) else "a name"
    number = isinstance(found, (int, float)) and not isinstance(found, bool)
    if not isinstance(option.default, int):
        return "" if number and 0 <= found <= 1 else "a share from 0 to 1"
    least, most = option.metadata.get("least", 0), option.metadata.get("most")
    if isinstance(found, int) and number and least <= found <= (found if most is None else most):
        return ""
    return f"a whole number of {least} or more" if most is None else f"{least} to {most}"


def options_of(value: Any) -> str:
    """The options of such a value, as text."""
    return ", ".join(f"{each.name}={_text(getattr(value, each.name))}" for each in fields(value))


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return "/".join(map(_text, cast(tuple[Any, ...], value)))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _option(where: str, text: str, default: Any) -> Any:
    """A name, a count, or a share between 0 and 1."""
    if isinstance(default, str):
        return text
    whole = isinstance(default, int)
    try:
        value: float = int(text) if whole else float(text)
    except ValueError:
        value = -1
    if value < 0 or (not whole and not value <= 1):
        wanted = "a whole number" if whole else "a share from 0 to 1"
        raise InputError(f"{where}: expected {wanted}, found {text!r}")
    return value
