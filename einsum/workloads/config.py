"""Hugging Face `config.json` files: found, parsed, and read by the record of their architecture.

Every key has a place: modelled, harmless or unsupported (`record.py`); all that have none are told
in one message. A config whose architecture is unknown is read as another one only where that is
asked (`as_`), with a warning of what was not read; of a config with several parts (`text_config`,
`vision_config`) the text alone is read, unless another `part` is asked.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from hwmodel.einsum.workloads import gguf_file
from hwmodel.einsum.workloads.quantisation.stated import stated
from hwmodel.einsum.workloads.quantisation.stored import Stored, stored
from hwmodel.einsum.workloads.record import FURTHER, LEFT_OUT, Config
from hwmodel.einsum.workloads.registry import architectures, known, of_class, record
from hwmodel.einsum.workloads.tensors import Tensor, of_checkpoint
from hwmodel.quantity.errors import (
    LONGEST_NAME,
    CoverageError,
    InputError,
    UnknownNameError,
    nearest,
)
from hwmodel.quantity.printable import cut, printable, shown
from hwmodel.quantity.reading import NAME_CHARACTERS, json_table, kind_of, name_of
from hwmodel.quantity.value import expectation

SHIPPED = Path(__file__).parent / "configs"
PARTS = ("text", "vision")
LISTED = "`hwmodel models` lists those that are read"
AS_ANOTHER = "a plain decoder can be read as one of them: --as llama, as_='llama' in Python"
FOR_ALL = ("torch_dtype", "dtype", "quantization_config")
"""Keys of a config with several parts that hold for each, unless a part says otherwise."""
OTHER_NAMES = {"text": ("llm_config", "language_config")}
"""Other keys of parts: of InternVL and of DeepSeek-VL."""
THINKS = "thinker_config"
"""Key of the part that reads and answers, of models that speak too."""
OF_WHOLE = ("tie_word_embeddings",)
"""Keys that the whole decides, whatever its parts say: heads are modules of the whole."""


def read_config(
    source: Mapping[str, Any] | str | Path,
    *,
    ignore_keys: Iterable[str] = (),
    as_: str | None = None,
    part: str | None = None,
) -> tuple[str, Config, tuple[str, ...]]:
    """Name, modelled keys and warnings of a config: a dict, a path, a directory, a shipped name.

    `as_` reads it as a config of that model type, whatever its own; `part` reads its "text" or
    "vision" alone. Raises `InputError` for unreadable files, wrong types and keys that no list has;
    `UnknownNameError` for an architecture that is not known; `CoverageError` for keys that change
    counts in a way that is not modelled. Keys in `ignore_keys` pass, with a warning each.
    """
    name, where, data = _load(source)
    ignored = frozenset(_names(ignore_keys))
    data, said = _inner(where, _typed(data))
    data, warnings = _part(where, stated(data), part, as_)
    warnings = [*said, *warnings]
    kind = _record(where, data, as_)
    warnings += [
        f"{where}: key {key!r} (value {shown(data[key])}) was ignored as asked"
        for key in data
        if key in ignored
    ]
    warnings += [
        f"{where}: {UnknownNameError('key to ignore', key, data)}" for key in ignored - data.keys()
    ]
    kept = {key: value for key, value in data.items() if key not in ignored}
    if as_ is None:
        kind, kept, more = _by_class(where, kind, kept)
        warnings += more
    else:
        kept, more = _taken_as(where, kind, kept, as_)
        warnings += more
    config = _validated(where, kind, kept)
    left = [f"{key}: {LEFT_OUT[key]}" for key in kept if key in LEFT_OUT and kept[key]]
    return name, config, (*warnings, *(f"{name}: {note}" for note in (*left, *config.notes())))


def _inner(where: str, data: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The part of a config that thinks, where others speak (Qwen's Omni), with its own parts."""
    inner = data.get(THINKS)
    if not isinstance(inner, Mapping):
        return data, []
    own = dict(cast(Mapping[str, Any], inner))
    for key in (*FOR_ALL, "architectures"):
        if key in data and data[key] is not None:
            own.setdefault(key, data[key])
    return own, [f"{where}: {THINKS} alone is read: what makes speech is left out"]


