"""What a checkpoint's files hold: bytes by module, from the headers of its safetensors files.

A safetensors file begins with eight bytes, the length of a JSON table of its tensors: name ->
dtype, shape, first and last byte (huggingface/safetensors, README). Of many files an index tells
which has which tensor and the bytes of all (`total_size`). Weights that are packed, four bits to
the half byte, and their scales are tensors beside one another under a module's name.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import gcd, prod
from pathlib import Path
from typing import Any, cast

from hwmodel.einsum.workloads.formats import ModuleFormats
from hwmodel.einsum.workloads.quantisation.modules import spelled
from hwmodel.einsum.workloads.quantisation.quantisation import Quantisation, listed
from hwmodel.quantity.dtypes import bytes_of, dtype
from hwmodel.quantity.errors import InputError
from hwmodel.quantity.reading import json_table, name_of, why
from hwmodel.quantity.units import show

INDEX = "model.safetensors.index.json"
HEADER_BYTES = 100_000_000
"""Of a header, at most: the limit of the safetensors library itself."""

PLAIN = {
    **{"F64": "fp64", "F32": "fp32", "F16": "fp16", "BF16": "bf16", "I8": "int8"},
    **{"F8_E4M3": "fp8", "F8_E5M2": "fp8", "F8_E4M3FN": "fp8"},
}
"""dtype of safetensors -> format of a weight that is not packed."""

WEIGHTS = ("weight", "qweight", "weight_packed", "blocks", "W_q")
"""Last words of the tensors that hold a module's weights."""

OTHERS = ("bias", "input_scale", "input_global_scale", "k_scale", "v_scale", "output_scale")
"""Last words of tensors that are not of the weights."""

AGREES = 0.01
"""Share of a module's bytes below which its config's format is kept: a scale a channel, say."""


UNTOLD = 0.01
"""Share by which a checkpoint's files may differ from the network that is read, without a word."""


@dataclass(frozen=True)
class Held:
    """A tensor of a file: its name, dtype of safetensors, shape and bytes."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    size: int


@dataclass(frozen=True, eq=False)
class Stored:
    """A checkpoint's files: bytes of all tensors, and the tensors where headers were read.

    Of an index alone there are `names`.
    """

    where: str
    bytes: int
    tensors: tuple[Held, ...] = field(default=(), repr=False)
    names: tuple[str, ...] = field(default=(), repr=False)


def stored(folder: Path) -> Stored | None:
    """What lies in a folder: headers of all its safetensors files, or their index alone; or None.

    Raises `InputError` for a file that is none.
    """
    files = sorted(folder.glob("model*.safetensors")) or sorted(folder.glob("*.safetensors"))
    index = folder / INDEX
    none: dict[str, str] = {}
    named, total = _index(index) if index.is_file() else (none, None)
    wanted = set(named.values()) if named else {file.name for file in files}
    if files and wanted <= {file.name for file in files}:
        tensors = tuple(held for file in files if file.name in wanted for held in _header(file))
        return Stored(name_of(folder), sum(each.size for each in tensors), tensors)
    return None if total is None else Stored(name_of(index), total, names=tuple(named))


def _index(path: Path) -> tuple[Mapping[str, str], int | None]:
    """The file of each tensor that an index names, and the bytes of all."""
    table = json_table(path, "an index of safetensors files")
    names, metadata = table.get("weight_map"), table.get("metadata", {})
    total = cast(dict[str, Any], metadata).get("total_size") if isinstance(metadata, dict) else None
    if not isinstance(names, dict) or not isinstance(total, int | float):
        raise InputError(
            f"{name_of(path)}: expected weight_map and metadata.total_size, found neither or one"
        )
    return {str(n): str(file) for n, file in cast(dict[str, Any], names).items()}, int(total)


def _header(path: Path) -> Iterable[Held]:
    """The tensors of one file."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            text = file.read(length) if length <= HEADER_BYTES else b""
    except OSError as error:
        raise InputError(f"{name_of(path)}: cannot be read: {why(error)}") from None
    try:
        table: Any = json.loads(text)
        for name, said in table.items():
            if name == "__metadata__":
                continue
            first, last = said["data_offsets"]
            yield Held(name, said["dtype"], tuple(map(int, said["shape"])), int(last) - int(first))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InputError(f"{name_of(path)}: its header is no table of tensors; {error}") from None


