"""Energy tables: joules of operations and accesses, published for one process node, at another.

Two rules carry a number from one node to another. DRAM and links keep theirs under both: circuits
at their ends, not the chip's logic, decide them.

- `tables`, from 45 to 7 nm: along the two ends that are published, Horowitz (ISSCC 2014) at 45 and
  Jouppi et al. (ISCA 2021) at 7 nm, in the logarithm of the node:

      E(node) = E(45) (E(7) / E(45)) ^ (ln(45 / node) / ln(45 / 7))

  with the ratio of the operation itself where both tables have it, else the geometric mean over the
  integers or the floats that they share; of an SRAM the ratio at its capacity (8 KiB 0.75, 32 KiB
  0.425, 1 MiB 0.14; between them along the logarithm, beyond them as at the end).
- `gates`, from 180 to 7 nm: inverters, a V^2 + b V + c at supply V (Stillmaker and Baas,
  "Scaling equations for the accurate prediction of CMOS device performance from 180 nm to 7 nm",
  Integration 58, 2017; high-performance processes from 45 nm on). Without wires it promises more
  than the tables show: 45 to 7 nm leaves 7 % of the energy, where operations keep 23 to 48 %.

`node` is a process's name in nanometres, a count: nothing in a process is that long.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import pairwise

from pydantic import Field

from hwmodel.hardware.catalogue import CATALOGUE, load
from hwmodel.hardware.hardware import Hardware, Size, SizeOrZero
from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.quantity.units import show
from hwmodel.quantity.value import Value
from hwmodel.text.grid import grid, wrapped

TABLES = CATALOGUE / "energy"
ENDS = ("horowitz-2014", "jouppi-2021")
RULES = ("tables", "gates")
GATES = {
    180: (0.0, 24.64, -17.98),
    130: (7.171, -6.709, 2.904),
    90: (4.762, -4.781, 2.092),
    65: (3.755, -4.398, 1.975),
    45: (1.018, -0.3107, 0.1539),
    32: (0.8367, -0.4341, 0.1701),
    20: (0.373, -0.1582, 0.04104),
    16: (0.2958, -0.1241, 0.03024),
    14: (0.2363, -0.09675, 0.02239),
    10: (0.2068, -0.09311, 0.02375),
    7: (0.1776, -0.09097, 0.02447),
}
"""Node -> (a, b, c): energy of a gate, of which ratios alone mean something (Stillmaker, Baas)."""
SUPPLY_V = {
    **{180: 1.8, 130: 1.3, 90: 1.2, 65: 1.1, 45: 1.0, 32: 0.9},
    **{20: 0.9, 16: 0.85, 14: 0.8, 10: 0.75, 7: 0.7},
}
"""Nominal supply of each node in the Predictive Technology Model (ptm.asu.edu; PTM-MG to 20 nm)."""

MOST_OVER = 1.25
"""Supplies up to this multiple of the nominal one are taken: a fit says nothing beyond its data."""


class Operations(Value):
    """Joules of one operation of a kind, by number format."""

    energy_j: dict[str, SizeOrZero]


class AccessEnergy(Value):
    """One access of `width_bytes` to a memory of that capacity."""

    energy_j: SizeOrZero
    width_bytes: Size
    capacity_bytes: Size


class Interface(Value):
    """A memory type or link: the range of joules a byte that is published for it."""

    low_j_per_byte: SizeOrZero
    high_j_per_byte: SizeOrZero


class EnergyTable(Value):
    """A table of energies, with the source of each number by its dotted path."""

    name: str
    title: str
    node: int = 0
    """Process; 0 where a table holds for none in particular."""
    voltage_v: SizeOrZero = 0.0
    operations: dict[str, Operations] = Field(default={})
    memories: dict[str, AccessEnergy] = Field(default={})
    interfaces: dict[str, Interface] = Field(default={})
    sources: dict[str, str] = Field(default={})


def tables() -> tuple[str, ...]:
    """Names of the shipped tables."""
    return tuple(sorted(path.stem for path in TABLES.glob("*.yaml")))


@cache
def table(name: str) -> EnergyTable:
    """A table by its name; raises `UnknownNameError`.

    >>> table("horowitz-2014").operations["add"].energy_j["fp32"]
    9e-13
    """
    if name not in tables():
        raise UnknownNameError("energy table", name, tables())
    return load(TABLES / f"{name}.yaml", EnergyTable)


def scaled(
    found: EnergyTable, node: int, *, rule: str = "tables", voltage_v: float | None = None
) -> EnergyTable:
    """The table at another node; `voltage_v` is the new supply, which the rule `gates` heeds.

    Raises `InputError` for nodes and supplies out of the rule's range, `UnknownNameError`.
    """
    if not found.node:
        raise InputError(
            f"{found.name}: expected a table of one node to scale, found {found.title}"
        )
    logic, sram = _factors(found.node, node, rule, (float(found.voltage_v), voltage_v))
    operations = {
        kind: Operations(energy_j={d: j * logic(kind, d) for d, j in each.energy_j.items()})
        for kind, each in found.operations.items()
    }
    memories = {
        name: access.but(energy_j=access.energy_j * sram(float(access.capacity_bytes)))
        for name, access in found.memories.items()
    }
    changed = ("operations", "memories")
    words = f"derived: scaled from {found.node} to {node} nm by {rule}: "
    sources = {
        path: words + text if path.split(".")[0] in changed else text
        for path, text in found.sources.items()
    }
    return found.model_copy(
        update={
            "title": f"{found.title}, scaled to {node} nm by {rule}",
            "node": node,
            "voltage_v": SUPPLY_V.get(node, 0.0) if voltage_v is None else voltage_v,
            "operations": operations,
            "memories": memories,
            "sources": sources,
        }
    )


def at_node(hardware: Hardware, node: int, *, since: int = 45, rule: str = "tables") -> Hardware:
    """A what-if: the machine with the joules of another node than `since`; clock and DRAM stay.

    Energies of units, functions and on-chip memories change, by number format and by the capacity
    of one memory. Raises as `scaled` does.
    """
    logic, sram = _factors(since, node, rule, (0.0, None))
    changes: dict[str, object] = {}
    if hardware.functions:
        word = next(d for unit in hardware.units.values() for d in unit.rate_per_s)
        changes["functions"] = {
            name: {"energy_j": each.energy_j * logic(name, word)}
            for name, each in hardware.functions.items()
        }
    units = {
        name: {
            "energy_j_per_flop": {d: j * logic(name, d) for d, j in each.energy_j_per_flop.items()}
        }
        for name, each in hardware.units.items()
        if each.energy_j_per_flop and not hardware.functions
    }
    memories = {
        name: {"energy_j_per_byte": each.energy_j_per_byte * sram(float(each.capacity_bytes))}
        for name, each in hardware.memories.items()
        if name != "dram"
    }
    changed = hardware.but(**changes, units=units, memories=memories)
    return changed.model_copy(update={"title": f"{hardware.title} at {node} nm"})


def tables_text() -> str:
    """The shipped tables, a row each."""
    rows = [
        [name, table(name).title, *(str(len(part)) for part in _sections(table(name)))]
        for name in tables()
    ]
    heads = ("name", "table", "operations", "memories", "interfaces")
    return grid(heads, rows, left=(0, 1))


def _sections(found: EnergyTable) -> tuple[list[str], list[str], list[str]]:
    """Names of all operations by format, of the memories and of the interfaces."""
    kinds = [f"{kind} {d}" for kind, each in found.operations.items() for d in each.energy_j]
    return kinds, list(found.memories), list(found.interfaces)


def table_text(found: EnergyTable) -> str:
    """Every number of a table, with its source below."""
    texts: list[str] = []

    def source(path: str) -> str:
        text = found.sources[path]
        if text not in texts:
            texts.append(text)
        return f"[{texts.index(text) + 1}]"

    rows = [
        [f"{kind} {dtype}", show(float(joules), "j"), source(f"operations.{kind}.energy.{dtype}")]
        for kind, each in found.operations.items()
        for dtype, joules in each.energy_j.items()
    ]
    for name, access in found.memories.items():
        each = show(float(access.energy_j / access.width_bytes), "j_per_byte")
        words = f"{show(float(access.energy_j), 'j')}, {each}"
        rows.append([name, words, source(f"memories.{name}.energy")])
    for name, link in found.interfaces.items():
        ends = sorted({float(link.low_j_per_byte), float(link.high_j_per_byte)})
        words = " to ".join(show(end, "j_per_byte") for end in ends)
        rows.append([name, words, source(f"interfaces.{name}.low")])
    notes = [wrapped(f"[{i}]", text) for i, text in enumerate(texts, 1)]
    head = f"{found.name}: {found.title}"
    return "\n\n".join((head, grid(("", "energy", "source"), rows, left=(0,)), "\n".join(notes)))


Factors = tuple[Callable[[str, str], float], Callable[[float], float]]
"""Factor of an operation by kind and format, and of an SRAM by bytes."""


def _factors(old: int, new: int, rule: str, supplies: tuple[float, float | None]) -> Factors:
    if rule not in RULES:
        raise UnknownNameError("rule of scaling", rule, RULES)
    if rule == "gates":
        ratio = _gate(new, supplies[1]) / _gate(old, supplies[0] or None)
        return (lambda kind, dtype: ratio), (lambda capacity: ratio)
    first, last = table(ENDS[0]), table(ENDS[1])
    for node in (old, new):
        if not last.node <= node <= first.node:
            raise InputError(
                f"node: expected {last.node} to {first.node} nm, between the published tables,"
                f" found {node}; rule 'gates' reaches from {max(GATES)} to {min(GATES)} nm"
            )
    share = math.log(old / new) / math.log(first.node / last.node)
    known = {
        (kind, dtype): float(last.operations[kind].energy_j[dtype] / joules)
        for kind, each in first.operations.items()
        for dtype, joules in each.energy_j.items()
        if dtype in last.operations[kind].energy_j
    }
    ends = [
        (
            math.log2(float(access.capacity_bytes)),
            float(last.memories[name].energy_j / access.energy_j),
        )
        for name, access in first.memories.items()
    ]
    return (
        lambda kind, dtype: _ratio(known, kind, dtype) ** share,
        lambda capacity: _between(math.log2(capacity), ends) ** share,
    )


def _ratio(known: Mapping[tuple[str, str], float], kind: str, dtype: str) -> float:
    """E(7) / E(45) of an operation, or the geometric mean over the operations of its class."""
    if (kind, dtype) in known:
        return known[kind, dtype]
    whole = dtype.startswith(("int", "uint"))
    alike = [each for (_, other), each in known.items() if other.startswith("int") == whole]
    return math.prod(alike) ** (1 / len(alike))


def _between(place: float, ends: Sequence[tuple[float, float]]) -> float:
    """Straight lines through the points, and the end's value beyond them."""
    if place <= ends[0][0]:
        return ends[0][1]
    for (left, low), (right, high) in pairwise(ends):
        if place <= right:
            return low + (high - low) * (place - left) / (right - left)
    return ends[-1][1]


def _gate(node: int, voltage_v: float | None) -> float:
    """Energy of a gate of a node at a supply, in the units of `GATES`."""
    if node not in GATES:
        raise InputError(f"node: expected one of {', '.join(map(str, GATES))} nm, found {node}")
    a, b, c = GATES[node]
    supply_v = SUPPLY_V[node] if voltage_v is None else voltage_v
    found = a * supply_v**2 + b * supply_v + c
    if supply_v > SUPPLY_V[node] * MOST_OVER or 2 * a * supply_v + b <= 0 or found <= 0:
        least_v = max(-b / (2 * a), 0.0) if a else -c / b
        raise InputError(
            f"voltage: expected {least_v:.2f} V, above which energy rises with it, to"
            f" {SUPPLY_V[node] * MOST_OVER:.2f} V at {node} nm, found {supply_v:g} V"
        )
    return found
