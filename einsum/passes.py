"""Passes: how often a fiber of a tensor must be traversed, whatever the mapping.

FuseMax (MICRO 2024, arXiv 2406.10491, section III): an Einsum that needs the result of a complete
reduction over rank r, while it iterates r of the same tensor (or of one derived from it point by
point), cannot start before the traversal that fed the reduction is over. So the number of passes is
1 + the longest chain of such dependencies. Recurrent tensors break the chain, because their
consumer takes the value so far. Of a partitioned rank m = m1 x m0, a pass visits every (m1, m0):
what is known per tile m1 is small and needs no pass of its own.

A tensor read in two passes or more stays live as a whole fiber, or is fetched again: its least
live footprint is the extent of the rank. One pass needs a single element of the fiber (or a tile).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from hwmodel.einsum.cascade import Access, Cascade
from hwmodel.einsum.known import of_form
from hwmodel.einsum.space import extent
from hwmodel.quantity.errors import UnknownNameError
from hwmodel.quantity.units import Amount


@dataclass(frozen=True)
class LiveFootprint:
    """Elements of one fiber along a rank that stay live, of which tensors, and why."""

    elements: Amount
    tensors: tuple[str, ...]
    reason: str


def passes(cascade: Cascade) -> dict[tuple[str, str], int]:
    """Passes per (rank, tensor), for every rank of every tensor that an Einsum reads.

    A partitioned rank goes by its parent's name where a tensor has all of its parts.
    """
    return dict(_of_cascade(cascade))


@of_form
def _of_cascade(cascade: Cascade) -> tuple[tuple[tuple[str, str], int], ...]:
    parts = {rank.name: rank.parent for rank in cascade.ranks.values() if rank.parent is not None}
    order = {rank.name: rank.part for rank in cascade.ranks.values()}
    tensors = tuple((tensor.name, tensor.ranks) for tensor in cascade.tensors.values())
    einsums = tuple((einsum.output, einsum.reads) for einsum in cascade.einsums)
    return _passes(einsums, tensors, tuple(parts.items()), tuple(order.items()))


def live_footprint(cascade: Cascade, rank: str) -> LiveFootprint:
    """Least elements per fiber along `rank` that stay live on chip, or are fetched again."""
    if rank not in cascade.ranks:
        raise UnknownNameError(f"rank of cascade {cascade.name!r}", rank, cascade.ranks)
    found = {tensor: n for (r, tensor), n in passes(cascade).items() if r == rank}
    most = max(found.values(), default=0)
    if most < 2:
        reason = f"no tensor is read in more than one pass over {rank}"
        return LiveFootprint(1, (), reason)
    again = tuple(tensor for tensor, n in found.items() if n > 1)
    reason = (
        f"{', '.join(again)}: read in up to {most} passes over {rank}, because an Einsum needs a"
        f" complete reduction over {rank} before it visits {rank} again"
    )
    return LiveFootprint(extent([rank], cascade), again, reason)


_Form = tuple[tuple[Access, tuple[Access, ...]], ...]


@lru_cache(maxsize=1024)
def _passes(
    einsums: _Form,
    tensors: tuple[tuple[str, tuple[str, ...]], ...],
    parts: tuple[tuple[str, str], ...],
    order: tuple[tuple[str, int], ...],
) -> tuple[tuple[tuple[str, str], int], ...]:
    parent, place = dict(parts), dict(order)
    families: dict[str, list[str]] = {}
    for part, name in parts:
        families.setdefault(name, []).append(part)
    found: dict[tuple[str, str], int] = {}
    for source, ranks in tensors:
        if not any(access.tensor == source for _, reads in einsums for access in reads):
            continue
        for rank in ranks:
            family = [r for r in families.get(parent.get(rank, ""), []) if r in ranks] or [rank]
            whole = len(family) == len(families.get(parent.get(rank, ""), [])) > 0
            name = parent[rank] if whole else rank
            outer = max(family, key=lambda r: place[r])
            if whole or len(family) == 1 or rank == outer:
                found[name, source] = _count(einsums, source, frozenset(family), outer)
    return tuple(found.items())


@dataclass(frozen=True)
class _Known:
    """When a tensor derived from the source is known: during pass `number`, or after it."""

    number: int
    after: bool


def _count(einsums: _Form, source: str, family: frozenset[str], outer: str) -> int:
    """Longest chain of passes over `family` (its outermost rank `outer`) of tensor `source`."""
    known: dict[str, _Known] = {source: _Known(1, after=False)}
    most = 1
    for _ in range(2):  # the second round sees what the steps before left in recurrent tensors
        for output, reads in einsums:
            sources = [_seen(access, known, outer) for access in reads if access.tensor in known]
            if not sources or output.tensor == source:
                continue
            streams = any(
                access.tensor in known and family <= set(access.ranks) for access in reads
            )
            number = max(at.number + (at.after and streams) for at in sources)
            after = not streams and any(at.after for at in sources)
            known[output.tensor] = _Known(number, after or outer not in output.ranks)
            if streams:
                most = max(most, number)
    return most


def _seen(access: Access, known: Mapping[str, _Known], outer: str) -> _Known:
    """A read at the extent of the rank (its final value) comes after the pass."""
    at = known[access.tensor]
    final = any(index.at == outer for index in access.indices)
    return _Known(at.number, at.after or final)
