"""Lower bounds on the bytes that must cross each boundary of a memory hierarchy.

Each holds for every schedule that evaluates the cascade's Einsums as they are written: tiles, loop
orders, fusion and recomputation are free, algebra that changes the Einsums (Strassen's product, an
online softmax) is not. The greatest is taken:

- compulsory traffic, and the second passes over rows too long to keep (`compulsory`);
- the tile program of an Einsum on the cascade's own inputs and outputs (`tiling`, `segments`);
- pairs whose datum never leaves the chip: scores of attention, distances of k-means (`pairs`);
- a network of butterflies, if none of its values is computed twice (`butterfly`).

A bound on some tensors' traffic is completed by the compulsory traffic of all others. The fast
memory of a boundary is all storage inside it together: at the DRAM of a GPU that is the L2 and
every processor's shared memory and registers, since data may rest in any of them. It starts empty.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

import numpy as np

from hwmodel.bounds.butterfly import butterflies_beyond_compulsory, network
from hwmodel.bounds.compulsory import compulsory_bytes, second_passes_bytes
from hwmodel.bounds.pairs import pairs_beyond_compulsory, parts_beyond_compulsory
from hwmodel.bounds.recognise import pairs_of, products
from hwmodel.bounds.segments import beyond_compulsory
from hwmodel.bounds.tiling import Exponents
from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.known import at_one_size, known, of_form
from hwmodel.einsum.network import Workload
from hwmodel.einsum.pairwise import pairwise
from hwmodel.einsum.passes import passes
from hwmodel.hardware.hardware import Limits
from hwmodel.quantity.arithmetic import most
from hwmodel.quantity.remembered import remembered, single
from hwmodel.quantity.units import Amount

BESIDE = ("l1", "tensor", "lane")
"""Memories beside another: fast memory, but no boundary that all bytes cross."""


@dataclass(frozen=True, eq=False)
class LevelBound:
    """At least `bytes` cross between `level` and the `fast_bytes` of memory inside it."""

    level: str
    fast_bytes: Amount
    bytes: Amount
    reason: str


@dataclass(frozen=True, eq=False)
class Bound:
    """Lower bounds of a workload on a machine's memories, and the passes of its cascades."""

    name: str
    levels: tuple[LevelBound, ...]
    compulsory_bytes: Amount
    passes: dict[str, int]

    @property
    def dram_bytes(self) -> Amount:
        """The bound at the outermost boundary."""
        return self.levels[0].bytes


def bound(workload: Workload, limits: Limits, *, outermost: bool = False) -> Bound:
    """Least bytes across every boundary of a machine with these capacities, for any schedule.

    With `outermost`, only the first boundary is worked out: a third of the work in a sweep.
    """
    compulsory, claims = compulsory_bytes(workload), _claims(workload)
    inside = boundaries(limits)[: 1 if outermost else None]
    levels = tuple(_at(level, fast, compulsory, claims) for level, fast in inside)
    return Bound(workload.name, levels, compulsory, _passes(workload))


def of_all(each: Bound, devices: Amount) -> Bound:
    """The bound of several devices that each do this."""
    levels = tuple(replace(level, bytes=level.bytes * devices) for level in each.levels)
    return replace(each, levels=levels, compulsory_bytes=each.compulsory_bytes * devices)


def bound_of(workload: Workload, fast_bytes: Amount, *, level: str = "memory") -> LevelBound:
    """Least bytes that any schedule moves between `level` and `fast_bytes` of memory inside it.

    What every certificate rests on: quick, and free of heavy imports.
    """
    return _at(level, fast_bytes, compulsory_bytes(workload), _claims(workload))


@remembered(keep=single)
def boundaries(limits: Limits) -> tuple[tuple[str, Amount], ...]:
    """Each level with the bytes of all memories inside it, outermost first."""
    names = list(limits.capacity_bytes)
    return tuple(
        (level, sum(limits.capacity_bytes[name] for name in names[at + 1 :]))
        for at, level in enumerate(names)
        if level not in BESIDE and (at == 0 or at < len(names) - 1)
    )


Claim: TypeAlias = tuple[Callable[[Amount], Amount], str]
"""Bytes above the compulsory ones for a fast memory of so many bytes, and the theorem's name."""


def _at(level: str, fast: Amount, compulsory: Amount, claims: Sequence[Claim]) -> LevelBound:
    best, reason = compulsory, "inputs and outputs once"
    some = fast > 0
    everywhere = bool(np.all(some)) if np.ndim(some) else bool(some)
    if everywhere or np.any(some):
        inside = fast if everywhere else np.where(some, fast, 1)
        for more, name in claims:
            found = compulsory + more(inside)
            above = (found > best) & some
            if np.any(above) if np.ndim(above) else above:
                higher = most((best, found))
                best, reason = higher if everywhere else np.where(some, higher, best), name
    return LevelBound(level, fast, float(best) if isinstance(best, np.floating) else best, reason)


def _claims(workload: Workload) -> tuple[Claim, ...]:
    """Every theorem that speaks of a lone cascade; of several runs, which may fuse, none does.

    Long products are chains here as they are in libraries, which do fewer operations.
    """
    return tuple(claim for cascade in _lone(workload) for claim in _speaking(pairwise(cascade)))


def _speaking(cascade: Cascade) -> tuple[Claim, ...]:
    return _spoken(cascade) if at_one_size(cascade) else tuple(_theorems(cascade))


@known(keep=lambda claims: True)
def _spoken(cascade: Cascade) -> tuple[Claim, ...]:
    return tuple(_theorems(cascade))


def _lone(workload: Workload) -> tuple[Cascade, ...]:
    """The cascade of a workload that runs one, once; else none."""
    first = workload.stages[0]
    return (first.cascade,) if len(workload.stages) == 1 and first.times == 1 else ()


def _theorems(cascade: Cascade) -> Iterator[Claim]:
    yield partial(second_passes_bytes, cascade), "inputs and outputs once, rows too long again"
    for product in products(cascade):
        given = (product.operands, product.points, product.sizes)
        for vertex in product.program.vertices:
            yield partial(beyond_compulsory, vertex, *given), _named(product.what, vertex)
    for pairs in pairs_of(cascade):
        yield partial(pairs_beyond_compulsory, pairs), pairs.what
        if np.any(pairs.terms):
            yield partial(parts_beyond_compulsory, pairs), f"{pairs.what}, made in parts"
    stages = network(cascade)
    if stages is not None:
        yield partial(butterflies_beyond_compulsory, stages), "butterflies, none computed twice"


def _named(what: str, vertex: Exponents) -> str:
    if what and all(s == 0.5 for s in vertex.rounded[1]):
        return what
    ranks, exponents = ", small ranks" if vertex.ranks else "", " ".join(map(str, vertex.accesses))
    return f"tile program (Hölder-Brascamp-Lieb), exponents {exponents}{ranks}"


def _passes(workload: Workload) -> dict[str, int]:
    """Most passes over each rank, by tensor: `QK over m`."""
    lone = _lone(workload)
    return dict(_several_passes(lone[0])) if lone else {}


@of_form
def _several_passes(cascade: Cascade) -> dict[str, int]:
    found = passes(cascade).items()
    return {f"{tensor} over {rank}": n for (rank, tensor), n in found if n > 1}
