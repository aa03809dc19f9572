"""A cascade whose sizes are not known yet: what text says before numbers are bound to it.

A size is a number, an array or arithmetic over symbols. A symbol is the extent of a rank or a free
parameter (`tokens`, `top_k`), by its lower-case name. Binding evaluates the sizes and leaves the
rest of the cascade shared, so that one parsed text serves any number of sizes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np

from hwmodel.einsum.cascade import (
    SKEWED,
    Band,
    Cascade,
    Distribution,
    Einsum,
    Form,
    Initial,
    Rank,
    Tensor,
)
from hwmodel.quantity.dtypes import dtype
from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.quantity.units import Amount, amount

PLAIN = 2**53
"""Whole numbers up to here need no further check."""


@dataclass(frozen=True)
class Symbol:
    """The extent of a rank, or a free parameter."""

    name: str


@dataclass(frozen=True)
class Arithmetic:
    """`left operator right`, operator one of + - * /."""

    operator: str
    left: "Size"
    right: "Size"


Size: TypeAlias = Amount | Symbol | Arithmetic


@dataclass(frozen=True)
class DistributionForm:
    """A declared distribution: kind, the rank that it runs over, and its arguments."""

    kind: str
    over: str
    arguments: tuple[Size, ...]

    @property
    def named(self) -> tuple[str, ...]:
        """Fields of a `Distribution`, in the order of the arguments."""
        skew = ("exponent",) if self.kind in SKEWED else ()
        return ("draws", "picks", *skew, "ways")


@dataclass(frozen=True)
class RankForm:
    """A rank before its size is known; `size` None means that the caller gives it."""

    name: str
    size: Size | None = None
    parent: str | None = None
    part: int = 0
    iterative: bool = False
    distribution: DistributionForm | None = None


@dataclass(frozen=True)
class EinsumForm:
    """An Einsum, with the limits of its bands, its density and its probability unbound."""

    einsum: Einsum
    limits: tuple[tuple[Size | None, Size | None], ...] = ()
    density: Size = 1.0
    probability: Size = 1.0

    def bind(self, value: Callable[[Size], Amount]) -> Einsum:
        """The Einsum with every size a number."""
        if self.is_bound:
            return self.einsum
        same = self.einsum
        bands = tuple(
            Band(band.terms, *[None if limit is None else value(limit) for limit in limits])
            for band, limits in zip(same.bands, self.limits, strict=True)
        )
        shares = value(self.density), value(self.probability)
        found = Einsum(same.output, same.expression, same.reductions, bands, *shares)
        vars(found).update(ranks=same.ranks, reads=same.reads)  # which follow from the form
        return found

    @property
    def is_bound(self) -> bool:
        """Whether no number of it is left open."""
        return not self.limits and self.density is self.probability


@dataclass(frozen=True)
class Template:
    """Everything that the text of a cascade says."""

    ranks: tuple[RankForm, ...]
    tensors: tuple[Tensor, ...]
    einsums: tuple[EinsumForm, ...]
    initials: tuple[Initial, ...]
    outputs: tuple[str, ...]
    parameters: tuple[str, ...]

    def bind(self, sizes: Mapping[str, Amount], dtypes: Mapping[str, str], *, name: str) -> Cascade:
        """The cascade at these sizes and dtypes (`"*"` stands for every tensor not named)."""
        for given in sizes:
            if given not in self.by_name and given not in self.parameters:
                known = {*self.by_name, *self.parameters}
                raise UnknownNameError(
                    f"size in cascade {name!r}, a rank or parameter:", given, known
                )
        extents = _Extents(self, sizes, name)
        ranks = {form.name: extents.rank(form) for form in self.ranks}
        formats = tuple(dtypes.items())
        try:
            tensors = self._with_formats.get(formats)
        except TypeError:  # a format that is no name, which is refused by name
            tensors = MappingProxyType(self._tensors(dtypes, name))
        if tensors is None:
            tensors = self._with_formats[formats] = MappingProxyType(self._tensors(dtypes, name))
        cascade = Cascade(
            name=name,
            ranks=MappingProxyType(ranks),
            tensors=tensors,
            einsums=tuple([form.bind(extents.value) for form in self.einsums]),
            initials=self.initials,
            outputs=self.outputs,
        )
        if self._is_of_one_form:
            form = self._forms.get(formats)
            if form is None:
                form = self._forms[formats] = cascade.form
            cascade.told(form)
        return cascade

    @cached_property
    def by_name(self) -> Mapping[str, RankForm]:
        """The ranks by their names."""
        return {form.name: form for form in self.ranks}

    @cached_property
    def _is_of_one_form(self) -> bool:
        """Whether every binding differs in its numbers alone."""
        shares = (share for e in self.einsums for share in (e.density, e.probability))
        return not any(isinstance(share, (Symbol, Arithmetic)) for share in shares)

    @cached_property
    def _forms(self) -> dict[tuple[tuple[str, str], ...], Form]:
        """The form of every binding, by the formats that were asked for."""
        return {}

    @cached_property
    def _with_formats(self) -> dict[tuple[tuple[str, str], ...], Mapping[str, Tensor]]:
        """Tensors by the formats that were asked for."""
        return {}

    def __getstate__(self) -> dict[str, Any]:
        """What the text says, without what was bound to it."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    def outline(self, name: str) -> Cascade:
        """The cascade with every extent 1 and no numbers: its structure alone."""
        return Cascade(
            name=name,
            ranks={f.name: Rank(f.name, 1, f.parent, f.part, f.iterative) for f in self.ranks},
            tensors={tensor.name: tensor for tensor in self.tensors},
            einsums=tuple(form.einsum for form in self.einsums),
            initials=self.initials,
            outputs=self.outputs,
        )

    def _tensors(self, dtypes: Mapping[str, str], name: str) -> dict[str, Tensor]:
        tensors = {tensor.name: tensor for tensor in self.tensors}
        for given in dtypes:
            if given not in tensors and given != "*":
                raise UnknownNameError(f"tensor in cascade {name!r}", given, tensors)
        default = dtypes.get("*")
        for tensor in self.tensors:
            chosen = dtypes.get(tensor.name, default)
            if chosen is not None and (name := dtype(chosen).name) != tensor.dtype:
                tensors[tensor.name] = replace(tensor, dtype=name)
        return tensors


