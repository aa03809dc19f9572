"""A cascade as the fusion mapper sees it: items in a row, the ranks of their tensors, tile choices.

Ranks that every tensor has (batch, heads) are taken out: a loop over them outermost, one point at a
time, moves no more and holds less than any other way, since the slices share nothing.

A tensor that is recurrent along an iterative rank (FuseMax, MICRO 2024, section III) is held as its
state: the tensor without that rank. The step that is written takes the place of the step before,
unless another Einsum reads the step before later in the same turn; then two steps are held. The
rank walks one step at a time, and all Einsums that touch a step share that loop.

Of two ranks in a band (causal, windowed attention) a tile of one asks for an interval of the other,
and so does a tile of an Einsum that reads in windows what another makes (chains of convolutions):
`asking` says how many points cross and are held. Loops walk no taps of such windows.

Sizes are counts; widths are bytes an element.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hwmodel.einsum.cascade import Access, Cascade, Einsum
from hwmodel.machines.spatial.asking import asking
from hwmodel.machines.spatial.reach import Asking
from hwmodel.mappers.nests.ceilings import distinct_ceilings, divisors
from hwmodel.quantity.dtypes import bytes_of
from hwmodel.quantity.errors import CoverageError, InputError

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class TileRule:
    """Which tiles of a rank a machine allows: multiples of `multiple`, and divisors alone."""

    multiple: int = 1
    divisor: bool = False


@dataclass(frozen=True)
class Held:
    """A tensor as a buffer holds it: ranks that make its tile, bytes an element, steps of a state.

    `state_rank` is the iterative rank that a recurrent tensor is a state along, or empty.
    """

    ranks: tuple[str, ...]
    width: float
    steps: int = 1
    state_rank: str = ""


@dataclass(frozen=True)
class Item:
    """One Einsum: ranks of its loops, the tensor it makes, the tensors it reads, what it reduces.

    `recurs` names the iterative ranks whose steps it touches.
    """

    name: str
    ranks: frozenset[str]
    reads: tuple[str, ...]
    reduces: frozenset[str]
    recurs: frozenset[str]

    @property
    def tensors(self) -> tuple[str, ...]:
        """What it touches, the output last."""
        return (*self.reads, self.name)


@dataclass(frozen=True)
class Form:
    """A cascade ready for the search; `batch` ranks are outermost and in no item."""

    items: tuple[Item, ...]
    tensors: Mapping[str, Held]
    sizes: Mapping[str, int]
    batch: tuple[tuple[str, int], ...]
    outside: frozenset[str]
    asking: Asking = field(default_factory=Asking)

    @cached_property
    def touches(self) -> dict[str, tuple[int, ...]]:
        """Places of the items that make or read each tensor."""
        return {
            name: tuple(at for at, item in enumerate(self.items) if name in item.tensors)
            for name in self.tensors
        }

    @cached_property
    def makers(self) -> dict[str, int]:
        """Place of the item that makes each tensor."""
        return {item.name: at for at, item in enumerate(self.items)}

    @cached_property
    def bytes(self) -> dict[str, float]:
        """Bytes of each tensor, whole."""
        return {
            name: held.width * float(np.prod(self._counts(held.ranks), initial=1.0))
            for name, held in self.tensors.items()
        }

    def _counts(self, ranks: tuple[str, ...]) -> list[int]:
        """Factors of a tensor's elements: ranks in a band have the points that it keeps."""
        counts: list[int] = []
        for at, rank in enumerate(ranks):
            reach = self.asking.bands.get(rank)
            if reach is None or reach.to not in ranks:
                counts.append(self.sizes[rank])
            elif reach.to not in ranks[:at]:
                counts.append(reach.pairs)
        return counts

    @cached_property
    def moving(self) -> dict[str, frozenset[str]]:
        """Ranks whose loops move the tile of each tensor: its own, and those that ask for it."""
        return {
            name: frozenset(held.ranks) | frozenset(self.asking.by_tensor.get(name, {}))
            for name, held in self.tensors.items()
        }

    @cached_property
    def askers(self) -> frozenset[str]:
        """Ranks whose loops ask for intervals of others."""
        return frozenset(of for of, _ in self.asking.asks)

    def walked(self, looped: frozenset[str]) -> frozenset[str]:
        """Ranks that loops walk, with those that they ask for windows of."""
        return looped.union(*(self.asking.windows.get(rank, ()) for rank in looped))

    @cached_property
    def blocks(self) -> dict[str, tuple[int, int]]:
        """First and last item that touch the steps of each iterative rank."""
        places: dict[str, list[int]] = {}
        for at, item in enumerate(self.items):
            for rank in item.recurs:
                places.setdefault(rank, []).append(at)
        return {rank: (min(at), max(at)) for rank, at in places.items()}

    @property
    def slices(self) -> int:
        """How many independent slices the batch ranks make."""
        return int(np.prod([size for _, size in self.batch], initial=1))


