"""Users' Einsums in a request, read into a cascade and a machine.

A cascade is given as Einsums (`einsum`, one or more lines of the notation), as a file of such
text, or as a workload's name, whose arguments `ranks` gives then. A machine is a shipped one or a
file (`on`); each `memory` NAME=SIZE changes the capacity of one of its levels. Without `on` the
machine is `peer-a2` with the memories that are named in place of its buffer; `NAME(A,B)=SIZE` says
that a buffer holds these tensors alone.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.network import lone
from hwmodel.einsum.notation import parse
from hwmodel.einsum.workloads.catalogue import WORKLOADS, workload
from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import Hardware
from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.quantity.printable import shown
from hwmodel.quantity.reading import kind_of, pairs, text_of

DEFAULT_MACHINE = "peer-a2"
REPLACED = "buffer"
"""The level of the default machine that named memories stand in for."""

_MEMORY = re.compile(r"\s*([\w-]+)\s*(?:\(([^)]*)\))?\s*=\s*(.+?)\s*")


def memories(memory: Any) -> tuple[dict[str, tuple[str, ...]], dict[str, str]]:
    """Tensors that buffers hold alone, and capacities, of `NAME=SIZE` each."""
    wanted = [_memory(text) for text in _texts(memory, "--memory")]
    shares = {name: tensors for name, tensors, _ in wanted if tensors}
    sizes = {name: size for name, _, size in wanted}
    if len(sizes) != len(wanted):
        raise InputError("--memory: expected each memory once, found one a second time")
    return shares, sizes


def _texts(given: Any, where: str) -> list[str]:
    """One text or a list of them."""
    if given is None:
        return []
    listed = [given] if isinstance(given, str) else given
    if not isinstance(listed, list) or not all(isinstance(t, str) for t in cast(list[Any], listed)):
        raise InputError(f"{where}: expected a text or a list of texts, found {shown(given)}")
    return cast(list[str], listed)


def resized(machine: Hardware, sizes: Mapping[str, str]) -> Hardware:
    """A machine whose memories of these names have other capacities."""
    for name in sizes:
        if name not in machine.memories:
            raise UnknownNameError(f"memory of {machine.name}", name, machine.memories)
    changes = {name: {"capacity": size} for name, size in sizes.items()}
    return machine.but(**changes) if changes else machine


def default_machine(sizes: Mapping[str, str]) -> Hardware:
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


def cascade_of(einsum: Any, cascade: Any, ranks: Any, dtype: Any) -> Cascade:
    """The cascade that a request's fields mean: ranks are a text `m=8,n=8` or a table."""
    if dtype is not None and not isinstance(dtype, str):
        raise InputError(f"--dtype: expected a text, found {shown(dtype)}")
    if cascade is not None and not isinstance(cascade, str):
        raise InputError(f"--cascade: expected a text, found {shown(cascade)}")
    if (not einsum) == (cascade is None):
        raise InputError("expected one of --einsum and --cascade, found neither or both")
    sizes = pairs(ranks, "--ranks")
    dtypes = _dtypes(dtype)
    if einsum:
        return parse(
            "\n".join(_texts(einsum, "--einsum")), sizes=sizes, dtypes=dtypes, name="einsum"
        )
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
        made = lone(workload(cascade, **sizes, **formats))
        if made is not None:
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