class _Extents:
    """Sizes by name, worked out on demand: given, declared, or from the parts of a partition."""

    def __init__(self, template: Template, sizes: Mapping[str, Amount], name: str) -> None:
        self._forms = template.by_name
        self._where = f"cascade {name!r}"
        self._pending: set[str] = set()
        self._known: dict[str, Amount] = {
            key: size
            if type(size) is int and 0 < size <= PLAIN
            else amount(
                size,
                where=f"{self._where}: size of {key!r}",
                whole=key in self._forms,
                zero=key not in self._forms,
            )
            for key, size in sizes.items()
        }

    def rank(self, form: RankForm) -> Rank:
        """The rank with its size."""
        size = self[form.name]
        spread = form.distribution
        if spread is not None:
            given = dict(zip(spread.named, map(self.value, spread.arguments), strict=False))
            declared = Distribution(spread.kind, spread.over, **given)
            return Rank(form.name, size, form.parent, form.part, form.iterative, declared)
        return Rank(form.name, size, form.parent, form.part, form.iterative)

    def value(self, size: Size) -> Amount:
        """Evaluate arithmetic over sizes; whole quotients of ints stay ints."""
        if isinstance(size, Symbol):
            return self[size.name]
        if isinstance(size, Arithmetic):
            return calculate(size.operator, self.value(size.left), self.value(size.right))
        return size

    def __getitem__(self, name: str) -> Amount:
        if name not in self._known:
            if name in self._pending:
                raise InputError(f"{self._where}: the size of {name!r} is defined by itself")
            self._pending.add(name)
            self._known[name] = self._work_out(name)
        return self._known[name]

    def _work_out(self, name: str) -> Amount:
        form = self._forms.get(name)
        if form is not None and form.distribution is not None:
            spread = form.distribution
            draws, picks = (*(self.value(size) for size in spread.arguments[:2]), 1)[:2]
            return calculate("/", calculate("*", draws, picks), self[spread.over])
        if form is not None and form.size is not None:
            found = self.value(form.size)
            return amount(found, where=f"{self._where}: size of rank {name!r}", whole=True)
        parts = [part.name for part in self._forms.values() if part.parent == name]
        if parts and all(self._has(part) for part in parts):
            return _product([self[part] for part in parts])
        if form is not None and form.parent is not None and self._has(form.parent):
            siblings = [f.name for f in self._forms.values() if f.parent == form.parent]
            siblings.remove(name)
            if all(self._has(sibling) for sibling in siblings):
                return _ceil_divide(self[form.parent], _product([self[s] for s in siblings]))
        what = "rank" if form is not None else "parameter"
        raise InputError(
            f"{self._where}: {what} {name!r} has no size; expected one in sizes={{{name!r}: ...}}"
            + (f" or a line `rank {name} = ...`" if form is not None else "")
        )

    def _has(self, name: str) -> bool:
        form = self._forms.get(name)
        return name in self._known or (form is not None and form.size is not None)


def calculate(operator: str, left: Amount, right: Amount) -> Amount:
    """`left operator right`; the quotient of two ints is an int where it is whole."""
    if operator == "+":
        return left + right
    if operator == "-":
        return left - right
    if operator == "*":
        return left * right
    if np.any(np.equal(right, 0)):
        raise InputError(f"a size: expected a divisor other than 0, found {left} / {right}")
    if isinstance(left, int) and isinstance(right, int) and left % right == 0:
        return left // right
    return left / right


def _product(sizes: list[Amount]) -> Amount:
    product: Amount = 1
    for size in sizes:
        product = product * size
    return product


def _ceil_divide(size: Amount, tile: Amount) -> Amount:
    return -(-size // tile)
