"""Immutable records with units at the edge, and the one word for a changed copy: `but`.

A field whose name ends in a unit (`bandwidth_bytes_per_s`) holds SI. On the way in it may be given
under that name as a number or array, or under its bare name (`bandwidth`) as a string with a unit.
"""

from functools import lru_cache
from typing import Any, ClassVar, Self, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.quantity.printable import printable, shown
from hwmodel.quantity.units import NAMES, amount, bare_name, dimension_of, parse


def _positive(value: Any) -> Any:
    return _as_amount(value, zero=False)


def _non_negative(value: Any) -> Any:
    return _as_amount(value, zero=True)


def _positive_whole(value: Any) -> Any:
    return _as_amount(value, zero=False, whole=True)


def _as_amount(value: Any, *, zero: bool, whole: bool = False) -> Any:
    try:
        return amount(value, zero=zero, whole=whole, where="")
    except InputError as error:
        raise PydanticCustomError("amount", "{why}", {"why": str(error).lstrip(": ")}) from None


Positive = BeforeValidator(_positive)
NonNegative = BeforeValidator(_non_negative)
PositiveWhole = BeforeValidator(_positive_whole)


class Value(BaseModel):
    """A frozen record that refuses unknown names and wrong units."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", arbitrary_types_allowed=True, defer_build=True
    )

    aliases: ClassVar[dict[str, str]] = {}
    """Other words that `but` and files may use for a field."""

    @model_validator(mode="before")
    @classmethod
    def _read_units(cls, data: Any) -> Any:
        """Turn `bandwidth: "4.8 TB/s"` into `bandwidth_bytes_per_s: 4.8e12`."""
        if not isinstance(data, dict):
            return data
        given = cast(dict[str, Any], data)
        try:
            return {
                field: _with_unit(cls, field, name, value)
                for name, value in given.items()
                for field in (field_of(cls, name),)
            }
        except InputError as error:
            raise PydanticCustomError("unit", "{why}", {"why": str(error)}) from None

    @classmethod
    def build(cls, data: Any, *, where: str) -> Self:
        """Validate outside data; `InputError` names `where` and the field at fault."""
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise InputError(f"{where}: {_one_line(error)}") from None

    def but(self, **changes: Any) -> Self:
        """A changed copy, validated again; a dictionary changes fields of a nested record.

        Takes the stored name with a number or the bare name with a unit string. Unknown names,
        wrong units and impossible numbers raise `InputError`.
        """
        # What was never given keeps its default, which may be no value that one could give (inf).
        data: dict[str, Any] = {
            name: getattr(self, name)
            for name in type(self).model_fields
            if name in self.model_fields_set
        }
        for name, change in changes.items():
            field = _known_field(type(self), name)
            old = getattr(self, field)
            if isinstance(change, dict):
                data[field] = _merged(old, cast(dict[str, Any], change), f"{_title(self)}.{field}")
            else:
                data[field] = _with_unit(type(self), field, name, change)
        return type(self).build(data, where=_title(self))


def _merged(old: Any, change: dict[str, Any], where: str) -> Any:
    """Apply nested changes to a record, or to a dictionary of records or numbers."""
    if isinstance(old, Value):
        return old.but(**change)
    if isinstance(old, dict):
        table = dict(cast(dict[str, Any], old))
        for key, new in change.items():
            if key not in table:
                raise UnknownNameError(f"entry of {where}", key, table)
            nested = isinstance(new, dict)
            table[key] = (
                _merged(table[key], cast(dict[str, Any], new), f"{where}.{key}") if nested else new
            )
        return table
    raise InputError(f"{where}: holds no named parts; give a value, not {shown(change)}")


@lru_cache(maxsize=NAMES)
def field_of(cls: type[Value], name: str) -> str:
    """The stored field that a given name means; unknown names pass, for pydantic to refuse."""
    name = cls.aliases.get(name, name)
    if name in cls.model_fields:
        return name
    matches = [field for field in cls.model_fields if bare_name(field) == name]
    return matches[0] if len(matches) == 1 else name


def _known_field(cls: type[Value], name: str) -> str:
    field = field_of(cls, name)
    if field not in cls.model_fields:
        names = [*cls.model_fields, *(bare_name(f) for f in cls.model_fields), *cls.aliases]
        raise UnknownNameError(f"field of {cls.__name__}", name, set(names))
    return field


def _with_unit(cls: type[Value], field: str, name: str, value: Any) -> Any:
    """A given value in SI: strings need the unit that the field's name declares."""
    if isinstance(value, str):
        value = printable(value)  # titles, names and sources reach terminals
    dimension = dimension_of(field) if field in cls.model_fields else None
    where = f"{cls.__name__}.{name}"
    if dimension is None:
        return value
    if isinstance(value, str):
        return parse(value, dimension, where=where)
    if isinstance(value, dict):
        table = cast(dict[str, Any], value)
        return {
            key: parse(item, dimension, where=f"{where}.{key}") if isinstance(item, str) else item
            for key, item in table.items()
        }
    if name != field and isinstance(value, (int, float)) and name not in cls.aliases:
        raise InputError(f"{where}: {shown(value)} has no unit; say it with one, or name {field!r}")
    return value


def _title(value: Value) -> str:
    name = getattr(value, "name", None)
    return f"{type(value).__name__} {name!r}" if isinstance(name, str) else type(value).__name__


def _one_line(error: ValidationError) -> str:
    """The first complaint of pydantic, as `field: what` on one line."""
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    found = (
        "" if first["type"] in ("unit", "amount", "missing") else f", found {shown(first['input'])}"
    )
    more = error.error_count() - 1
    rest = f" (and {more} more)" if more else ""
    if first["type"] == "missing":
        parent, _, field = place.rpartition(".")
        return f"{parent}{': ' * bool(parent)}expected the field {field!r}, found none{rest}"
    told = expectation(first["msg"])
    return f"{place}: {told}{found}{rest}" if place else f"{told}{rest}"


SHOULD = "Input should be "


def expectation(message: str) -> str:
    """A complaint of pydantic in the words of other errors.

    >>> expectation("Input should be a valid integer, unable to parse string as an integer")
    'expected a valid integer'
    """
    before, here, after = message.partition(SHOULD)
    return f"{before}expected {after.partition(', unable to')[0]}" if here else message
