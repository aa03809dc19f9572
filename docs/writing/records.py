"""Records as tables of their fields: what a file may say, of which kind, and what it means.

A record is a pydantic `Value` or a dataclass; what a field means is the text below it, units are
those that its name ends in. Records that a record holds stand behind it.
"""

import ast
import inspect
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, is_dataclass
from dataclasses import fields as fields_of
from itertools import pairwise
from types import UnionType
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin, get_type_hints

from hwmodel.quantity.units import NOUNS, bare_name, dimension_of
from hwmodel.quantity.value import NonNegative, Positive, PositiveWhole, Value

HEADS = ("field", "value", "default", "meaning")
NEEDED = "needed"


@dataclass(frozen=True)
class Row:
    """A field as a table has it."""

    name: str
    kind: str
    default: str
    meaning: str


def meanings(record: type) -> dict[str, str]:
    """What the text below each field says, own fields and inherited ones."""
    found: dict[str, str] = {}
    for each in reversed(record.__mro__):
        if each.__module__.startswith("hwmodel."):
            body = ast.parse(textwrap.dedent(inspect.getsource(each))).body[0]
            found |= _texts(body.body if isinstance(body, ast.ClassDef) else [])
    return found


def _texts(body: list[ast.stmt]) -> dict[str, str]:
    """Fields and the texts that stand right behind them."""
    return {
        field.target.id: " ".join(text.value.value.split())
        for field, text in pairwise(body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
        if isinstance(text.value.value, str)
    }


def held(record: type) -> list[type]:
    """A record and those that it holds, each once, as they are met."""
    found: list[type] = []
    ahead = [record]
    while ahead:
        each = ahead.pop(0)
        if each not in found:
            found.append(each)
            ahead += [inner for hint in _hints(each).values() for inner in _records_in(hint)]
    return found


def rows(record: type, *, bare: bool = True) -> list[Row]:
    """The fields of a record; `bare` names have no unit, as files may say them."""
    said = meanings(record)
    found: list[Row] = []
    for name, hint in _hints(record).items():
        dimension = dimension_of(name)
        kind = _kind(hint, dimension)
        shown = bare_name(name) if bare else name
        found.append(Row(shown, kind, _default(record, name), said.get(name, "")))
    return found


def _hints(record: type) -> Mapping[str, Any]:
    """Fields and their annotations, but for what is a class's own."""
    hints = get_type_hints(record, include_extras=True)
    if issubclass(record, Value):
        return {name: hints[name] for name in record.model_fields}
    return {field.name: hints[field.name] for field in fields_of(cast(Any, record))}


def _table(hint: Any) -> bool:
    return isinstance(get_origin(hint), type) and issubclass(get_origin(hint), Mapping)


def _default(record: type, name: str) -> str:
    """A default as a file would say it."""
    if issubclass(record, Value):
        field = record.model_fields[name]
        if field.is_required():
            return NEEDED
        value = field.get_default(call_default_factory=True)
    else:
        given = next(each for each in fields_of(cast(Any, record)) if each.name == name)
        if given.default is MISSING and given.default_factory is MISSING:
            return NEEDED
        value = given.default if given.default is not MISSING else None
    return "" if value is None or value in ("", (), {}) else f"`{_plain(value)}`"


def _plain(value: Any) -> str:
    """A value in few words; a record by what it was given."""
    if isinstance(value, Value):
        given = (f"{name}={getattr(value, name)!r}" for name in value.model_fields_set)
        return ", ".join(given) or type(value).__name__
    return str(value).lower() if isinstance(value, bool) else str(value)


CHECKED = (
    (PositiveWhole, "a count"),
    (Positive, "a positive number"),
    (NonNegative, "a number, 0 or more"),
)
"""What validates a value, and what it then is."""

WORDS = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    bool: "true or false",
    type(None): "null",
    Any: "a value",
}


def _kind(hint: Any, dimension: str | None = None) -> str:
    """An annotation in words."""
    if dimension and not _table(hint):
        return NOUNS[dimension]
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(_kind(p) for p in parts if p is not type(None)))
    if origin is Literal:
        return " or ".join(f"`{part}`" for part in parts)
    if _table(hint):
        return f"a table, each {_kind(parts[1], dimension)}"
    if origin in (tuple, list):
        inner = [part for part in parts if part is not Ellipsis]
        alike = f"{len(inner)} of " if origin is tuple and Ellipsis not in parts else ""
        return f"a list, {alike}{_kind(inner[0])}" if len(set(inner)) == 1 else "a list"
    if origin is Annotated:
        checked = [words for check, words in CHECKED if check in parts[1:]]
        return checked[0] if checked else _kind(parts[0])
    if hint in WORDS:
        return WORDS[hint]
    if _is_record(hint):
        return f"[{hint.__name__}](#{hint.__name__.lower()})"
    return str(getattr(hint, "__name__", hint))


def _is_record(hint: Any) -> bool:
    return inspect.isclass(hint) and (issubclass(hint, Value) or is_dataclass(hint))


def _records_in(hint: Any) -> Iterator[type]:
    if _is_record(hint):
        yield hint
    for part in get_args(hint):
        yield from _records_in(part)


def cell(text: str) -> str:
    """A text as a cell of a table in Markdown."""
    return " ".join(text.split()).replace("|", "\\|")


def grid(head: tuple[str, ...], body: list[tuple[str, ...]]) -> str:
    """A table in Markdown."""
    lines = [head, ("---",) * len(head), *(tuple(map(cell, row)) for row in body)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def described(record: type, *, level: int = 2, bare: bool = True) -> str:
    """A record and those that it holds: what each is, and a table of its fields."""
    blocks: list[str] = []
    for each in held(record):
        listed = [(f"`{r.name}`", r.kind, r.default, r.meaning) for r in rows(each, bare=bare)]
        said = len(HEADS) if any(row[-1] for row in listed) else len(HEADS) - 1
        blocks += [
            f"{'#' * level} {each.__name__}",
            inspect.cleandoc(each.__doc__ or ""),
            grid(HEADS[:said], [row[:said] for row in listed]),
        ]
    return "\n\n".join(blocks)
