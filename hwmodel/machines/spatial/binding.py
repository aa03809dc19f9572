"""Binding: which Einsum of a cascade runs on which array, what interleaves and what follows.

A binding is data (`catalogue/bindings/*.yaml`), so that a cascade, a machine and a binding are
changed one at a time (FuseMax, MICRO 2024, arXiv 2406.10491: +Cascade, +Architecture, +Binding).
Its `schedule` is the tree that time is folded over:

    QK                                   an Einsum
    {serial: [a, b]}, {overlap: [a, b]}  one after the other, at the same time
    {fill: QK}                           an array's depth in cycles, once for each tile of an Einsum
    {read: [Q, K], write: [AV]}          tensors that cross DRAM's boundary meanwhile

`traffic` names the rule by which tensors cross DRAM's boundary (`streams`), `homes` where a tensor
lives between its Einsums ("buffer", "dram"; otherwise the registers of the array that made it),
`chained` the Einsums whose operators run as one pipeline, a point a step, `forwarded` operands that
are used while they are made, and `alternating` the register accesses per point of Einsums that
share an array cycle by cycle, so that neither their sums nor operands stay in the element's latch.
"""

from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, cast

from pydantic import Field

from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.quantity.value import Value
from hwmodel.quantity.yaml import table

BINDINGS = Path(__file__).resolve().parents[2] / "hardware" / "devices" / "bindings"
SUFFIXES = (".yaml", ".yml")
"""Names of bindings that end so are paths."""
NODES = ("serial", "overlap", "fill", "read", "write")


class Binding(Value):
    """A cascade's form of attention on the arrays of a machine."""

    name: str
    title: str
    source: str
    passes: Literal[1, 3]
    """Form of the attention cascade that is bound."""
    arrays: dict[str, str]
    """Einsum -> array."""
    schedule: Any
    traffic: Literal["blocks", "rows", "whole"]
    partition: Literal["divisors", "any"] = "divisors"
    """Sizes of query blocks: divisors of the number of tiles, or any, the last block smaller."""
    held: tuple[str, ...] = ()
    """Tensors of which a block of queries stays in the buffer."""
    streamed: tuple[str, ...] = ()
    """Tensors of which one tile of keys is in the buffer at a time."""
    kept: str = ""
    """The input that stays in the buffer beside rows of scores."""
    homes: dict[str, str] = Field(default={})
    chained: tuple[str, ...] = ()
    forwarded: dict[str, tuple[str, ...]] = Field(default={})
    alternating: dict[str, dict[str, int]] = Field(default={})


def bindings() -> tuple[str, ...]:
    """Names of the shipped bindings."""
    return tuple(sorted(path.stem for path in BINDINGS.glob("*.yaml")))


def binding(name: str) -> Binding:
    """A binding by its name, or by the path of a user's own YAML file; raises `UnknownNameError`.

    >>> binding("fusemax").passes
    1
    """
    path = BINDINGS / f"{name}.yaml"
    if Path(name).suffix in SUFFIXES:
        path = Path(name)
    elif name not in bindings():
        raise UnknownNameError("binding", name, bindings())
    return _read(path, path.stat().st_mtime_ns if path.exists() else 0)


@lru_cache(maxsize=64)
def _read(path: Path, written_ns: int) -> Binding:
    """A binding's file; one that was written anew is read anew."""
    del written_ns
    data = table(path, "a binding")
    made = Binding.build({"name": path.stem, **data}, where=str(path))
    check(made.schedule, made, str(path))
    return made


def check(node: Any, bound: Binding, where: str) -> None:
    """Every node of a schedule must be of a known kind and name Einsums of the binding."""
    if isinstance(node, str):
        if node not in bound.arrays:
            raise UnknownNameError(f"Einsum in the schedule of {where}", node, bound.arrays)
        return
    parts: dict[str, Any] = {}
    if isinstance(node, dict):
        parts = cast(dict[str, Any], node)
    moves = bool(parts) and set(parts) <= {"read", "write"}
    if not moves and (len(parts) != 1 or not set(parts) <= set(NODES)):
        raise InputError(f"{where}: schedule: expected a node of {', '.join(NODES)}, found {node}")
    for kind, value in parts.items():
        for child in [value] if kind == "fill" else value if not moves else ():
            check(child, bound, where)
