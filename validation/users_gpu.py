"""A GPU of the user's own as a device: its nearest relative, changed to what the driver says.

The driver tells the number of processors, clocks, memory, L2, power limit. Rates that no driver
tells (operations/s, on-chip bandwidths) are the relative's for each processor and clock, times the
GPU's own processors and clock. DRAM bandwidth is memory clock x 2 transfers x bus width, unless the
relative's datasheet agrees within 5 %, which then stands. The relative's calibration is inherited
with intervals twice as wide (in logarithms), until a family is measured.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from hwmodel.hardware import calibration
from hwmodel.hardware.calibration import Calibration
from hwmodel.hardware.catalogue import device, devices, load_device, slug
from hwmodel.hardware.hardware import Hardware
from hwmodel.quantity.errors import CoverageError, InputError, UnknownNameError
from hwmodel.quantity.units import bare_name, dimension_of
from hwmodel.quantity.value import Value
from hwmodel.validation.calibrate import write_yaml

Facts = Mapping[str, Any]
"""What the driver says of a GPU, by the names of `measure.board.describe`."""

RELATIVES: dict[tuple[int, int], tuple[str, ...]] = {
    (7, 0): ("v100",),
    (7, 5): ("t4",),
    (8, 0): ("a100", "a30"),
    (8, 6): ("a40", "a10", "rtx-3090"),
    (8, 7): ("jetson-agx-orin",),
    (8, 9): ("l40s", "l40", "l4", "rtx-4090", "rtx-4060"),
    (9, 0): ("h100", "h200", "gh200", "h20"),
    (10, 0): ("b200", "gb200"),
    (10, 3): ("b300", "gb300"),
    (12, 0): ("rtx-pro-6000", "rtx-5090"),
}
"""CUDA compute capability -> devices with such processors; the first where no name agrees."""

AGREES = 0.05
UNIT = {
    "s": "s", "bytes": "B", "j": "J", "hz": "Hz", "w": "W", "bytes_per_s": "B/s", "per_s": "op/s",
    "j_per_byte": "J/B", "j_per_flop": "J/FLOP", "usd": "USD", "usd_per_hour": "USD/h", "m2": "m2",
}  # fmt: skip
OTHER_NUMBERS = ("devices", "calibration", "sources", "price", "area_m2", "extends")
"""Fields that a user's own device leaves out."""


def relative_of(facts: Facts, name: str = "auto") -> Hardware:
    """The nearest device of the catalogue, or the one named; raises `CoverageError`."""
    if name != "auto":
        if name.lower() not in devices():
            raise UnknownNameError("device", name, ("auto", *devices()))
        return device(name)
    capability = cast(tuple[int, int], tuple(facts["capability"]))
    known = RELATIVES.get(capability)
    if known is None:
        least = ", ".join(f"{major}.{minor}" for major, minor in RELATIVES)
        raise CoverageError(
            f"{facts['device']}: compute capability {capability[0]}.{capability[1]} has no relative"
            f" in the catalogue; known are {least}; name one with --device"
        )
    title = str(facts["device"]).lower()
    words = title.replace(" ", "-")
    return device(max((each for each in known if each in words), key=len, default=known[0]))


def own_name(facts: Facts) -> str:
    """`NVIDIA H100 PCIe` as `nvidia-h100-pcie`."""
    return slug(str(facts["device"]))