def _by_class(
    where: str, kind: type[Config], data: dict[str, Any]
) -> tuple[type[Config], dict[str, Any], list[str]]:
    """The record of a config's model type; of the class that it names, where that one alone fits.

    Raises as `_refuse` does where neither reads all keys.
    """
    try:
        _refuse(where, kind, data)
    except (CoverageError, InputError):
        named = of_class(data.get("architectures"))
        if named is None or named == data["model_type"]:
            raise
        other, given = record(named), {**data, "model_type": named}
        _refuse(where, other, given)
        said = f"model_type {shown(data['model_type'])} does not read all keys; read as {named}"
        return other, given, [f"{where}: {said}, by the class that it names"]
    return kind, data, []


def _typed(data: dict[str, Any]) -> dict[str, Any]:
    """A config that says no `model_type`, with that of the class that it names."""
    if data.get("model_type"):
        return data
    named = data.get("_class_name") or of_class(data.get("architectures"))
    return data if named is None else {**data, "model_type": named}


def _record(where: str, data: Mapping[str, Any], as_: str | None) -> type[Config]:
    """The record of a config's architecture, or of the one that it is to be read as."""
    if as_ is not None:
        if not known(as_):
            what = "architecture to read a config as"
            raise UnknownNameError(what, as_, architectures(), listed=LISTED)
        return record(as_)
    model_type = data.get("model_type")
    if model_type is None:
        raise InputError(f"{where}: expected the key 'model_type', found none; {LISTED}")
    if not known(model_type):
        what, named = f"architecture (model_type of {where})", of_class(data.get("architectures"))
        told = f"{LISTED}; {AS_ANOTHER}"
        told += f"; the class that it names is of {named}: --as {named}" if named else ""
        raise UnknownNameError(what, model_type, architectures(), listed=told)
    return record(cast(str, model_type))


def _part(
    where: str, data: dict[str, Any], part: str | None, as_: str | None
) -> tuple[dict[str, Any], list[str]]:
    """A config's part that is to be read, with what its whole says for all parts."""
    if part is not None and part not in PARTS:
        raise UnknownNameError("part of a config", part, PARTS)
    parts = {each: key for each in PARTS for key in _keys_of(each, data)}
    kind = data.get("model_type") if as_ is None else as_
    whole = known(kind) and "text_config" in record(cast(str, kind)).modelled()
    alone = "vision" in parts and "text" not in parts and not known(kind)  # SAM's, for one
    if part is None and not alone and ("text" not in parts or whole):
        return data, []
    asked = part or ("vision" if alone else "text")
    if asked not in parts:
        if not parts and asked == "text":
            return data, []
        found = ", ".join(parts.values()) or "none"
        raise InputError(f"{where}: expected the key '{asked}_config' with a table, found {found}")
    key_of = parts[asked]
    own = dict(cast(Mapping[str, Any], data[key_of]))
    named = f"{data.get('model_type')}_{asked}"  # the whole's class makes that of its parts
    own |= {"model_type": named if known(named) else own.get("model_type", named)}
    for key in FOR_ALL:
        if key in data:
            own.setdefault(key, data[key])
    own |= {key: data[key] for key in OF_WHOLE if key in data}
    others = [key for key in data if key.endswith("_config") and isinstance(data[key], Mapping)]
    left = ", ".join(key for key in others if key not in (key_of, "quantization_config"))
    said = [f"{where}: {key_of} alone is read{f', without {left}' if left else ''}"]
    return own, said


def _keys_of(part: str, data: Mapping[str, Any]) -> list[str]:
    """The key of a config's part, by the first of its names that holds a table."""
    names = (f"{part}_config", *OTHER_NAMES.get(part, ()))
    return [name for name in names if isinstance(data.get(name), Mapping)][:1]


