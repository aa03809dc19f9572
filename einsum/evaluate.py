"""The value of a cascade on real arrays, in float64: what a transformed cascade is checked with.

Einsums are evaluated by NumPy broadcasting over all their ranks at once, so sizes should be small
(memory is the product of an Einsum's ranks). Only recurrent tensors take a Python loop, over their
iterative rank. Points outside a band contribute the reduction's identity; in an Einsum without
reductions they keep the value of the step before where the output is recurrent, and are 0 where it
is not. Padding of a partitioned rank (m1*m0 > m) is outside of every space. A probability changes
counts, not values.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwmodel.einsum.cascade import (
    Access,
    Apply,
    Band,
    Cascade,
    Constant,
    Einsum,
    Expression,
    Extent,
)
from hwmodel.einsum.operators import LOOKED_UP, OPERATORS
from hwmodel.einsum.verify import ahead, verify
from hwmodel.quantity.errors import CoverageError, InputError

Array: TypeAlias = NDArray[np.float64]


def evaluate(cascade: Cascade, inputs: Mapping[str, ArrayLike]) -> dict[str, Array]:
    """Every tensor that the cascade makes, by name.

    `inputs` holds one array per input tensor, its axes in the tensor's order; an axis of a
    partitioned rank is padded to m1*m0. A recurrent tensor has one entry more along its iterative
    rank. Raises `InputError` for a missing array or a wrong shape, `CoverageError` for sizes that
    are arrays or depend on data, and for a block density, whose pattern is not known.
    """
    verify(cascade)
    _refuse(cascade)
    arrays = {name: _input(name, inputs, cascade) for name in cascade.inputs}
    for name in inputs:
        if name not in arrays:
            raise InputError(
                f"cascade {cascade.name!r}: {name!r} is no input; expected {[*arrays]}"
            )
    for einsum in cascade.einsums:
        arrays[einsum.name] = _blank(einsum, cascade)
    for initial in cascade.initials:
        place = tuple(
            index.offset if not index.terms else slice(None) for index in initial.output.indices
        )
        arrays[initial.output.tensor][place] = initial.value
    done = set(cascade.inputs)
    left = list(cascade.einsums)
    while left:
        ready = [e for e in left if all(access.tensor in done for access in e.reads)]
        block = ready[:1] or _cycle(left, done)
        if ready:
            _compute(ready[0], cascade, arrays, {})
        else:
            rank = _iterative(block, cascade)
            for step in range(int(cascade.ranks[rank].size)):
                for einsum in block:
                    _compute(einsum, cascade, arrays, {rank: step})
        done |= {einsum.name for einsum in block}
        left = [einsum for einsum in left if einsum.name not in done]
    return {einsum.name: arrays[einsum.name] for einsum in cascade.einsums}


def _refuse(cascade: Cascade) -> None:
    for rank in cascade.ranks.values():
        if rank.distribution is not None or isinstance(rank.size, np.ndarray):
            why = "depends on data" if rank.distribution else "is an array"
            raise CoverageError(
                f"cascade {cascade.name!r}: the size of rank {rank.name} {why}; evaluation needs"
                " one whole number"
            )
    for einsum in cascade.einsums:
        if np.any(np.not_equal(einsum.density, 1)):
            raise CoverageError(
                f"Einsum {einsum.name}: a density of {einsum.density} does not say which points"
                " are kept; evaluation needs bands, or a density of 1"
            )


def _input(name: str, inputs: Mapping[str, ArrayLike], cascade: Cascade) -> Array:
    shape = tuple(int(cascade.ranks[rank].size) for rank in cascade.tensors[name].ranks)
    if name not in inputs:
        raise InputError(f"cascade {cascade.name!r}: expected an array {shape} for input {name!r}")
    array = np.asarray(inputs[name], dtype=np.float64)
    if array.shape != shape:
        raise InputError(
            f"cascade {cascade.name!r}: input {name!r}: expected shape {shape}"
            f" {list(cascade.tensors[name].ranks)}, found {array.shape}"
        )
    return array


def _blank(einsum: Einsum, cascade: Cascade) -> Array:
    steps = dict(ahead(einsum))
    ranks = cascade.tensors[einsum.name].ranks
    return np.zeros(tuple(int(cascade.ranks[r].size) + steps.get(r, 0) for r in ranks))


def _cycle(left: Sequence[Einsum], done: set[str]) -> list[Einsum]:
    """Einsums that need each other, and nothing else that is still to come; in text order."""
    needs = {e.name: {a.tensor for a in e.reads if a.tensor not in done} for e in left}
    reach = {name: _reachable(name, needs) for name in needs}
    first = min(needs, key=lambda name: len(reach[name]))
    return [einsum for einsum in left if einsum.name in reach[first]]


def _reachable(name: str, needs: Mapping[str, Iterable[str]]) -> set[str]:
    found: set[str] = set()
    stack = [*needs[name]]
    while stack:
        other = stack.pop()
        if other not in found:
            found.add(other)
            stack += needs[other]
    return found


def _iterative(block: Sequence[Einsum], cascade: Cascade) -> str:
    """The one iterative rank along which a block of Einsums depends on itself."""
    ranks = dict.fromkeys(rank for einsum in block for rank, _ in ahead(einsum))
    common = [rank for rank in ranks if all(rank in einsum.ranks for einsum in block)]
    if len(common) != 1:
        raise CoverageError(
            f"cascade {cascade.name!r}: Einsums {[e.name for e in block]} depend on each other"
            f" along ranks {[*ranks]}; evaluation covers one iterative rank that all of them have"
        )
    return common[0]


def _compute(
    einsum: Einsum, cascade: Cascade, arrays: dict[str, Array], fixed: Mapping[str, int]
) -> None:
    """Write one Einsum's output, for all values of its ranks but the fixed ones."""
    loops = [rank for rank in einsum.ranks if rank not in fixed]
    at: dict[str, Any] = dict(fixed)
    for axis, rank in enumerate(loops):
        shape = [1] * len(loops)
        shape[axis] = -1
        at[rank] = np.arange(int(cascade.ranks[rank].size)).reshape(shape)
    value: Array = np.asarray(_value(einsum.expression, at, arrays, cascade), dtype=np.float64)
    value = np.broadcast_to(value, [int(cascade.ranks[rank].size) for rank in loops])
    mask: Any = _mask(einsum, at, cascade)
    if einsum.reductions:
        identity: Any = OPERATORS[einsum.reductions[-1][1]].identity
        value = np.where(mask, value, identity)
        for rank, name in reversed(einsum.reductions):
            fold: Any = OPERATORS[name].reduce
            value = np.asarray(fold(value, axis=loops.index(rank), keepdims=True), np.float64)
            at[rank] = 0
    place = _place(einsum.output, at, cascade)
    if not einsum.reductions and mask is not True:
        steps = dict(ahead(einsum))
        before = tuple(
            where - steps.get(index.terms[0][0], 0) if index.terms else where
            for where, index in zip(place, einsum.output.indices, strict=True)
        )
        value = np.where(mask, value, arrays[einsum.name][before] if steps else 0.0)
    arrays[einsum.name][place] = value if place else np.reshape(value, ())