def own_device(facts: Facts, relative: Hardware) -> Hardware:
    """The relative, changed to what the driver tells; without calibration."""
    count, clock = int(facts["streaming_multiprocessors"]), float(facts["max_sm_clock_hz"])
    clocks = clock / float(cast(float, relative.clock_hz))
    scale = count / int(cast(int, relative.processors.count)) * clocks
    notes: dict[str, str] = dict(relative.sources)
    driver = f"reported by the driver ({facts['driver']}) of {facts['device']}"
    derived = f"derived: {relative.title} for each processor and clock, {count} at {clock:.4g} Hz"

    def told(path: str, value: Any) -> Any:
        notes[path] = driver
        return value

    tree: dict[str, Any] = {
        "name": own_name(facts),
        "title": str(facts["device"]),
        "clock_hz": told("clock", clock),
        "processors": {"count": told("processors.count", count)},
        "power": {
            "limit_w": told("power.limit", float(facts["power_limit_w"])),
            "idle_w": float(facts["idle_power_w"]),
        },
        "memories": {
            level: _memory(level, relative, facts, scale, told, notes, derived)
            for level in relative.memories
        },
        "units": {
            unit: {"rate_per_s": {d: r * scale for d, r in spec.rate_per_s.items()}}
            for unit, spec in relative.units.items()
        },
    }
    notes["power.idle"] = "measured: board power with a context open, before the plan ran"
    if relative.matrix_clock_hz is not None:
        tree["matrix_clock_hz"] = relative.matrix_clock_hz * clocks
        notes["matrix_clock"] = derived
    for unit, spec in relative.units.items():
        notes |= {f"units.{unit}.rate.{dtype}": derived for dtype in spec.rate_per_s}
    found = relative.but(**tree)
    blank = {
        "extends": "",
        "calibration": None,
        "area_m2": None,
        "price": type(found.price)(),
        "sources": notes,
    }
    return found.model_copy(update=blank)


def _memory(
    level: str, relative: Hardware, facts: Facts, scale: float, told: Any, notes: Any, derived: str
) -> dict[str, Any]:
    """What changes in one memory level."""
    before = relative.memories[level]
    where = f"memories.{level}"
    if level == "dram":
        changes = {"capacity_bytes": told(f"{where}.capacity", int(facts["memory_bytes"]))}
        told_rate = 2 * float(facts["max_memory_clock_hz"]) * float(facts["memory_bus_bits"]) / 8
        if abs(told_rate / float(cast(float, before.bandwidth_bytes_per_s)) - 1) > AGREES:
            changes["bandwidth_bytes_per_s"] = told(f"{where}.bandwidth", told_rate)
        return changes
    notes[f"{where}.bandwidth"] = derived
    changes = {"bandwidth_bytes_per_s": before.bandwidth_bytes_per_s * scale}
    if level == "l2":
        changes["capacity_bytes"] = told(f"{where}.capacity", int(facts["l2_bytes"]))
    return changes


def inherited(relative: Hardware, name: str) -> Calibration:
    """The relative's calibration for a device without measurements: wider, and saying so."""
    before = relative.calibration
    assert before is not None
    return calibration.inherited(before, name, of=relative.title, power=calibration.WIDER)


def write_device(hardware: Hardware, path: Path) -> None:
    """Write a device as a catalogue file, each number with its source; whole or not at all."""
    texts: dict[str, str] = {}
    tree = _record(hardware, "", hardware.sources, texts)
    write_yaml({**tree, "sources": {key: text for text, key in texts.items()}}, path)
    load_device(path)


def _record(value: Value, path: str, sources: Mapping[str, str], texts: dict[str, str]) -> Any:
    """A record as a table under bare names; numbers as [value, key of the source]."""
    table: dict[str, Any] = {}
    for field in type(value).model_fields:
        item = getattr(value, field)
        if item is None or (not path and field in OTHER_NUMBERS) or item == {}:
            continue
        name = bare_name(field)
        table[name] = _item(item, dimension_of(field), f"{path}{name}", sources, texts)
    return table


def _item(
    item: Any, dimension: str | None, path: str, sources: Mapping[str, str], texts: dict[str, str]
) -> Any:
    if isinstance(item, Value):
        return _record(item, f"{path}.", sources, texts)
    if isinstance(item, dict):
        entries = cast(dict[str, Any], item)
        return {k: _item(v, dimension, f"{path}.{k}", sources, texts) for k, v in entries.items()}
    if isinstance(item, (bool, str)):
        return item
    if not isinstance(item, (int, float)):
        raise InputError(f"{path}: expected a number, found {item!r}; arrays cannot be written")
    text = sources.get(path, "assumed: default of the package")
    key = texts.setdefault(text, f"source_{len(texts) + 1}")
    return [int(item) if dimension is None else f"{item:.10g} {UNIT[dimension]}", key]