def _taken_as(
    where: str, kind: type[Config], data: Mapping[str, Any], as_: str
) -> tuple[dict[str, Any], list[str]]:
    """The keys that a record of another architecture reads, and a warning of all others."""
    left = [key for key, value in data.items() if not _placed(kind, key, value)]
    said = f"{where}: model_type {shown(data.get('model_type'))} read as {as_}, as asked"
    if left:
        said += f"; keys that it does not read: {', '.join(printable(cut(k, 60)) for k in left)}"
    kept = {key: value for key, value in data.items() if key in kind.modelled()}
    return {**kept, "model_type": as_}, [said]


def changed(where: str, config: Config, changes: Mapping[str, Any]) -> Config:
    """The config with other values of its modelled keys, checked again."""
    for key in changes:
        if key not in config.modelled():
            raise UnknownNameError(f"modelled key of {config.model_type}", key, config.modelled())
    given = {**config.model_dump(exclude_unset=True), **changes}
    return _validated(where, type(config), given)


def _names(ignore_keys: Iterable[str]) -> tuple[str, ...]:
    try:
        names = () if isinstance(ignore_keys, str) else tuple(ignore_keys)
    except TypeError:
        names = (None,)
    if isinstance(ignore_keys, str) or not all(type(name) is str for name in names):
        raise InputError(f"ignore_keys: expected a list of keys, found {shown(ignore_keys)}")
    return cast(tuple[str, ...], names)


def shipped_configs() -> tuple[str, ...]:
    """Names of the configs that come with the package."""
    return tuple(sorted(path.stem for path in SHIPPED.glob("*.json")))


def _load(source: Mapping[str, Any] | str | Path) -> tuple[str, str, dict[str, Any]]:
    """A short name, how errors call the place, and the parsed object."""
    if isinstance(source, Mapping):
        data = dict(source)
        given = data.get("name") or data.get("_name_or_path") or "config"
        return printable(cut(str(given), NAME_CHARACTERS)), "config", data
    if not isinstance(source, (str, Path)):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InputError(f"model: expected a config, its path or a name, found {shown(source)}")
    if not str(source).strip():
        told = "expected a config, its path or a name, found an empty one"
        raise InputError(f"model: {told}; for this folder say '.'")
    path = _checkpoint(Path(source))
    if kind_of(path) == "folder":
        path = path / "config.json"
        if kind_of(path) != "file":
            where = "in this directory" if path.parent == Path(source) else "beside these weights"
            raise InputError(f"{name_of(path)}: expected a config.json {where}, found none")
    elif kind_of(path) != "file":
        shipped = SHIPPED / f"{str(source).lower()}.json"
        if kind_of(shipped) != "file":
            if path.suffix == ".json" or len(path.parts) != 1:
                raise InputError(
                    f"{name_of(path)}: expected a config.json, a directory with one or a shipped"
                    " name (`hwmodel models` lists them); found no such file"
                )
            raise UnknownNameError("model config", str(source), shipped_configs())
        path = shipped
    if path.suffix == ".gguf":
        return path.stem, name_of(path), gguf_file.config(path)
    name = path.parent.name if path.name == "config.json" else path.stem
    return name, name_of(path), _quantised_beside(path, _parse(path))


def _checkpoint(path: Path) -> Path:
    """The folder of a file of weights, which say no config themselves; or the path as it is."""
    weights = path.name.endswith((".safetensors", ".safetensors.index.json"))
    return path.parent if weights and kind_of(path) == "file" else path


def whole_config(source: Mapping[str, Any] | str | Path) -> tuple[str, Mapping[str, Any]]:
    """Name and keys of a config as it stands, with all its parts."""
    name, _, data = _load(source)
    return name, _typed(data)


def files_beside(source: Any) -> Stored | None:
    """What lies beside a config that is given by its path: the checkpoint's files; or None."""
    if not isinstance(source, (str, Path)):
        return None
    path = _checkpoint(Path(source))
    kind = kind_of(path)
    if kind == "file" and path.name == "config.json":
        return stored(path.parent)
    return stored(path) if kind == "folder" else None


