"""A call of a framework's graph: its operator, what it is given, and what it makes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, TypeAlias, cast

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.importers.strided import View, made, mapped
from hwmodel.quantity.errors import CoverageError


@dataclass(frozen=True)
class Call:
    """One call of a graph: arguments by their names, tensors among them as views, and results."""

    op: str
    given: Mapping[str, Any]
    results: tuple[View, ...]
    name: str
    """What people call its kernel."""

    def view(self, name: str) -> View:
        """A tensor that must be there."""
        found = self.given.get(name)
        if not isinstance(found, View):
            raise CoverageError(f"expected a tensor {name!r}, found {found!r:.40}")
        return found

    @property
    def out(self) -> View:
        """Its first result."""
        return self.results[0]

    @property
    def tensors(self) -> list[View]:
        """Every tensor that it reads, those of lists too."""
        found: list[View] = []
        for value in self.given.values():
            every = cast(Sequence[Any], value) if isinstance(value, (list, tuple)) else (value,)
            found += [each for each in every if isinstance(each, View)]
        return found


Kernels: TypeAlias = Sequence[Cascade]
Rule: TypeAlias = Callable[[Call], Kernels]


def copied(call: Call) -> Kernels:
    """Elements written to another place, in another order or format."""
    source = call.tensors[0]
    if source.elements != call.out.elements or len(call.tensors) > 1:
        size = (("a", call.out.elements),)
        formats = (("X", source.dtype), ("Y", call.out.dtype))
        return (made(call.name, "Y[a] = copy(X[a])", size, formats),)
    if source.shape != call.out.shape:  # read in its own order
        call = Call(call.op, call.given, (View(source.shape, _dense(source), call.out.dtype),), "")
    how = "copy" if source.dtype == call.out.dtype else "cast"
    return (mapped(call.name or "copy", f"{how}({{X}})", call.out, [source]),)


def _dense(view: View) -> tuple[int, ...]:
    return tuple(prod(view.shape[at + 1 :]) for at in range(len(view.shape)))
