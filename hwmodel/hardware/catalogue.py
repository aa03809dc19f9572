"""Devices by name: reads the catalogue's YAML into `Hardware`, with its calibration.

A catalogue file mirrors the fields of `Hardware`, under their bare names. Every number is a pair
`[value, source]`: the value carries its unit ("4.8 TB/s"; counts have none) and the source is a key
of the file's own `sources` table. So no number can enter without saying where it comes from:

    sources: {datasheet: "NVIDIA H200 datasheet (2024)"}
    memories:
      dram: {capacity: [141 GB, datasheet], bandwidth: [4.8 TB/s, datasheet], technology: HBM3e}

A device that is a variant of a shipped one says so (`extends: a100`) and then only what differs:
its tables go over those of the other, `null` takes an entry away, and what it leaves unsaid follows
its processors and clocks as in a what-if (`peaks`, `levers`).

A device is calibrated by `devices/calibration/<name>.yaml`; what that leaves out comes from the one
that it extends, from a measured relative, or from the priors in `uncalibrated.yaml`. A folder with
`device.yaml` and `calibration.yaml` is a device of the user's own; `own.py` says which folder gives
such devices names, and `prices.py` which file prices.
"""

import re
from functools import cache
from importlib import import_module
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, cast, get_args, get_origin

from hwmodel.hardware import levers, peaks
from hwmodel.hardware.calibration import WIDER, WIDEST, Calibration, inherited
from hwmodel.hardware.hardware import Hardware
from hwmodel.hardware.own import own
from hwmodel.hardware.prices import Prices, file, priced, prices
from hwmodel.quantity.cache import across
from hwmodel.quantity.checked import named
from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.quantity.listed import listed
from hwmodel.quantity.printable import shown
from hwmodel.quantity.reading import kind_of, name_of
from hwmodel.quantity.units import NOUNS, amount, bare_name, dimension_of
from hwmodel.quantity.value import Value, field_of
from hwmodel.quantity.yaml import compose, entries, plain

Record = TypeVar("Record", bound=Value)
CATALOGUE = Path(__file__).resolve().parent / "devices"
PRIORS = "uncalibrated"
LEVELS = {"gpu": ("dram", "l2", "shared", "register")}
"""Memory levels that a machine of a kind is modelled by; others are modelled by what they have."""

_SEVERAL = re.compile(r"(.+?)\s*\*\s*([1-9]\d{0,8})")
"""Several of a device: `h200 * 16`."""

RELATIVES = {
    **dict.fromkeys(("volta", "turing", "ampere", "ada", "hopper", "blackwell"), "h200"),
    "blackwell-rtx": "h200",
    **dict.fromkeys(("cortex-m7", "cortex-m4", "cortex-m33", "cortex-m0plus"), "stm32h743"),
    "xtensa-lx7": "stm32h743",
    "ethos-u": "ethos-u55",
}
"""Architecture of a device that was not measured -> the measured one whose efficiencies it takes;
others have none near enough, and take the priors. One that extends another takes that one's."""


@cache
def shipped() -> tuple[str, ...]:
    """Names of the devices that come along, in alphabetical order."""
    return tuple(sorted(path.stem for path in CATALOGUE.glob("*.yaml")))


