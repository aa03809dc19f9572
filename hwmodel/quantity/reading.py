"""What comes in from outside, read within limits: bytes, text and JSON, one reader for every door.

Whatever a file holds, it costs bounded time and memory, and is accepted or refused by an
`InputError` that says where. The limits of all doors stand here, by name (`docs/limits.md` lists
them); they are far above what honest input needs. YAML is read in `hwmodel.quantity.yaml`.
"""

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NoReturn, cast

from hwmodel.quantity.errors import InputError
from hwmodel.quantity.printable import cut, printable, shown

FILE_BYTES = 64 * 2**20
"""Of one file of settings: a config, a device, a study, a cascade, a placement, a network."""

CASES_BYTES = 2**30
"""Of one file of cases: some five million lines."""

LINE_CHARACTERS = 2**20
"""Of one case, with a model's config in it."""

TEXT_CHARACTERS = 200_000
"""Of the text of a cascade; the longest that the package writes has some 3,000."""

DEPTH = 64
"""Lists and tables within one another, in JSON, YAML and the brackets of a cascade's text."""

EINSUMS = 1_000
"""Of one cascade; a prediction takes seconds then, and four times as long for twice as many."""

EXPRESSION_DEPTH = 120
"""Brackets, signs and terms within one another in one Einsum; a sum of n terms is n deep."""

DIGITS = 400
"""Of one number: the largest that a float64 holds has 309 before its point."""

NODES = 100_000
"""Values in one YAML file, counted anew wherever an alias repeats them."""

NAME_CHARACTERS = 1_000
"""Of one name or path that is looked for among files."""

LAYERS = 10_000
"""Of a model; the deepest published ones have some 1,000."""

EXPERTS = 4_096
"""Of a layer in a trace of routing, whose counts are a table of its square (0.13 GB a layer)."""

SKEWED_MEMBERS = 2**16
"""Experts, say, of a workload with a skew: their chances are summed one by one (two seconds)."""

ROUTING_ENTRIES = 2**28
"""Counts that a routing holds, over all layers: 2 GiB."""

AXIS_VALUES = 10_000_000
"""Of one axis of a sweep."""

POINTS = 10**12
"""Rows of a sweep; at a million a second that is eleven days."""

PATTERN_REPEATS = 4
"""Repetitions, and groups, of a regular expression that names the modules of a checkpoint."""

ROWS_IN_MEMORY = 10**8
"""Of a sweep that is not written to files (`out`): some 15 GB with every column of an estimate."""

CONDITION_CHARACTERS = 2_000
"""Of one condition (`where`) of a sweep."""

DEVICES = 2**12
"""Of a topology, and on which experts are placed: each pair has a distance and a cost (0.13 GB)."""

SLOTS = 2**11
"""Places for experts and their copies in a layer."""


def kind_of(path: str | Path) -> Literal["file", "folder"] | None:
    """What stands at a path: a name that no file can have, or a circle of links, is nothing."""
    try:
        found = Path(path)
        return "folder" if found.is_dir() else "file" if found.exists() else None
    except (OSError, ValueError):
        return None


def bytes_of(path: str | Path, *, most: int = FILE_BYTES) -> bytes:
    """All of a file; `InputError` where it cannot be read or is larger than `most`."""
    try:
        with open(path, "rb") as stream:
            data = stream.read(most + 1)
    except (OSError, ValueError) as error:  # ValueError: NUL and surrogates in names
        raise InputError(f"{name_of(path)}: cannot be read: {why(error)}") from None
    if len(data) > most:
        raise InputError(f"{name_of(path)}: expected at most {most:,} bytes, found more")
    return data


def text_of(path: str | Path, *, most: int = FILE_BYTES, by_line: bool = False) -> str:
    """A file's text: UTF-8, with or without a byte-order mark; any line ends.

    Whose reader refuses lines one `by_line` (`line_of`) gets those that are no UTF-8 as well.
    """
    data = bytes_of(path, most=most)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        known = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16", b"\x1f\x8b": "gzip"}
        if by_line and data[:2] not in known:
            return data.decode("utf-8-sig", "surrogateescape")
        found = known.get(data[:2], f"byte {data[error.start]:#04x} at {error.start}")
        raise InputError(f"{name_of(path)}: expected UTF-8 text, found {found}") from None


def line_of(text: str, *, most: int = LINE_CHARACTERS) -> str:
    """A line of such a text; `InputError` where it is too long, or no UTF-8."""
    if len(text) > most:
        raise InputError(f"expected at most {most:,} characters, found {len(text):,}")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        found = f"byte {ord(text[error.start]) & 0xFF:#04x} at {error.start}"
        raise InputError(f"expected UTF-8 text, found {found}") from None
    return text