def form_of(cascade: Cascade, order: tuple[str, ...] | None = None) -> Form:
    """The form of a cascade in the given order of its Einsums (default: as written).

    Raises `CoverageError` for what the fusion mapper does not cover: densities, affine windows,
    data-dependent ranks, and a tensor read through two different accesses.
    """
    sizes, found = _sizes(cascade)
    einsums = [cascade.einsum(name) for name in order or [e.name for e in cascade.einsums]]
    states = _states(cascade)
    accesses = {
        einsum.name: [
            found.axes.get(access.tensor) or _plain(access, einsum, states)
            for access in (*einsum.reads, einsum.output)
        ]
        for einsum in einsums
    }
    named: dict[str, tuple[str, ...]] = {}
    for einsum in einsums:
        for access, ranks in zip(
            (*einsum.reads, einsum.output), accesses[einsum.name], strict=True
        ):
            if named.setdefault(access.tensor, ranks) != ranks:
                raise CoverageError(
                    f"Einsum {einsum.name}: reads {access.tensor} by"
                    f" {', '.join(ranks)} where it stands by {', '.join(named[access.tensor])}"
                    " elsewhere; expected one access a tensor; copy it to a second tensor"
                )
    every = set(sizes).intersection(*(set(ranks) for ranks in named.values()))
    every -= set(states.values()) | {of for of, _ in found.asks}  # slices in a band differ
    batch = tuple((rank, sizes[rank]) for rank in sizes if rank in every)
    kept = {rank: size for rank, size in sizes.items() if rank not in every and size > 1}
    walked = {rank: size for rank, size in kept.items() if rank not in found.taps}
    items = tuple(_item(einsum, walked, states) for einsum in einsums)
    tensors = {
        name: Held(
            tuple(rank for rank in ranks if rank in kept),
            float(bytes_of(cascade.tensors[name].dtype)),
            _steps(name, einsums) if name in states else 1,
            states.get(name, "") if states.get(name) in kept else "",
        )
        for name, ranks in named.items()
    }
    read = {name for item in items for name in item.reads}
    outputs = set(cascade.outputs) | {item.name for item in items if item.name not in read}
    lost = outputs & set(states)
    if lost:
        raise CoverageError(
            f"cascade {cascade.name!r}: {', '.join(sorted(lost))} is recurrent and an output, every"
            " step of it; expected an output that takes the last step, such as `Z[p] = R[M1, p]`"
        )
    asks = {
        (of, name): ask
        for (of, name), ask in found.asks.items()
        if of in kept and ask.rank in tensors[name].ranks
    }
    bands = {of: each for of, each in found.bands.items() if of in kept and each.to in kept}
    asked = replace(found, asks=asks, bands=bands)
    return Form(items, tensors, kept, batch, frozenset(outputs | set(cascade.inputs)), asked)


def orders(cascade: Cascade) -> list[tuple[str, ...]]:
    """The order as written, and the one where each Einsum stands as late as its readers allow."""
    written = tuple(einsum.name for einsum in cascade.einsums)
    states = _states(cascade)
    readers: dict[str, list[str]] = {name: [] for name in written}
    for einsum in cascade.einsums:
        for access in einsum.reads:
            if access.tensor in readers and not _earlier(access, states):
                readers[access.tensor].append(einsum.name)
    late: list[str] = []
    left = list(written)
    while left:
        ready = [n for n in left if all(reader in late for reader in readers[n])]
        chosen = min(ready, key=lambda n: (_nearest(n, readers, late), -written.index(n)))
        late.append(chosen)
        left.remove(chosen)
    return list(dict.fromkeys((written, tuple(reversed(late)))))


def tiles(size: int, rule: TileRule, rank: str) -> Numbers:
    """Tiles worth looking at, ascending: the least of each number of turns that the rule allows."""
    step = rule.multiple
    if step < 1:
        raise InputError(
            f"tile rule of rank {rank}: expected a multiple of 1 or more, found {step}"
        )
    if not rule.divisor:
        return np.unique(np.minimum(np.ceil(distinct_ceilings(size) / step) * step, size))
    found = divisors(size)
    found = found[found % step == 0]
    if not found.size:
        raise InputError(
            f"tile rule of rank {rank}: no divisor of its size {size} is a multiple of {step};"
            " expected a size that is one, or a rule without `divisor`"
        )
    return found


