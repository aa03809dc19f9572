"""What `hwmodel map` and `hwmodel bound --einsum` are asked, read into a cascade and a machine.

A cascade is given as Einsums (`--einsum`, one or more lines of the notation), as a file of such
text, or as a workload's name, whose arguments `--ranks` gives then. A machine is a shipped one or a
file (`--on`); each `--memory NAME=SIZE` changes the capacity of one of its levels. Without `--on`
the machine is `peer-a2` with the memories that are named in place of its buffer; `NAME(A,B)=SIZE`
says that a buffer holds these tensors alone.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwmodel.bounds import bound as bounds
from hwmodel.bounds.bound import Bound
from hwmodel.bounds.sensitivity import Sensitivity, on_machine
from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.notation import parse
from hwmodel.einsum.workloads.catalogue import WORKLOADS, workload
from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import Hardware, limits
from hwmodel.mappers.cascades import map_forms, map_front
from hwmodel.mappers.nests.costs import any_schedule
from hwmodel.mappers.nests.mapped import NestMapped
from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.quantity.reading import json_value, kind_of, text_of
from hwmodel.quantity.units import show
from hwmodel.show.html import Notebook
from hwmodel.show.json import plain
from hwmodel.show.text import bound_text
from hwmodel.spine.estimate import Estimate
from hwmodel.verbs import answer as verbs

if TYPE_CHECKING:
    from hwmodel.mappers.fusion.compare import Compared

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


@dataclass(frozen=True, eq=False, repr=False)
class LooseBound(Notebook):
    """What any schedule of a cascade must move between a machine's levels.

    `time_s` is the least time at the machine's rates, None where a model of kernels says more.
    """

    bound: Bound
    sensitivity: tuple[Sensitivity, ...]
    time_s: float | None = None

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
                "sensitivity": self.sensitivity,
                "time_s": self.time_s,
            }
        )

    def __str__(self) -> str:
        """A table of levels, what more of each would buy, and the least time."""
        text = bound_text(self.bound, self.sensitivity)
        return (
            text if self.time_s is None else f"{text}\n\ntime    {show(self.time_s, 's')} or more"
        )


def loose(cascade: Cascade, hardware: Hardware) -> LooseBound:
    """The bounds of a cascade on a machine, without a look at any kernel."""
    found = bounds.bound(cascade, limits(hardware))
    alone = hardware.kind == "spatial" and not hardware.binding
    time_s = any_schedule(cascade, hardware, "latency")[1] if alone else None
    return LooseBound(found, on_machine(cascade, hardware), time_s)


def bound(given: Mapping[str, Any]) -> LooseBound:
    """The bound of `hwmodel bound --einsum`; options of `hwmodel predict` are refused."""
    asked = _read(given, ())
    return loose(asked.cascade, asked.hardware)


def predicted(given: Mapping[str, Any]) -> Estimate:
    """The answer of `hwmodel predict --einsum`."""
    asked = _read(given, ("kernel",))
    if "on" not in given:
        raise InputError("expected --on with a device's name or file, found none")
    return verbs.predict(asked.cascade, asked.hardware, kernel=given.get("kernel"))


def mapped(given: Mapping[str, Any]) -> Any:
    """The answer of `hwmodel map`, of the mapper for the machine's kind."""
    asked = _read(given, ("kernel", "objective", "mapspace", "rules", "double", "unfused"))
    changes = _named(given, "kernel", "objective", "mapspace", "rules")
    return verbs.map(
        asked.cascade,
        asked.hardware,
        shares=asked.shares or None,
        double=given.get("double", False),
        fused=not given.get("unfused", False),
        **changes,
    )


def draw(answer: Any, path: str) -> None:
    """Draw a loop nest; raises `InputError` for an answer of another kind."""
    from hwmodel.mappers.nests.picture import draw

    if not isinstance(answer, NestMapped):
        raise InputError("--picture: expected a loop nest to draw, found an answer without one")
    draw(answer, path)


def front(given: Mapping[str, Any]) -> tuple[NestMapped, ...]:
    """The answers of `hwmodel map --front`: it has two objectives of its own."""
    asked = _read(given, ("mapspace", "rules"))
    if asked.shares:
        raise InputError("--front: expected buffers that hold any tensor, found some that do not")
    return map_front(asked.cascade, asked.hardware, **_named(given, "mapspace", "rules"))


def forms(given: Mapping[str, Any]) -> "tuple[Compared, ...]":
    """The answers of `hwmodel map --forms`."""
    asked = _read(given, ("mapspace",))
    if asked.shares:
        raise InputError("--forms: expected buffers that hold any tensor, found some that do not")
    return map_forms(asked.cascade, asked.hardware, **_named(given, "mapspace"))


def _named(given: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: given[name] for name in names if name in given}


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
    if on is None:
        return Asked(made, _default(sizes), shares)
    return Asked(made, _resized(device(on), sizes), shares)


def resized(machine: Hardware, memory: Sequence[str]) -> Hardware:
    """A machine with other capacities: `NAME=SIZE` each."""
    wanted = [_memory(text) for text in memory]
    return _resized(machine, {name: size for name, _, size in wanted})


def _resized(machine: Hardware, sizes: Mapping[str, str]) -> Hardware:
    for name in sizes:
        if name not in machine.memories:
            raise UnknownNameError(f"memory of {machine.name}", name, machine.memories)
    changes = {name: {"capacity": size} for name, size in sizes.items()}
    return machine.but(**changes) if changes else machine


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
        if set(dtypes) - {"*"}:
            raise InputError(
                f"--dtype: expected one format for the workload {cascade!r}, found {dtype!r}; its"
                " arguments for single tensors, such as weight_dtype, go among --ranks"
            )
        formats = {"dtype": dtypes["*"]} if dtypes else {}
        if formats and "dtype" in sizes:
            raise InputError("--dtype: given twice, here and among --ranks")
        made = workload(cascade, **sizes, **formats)
        if isinstance(made, Cascade):
            return made
        raise InputError(f"--cascade: expected a cascade, found the whole model {cascade!r}")
    path = Path(cascade)
    if kind_of(path) != "file":
        raise UnknownNameError("workload or file of a cascade", cascade, WORKLOADS)
    return parse(text_of(path), sizes=sizes, dtypes=dtypes, name=path.stem)


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
            found[name] = json_value(value)
        except InputError:
            found[name] = value
    return found