def name_of(path: str | Path) -> str:
    """A path as messages show it."""
    return printable(cut(str(path), NAME_CHARACTERS))


def why(error: Exception) -> str:
    """An error of the system in a few words, without the path that is named beside it."""
    said = getattr(error, "strerror", None) or str(error).split("\n")[0]
    return printable(cut(str(said), 200)) or type(error).__name__


def json_file(path: str | Path) -> Any:
    """The value in a JSON file; `InputError` names the file and the place."""
    return json_value(text_of(path), where=name_of(path))


def json_table(path: str | Path, what: str, *, words: bool = False) -> dict[str, Any]:
    """The table in a JSON file; `InputError` where it holds anything else than `what`."""
    found = json_value(text_of(path), where=name_of(path), words=words)
    if not isinstance(found, dict):
        raise InputError(f"{name_of(path)}: expected {what}, found {type(found).__name__}")
    return cast(dict[str, Any], found)


def json_value(text: str, *, where: str = "", lines: bool = True, words: bool = False) -> Any:
    """The value of a JSON text: keys once, numbers finite, digits and nesting within limits.

    A syntax error is said with its line and column (`lines=False`: its column alone). With `words`
    NaN and Infinity, which Python writes into JSON, are read as words.
    """
    try:
        value = (_WORDS if words else _DECODER).decode(text)
    except json.JSONDecodeError as error:
        at = f"line {error.lineno}, column {error.colno}" if lines else f"column {error.colno}"
        found = error.msg if text.strip() else "an empty text" if lines else "an empty line"
        place = f"{where}, {at}" if where else at
        raise InputError(f"{place}: expected valid JSON, found: {found}") from None
    except InputError as error:
        raise InputError(f"{where}: {error}" if where else str(error)) from None
    except RecursionError:
        _too_deep(where)
    if _deeper(value, DEPTH):
        _too_deep(where)
    return value


def pairs(text: Any, where: str) -> dict[str, Any]:
    """`m=1024,n=1024` as names with numbers, truth values or words; a table of them as it is."""
    if isinstance(text, Mapping):
        return {str(name): value for name, value in cast(Mapping[Any, Any], text).items()}
    if text is not None and not isinstance(text, str):
        raise InputError(f"{where}: expected NAME=VALUE,... or a table, found {shown(text)}")
    found: dict[str, Any] = {}
    for part in (text or "").split(","):
        if not part.strip():
            continue
        name, sign, value = (piece.strip() for piece in part.partition("="))
        if not (name and sign and value):
            raise InputError(f"{where}: expected NAME=VALUE, found {part.strip()!r}")
        if name in found:
            raise InputError(f"{where}: {name} is given twice")
        try:
            found[name] = json_value(re.sub(r"^(-?)\.(?=\d)", r"\g<1>0.", value))  # .7 is 0.7
        except InputError:
            found[name] = value
    return found


def _too_deep(where: str) -> NoReturn:
    place = f"{where}: " if where else ""
    raise InputError(f"{place}expected lists and tables nested at most {DEPTH} deep, found more")


def _deeper(value: Any, most: int) -> bool:
    """Whether lists and tables are nested more than `most` deep."""
    level: list[Any] = [value]
    for _ in range(most):
        level = [
            child
            for each in level
            if isinstance(each, (list, dict))
            for child in cast(Any, each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return False
    return any(isinstance(each, (list, dict)) for each in level)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; a repeated key would lose a value without a word."""
    table = dict(pairs)
    if len(table) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))
        raise InputError(f"{cut(twice, 80)}: stands here a second time")
    return table


def whole(text: str) -> int:
    """An integer of at most `DIGITS` digits."""
    if len(text) > DIGITS:
        raise InputError(f"expected a number of at most {DIGITS} digits, found {len(text)}")
    return int(text)


def _real(text: str) -> float:
    if len(text) > DIGITS or not math.isfinite(value := float(text)):
        raise InputError(f"expected a number of at most 1.8e308, found {cut(text, 40)}")
    return value


def _no_number(text: str) -> NoReturn:
    raise InputError(f"expected a finite number, found {text}")


_DECODER, _WORDS = (
    json.JSONDecoder(
        object_pairs_hook=_once, parse_int=whole, parse_float=_real, parse_constant=constant
    )
    for constant in (_no_number, str)
)