def _sizes(cascade: Cascade) -> tuple[dict[str, int], Asking]:
    """Extents of all ranks, of those that are asked for without what nothing asks for."""
    sizes: dict[str, int] = {}
    for rank in cascade.ranks.values():
        if rank.distribution is not None or not isinstance(rank.size, int):
            raise CoverageError(
                f"rank {rank.name} of cascade {cascade.name!r}: the fusion mapper needs one whole"
                f" number as its size, found {rank.size!r}; map one point of a sweep at a time"
            )
        sizes[rank.name] = rank.size
    parents = {rank.parent for rank in cascade.ranks.values() if rank.parent is not None}
    for parent in parents & set(sizes):
        parts = [rank for rank in cascade.ranks.values() if rank.parent == parent]
        held = int(np.prod([sizes[part.name] for part in parts]))
        if held != sizes[parent]:
            raise CoverageError(
                f"rank {parent} of cascade {cascade.name!r}: its parts hold {held} points and it"
                f" has {sizes[parent]}; expected a tile that divides it: for `attention`,"
                f" tile=N with N a divisor of {sizes[parent]}, or passes=3"
            )
    for einsum in cascade.einsums:
        if not _is_one(einsum.density) or not _is_one(einsum.probability):
            raise CoverageError(
                f"Einsum {einsum.name}: densities and probabilities are not covered by the fusion"
                " mapper; expected the whole iteration space, or a band of it"
            )
    found = asking(cascade, windows=True)
    sizes |= found.sizes
    return {rank: size for rank, size in sizes.items() if rank not in parents}, found


def _is_one(value: object) -> bool:
    return isinstance(value, (int, float)) and value == 1


def _states(cascade: Cascade) -> dict[str, str]:
    """The iterative rank of each recurrent tensor."""
    return {
        einsum.name: index.terms[0][0]
        for einsum in cascade.einsums
        for index in einsum.output.indices
        if index.offset == 1 and len(index.terms) == 1
    }


def _earlier(access: Access, states: Mapping[str, str]) -> bool:
    """Whether a read takes the step before: it waits for nothing in the same turn."""
    rank = states.get(access.tensor)
    return any(index.rank == rank for index in access.indices) if rank else False


def _final(access: Access, states: Mapping[str, str]) -> bool:
    rank = states.get(access.tensor)
    return any(index.at == rank for index in access.indices) if rank else False


def _steps(name: str, einsums: list[Einsum]) -> int:
    """Steps of a state that are held: two where the step before is read after the new one."""
    state = {name: next(r for e in einsums if e.name == name for r in _written(e))}
    maker = next(at for at, einsum in enumerate(einsums) if einsum.name == name)
    late = any(
        access.tensor == name and _earlier(access, state)
        for einsum in einsums[maker + 1 :]
        for access in einsum.reads
    )
    return 2 if late else 1


def _written(einsum: Einsum) -> list[str]:
    return [index.terms[0][0] for index in einsum.output.indices if index.offset == 1]


def _plain(access: Access, einsum: Einsum, states: Mapping[str, str]) -> tuple[str, ...]:
    """Ranks of an access, the iterative rank of a state left out; refuses windows."""
    rank = states.get(access.tensor)
    ranks: list[str] = []
    for index in access.indices:
        if rank is not None and (index.at == rank or {r for r, _ in index.terms} == {rank}):
            continue
        if index.rank is None:
            raise CoverageError(
                f"Einsum {einsum.name}: {access.tensor} is read at an affine index; the fusion"
                " mapper covers plain ranks, and windows between Einsums; map such an Einsum alone"
            )
        ranks.append(index.rank)
    return tuple(ranks)


def _item(einsum: Einsum, kept: Mapping[str, int], states: Mapping[str, str]) -> Item:
    touched = [a for a in (*einsum.reads, einsum.output) if a.tensor in states]
    reads = dict.fromkeys(access.tensor for access in einsum.reads if access.tensor != einsum.name)
    return Item(
        einsum.name,
        frozenset(rank for rank in einsum.ranks if rank in kept),
        tuple(reads),
        frozenset(rank for rank, _ in einsum.reductions if rank in kept),
        frozenset(states[a.tensor] for a in touched if not _final(a, states)) & frozenset(kept),
    )


def _nearest(name: str, readers: Mapping[str, list[str]], late: list[str]) -> int:
    """How recently a reader of `name` was placed; 0 is the last one."""
    places = [late.index(reader) for reader in readers[name]]
    return len(late) - 1 - max(places, default=-1) if places else len(late)
