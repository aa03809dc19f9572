"""Values by name, and as text with options: `razor-attention:full=0.2,local=256`.

A kind of value (cache policies, modifiers) is a table from names to frozen classes, whose fields
are the options: whole numbers, shares from 0 to 1, or names, as their defaults are.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, cast

from hwmodel.quantity.errors import InputError, UnknownNameError


def named(kind: str, text: str, known: Mapping[str, type[Any]]) -> Any:
    """The value of a kind that a text names; `UnknownNameError`, or `InputError` of an option."""
    name, _, rest = text.partition(":")
    if name not in known:
        raise UnknownNameError(kind, name, known)
    options = {field.name: field for field in fields(known[name])}
    given: dict[str, Any] = {}
    for each in rest.split(",") if rest else ():
        key, _, value = each.partition("=")
        if key not in options:
            raise UnknownNameError(f"option of {name}", key, options)
        where = f"{kind.replace(' ', '_')}: {name}: {key}"
        given[key] = _option(where, value, cast(Any, options[key].default))
    return known[name](**given)


def options_of(value: Any) -> str:
    """The options of such a value, as text."""
    given = ((field.name, getattr(value, field.name)) for field in fields(value))
    return ", ".join(f"{n}={v:g}" if isinstance(v, float) else f"{n}={v}" for n, v in given)


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