@named
def device(name_or_path: str | Path) -> Hardware:
    """A device by name, by the path of a YAML file, or by that of a folder.

    Names are those of `devices()` and ignore case; "h200 * 16" is sixteen of it. Raises
    `UnknownNameError` (with the names that exist) or `InputError` (with file, line and field).

    >>> device("H200").memory("dram").bandwidth_bytes_per_s
    4800000000000.0
    """
    if not isinstance(name_or_path, (str, Path)):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InputError(f"device: expected a name or a path, found {shown(name_or_path)}")
    name = str(name_or_path).strip()
    if several := _SEVERAL.fullmatch(name):
        return device(several[1]) * int(several[2])
    if not name:
        raise UnknownNameError("device", name, devices())
    mine, price = own().get(name.lower()), _price(name.lower())
    if name.lower() in shipped():
        if mine is not None:
            told = "the name of a device that comes along; rename it, such as my-"
            raise InputError(f"device: {mine}: expected a name of its own, found {told}{mine.stem}")
        return _priced(name.lower(), price) if price else _shipped(name.lower())
    path = mine or Path(name)
    if kind_of(path) == "folder":
        path = path / "device.yaml"
    elif path.suffix.lower() not in (".yaml", ".yml") and path.name == name:
        raise UnknownNameError("device", name, devices())
    made = _calibrated(load_device(path), beside=path.parent)
    if mine is not None and made.name.lower() != name.lower():  # listed as it is asked for
        made = made.but(name=name.lower())
    return priced(made, price) if price else made


def _price(name: str) -> Prices:
    """The user's own prices of a device; raises for a line of a device that there is none of."""
    table = prices()
    for each in table:
        if each not in shipped() and each not in own():
            raise UnknownNameError(f"device in {name_of(file())}:", each, devices())
    return table.get(name, ())


@listed(device)
def devices() -> tuple[str, ...]:
    """Names of the shipped devices and of the user's own, in alphabetical order.

    Behind a dot each is a device, `devices.h200`.
    """
    return tuple(sorted({*shipped(), *own()}))


def device_called(driver_name: str) -> str | None:
    """The device that a driver's name of it means, the longest whose words stand in it; or None.

    >>> device_called("NVIDIA H100 PCIe"), device_called("NVIDIA H100 80GB HBM3")
    ('h100-pcie', 'h100')
    """
    words = f"-{slug(driver_name)}-"
    return max((n for n in devices() if f"-{slug(n)}-" in words), key=len, default=None)


def slug(text: str) -> str:
    """`NVIDIA H100 PCIe` as `nvidia-h100-pcie`."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


@cache
@across
def _shipped(name: str) -> Hardware:
    return _calibrated(load_device(CATALOGUE / f"{name}.yaml"), beside=None)


@cache
def _priced(name: str, price: Prices) -> Hardware:
    return priced(_shipped(name), price)


def _calibrated(hardware: Hardware, *, beside: Path | None) -> Hardware:
    """The device with the calibration of its folder, else that of its name, else the priors.

    A shipped file may hold some families alone: a relative's stand in for the others. An array
    whose area nothing states has that of its parts.
    """
    if hardware.kind == "spatial":
        hardware = import_module(levers.LAWS).with_area(hardware)
    if beside is not None and (own := beside / "calibration.yaml").is_file():
        return hardware.but(calibration=load_calibration(own))
    shipped = CATALOGUE / "calibration"
    path = shipped / f"{hardware.name.lower()}.yaml"
    own = load_calibration(path) if path.is_file() else None
    near = hardware.extends or (RELATIVES.get(hardware.architecture) if beside is None else None)
    if near not in (None, hardware.name.lower()):
        relative = _shipped(str(near))
        assert relative.calibration is not None
        power = WIDER if relative.architecture == hardware.architecture else WIDEST
        told: dict[str, Any] = {"of": relative.title, "power": power, "own": own}
        told["unlike"] = power == WIDEST and hardware.kind == "mcu"
        if power == WIDER and hardware.kind == "gpu":
            told["narrower"] = _matrix_width(relative) / _matrix_width(hardware)
        return hardware.but(calibration=inherited(relative.calibration, hardware.name, **told))
    if own is None or near is not None:
        return hardware.but(calibration=own or load_calibration(shipped / f"{PRIORS}.yaml"))
    priors = load_calibration(shipped / f"{PRIORS}.yaml")
    families = {**priors.families, **own.families}
    with_priors = Calibration.build(dict(own) | {"families": families}, where=str(path))
    return hardware.but(calibration=with_priors)


def _matrix_width(hardware: Hardware) -> float:
    """FLOP of 16-bit products that a processor's matrix units do in a clock."""
    clock = hardware.matrix_clock_hz or hardware.clock_hz
    return float(hardware.rate("matrix", "fp16") / (hardware.processors.count * clock))


