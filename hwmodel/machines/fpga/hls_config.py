"""A configuration of hls4ml, as it writes and reads it: formats, reuse, strategy, how layers join.

    IOType: io_parallel                     # or io_stream
    ClockPeriod: 5                          # ns
    HLSConfig:
      Model: {Precision: "fixed<16,6>", ReuseFactor: 64, Strategy: Resource}
      LayerType: {Dense: {ReuseFactor: 32}}
      LayerName:
        fc1: {Precision: {weight: "fixed<8,3>", result: "fixed<16,6>"}, ReuseFactor: 16}

A layer's own entry counts, then its type's, then the model's (hls4ml, "Configuration" in its
documentation); the strategy is Latency where none is said. `auto` is as many bits as never
overflow. Layers with weights are found by name, or in order where the config names none of the
workload's; formats of other layers by name, for their streams. `Backend` Vivado has a FIFO for each
channel, any other one of all. A table of the inner part alone (`hls_config` in Python) is read,
too. Keys that are unknown, or of no effect here, are told (`hls_keys`).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from hwmodel.machines.fpga import hls_keys
from hwmodel.machines.fpga.fabric import RESULT_BITS, Dense, Strategy
from hwmodel.machines.fpga.hls4ml import Design, Io, design
from hwmodel.machines.fpga.streams import Stream
from hwmodel.quantity.errors import CoverageError, InputError, UnknownNameError
from hwmodel.quantity.printable import shown
from hwmodel.quantity.yaml import table

SECTIONS = ("Model", "LayerType", "LayerName", "Optimizers", "Flows", "SkipOptimizers")
STRATEGIES: Mapping[str, Strategy] = {
    "latency": "latency",
    "unrolled": "latency",
    "resource": "resource",
}
WEIGHTED = ("dense", "qdense", "linear", "gemm", "matmul", "conv")
"""How names of types of layers with weights start, in lower case."""

_FORMAT = re.compile(r"(?:a[pc]_)?u?(?:fixed|int)\s*<\s*(\d+)\s*(?:,[^<>]*)?>|u?int(\d+)", re.I)
_BITS_MOST = 1024


@dataclass(frozen=True)
class HlsConfig:
    """What a config says: how layers are joined, the clock, and entries from broad to narrow."""

    where: str
    joined: Io | None
    apart: bool
    clock_hz: float | None
    model: Mapping[str, Any]
    types: Mapping[str, Mapping[str, Any]]
    names: Mapping[str, Mapping[str, Any]]
    part: str = ""
    told: tuple[str, ...] = ()
    """Keys that change nothing here."""


def read(source: str | Path | Mapping[str, Any]) -> HlsConfig:
    """A config from its file (.yml, .yaml, .json) or as a table; raises `InputError`."""
    if isinstance(source, Mapping):
        where, whole = "hls_config", dict(source)
    else:
        where, whole = str(source), table(source, "a config of hls4ml")
    inner = _table(whole.get("HLSConfig", whole), f"{where}: HLSConfig")
    if "Model" not in inner:
        raise InputError(
            f"{where}: HLSConfig: expected a table with Model (Precision, ReuseFactor, Strategy),"
            f" found {', '.join(map(str, inner)) or 'nothing'}"
        )
    known = SECTIONS if "HLSConfig" in whole else (*SECTIONS, *hls_keys.READ.split())
    for key in inner:
        if key not in known:
            raise UnknownNameError(f"{where}: HLSConfig", key, known)
    joined = whole.get("IOType")
    if joined not in (None, "io_parallel", "io_stream"):
        raise InputError(f"{where}: IOType: expected io_parallel or io_stream, found {joined!r}")
    period = whole.get("ClockPeriod")
    if period is not None and not (isinstance(period, (int, float)) and period > 0):
        raise InputError(f"{where}: ClockPeriod: expected nanoseconds, found {shown(period)}")
    model = _table(inner["Model"], f"{where}: Model")
    types, names = (_entries(inner, key, where) for key in ("LayerType", "LayerName"))
    keys = hls_keys.told(where, whole, f"{hls_keys.READ} {' '.join(SECTIONS)}", hls_keys.AROUND)
    for place, entry in {"Model": model, **types, **names}.items():
        keys += hls_keys.told_entry(f"{where}: {place}", entry)
    return HlsConfig(
        where=where,
        joined=joined,
        apart=str(whole.get("Backend", "")).lower().startswith("vivado"),
        clock_hz=None if period is None else 1e9 / float(period),
        model=model,
        types=types,
        names=names,
        part=str(whole.get("Part", whole.get("XilinxPart", ""))),
        told=tuple(keys),
    )


def configured(config: HlsConfig, layers: Sequence[Dense]) -> Design:
    """The design of these layers under a config; raises `InputError`, `CoverageError`."""
    own = _own(config, layers)
    at_once = any(layer.positions > 1 for layer in layers)
    if at_once and config.joined == "io_parallel":
        raise CoverageError(
            f"{config.where}: IOType io_parallel: convolutions are modelled as streams alone; take"
            " io_stream"
        )
    made = [_layer(config, layer, entries) for layer, entries in zip(layers, own, strict=True)]
    formatted = _streams(config, [layer for layer, _ in made])
    return design(formatted, [reuse for _, reuse in made], config.joined)


def _streams(config: HlsConfig, layers: Sequence[Dense]) -> list[Dense]:
    """The layers with the formats of their FIFOs: a padded map has that of the map before it."""
    bits = layers[0].data_bits
    found: list[Dense] = []
    for layer in layers:
        held: list[Stream] = []
        for each in layer.streams:
            named = config.names.get(each.name)
            if each.role == "weighted":
                bits = layer.result_bits
            elif each.role not in ("padded", "lines"):
                own = () if named is None or each.role == "rectified" else (named,)
                bits = _bits((*own, config.model), "result", config.where) or layer.result_bits
            held.append(replace(each, bits=bits))
        found.append(replace(layer, streams=tuple(held), apart=config.apart))
    return found


def _own(config: HlsConfig, layers: Sequence[Dense]) -> list[tuple[Mapping[str, Any], ...]]:
    """The entries that hold for each layer, the narrowest first."""
    named = [config.names.get(layer.name) for layer in layers]
    if config.names and not any(named):
        ordered = [entry for entry in config.names.values() if _has_weights(entry)]
        if len(ordered) != len(layers):
            raise InputError(
                f"{config.where}: LayerName: expected entries for {len(layers)} layers"
                f" ({', '.join(layer.name for layer in layers)}), found {len(ordered)} with a"
                f" weight among {', '.join(config.names)}"
            )
        named = list(ordered)
    elif config.names:
        layers_names = [layer.name for layer in layers]
        for name, entry in config.names.items():
            if name not in layers_names and _has_weights(entry):
                raise UnknownNameError(f"{config.where}: LayerName", name, layers_names)
    kinds = {name.lower(): entry for name, entry in config.types.items()}
    found: list[tuple[Mapping[str, Any], ...]] = []
    for layer, entry in zip(layers, named, strict=True):
        convolution = layer.positions > 1
        typed = [
            each
            for name, each in kinds.items()
            if name.startswith(WEIGHTED) and ("conv" in name) == convolution
        ]
        found.append((*(() if entry is None else (entry,)), *typed, config.model))
    return found


def _has_weights(entry: Mapping[str, Any]) -> bool:
    precision = entry.get("Precision")
    return isinstance(precision, Mapping) and "weight" in precision


def _layer(
    config: HlsConfig, layer: Dense, entries: Sequence[Mapping[str, Any]]
) -> tuple[Dense, int]:
    where = f"{config.where}: {layer.name}"
    word = str(_first(entries, "Strategy") or "Latency").lower()
    if word not in STRATEGIES:
        raise CoverageError(
            f"{where}: Strategy {word}: modelled are Latency, Unrolled and Resource"
        )
    reuse = _first(entries, "ReuseFactor")
    reuse = 1 if reuse is None else reuse
    if isinstance(reuse, bool) or not isinstance(reuse, int) or reuse < 1:
        raise InputError(
            f"{where}: ReuseFactor: expected a whole number of 1 or more, found {shown(reuse)}"
        )
    weight = _bits(entries, "weight", where)
    changed = replace(
        layer,
        strategy=STRATEGIES[word],
        bits=weight or layer.bits,
        input_bits=_bits(entries, "input", where) or _model_bits(config) or layer.data_bits,
        result_bits=_bits(entries, "result", where) or RESULT_BITS,
        sum_bits=_bits(entries, "accum", where),
    )
    return changed, reuse


def _model_bits(config: HlsConfig) -> int | None:
    """Bits of what one layer hands to the next, where the model says them for all."""
    return _bits([config.model], "result", config.where)


def _first(entries: Sequence[Mapping[str, Any]], key: str) -> Any:
    return next((entry[key] for entry in entries if key in entry), None)


def _bits(entries: Sequence[Mapping[str, Any]], variable: str, where: str) -> int | None:
    """Bits of a layer's weight, result or sum; None where nothing is said, or `auto`."""
    for entry in entries:
        said: Any = entry.get("Precision")
        if isinstance(said, Mapping):
            table_of = cast(Mapping[str, Any], said)
            said = table_of.get(variable, table_of.get("default"))
        if said is None:
            continue
        if str(said).lower() == "auto":
            return None
        match = _FORMAT.fullmatch(str(said).strip())
        bits = int(match[1] or match[2]) if match else 0
        if not 1 <= bits <= _BITS_MOST:
            raise InputError(
                f"{where}: Precision of {variable}: expected such as fixed<16,6>, int<8> or auto,"
                f" found {shown(said)}"
            )
        return bits
    return None


def _entries(inner: Mapping[str, Any], key: str, where: str) -> dict[str, Mapping[str, Any]]:
    found = _table(inner.get(key) or {}, f"{where}: {key}")
    return {str(name): _table(entry, f"{where}: {key}: {name}") for name, entry in found.items()}


def _table(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise InputError(f"{where}: expected a table, found {shown(value)}")
    return dict(cast(Mapping[str, Any], value))
