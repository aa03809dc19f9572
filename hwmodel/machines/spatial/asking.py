"""Asking: which loops of a cascade ask for intervals of which tensors, by bands and by windows.

A band makes loops of either rank ask for the other (`bands`). Where an Einsum reads what another
one makes in windows, `Z[k, s*y + u]`, a tile of its rows y asks for a window of Z's rows h, what is
computed of Z asks for a window of what Z reads, and so on up the chain:

    y asks for  h from s a  to  s (b - 1) + U - 1

and what reads and makes by the same rank passes the question on as it is. Windows with dilation d
ask for all between their first and last point, s (b - 1) + (U - 1) d, of which places next to each
other leave none out. Other nests walk windows
tap by tap (`projection`).
"""

from collections.abc import Mapping

from hwmodel.einsum.cascade import Access, Cascade, Einsum, Index
from hwmodel.machines.spatial.bands import reaches
from hwmodel.machines.spatial.legal import computed
from hwmodel.machines.spatial.reach import Ask, Asking, Reach
from hwmodel.quantity.errors import CoverageError
from hwmodel.spine.mapping import Keep, Loop, Nest, Split


def asking(cascade: Cascade, *, windows: bool) -> Asking:
    """What the loops of a cascade ask for; `windows`: those of several Einsums among it.

    Raises `CoverageError` for bands and chains of windows that are no such intervals.
    """
    bands = reaches(cascade)
    sizes = {reach.to: reach.size for reach in bands.values()}
    tensors = {a.tensor: set(a.ranks) for e in cascade.einsums for a in (e.output, *e.reads)}
    asks = {
        (of, name): Ask(to, (reach,))
        for (of, to), reach in bands.items()
        for name, ranks in tensors.items()
        if to in ranks
    }
    both = {of: reach for (of, _), reach in bands.items()}
    if not windows or not _windowed(cascade):
        return Asking(sizes, asks, both)
    if bands:
        raise CoverageError(
            f"cascade {cascade.name!r}: expected bands or windows of what is made, found both"
        )
    return _Windows(cascade).asking()


def _windowed(cascade: Cascade) -> bool:
    """Whether one of several Einsums reads in windows."""
    each = [index for einsum in cascade.einsums for a in einsum.reads for index in a.indices]
    return len(cascade.einsums) > 1 and any(len(index.terms) > 1 for index in each)


def needed(cascade: Cascade, nest: Nest) -> bool:
    """Whether a nest walks windows of what is made inside of it.

    A Keep slides, or stands around what makes a tensor and what reads windows of it, or a loop asks
    for such windows.
    """
    made = {e.name for e in cascade.einsums}
    readers: dict[str, set[str]] = {}
    asking: set[str] = set()
    for einsum in cascade.einsums:
        for access in einsum.reads:
            terms = [index.terms for index in access.indices if len(index.terms) > 1]
            if access.tensor in made and terms:
                readers.setdefault(access.tensor, {access.tensor}).add(einsum.name)
                asking |= {rank for each in terms for rank, _ in each}
    ranks = {e.name: set(e.ranks) for e in cascade.einsums}
    return _needed(nest, readers, ranks, asking, set())


def _needed(
    nest: Nest,
    readers: Mapping[str, set[str]],
    ranks: Mapping[str, set[str]],
    asking: set[str],
    loops: set[str],
) -> bool:
    for at, node in enumerate(nest):
        if isinstance(node, Loop):
            loops = loops | {node.rank} & asking
        elif isinstance(node, Keep):
            users = readers.get(node.tensor)
            if node.slides or (users and users <= {*computed(nest[at + 1 :])}):
                return True
        elif isinstance(node, Split):
            each = node.branches
            return any(_needed(branch, readers, ranks, asking, loops) for branch in each)
        elif loops - ranks.get(node.einsum, set()):
            return True
    return False