def load_device(path: Path) -> Hardware:
    """Read one catalogue file, without calibration; raises `InputError`."""
    reader = _Reader(path)
    of = reader.extended()
    told = reader.tree(Hardware)
    if of:
        read = _variant(load_device(CATALOGUE / f"{of}.yaml"), reader, told | {"extends": of})
    else:
        read = Hardware.build(told, where=str(path))
    _check_names(read, name_of(path))
    return read


def _variant(other: Hardware, reader: "_Reader", told: dict[str, Any]) -> Hardware:
    """A device that differs from another by what is told; rates that are not follow."""
    tree = _over(other, told)
    tree["sources"] = {
        path: text
        for path, text in tree["sources"].items()
        if not any(path == gone or path.startswith(f"{gone}.") for gone in reader.taken)
    }
    new = Hardware.build(tree, where=str(reader.path))
    follow = peaks.follow if new.kind in peaks.KINDS else levers.follow
    return new.model_copy(update=follow(other, new, tuple(reader.origins)))


def _over(old: Any, new: Any) -> Any:
    """A table laid over another, or over a record; None takes an entry of a table away."""
    if not isinstance(new, dict) or not isinstance(old, (dict, Value)):
        return cast(Any, new)
    table = cast(dict[str, Any], old)
    if isinstance(old, Value):
        table = {name: getattr(old, name) for name in old.model_fields_set}
    laid = {
        name: _over(table[name], value) if name in table else value
        for name, value in cast(dict[str, Any], new).items()
    }
    merged: dict[str, Any] = table | laid
    if isinstance(old, Value):
        return merged
    return {name: value for name, value in merged.items() if value is not None}


def _check_names(read: Hardware, where: str) -> None:
    """Refuse a machine whose parts name others that it lacks."""
    wanted = [
        *(("memory level", level, read.memories) for level in LEVELS.get(read.kind, ())),
        *(("array", m.array, read.arrays) for m in read.memories.values() if m.array),
        *(
            ("array", a.inside, list(read.arrays)[:at])
            for at, a in enumerate(read.arrays.values())
            if a.inside
        ),
        *(
            ("function", name, read.functions)
            for array in read.arrays.values()
            for name in array.cycles
        ),
    ]
    for what, name, known in wanted:
        if name not in known:
            raise InputError(f"{where}: {UnknownNameError(what, name, known)}")


def load(path: Path, record: type[Record]) -> Record:
    """Read a file of numbers with sources into a record that has `sources`; raises `InputError`."""
    return record.build(_Reader(path).tree(record), where=str(path))


def newest_calibration() -> str:
    """The date of the newest shipped calibration, of what files say of themselves first."""
    return max(calibration_dates().values(), default="")


def calibration_dates() -> dict[str, str]:
    """The date of each shipped calibration, as its file begins: the whole takes seconds to read."""
    dated = re.compile(rb"^date: '?(\d{4}-\d\d-\d\d)", re.MULTILINE)
    found: dict[str, str] = {}
    for path in sorted((CATALOGUE / "calibration").glob("*.yaml")):
        with path.open("rb") as stream:
            days = dated.findall(stream.read(4096))
        found[path.stem] = days[0].decode() if days else ""
    return found


def load_calibration(path: str | Path) -> Calibration:
    """Read one calibration file (`Calibration` in YAML); raises `InputError`."""
    path = Path(path)
    root = compose(path)
    return Calibration.build(plain(root, path), where=str(path))


