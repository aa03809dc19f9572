"""Prices of the user's own: one file whose numbers stand in place of the catalogue's.

    # ~/.config/hwmodel/prices.yaml
    h200: 2.10 USD/h
    b200: {rent: 4 USD/h, reserved: 3 USD/h, list: 35 kUSD}

A price alone is a rent. What a line leaves out stays as the device's file has it. The file is in
the folder that `own.py` says, beside the devices; the source of such a number is the file.
"""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias, cast

from hwmodel.hardware.hardware import Hardware, Price
from hwmodel.hardware.own import folder
from hwmodel.quantity.errors import InputError
from hwmodel.quantity.printable import shown
from hwmodel.quantity.reading import name_of
from hwmodel.quantity.units import amount, bare_name, dimension_of, show
from hwmodel.quantity.value import field_of
from hwmodel.quantity.yaml import compose, plain

Prices: TypeAlias = tuple[tuple[str, float], ...]
"""Bare names of fields of `Price` with dollars."""


def file() -> Path:
    """Where they are looked for."""
    return folder().parent / "prices.yaml"


def prices() -> Mapping[str, Prices]:
    """Name of a device in lower case -> what it costs; none without a file. Raises `InputError`."""
    path = file()
    try:
        found = path.stat()
    except OSError:
        return {}
    return _read(path, found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=4)
def _read(path: Path, *_: int) -> Mapping[str, Prices]:
    where = name_of(path)
    held = plain(compose(path), path)
    if not isinstance(held, dict):
        raise InputError(f"{where}: expected a table of devices and prices, found {shown(held)}")
    table = cast(dict[Any, Any], held)
    return {str(name).lower(): _of(f"{where}: {name}", said) for name, said in table.items()}


def _of(where: str, said: Any) -> Prices:
    """The prices of a line."""
    table = cast(dict[Any, Any], said) if isinstance(said, dict) else {"rent": said}
    made: dict[str, float] = {}
    for name, value in table.items():
        field = field_of(Price, str(name))
        if field not in Price.model_fields:
            known = ", ".join(map(bare_name, Price.model_fields))
            raise InputError(f"{where}: expected one of {known}, found {shown(name)}")
        made[str(name)] = float(amount(value, dimension_of(field), where=f"{where}: {name}"))
    return tuple(made.items())


def told(mine: Prices) -> str:
    """For people: `rent 2.1 USD/h`."""
    return ", ".join(
        f"{name} {show(value, dimension_of(field_of(Price, name)) or '')}" for name, value in mine
    )


def priced(hardware: Hardware, mine: Prices) -> Hardware:
    """A device at the user's own prices."""
    told = {f"price.{name}": f"your own ({name_of(file())})" for name, _ in mine}
    fields = {field_of(Price, name): value for name, value in mine}
    title, sources = hardware.title, {**hardware.sources, **told}
    return hardware.but(price=fields, title=title, sources=sources)