class _Windows:
    """The windows of one cascade."""

    def __init__(self, cascade: Cascade) -> None:
        self.cascade = cascade
        self.made = {e.name: e for e in cascade.einsums}
        self.sizes: dict[str, int] = {}
        self.asks: dict[tuple[str, str], Ask] = {}
        self.axes: dict[str, tuple[str, ...]] = {}
        self.taps: set[str] = set()

    def asking(self) -> Asking:
        for einsum in reversed(self.cascade.einsums):
            for access in einsum.reads:
                self._read(einsum, access)
        return Asking(self.sizes, self.asks, {}, self.axes, frozenset(self.taps))

    def _read(self, einsum: Einsum, access: Access) -> None:
        """What the loops of an Einsum, and those that ask for what it makes, ask of a read."""
        readers = [e for e in self.cascade.einsums for a in e.reads if a.tensor == access.tensor]
        axes: list[str] = []
        asks: dict[str, Ask] = {}
        above = {of: ask for (of, tensor), ask in self.asks.items() if tensor == einsum.name}
        for at, index in enumerate(access.indices):
            axis, walked, reach = self._axis(einsum, access, at, index)
            axes.append(axis)
            if reach.of != reach.to:
                asks[walked] = Ask(axis, (reach,))
            for of, ask in above.items():
                if ask.rank == walked:
                    reaches = (*ask.reaches, reach)
                    asks[of] = Ask(axis, reaches, (*ask.through, einsum.name))
        if not asks:
            return
        if len(readers) > 1:
            raise CoverageError(
                f"cascade {self.cascade.name!r}: {access.tensor}, of which windows are asked for,"
                f" is read by {', '.join(e.name for e in readers)}; expected one, copy it, or map"
                " them apart"
            )
        if access.tensor in self.cascade.outputs:
            raise CoverageError(
                f"cascade {self.cascade.name!r}: {access.tensor} is an output, and read in windows;"
                " expected a tensor that is not handed on, copy it"
            )
        self.axes[access.tensor] = tuple(axes)
        self.asks |= {(of, access.tensor): ask for of, ask in asks.items()}

    def _axis(
        self, einsum: Einsum, access: Access, at: int, index: Index
    ) -> tuple[str, str, Reach]:
        """The rank of a tensor's axis, the Einsum's rank that walks it, and what that asks for."""
        maker = self.made.get(access.tensor)
        if len(index.terms) == 1 and index.rank is not None:
            rank = index.rank
            size = self._size(rank)
            return rank, rank, Reach(rank, rank, size, size, 0, 0)
        where = f"Einsum {einsum.name}: {access.tensor}"
        outputs = [t for t in index.terms if t[0] in einsum.output.ranks]
        taps = [t for t in index.terms if t[0] not in einsum.output.ranks]
        plain = len(outputs) == 1 and len(taps) <= 1 and not index.offset and not index.at
        if not plain or any(factor < 1 for _, factor in index.terms):
            raise CoverageError(
                f"{where} is read at an affine index; expected a window of one place and one tap,"
                " such as 2*y+r, and padding as a part of the tensor"
            )
        ((place, stride),) = outputs
        tap, dilation = taps[0] if taps else ("", 1)
        points = self._size(tap) if tap else 1
        high = (points - 1) * dilation
        gaps = self._size(place) < dilation if stride == 1 else dilation > 1 or stride > points
        if gaps:
            raise CoverageError(
                f"{where} is read in windows with gaps (stride {stride}, {points} points by"
                f" {dilation}); expected windows that touch, or of stride 1 and at least {dilation}"
                " places"
            )
        self.taps |= {tap} - {""}
        whole = stride * (self._size(place) - 1) + high + 1
        axis = f"{access.tensor}.{self.cascade.tensors[access.tensor].ranks[at]}"
        if maker is not None:
            (axis,) = (rank for rank, _ in maker.output.indices[at].terms)
            if self._size(axis) != whole:
                raise CoverageError(
                    f"{where} has {self._size(axis)} points of {axis}, of which windows ask for"
                    f" {whole}; expected as many"
                )
        self.sizes[axis] = whole
        return axis, place, Reach(place, axis, self._size(place), whole, 0, high, stride)

    def _size(self, rank: str) -> int:
        size = self.cascade.ranks[rank].size
        if not isinstance(size, int):
            raise CoverageError(f"rank {rank}: {size!r}; expected one whole number")
        return size