def as_stored(said: Quantisation, files: Stored) -> Quantisation:
    """What a config says, corrected by what the files hold, module by module.

    Modules whose bytes differ by less than one percent keep the format that the config gives them.
    One warning names those that differ.
    """
    exact: dict[tuple[str, ...], ModuleFormats] = {}
    told: list[str] = []
    for path, tensors in _by_module(files.tensors).items():
        formats = said.of(path)
        found = _formats(tensors, formats, said.stored)
        if found is None or found == formats:
            continue
        exact[spelled(path)] = found
        told.append(f"{path} {found.weight} ({formats.weight})")
    if not exact:
        return said
    message = (
        f"{files.where}: tensors differ from what the config says (in brackets):"
        f" {listed(told, plain=True)}; the files are believed"
    )
    return replace(said, exact={**said.exact, **exact}, warnings=(*said.warnings, message))


def _by_module(tensors: Iterable[Held]) -> Mapping[str, dict[str, Held]]:
    """Module -> its tensors by the rest of their name; those of weights alone."""
    found: dict[str, dict[str, Held]] = {}
    for tensor in tensors:
        module, last = place_of(tensor.name)
        if module and last.rpartition(".")[2] not in OTHERS:
            found.setdefault(module, {})[last] = tensor
    return {path: parts for path, parts in found.items() if any(w in parts for w in WEIGHTS)}


def place_of(name: str) -> tuple[str, str]:
    """Module and the rest: `x.weight.absmax` is of `x`, `x_blocks` and `x_scales` of `x`."""
    front, found, rest = name.partition(".weight.")
    if found:
        return front, f"weight.{rest}"
    module, _, last = name.rpartition(".")
    for end in ("_blocks", "_scales", "_bias"):
        if last.endswith(end):
            return f"{module}.{last.removesuffix(end)}", end[1:]
    return module, last


def _formats(parts: Mapping[str, Held], said: ModuleFormats, wide: str) -> ModuleFormats | None:
    """Formats of a module by its tensors; None where they cannot be told."""
    main = next(parts[name] for name in WEIGHTS if name in parts)
    base = PLAIN.get(main.dtype)
    if base is None:  # packed: how narrow is the config's to say
        base = dtype(said.weight).base
        if dtype(base).bits >= 8:
            return None
        elements = main.size * 8 // dtype(base).bits
    else:
        elements = prod(main.shape)
    total = sum(part.size for part in parts.values())
    if not elements:
        return None
    if base == dtype(said.weight).base:
        expected = elements * bytes_of(said.weight)
        if abs(total - expected) <= AGREES * expected:
            return said
    scales = (total * 8) - elements * dtype(base).bits
    groups = max((prod(part.shape) for part in parts.values() if part is not main), default=1)
    whole = elements % groups == 0 and scales % groups == 0
    shared = groups if whole else gcd(elements, scales)
    weight = f"{base}@{elements // shared}:{scales // shared}" if scales > 0 else base
    if dtype(base).bits >= 16:
        return ModuleFormats(base, base)
    return ModuleFormats(weight, said.input if dtype(said.weight).bits < 16 else wide)


def scaled(held: int | float, files: Stored | None, read: int | float) -> int | float:
    """Bytes of weights on devices, as much more or less as files hold than the network read."""
    return held if files is None else held * (files.bytes / read)


def differing(where: str, files: Stored, read: int | float) -> tuple[str, ...]:
    """What is told of files that hold more, or less, than the network that is read."""
    if abs(files.bytes - read) <= UNTOLD * read:
        return ()
    held = show(files.bytes, "bytes")
    return (
        f"{where}: its files hold {held}, the network that is read {show(read, 'bytes')}; memory"
        " is filled as by the files",
    )