def tensors_beside(source: Any, files: Stored | None) -> Iterable[Tensor]:
    """The tensors of a checkpoint's files, or of the GGUF file that a config was read from."""
    if files is not None:
        return of_checkpoint(files)
    gguf = isinstance(source, (str, Path)) and Path(source).suffix == ".gguf"
    return gguf_file.tensors(source) if gguf else ()


def _quantised_beside(path: Path, data: dict[str, Any]) -> dict[str, Any]:
    """The config with what ModelOpt's file beside it says of quantisation; its own keys win."""
    beside = path.parent / "hf_quant_config.json"
    if not beside.is_file():
        return data
    said = _parse(beside).get("quantization")
    if not isinstance(said, dict):
        raise InputError(f"{name_of(beside)}: expected a table 'quantization', found {said!r}")
    own = data.get("quantization_config") or {"quant_method": "modelopt"}
    if not isinstance(own, dict):
        raise InputError(f"{name_of(path)}: quantization_config: expected a table, found {own!r}")
    return data | {"quantization_config": {**cast(dict[str, Any], said), **own}}


def _parse(path: Path) -> dict[str, Any]:
    return json_table(path, "a JSON object of config keys", words=True)


def _validated(where: str, kind: type[Config], data: Mapping[str, Any]) -> Config:
    named = {kind.ALIASES[key]: value for key, value in data.items() if key in kind.ALIASES}
    modules = (data[key] for key in FURTHER if data.get(key))
    given = {**named, **data, FURTHER[0]: next(modules, data.get(FURTHER[0], 0))}
    fields = kind.model_fields.items()
    off = [key for key, field in fields if field.annotation is bool and given.get(key, 0) is None]
    try:
        config = kind.model_validate({**given, **dict.fromkeys(off, False)})
    except ValidationError as error:
        raise InputError(f"{where}: {_first_complaint(error)}") from None
    config.check(where)
    return config


def _placed(kind: type[Config], key: str, value: Any) -> bool:
    """Whether a key is modelled, harmless, or at a value that changes nothing."""
    if key in kind.modelled() or value is None:
        return True
    neutral = kind.neutral(key)
    if neutral is not None:
        return any(value == each for each in neutral)
    return kind.harmless(key, value)


def _refuse(where: str, kind: type[Config], data: Mapping[str, Any]) -> None:
    """Raise for every key that has no place, all of them in one message."""
    left = {key: value for key, value in data.items() if not _placed(kind, key, value)}
    if not left:
        return
    model_type = data["model_type"]
    unmodelled = [key for key in left if kind.neutral(key) is not None]
    unknown = [key for key in left if kind.neutral(key) is None]
    said = [
        f"key {key!r} with value {shown(left[key])} is not modelled for {model_type};"
        f" neutral values: {', '.join(repr(v) for v in kind.neutral(key) or ())}"
        for key in unmodelled
    ]
    if unknown:
        absent = [key for key in kind.modelled() if key not in data]
        several = len(unknown) > 1
        flags = " ".join(f"--ignore-key {printable(cut(key, 60))}" for key in unknown)
        said.append(
            f"unknown key{'s' * several}"
            f" {', '.join(_unknown(key, left[key], absent) for key in unknown)} for architecture"
            f" {model_type}; if {'they change' if several else 'it changes'} neither sizes nor"
            f" layers, ignore {'them' if several else 'it'} by name ({flags}; ignore_keys= in"
            " Python)"
        )
    error = CoverageError if unmodelled else InputError
    raise error(f"{where}: {'; '.join(said)}")


def _unknown(key: str, value: Any, absent: Iterable[str]) -> str:
    """A key that no list has, with the modelled one that it may be, of those that are absent."""
    near = nearest(key, absent) if len(key) <= LONGEST_NAME else []
    meant = f"; did you mean {near[0]!r}?" if near else ""
    return f"{printable(cut(key, 60))!r} (value {shown(value)}{meant})"


def _first_complaint(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "missing":
        return f"expected the key {key!r}, found none"
    return f"{key}: {expectation(first['msg'])}, found {shown(first['input'])}"
