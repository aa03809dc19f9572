"""The work of a specification as a cascade: Timeloop's `problem` or AccelForge's `workload`.

Timeloop: one product of its data spaces into the one that is written, each with a projection of
sums of dimensions times coefficients; sizes stand in `instance`. AccelForge: one Einsum or several,
with rank variables whose sizes stand in `rank_sizes` or in `iteration_space_shape` (0 <= m < 128).
`densities` of an instance are those of tensors: a number is uniform, `hypergeometric` exact,
`fixed_structured` so many in each group along the last rank, `banded` a band of two ranks. Ranks
keep their names in lower case. All tensors are integers of the bits that are said.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, cast

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.importers.specification import (
    child,
    listed,
    number,
    plain_table,
    tables,
    texts,
    whole,
)
from hwmodel.einsum.notation import parse
from hwmodel.quantity.dtypes import DTYPES
from hwmodel.quantity.errors import CoverageError, InputError
from hwmodel.quantity.printable import shown

LONGEST_GROUP = 64
"""Elements of a group at most, of which fixed-structured densities keep the nearest number."""

Terms = tuple[tuple[str, int], ...]
"""Ranks with their coefficients, of one index."""

_BOUNDS = re.compile(r"\s*0\s*<=\s*(\w+)\s*<\s*(.+?)\s*")
_NAME = re.compile(r"[A-Za-z_]\w*")
_ACCESS = re.compile(r"(\w+)\s*\[([^\]]*)\]")
_TERM = re.compile(r"(?:(\d+)\s*\*?\s*)?([A-Za-z_]\w*)|([A-Za-z_]\w*)\s*\*\s*(\d+)")


@dataclass(frozen=True)
class _Access:
    tensor: str
    indices: tuple[Terms, ...]
    made: bool


def problem(specification: Mapping[str, Any], bits: int) -> Cascade:
    """The cascade of a specification; `bits` where it says none. Raises `InputError`."""
    if "problem" in specification:
        return _problem(child(specification, "problem", "specification"), bits)
    if "workload" in specification:
        return _workload(child(specification, "workload", "specification"), bits)
    raise InputError(
        f"specification: expected a problem (Timeloop) or a workload (AccelForge), found"
        f" {', '.join(specification) or 'nothing'}"
    )


def einsum_names(specification: Mapping[str, Any]) -> dict[str, str]:
    """Name of an Einsum in a workload -> the tensor that it makes, which is ours."""
    found: dict[str, str] = {}
    work = plain_table(specification.get("workload"), "workload")
    for einsum in listed(work, "einsums", "workload") if work else []:
        entry = plain_table(einsum, "einsums") if isinstance(einsum, Mapping) else {}
        accesses = tables(entry.get("tensor_accesses"), "tensor_accesses")
        made = [str(each.get("name")) for each in accesses if each.get("output")]
        found |= {str(entry.get("name")): made[0]} if made else {}
    return found


def _problem(given: Mapping[str, Any], bits: int) -> Cascade:
    where = "problem"
    shape, instance = child(given, "shape", where), child(given, "instance", where)
    sizes = {
        name: whole(instance.get(name), f"{where}: instance: {name}")
        for name in texts(listed(shape, "dimensions", where), f"{where}: dimensions")
    }
    factors: dict[str, int] = {}
    for each in tables(shape.get("coefficients"), f"{where}: coefficients"):
        name = str(each.get("name"))
        said = instance.get(name, each.get("default", 1))
        factors[name] = whole(said, f"{where}: coefficient {name}")
    spaces = tables(shape.get("data_spaces"), f"{where}: data_spaces")
    accesses = [_space(space, sizes, factors, where) for space in spaces]
    name = str(shape.get("name", "problem")).lower()
    found = _cascade(name, [accesses], sizes, {"*": format_of(bits, where)})
    said = plain_table(instance.get("densities"), f"{where}: densities")
    words = {
        tensor: text
        for tensor, value in said.items()
        if (text := _density(tensor, value, found, f"{where}: densities: {tensor}"))
    }
    return found.sparse(**words) if words else found


def _density(tensor: str, value: Any, cascade: Cascade, where: str) -> str:
    """A density in our words; empty for one that leaves nothing out. Raises `CoverageError`."""
    if tensor not in cascade.tensors:
        known = ", ".join(cascade.tensors)
        raise InputError(f"{where}: expected a data space ({known}), found {tensor!r}")
    model = dict(cast(Mapping[str, Any], value)) if isinstance(value, Mapping) else {}
    kind = str(model.get("distribution", "fixed_structured" if model else "uniform"))
    kind = kind.replace("-", "_")
    share = number(model.get("density", 1) if model else value, where)
    if not 0 < share <= 1:
        raise InputError(f"{where}: expected a density above 0 and at most 1, found {share}")
    if share == 1 and kind != "banded":
        return ""
    if kind in ("uniform", "random"):
        return f"{share:.12g}"
    if kind == "hypergeometric":
        return f"{share:.12g} exact"
    ranks = cascade.tensors[tensor].ranks
    if kind == "fixed_structured":
        part = Fraction(share).limit_denominator(LONGEST_GROUP)
        return f"{part.numerator} of {part.denominator} {ranks[-1]}"
    width = model.get("band_width")
    if kind == "banded" and len(ranks) == 2 and isinstance(width, int) and width >= 0:
        return f"band {width} {ranks[0]} {ranks[1]}"
    raise CoverageError(
        f"{where}: expected a number, or a distribution hypergeometric, fixed_structured, uniform"
        f" or banded (two ranks, band_width), found {shown(cast(Any, value))}"
    )


def _space(
    space: Mapping[str, Any], sizes: Mapping[str, int], factors: Mapping[str, int], where: str
) -> _Access:
    name = _name(space.get("name"), f"{where}: data_spaces")
    indices: list[Terms] = []
    for index in listed(space, "projection", f"{where}: {name}"):
        terms = cast(list[Any], index) if isinstance(index, list) else [[index]]
        read: list[tuple[str, int]] = []
        for term in terms:
            parts = texts(term, f"{where}: {name}: projection")
            known = len(parts) == 1 or (len(parts) == 2 and parts[1] in factors)
            if not known or parts[0] not in sizes:
                raise InputError(
                    f"{where}: {name}: projection: expected [dimension] or [dimension,"
                    f" coefficient], found {shown(term)}"
                )
            read.append((parts[0], factors[parts[1]] if len(parts) == 2 else 1))
        indices.append(tuple(read))
    return _Access(name, tuple(indices), bool(space.get("read_write", False)))


def _workload(given: Mapping[str, Any], bits: int) -> Cascade:
    where = "workload"
    every: list[list[_Access]] = []
    sizes = _bounds(given.get("iteration_space_shape"), where)
    ranks = plain_table(given.get("rank_sizes"), f"{where}: rank_sizes")
    for einsum in listed(given, "einsums", where):
        if isinstance(einsum, str):
            every.append(_texted(einsum, where))
            continue
        entry = plain_table(einsum, f"{where}: einsums", needed=True)
        named = f"{where}: {entry.get('name')}"
        sizes |= _bounds(entry.get("iteration_space_shape"), named)
        found = tables(entry.get("tensor_accesses"), f"{named}: tensor_accesses")
        every.append([_accessed(each, named) for each in found])
    for access in (a for accesses in every for a in accesses):
        for terms in access.indices:
            for name, _ in terms:
                if name not in sizes:
                    said = next((v for n, v in ranks.items() if n.lower() == name), None)
                    sizes[name] = whole(said, f"{where}: rank_sizes: {name}")
    bits_of = plain_table(given.get("bits_per_value"), f"{where}: bits_per_value")
    formats = {
        "*" if name == "All" else name: format_of(whole(value, where), where)
        for name, value in bits_of.items()
    }
    return _cascade(where, every, sizes, {"*": format_of(bits, where), **formats})


def _accessed(each: Mapping[str, Any], where: str) -> _Access:
    name = _name(each.get("name"), where)
    place = f"{where}: {name}"
    indices = tuple(_affine(index, place) for index in _values(each.get("projection"), place))
    return _Access(name, indices, bool(each.get("output", False)))


def _name(value: Any, where: str) -> str:
    """A tensor's name, as the notation takes it."""
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise InputError(f"{where}: expected a tensor's name, found {shown(value)}")
    return value


