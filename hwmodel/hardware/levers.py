"""Levers of machines other than GPUs: what a what-if brings with it, and which numbers are none.

A catalogue states peaks and bandwidths as products, and its sources say of what: `follows` of a
unit's rates or of a memory's bandwidth names these numbers by their paths ("arrays.matrix.rows
arrays.matrix.columns clock"). A what-if on one of them scales the product by the same share, and

    energy a byte ~ capacity ^ energy_exponent,     area ~ capacity ^ area_exponent

of a memory whose source has such a law; what laws of capacity gave is worked out by them again
(`law_made`). Of an FPGA a memory's capacity goes with its blocks and the latency of its ports with
the clock's period, of a microcontroller the power of a running core with its clock. A number that a
what-if has named is pinned, whatever else the user changes (`peaks` does the same for GPUs).

Numbers that no model of a kind of machine asks for are refused by name (`refusal`); those that a
model knows, but that change no prediction, are said in the answer's warnings (`unheard`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib import import_module
from typing import Any, cast

import numpy as np

from hwmodel.hardware.described import Described
from hwmodel.hardware.peaks import WHAT_IF, Pinned
from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.quantity.remembered import remembered, single
from hwmodel.quantity.units import Amount
from hwmodel.quantity.value import Value, field_of

NOTE = ", followed to another "
LAW = "derived: laws of capacity (hwmodel.hardware.capacity_laws)"
WIRED = f"{LAW}, with the wires over the array"
FEED = "assumed: a value a clock into every row and column of the array"
"""Sources of numbers that are worked out again where sizes change (`law_made`)."""

LAWS = "hwmodel.hardware.law_made"

_GPU_ALONE = "no model of a machine of kind {kind} asks for it; it describes a GPU"
_ONE = "one {what} is modelled, not several"
_NOT_HEARD = "no model of a machine of kind {kind} asks for it"
_ARRAYS = (
    "arrays make a step a clock cycle: change arrays.{unit}.rows, columns or cycles, or the clock"
)
_WIRES = (
    "a binding brings words to its arrays over wires that cost nothing of their own; leave the"
    " binding out, and nests are counted with them"
)
WIRES = ("hop_energy", "hop_latency", "link", "network", "multicast")
_FUNCTIONS = "joules are those of functions: change functions.NAME.energy"

REFUSED: Mapping[str, Mapping[str, str]] = {
    "spatial": {
        **dict.fromkeys(("launch.*", "storage.*", "power.limit", "power.run"), _NOT_HEARD),
        **dict.fromkeys(("memories.*.channels", "memories.*.port_bytes_per_clock"), _NOT_HEARD),
        **{"memories.*.latency": _NOT_HEARD, "processors.count": _ONE},
    },
    "fpga": {
        **dict.fromkeys(("launch.*", "storage.*", "power.run"), _NOT_HEARD),
        "processors.count": _ONE,
    },
    "mcu": {
        **dict.fromkeys(("launch.*", "storage.*", "power.limit"), _NOT_HEARD),
        **dict.fromkeys(("memories.*.channels", "memories.*.port_bytes_per_clock"), _NOT_HEARD),
        **{"memories.*.latency": _NOT_HEARD, "processors.count": _ONE},
        "units.*.rate.int16": "networks on microcontrollers are modelled in int8",
    },
    "cpu": {
        **dict.fromkeys(("memories.*.channels", "memories.*.port_bytes_per_clock"), _NOT_HEARD),
        **{"memories.*.latency": _NOT_HEARD, "power.run": _NOT_HEARD},
        "launch.eager": "kernels are launched as in a graph: change launch.graph",
    },
    "npu": {
        **dict.fromkeys(("memories.*.channels", "memories.*.port_bytes_per_clock"), _NOT_HEARD),
        **{"memories.*.latency": _NOT_HEARD, "power.run": _NOT_HEARD, "storage.*": _NOT_HEARD},
        "launch.eager": "kernels are launched as in a graph: change launch.graph",
    },
}
"""Kind of machine -> pattern of paths -> why a what-if on such a number means nothing."""

_EVERYWHERE = {
    f"processors.{name}": _GPU_ALONE
    for name in ("max_threads", "max_blocks", "registers", "shared_per_block", "pair")
} | {
    **dict.fromkeys(("processors.port_bytes_per_clock", "matrix_clock"), _GPU_ALONE),
    **dict.fromkeys(("atomics.*", "power.window", "memories.*.copies"), _GPU_ALONE),
    "units.*.structured": _GPU_ALONE,
}

UNHEARD: Mapping[str, Mapping[str, str]] = {
    "spatial": {
        "memories.dram.capacity": "arrays are taken to have DRAM enough",
        "resources.comparators": "the shipped prunings charge no top-k",
    },
    "fpga": {
        "resources.ff": "flip-flops of a design are not estimated",
        "resources.uram": "the weights of an unrolled design lie in block RAM",
        "memories.uram.bandwidth": "traffic on the chip is charged to block RAM",
        "memories.uram.energy": "traffic on the chip is charged to block RAM",
        "memories.bram.channels": "blocks on the chip have ports of their own",
        "memories.uram.channels": "blocks on the chip have ports of their own",
    },
}
"""Kind of machine -> pattern of paths -> why such a number changes no prediction."""


def refusal(hardware: Described, path: str) -> str:
    """Why a what-if on the number at a path means nothing on this machine; "" where it does."""
    if hardware.kind == "gpu":
        return ""
    words = _matching(REFUSED[hardware.kind], path) or _matching(_EVERYWHERE, path)
    if not words and hardware.kind == "spatial" and hardware.functions:
        if path.startswith("arrays.") and path.rpartition(".")[2] in WIRES:
            return _WIRES
        unit = path.split(".")[1] if path.startswith("units.") else ""
        words = (_FUNCTIONS if ".energy" in path else _ARRAYS) if unit else ""
        return words.format(unit=unit)
    return words.format(kind=hardware.kind, what=hardware.processors.name)


def check(hardware: Described, told: Sequence[str]) -> None:
    """Refuse a what-if on numbers that mean nothing here; raises `InputError` naming the first."""
    for path in told:
        if why := refusal(hardware, path):
            raise InputError(f"{hardware.name}: {path}: a what-if would change nothing: {why}")


@remembered(keep=single)
def unheard(hardware: Described) -> tuple[str, ...]:
    """What an answer warns of: numbers of a what-if that change no prediction, and why."""
    table = UNHEARD.get(hardware.kind, {})
    found = {p: _matching(table, p) for p, text in hardware.sources.items() if text == WHAT_IF}
    kept = [
        f"memories.{name}.energy: its source has no law of capacity, so that it stays"
        for name, memory in hardware.memories.items()
        if hardware.kind != "gpu"
        and hardware.sources.get(f"memories.{name}.capacity") == WHAT_IF
        and hardware.sources.get(f"memories.{name}.energy") != WHAT_IF
        and np.any(memory.energy_j_per_byte)
        and not np.any(memory.energy_exponent)
        and not hardware.sources.get(f"memories.{name}.energy", "").startswith(LAW)
        and name != "dram"
    ]
    if hardware.sources.get("node") == WHAT_IF and (stay := _of_no_node(hardware)):
        kept.append(
            f"node: joules of {', '.join(stay)} stay, their source has no law of nodes; area goes"
            " with it"
        )
    said = [f"{path} changes no prediction: {why}" for path, why in found.items() if why]
    return tuple(f"what-if: {each}" for each in (*said, *kept))


def _of_no_node(hardware: Described) -> list[str]:
    """Units and memories on a chip whose joules another node leaves as they are."""
    said = hardware.sources
    paths = [f"units.{name}.energy" for name, u in hardware.units.items() if u.energy_j_per_flop]
    paths += [
        f"memories.{name}.energy"
        for name, memory in hardware.memories.items()
        if name != "dram" and np.any(memory.energy_j_per_byte)
    ]
    kept = (LAW, WHAT_IF)
    return [
        path.split(".")[1]
        for path in paths
        if not any(s.startswith(kept) for p, s in said.items() if f"{p}.".startswith(f"{path}."))
    ]


@dataclass(frozen=True)
class Rule:
    """A number that goes with the product of others, to a power."""

    path: str
    by: tuple[str, ...]
    power: Amount = 1.0


def rules(hardware: Described) -> Iterator[Rule]:
    """Everything that follows something on a machine."""
    for name, unit in hardware.units.items():
        for dtype in unit.rate_per_s if unit.follows else ():
            yield Rule(f"units.{name}.rate.{dtype}", tuple(unit.follows.split()))
    for name, memory in hardware.memories.items():
        if memory.follows:
            yield Rule(f"memories.{name}.bandwidth", tuple(memory.follows.split()))
        for what in ("energy", "area"):
            power = getattr(memory, f"{what}_exponent")
            yield Rule(f"memories.{name}.{what}", (f"memories.{name}.capacity",), power)
        if hardware.kind == "fpga" and name in hardware.resources:
            yield Rule(f"memories.{name}.capacity", (f"resources.{name}",))
    if hardware.kind == "fpga":
        yield Rule("memories.dram.latency", ("clock",), -1.0)
    if hardware.kind == "mcu":
        yield Rule("power.run", ("clock",))


def follow(old: Described, new: Described, told: Sequence[str]) -> dict[str, Any]:
    """Fields of `new` whose numbers follow what changed between the two; empty where none does.

    `told` are the paths of the numbers that the what-if named.
    """
    pinned = Pinned(old, told)
    changes: dict[str, Any] = {}
    sources = dict(new.sources)
    for rule in rules(new):
        if pinned(rule.path):
            continue
        ratio: Amount = 1
        for driver in rule.by:
            ratio = ratio * (value(new, driver) / value(old, driver))
        if np.all(np.equal(ratio, 1)) or not np.any(rule.power):
            continue
        stated = sources.get(rule.path, "")
        sources[rule.path] = f"{stated.split(NOTE)[0]}{NOTE}{' or '.join(rule.by)}"
        _put(changes, new, rule.path, value(new, rule.path) * ratio**rule.power)
    if new.kind == "spatial":
        laws = import_module(LAWS)
        after = dict(laws.lawful(new))
        for path, before in laws.lawful(old):
            if not pinned(path) and np.any(np.not_equal(after.get(path, before), before)):
                _put(changes, new, path, value(old, path) * (after[path] / before))
                sources[path] = f"{sources.get(path, '').split(NOTE)[0]}{NOTE}size or node"
    if not changes:
        return {}
    changed: Any = Value.but(cast(Value, new), **changes)
    return {name: getattr(changed, name) for name in changes} | {"sources": sources}


def value(hardware: Described, path: str) -> Amount:
    """The number at a path, as `sources` has it; raises `UnknownNameError`."""
    return _steps(hardware, path)[-1][1]


def _put(changes: dict[str, Any], hardware: Described, path: str, number: Amount) -> None:
    """Note a change of the number at a path in a nested table that `but` takes."""
    *steps, (last, _) = _steps(hardware, path)
    for name, _ in steps:
        changes = changes.setdefault(name, {})
    changes[last] = number


def _steps(hardware: Described, path: str) -> list[tuple[str, Any]]:
    """Stored names on the way to a number, and what each of them leads to."""
    found: list[tuple[str, Any]] = []
    here: Any = hardware
    for name in path.split("."):
        table: Mapping[str, Any] = cast(Any, here) if isinstance(here, dict) else {}
        kind = type(here) if isinstance(here, Value) else None
        stored = name if kind is None else field_of(kind, name)
        known: Mapping[str, Any] = table if kind is None else kind.model_fields
        if stored not in known:
            raise UnknownNameError(f"part of {path} of {hardware.name}", name, known)
        inner: Any = table[stored] if kind is None else getattr(cast(Any, here), stored)
        found.append((stored, inner))
        here = inner
    return found


def _matching(table: Mapping[str, str], path: str) -> str:
    return next((why for pattern, why in table.items() if fnmatchcase(path, pattern)), "")
