"""What `hwmodel map` and `hwmodel bound --einsum` are asked, read into a cascade and a machine.

A cascade is given as Einsums (`--einsum`, one or more lines of the notation), as a file of such
text, or as a workload's name, whose arguments `--ranks` gives then. A machine is a shipped one or a
file (`--on`); each `--memory NAME=SIZE` changes the capacity of one of its levels. Without `--on`
the machine is `peer-a2` with the memories that are named in place of its buffer; `NAME(A,B)=SIZE`
says that a buffer holds these tensors alone.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hwmodel.bounds import bound as bounds
from hwmodel.bounds.bound import Bound
from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.notation import parse
from hwmodel.einsum.workloads.catalogue import WORKLOADS, workload
from hwmodel.errors import InputError, UnknownNameError
from hwmodel.hardware import Hardware, limits
from hwmodel.mappers.answer import Mapped
from hwmodel.mappers.map import map_cascade, map_front
from hwmodel.record import plain
from hwmodel.registry import device
from hwmodel.table import bound_text

DEFAULT_MACHINE = "peer-a2"
REPLACED = "buffer"
"""The level of the default machine that named memories stand in for."""

_MEMORY = re.compile(r"\s*([\w-]+)\s*(?:\(([^)]*)\))?\s*=\s*(.+?)\s*")


@dataclass(frozen=True)
class Asked:
    """A cascade, a machine, and which tensors each buffer holds."""

    cascade: Cascade
    hardware: Hardware
    shares: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: {})


@dataclass(frozen=True, eq=False)
class LooseBound:
    """What any schedule of a cascade must move between a machine's levels."""

    bound: Bound

    def record(self) -> dict[str, Any]:
        """The outermost level's bound, then every level's, with the reasons."""
        outermost = self.bound.levels[0]
        return plain(
            {
                "cascade": self.bound.name,
                "bound_bytes": outermost.bytes,
                "reason": outermost.reason,
                "compulsory_bytes": self.bound.compulsory_bytes,
                "levels": self.bound.levels,
                "passes": self.bound.passes,
            }
        )

    def __str__(self) -> str:
        """A table of levels."""
        return bound_text(self.bound)


def bound(given: Mapping[str, Any]) -> LooseBound:
    """The bound of `hwmodel bound --einsum`; options of `hwmodel predict` are refused."""
    asked = _read(given, ())
    return LooseBound(bounds.bound(asked.cascade, limits(asked.hardware)))


def mapped(given: Mapping[str, Any]) -> Mapped:
    """The answer of `hwmodel map`."""
    asked = _read(given, ("objective", "mapspace", "rules", "double", "unfused", "picture"))
    return map_cascade(
        asked.cascade,
        asked.hardware,
        objective=given["objective"],
        mapspace=given.get("mapspace"),
        rules=given["rules"],
        double=given.get("double", False),
        shares=asked.shares,
        fused=not given.get("unfused", False),
    )


def front(given: Mapping[str, Any]) -> tuple[Mapped, ...]:
    """The answers of `hwmodel map --front`."""
    asked = _read(given, ("objective", "mapspace", "rules", "double", "unfused"))
    space, rules = given.get("mapspace"), given["rules"]
    return map_front(asked.cascade, asked.hardware, mapspace=space, rules=rules)


def _read(given: Mapping[str, Any], also: Sequence[str]) -> Asked:
    known = ("einsum", "cascade", "ranks", "dtype", "memory", "on")
    for name in given:
        if name not in (*known, *also):
            raise UnknownNameError("option beside --einsum and --cascade", name, (*known, *also))
    return read(**{name: given.get(name) for name in known})


def read(
    *,
    einsum: Sequence[str] | None = None,
    cascade: str | None = None,
    ranks: str | None = None,
    dtype: str | None = None,
    memory: Sequence[str] | None = None,
    on: str | None = None,
) -> Asked:
    """The cascade and machine that these options mean; raises `InputError` naming the option."""
    made = _cascade(einsum, cascade, ranks, dtype)
    wanted = [_memory(text) for text in memory or ()]
    shares = {name: tensors for name, tensors, _ in wanted if tensors}
    sizes = {name: size for name, _, size in wanted}
    if len(sizes) != len(wanted):
        raise InputError("--memory: expected each memory once, found one a second time")
    if on is not None:
        machine = device(on)
        for name in sizes:
            if name not in machine.memories:
                raise UnknownNameError(f"memory of {machine.name}", name, machine.memories)
        resized = {name: {"capacity": size} for name, size in sizes.items()}
        return Asked(made, machine.but(**resized) if resized else machine, shares)
    return Asked(made, _default(sizes), shares)


def _default(sizes: Mapping[str, str]) -> Hardware:
    """The default machine with these memories in place of its buffer."""
    machine = device(DEFAULT_MACHINE)
    if not sizes:
        return machine
    levels: dict[str, Any] = {n: m for n, m in machine.memories.items() if n != REPLACED}
    pattern = machine.memories[REPLACED]
    for name, size in sizes.items():
        levels[name] = levels.get(name, pattern).but(capacity=size)
    return machine.model_copy(update={"memories": levels})


def _memory(text: str) -> tuple[str, tuple[str, ...], str]:
    match = _MEMORY.fullmatch(text)
    if match is None:
        raise InputError(
            f"--memory: expected NAME=SIZE or NAME(TENSOR,...)=SIZE, such as buffer=128KiB; found"
            f" {text!r}"
        )
    name, tensors, size = match.groups()
    return name, tuple(t.strip() for t in (tensors or "").split(",") if t.strip()), size


def _cascade(
    einsum: Sequence[str] | None, cascade: str | None, ranks: str | None, dtype: str | None
) -> Cascade:
    if (not einsum) == (cascade is None):
        raise InputError("expected one of --einsum and --cascade, found neither or both")
    sizes = pairs(ranks, "--ranks")
    dtypes = _dtypes(dtype)
    if einsum:
        return parse("\n".join(einsum), sizes=sizes, dtypes=dtypes, name="einsum")
    assert cascade is not None
    if cascade in WORKLOADS:
        formats = {"dtype": dtypes["*"]} if "*" in dtypes else {}
        made = workload(cascade, **sizes, **formats)
        if isinstance(made, Cascade):
            return made
        raise InputError(f"--cascade: expected a cascade, found the whole model {cascade!r}")
    path = Path(cascade)
    if not path.is_file():
        raise UnknownNameError("workload or file of a cascade", cascade, WORKLOADS)
    return parse(path.read_text("utf-8"), sizes=sizes, dtypes=dtypes, name=path.stem)


def _dtypes(text: str | None) -> dict[str, str]:
    """`int8`, or `A=int4,B=int8,*=bf16`."""
    if text is None:
        return {}
    if "=" not in text:
        return {"*": text}
    return {name: str(value) for name, value in pairs(text, "--dtype").items()}


def pairs(text: str | None, where: str) -> dict[str, Any]:
    """`m=1024,n=1024` as names with numbers, truth values or words."""
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
            found[name] = json.loads(value)
        except json.JSONDecodeError:
            found[name] = value
    return found
