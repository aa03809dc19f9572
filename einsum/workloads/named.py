"""Values by name, and as text with options: `razor-attention:full=0.2,local=256`.

A kind of value (cache policies, modifiers) is a table from names to frozen classes, whose fields
are the options: whole numbers, shares from 0 to 1, or names, as their defaults are. Shares of a
field of `Shares` may be one for each layer, separated by slashes: `density=0.4/0.3/0.3`.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeAlias, cast

from hwmodel.quantity.errors import InputError, UnknownNameError

Shares: TypeAlias = float | tuple[float, ...]
"""A share, or one for each layer."""


def share_in(layer: int, shares: Shares, where: str) -> float:
    """The share of a layer; raises `InputError` where each should have one and this has none."""
    if not isinstance(shares, tuple):
        return shares
    if layer >= len(shares):
        raise InputError(
            f"{where}: expected a share for each layer, found {len(shares)} and a layer {layer}"
        )
    return shares[layer]


def named(kind: str, text: str, known: Mapping[str, type[Any]]) -> Any:
    """The value of a kind that a text names; `UnknownNameError`, or `InputError` of an option."""
    name, _, rest = text.partition(":")
    if name not in known:
        raise UnknownNameError(kind, name, known)
    options = {field.name: field for field in fields(known[name])}
    given: dict[str, Any] = {}
    for option in rest.split(",") if rest else ():
        key, _, value = option.partition("=")
        if key not in options:
            raise UnknownNameError(f"option of {name}", key, options)
        where = f"{kind.replace(' ', '_')}: {name}: {key}"
        default = cast(Any, options[key].default)
        listed = "/" in value and options[key].type == Shares
        each = value.split("/") if listed else [value]
        read = tuple(_option(where, part, default) for part in each)
        given[key] = read if listed else read[0]
    return known[name](**given)


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