def _texted(text: str, where: str) -> list[_Access]:
    """An Einsum as text: T1[m, n] = T0[m, k] * W0[k, n]."""
    found: list[_Access] = []
    for at, match in enumerate(_ACCESS.finditer(text)):
        indices = [index for index in match[2].split(",") if index.strip()]
        found.append(_Access(match[1], tuple(_affine(i, where) for i in indices), not at))
    if _ACCESS.sub(" ", text.replace("*", " * ")).split() != ["=", *["*"] * (len(found) - 2)]:
        raise CoverageError(
            f"{where}: expected a product such as Z[m] = A[m, k] * B[k], found {text}"
        )
    return found


def _bounds(said: Any, where: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for text in _values(said, f"{where}: iteration_space_shape"):
        match = _BOUNDS.fullmatch(str(text))
        if match is None:
            raise CoverageError(
                f"{where}: iteration_space_shape: expected 0 <= rank < size, found {shown(text)}"
            )
        found[match[1]] = whole(match[2], f"{where}: {match[1]}")
    return found


def _values(said: Any, where: str) -> list[Any]:
    """A list, or the values of a table; nothing where nothing is said."""
    if isinstance(said, list):
        return cast(list[Any], said)
    return list(plain_table(said, where).values())


def _affine(index: Any, where: str) -> Terms:
    terms: list[tuple[str, int]] = []
    for part in str(index).split("+"):
        match = _TERM.fullmatch(part.strip())
        if match is None:
            raise CoverageError(
                f"{where}: projection: expected a sum of ranks times numbers, found {shown(index)}"
            )
        terms.append((match[2] or match[3], int(match[1] or match[4] or 1)))
    return tuple(terms)


def _cascade(
    name: str, every: Sequence[Sequence[_Access]], sizes: Mapping[str, int], formats: dict[str, str]
) -> Cascade:
    """The notation of these accesses, parsed."""
    named = {rank: rank.lower() for rank in sizes}
    if len(set(named.values())) != len(named):
        raise InputError(f"{name}: ranks: expected names that differ in more than their case")
    lines: list[str] = []
    declared: dict[str, None] = {}
    extents = {named[rank]: size for rank, size in sizes.items()}
    for accesses in every:
        made = [access for access in accesses if access.made]
        if len(made) != 1 or len(accesses) < 2:
            raise InputError(
                f"{name}: expected one tensor that is written, and one or more that are read,"
                f" found {len(made)} of {len(accesses)}"
            )
        for access in accesses:
            if any([factor for _, factor in terms] != [1] for terms in access.indices):
                axes = [
                    _axis(access, at, sizes, named, extents) for at in range(len(access.indices))
                ]
                declared[f"tensor {access.tensor}[{', '.join(axes)}]"] = None
        read = " * ".join(_words(a, named) for a in accesses if not a.made)
        lines.append(f"{_words(made[0], named)} = {read}")
    return parse("\n".join([*declared, *lines]), sizes=extents, dtypes=formats, name=name)


def _axis(
    access: _Access,
    at: int,
    sizes: Mapping[str, int],
    named: Mapping[str, str],
    extents: dict[str, int],
) -> str:
    """The rank of an axis: the index's own, or one that is as long as the sum needs."""
    terms = access.indices[at]
    if len(terms) == 1 and terms[0][1] == 1:
        return named[terms[0][0]]
    axis = f"{access.tensor.lower()}_{at}"
    extents[axis] = sum((sizes[rank] - 1) * factor for rank, factor in terms) + 1
    return axis


def _words(access: _Access, named: Mapping[str, str]) -> str:
    written = (
        " + ".join(named[r] if factor == 1 else f"{factor}*{named[r]}" for r, factor in terms)
        for terms in access.indices
    )
    return f"{access.tensor}[{', '.join(written)}]"


def format_of(bits: int, where: str) -> str:
    """The integer format of so many bits."""
    if f"int{bits}" not in DTYPES:
        raise CoverageError(f"{where}: expected integers of 1 to 8, 16 or 32 bits, found {bits}")
    return f"int{bits}"