def _place(access: Access, at: Mapping[str, Any], cascade: Cascade) -> tuple[Any, ...]:
    """The indices of an access as arrays over the loops."""
    return tuple(
        sum(
            (factor * at[rank] for rank, factor in index.terms),
            start=index.offset + (0 if index.at is None else int(cascade.ranks[index.at].size)),
        )
        for index in access.indices
    )


def _value(
    node: Expression, at: Mapping[str, Any], arrays: Mapping[str, Array], cascade: Cascade
) -> Any:
    if isinstance(node, Constant):
        return node.value
    if isinstance(node, Extent):
        return float(cascade.ranks[node.rank].size)
    if isinstance(node, Access):
        return arrays[node.tensor][_place(node, at, cascade)]
    if node.operator in LOOKED_UP:
        return _gather(node, at, arrays, cascade)
    arguments = (_value(argument, at, arrays, cascade) for argument in node.arguments)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return OPERATORS[node.operator].function(*arguments)


def _gather(
    node: Apply, at: Mapping[str, Any], arrays: Mapping[str, Array], cascade: Cascade
) -> Any:
    table, ids = node.arguments
    assert isinstance(table, Access)  # a rule of verify
    rows = np.asarray(_value(ids, at, arrays, cascade))
    rank = table.indices[0].terms[0][0]
    size = int(cascade.ranks[rank].size)
    if np.any((rows < 0) | (rows >= size) | (rows != np.floor(rows))):
        raise InputError(
            f"{node.operator} of {table.tensor}: expected whole positions from 0 to {size - 1},"
            f" found {rows.min():g} to {rows.max():g}"
        )
    found = arrays[table.tensor]
    found = -np.sort(-found, axis=0) if node.operator == "ranked" else found
    return found[_place(table, {**at, rank: rows.astype(np.intp)}, cascade)]


def _mask(einsum: Einsum, at: Mapping[str, Any], cascade: Cascade) -> Any:
    """True where a point is in the Einsum's space."""
    kept: Any = True
    parents = dict.fromkeys(cascade.ranks[rank].parent for rank in einsum.ranks)
    for parent in parents:
        if parent is not None:
            first, _ = _span(parent, at, cascade)
            kept = kept & (first < int(cascade.ranks[parent].size))
    for band in einsum.bands:
        kept = kept & _in_band(band, at, cascade)
    return kept


def _in_band(band: Band, at: Mapping[str, Any], cascade: Cascade) -> Any:
    """Whether some point of each tile is in the band; without tiles, whether the point is."""
    least: Any = 0
    most: Any = 0
    for rank, factor in band.terms:
        first, last = _span(rank, at, cascade)
        if factor < 0:
            first, last = last, first
        least, most = least + factor * first, most + factor * last
    low = -math.inf if band.low is None else band.low
    high = math.inf if band.high is None else band.high
    return (most >= low) & (least <= high)


def _span(rank: str, at: Mapping[str, Any], cascade: Cascade) -> tuple[Any, Any]:
    """First and last point of a rank, or of the parent of partitioned ranks, at each loop."""
    if rank in at:
        return at[rank], at[rank]
    parts = sorted((r for r in cascade.ranks.values() if r.parent == rank), key=lambda r: r.part)
    first: Any = 0
    stride, rest = 1, 0
    for part in parts:
        if part.name in at:
            first = first + stride * at[part.name]
        else:
            rest += stride * (int(part.size) - 1)
        stride *= int(part.size)
    return first, np.minimum(first + rest, int(cascade.ranks[rank].size) - 1)