class _Reader:
    """One catalogue file on its way into a record: values apart from their sources."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.root = entries(compose(path), path, "")
        if "sources" not in self.root:
            raise InputError(f"{name_of(path)}: expected a table `sources`, found none")
        texts = entries(self.root.pop("sources"), path, "sources")
        self.texts = {name: str(plain(node, path)) for name, node in texts.items()}
        self.origins: dict[str, str] = {}
        self.taken: list[str] = []

    def extended(self) -> str:
        """The shipped device that the file's is a variant of; "" where it stands by itself."""
        node = self.root.pop("extends", None)
        of = "" if node is None else str(plain(node, self.path)).lower()
        if of and of not in shipped():
            known = UnknownNameError("device", of, shipped())
            raise InputError(f"{self.at(node, 'extends')}: {known}")
        return of

    def tree(self, cls: type[Value]) -> dict[str, Any]:
        return self.record(self.root, cls, "") | {"sources": self.origins}

    def record(self, items: dict[str, Any], cls: type[Value], path: str) -> dict[str, Any]:
        """Fields of one record, each read as its annotation asks."""
        result: dict[str, Any] = {}
        for name, node in items.items():
            field = field_of(cls, name)
            if field not in cls.model_fields:
                known = map(bare_name, cls.model_fields)
                where = self.at(node, path + name)
                raise InputError(f"{where}: {UnknownNameError('field', name, known)}")
            annotation = cls.model_fields[field].annotation
            if _is_null(node) and type(None) in get_args(annotation):
                result[field] = None
                self.taken.append(path + name)
                continue
            result[field] = self.value(node, annotation, dimension_of(field), path + name)
        return result

    def value(self, node: Any, annotation: Any, dimension: str | None, path: str) -> Any:
        inner = _record_in(annotation)
        if get_origin(annotation) is dict:
            items = entries(node, self.path, path)
            return {
                key: self.entry(n, inner, dimension, f"{path}.{key}") for key, n in items.items()
            }
        if inner is not None:
            return self.record(entries(node, self.path, path), inner, path + ".")
        if annotation in (str, bool) or get_origin(annotation) is Literal:
            return plain(node, self.path)
        return self.number(node, dimension, path)

    def entry(self, node: Any, inner: type[Value] | None, dimension: str | None, at: str) -> Any:
        """One entry of a table of numbers or of records; None where a variant lacks it."""
        if _is_null(node):
            self.taken.append(at)
            return None
        if inner is None:
            return self.number(node, dimension, at)
        return self.record(entries(node, self.path, at), inner, f"{at}.")

    def number(self, node: Any, dimension: str | None, path: str) -> Any:
        """The value of `[value, source]`; its source is noted under its path."""
        pair: Any = plain(node, self.path)
        where = self.at(node, path)
        wanted = f"{NOUNS[dimension]}" if dimension else "a count such as 132"
        if not isinstance(pair, list) or len(cast(list[Any], pair)) != 2:
            raise InputError(f"{where}: expected [value, source], found {pair!r}")
        value, source = cast(list[Any], pair)
        if not isinstance(source, str) or source not in self.texts:
            known = UnknownNameError("source", source, self.texts)
            raise InputError(f"{where}: {known}")
        if dimension is not None and not isinstance(value, str):
            raise InputError(f"{where}: {value!r} has no unit; expected {wanted}")
        if dimension is None and not isinstance(value, int) and not path.endswith("_exponent"):
            raise InputError(f"{where}: expected {wanted}, found {value!r}")
        self.origins[path] = self.texts[source]
        return value if dimension is None else amount(value, dimension, where=where, zero=True)

    def at(self, node: Any, path: str) -> str:
        return f"{self.path}, line {node.start_mark.line + 1}: {path}"


def _is_null(node: Any) -> bool:
    return node.tag == "tag:yaml.org,2002:null"


def _record_in(annotation: Any) -> type[Value] | None:
    """The record type in an annotation: itself, in a dictionary's values, or beside None."""
    parts = get_args(annotation) if get_origin(annotation) in (dict, UnionType) else (annotation,)
    for part in parts:
        if isinstance(part, type) and issubclass(part, Value):
            return part
    return None
