"""Legal: what a tree of loops, keeps and Einsums may not do, and the path to a place in it.

Loops over an axis of an array ask for no more elements than it has; a loop that repeats an Einsum
stands outside of the loops that it reduces; what a branch of a `Split` reads is complete when an
earlier branch has made it. Each refusal names the mapping, what was expected and what was found.
"""

from collections.abc import Mapping as Table
from dataclasses import dataclass, field
from typing import NoReturn

from hwmodel.einsum.cascade import Cascade, Einsum
from hwmodel.hardware.hardware import Limits
from hwmodel.machines.spatial.positions import Step, positions
from hwmodel.machines.spatial.projection import Projection
from hwmodel.quantity.errors import CapacityError, InputError, UnknownNameError
from hwmodel.spine.mapping import Box, Compute, Keep, Loop, Nest, Split


@dataclass(frozen=True)
class Home:
    """Where a tensor lives on a path: a level, and how many loops stand outside of its `Keep`.

    `part` is the Keep that holds the first points of a rank further inwards already; `slides` is 1
    where what the next turn of the loop around still needs of it stays.
    """

    level: str
    depth: int
    part: Keep | None = None
    slides: int = 0


@dataclass(frozen=True)
class Path:
    """The loops, homes and innermost `Split` (as a depth) around a place in the tree.

    `together`: as a memory sees them that all elements of the arrays share.
    """

    loops: tuple[Loop, ...] = ()
    homes: Table[str, Home] = field(default_factory=lambda: {})
    split: int = 0
    together: bool = False

    def steps(self, rank: str) -> tuple[Step, ...]:
        """The loops over one rank."""
        return tuple(
            (at, loop.tile, bool(loop.array))
            for at, loop in enumerate(self.loops)
            if loop.rank == rank
        )


@dataclass(frozen=True)
class Legal:
    """A cascade's sizes and projections on a machine, and what they forbid."""

    where: str
    cascade: Cascade
    sizes: Table[str, int]
    tensors: Table[str, Table[str, Projection]]
    limits: Limits

    def refuse(self, message: str) -> NoReturn:
        """Raise `InputError` for the mapping."""
        raise InputError(f"{self.where}: {message}")

    def passes(self, tensor: str, inside: Nest, path: Path, outputs: frozenset[str]) -> bool:
        """Whether the next turn of the loops around needs nothing of what is kept here.

        So it is of a tensor that is made and read inside of one turn, and of a tile that the
        innermost loop in time with more than one turn moves on.
        """
        names = computed(inside)
        users = [e for e in self.cascade.einsums if tensor in self.tensors[e.name]]
        recurrent = any(
            self.cascade.ranks[rank].iterative and rank not in projection.ranks
            for e in users
            for projection in (self.tensors[e.name][tensor],)
            for rank in self.cascade.tensors[tensor].ranks
        )
        if recurrent or not users:
            return False
        if tensor not in outputs and tensor in names and all(e.name in names for e in users):
            return True
        extents = dict(self.sizes)
        moving = ""
        for loop in path.loops:
            if loop.rank in extents and loop.tile < extents[loop.rank]:
                extents[loop.rank] = loop.tile
                moving = moving if loop.array else loop.rank
        return not moving or moving in self.tensors[users[0].name][tensor].ranks

    def check_capacity(self, live: Table[str, Table[str, int | float]]) -> dict[str, int | float]:
        """Most bytes live at each level; raises `CapacityError` where they do not fit."""
        total: dict[str, int | float] = {}
        for level, tensors in live.items():
            total[level] = sum(tensors.values())
            available = self.limits.capacity_bytes[level] / self.limits.instances.get(level, 1)
            if total[level] > available:
                listed = ", ".join(f"{name} {size:,}" for name, size in tensors.items())
                raise CapacityError(
                    f"{self.where}: tiles in {level} need {total[level]:,} bytes ({listed}); it has"
                    f" {available:,.0f}; take smaller tiles, or {total[level]:,} bytes, which would"
                    " suffice"
                )
        return total

    def check_axis(self, loop: Loop, path: Path) -> None:
        """The loops over one axis of an array must not ask for more elements than it has."""
        axes = {
            name: size
            for array, (rows, columns) in self.limits.arrays.items()
            for axis, size in (("rows", rows), ("columns", columns))
            for name in (
                (axis, f"{array}.{axis}") if len(self.limits.arrays) == 1 else (f"{array}.{axis}",)
            )
        }
        if loop.array not in axes:
            raise UnknownNameError(f"axis of an array in {self.where}", loop.array, axes)
        used = 1
        for rank in {each.rank for each in path.loops if each.array == loop.array}:
            extent = self.sizes[rank]
            for each in path.loops:
                if each.rank == rank:
                    used *= -(-extent // each.tile) if each.array == loop.array else 1
                    extent = min(extent, each.tile)
        if used > axes[loop.array]:
            raise CapacityError(
                f"{self.where}: loops over {loop.array} need {used} elements; it has"
                f" {axes[loop.array]}; take larger tiles of {loop.rank}"
            )

    def check_within(self, keep: Keep, path: Path) -> None:
        """What elements keep stands outside of loops over arrays that each of them has."""
        arrays, own = tuple(self.limits.arrays), self.limits.within.get(keep.level)
        if own is None or len(arrays) == 1:
            return
        inner = arrays[arrays.index(own) + 1 :]
        for loop in path.loops:
            if loop.array.partition(".")[0] in inner:
                self.refuse(
                    f"expected {keep.tensor} to be kept in {keep.level} outside of loops over"
                    f" {loop.array}, which lies within an element of {own}"
                )

    def check_repeats(self, einsum: Einsum, path: Path) -> None:
        """A loop that repeats an Einsum inside its own reduction would add the same terms twice."""
        reducing: str | None = None
        stored = self.tensors[einsum.name][einsum.name].ranks
        extents = dict(self.sizes)
        for loop in path.loops:
            turns = -(-extents[loop.rank] // loop.tile)
            extents[loop.rank] = min(extents[loop.rank], loop.tile)
            if turns == 1:
                continue
            if loop.rank in einsum.ranks and loop.rank not in stored:
                reducing = loop.rank
            elif loop.rank not in einsum.ranks and reducing is not None:
                self.refuse(
                    f"the loop over {loop.rank} repeats {einsum.name}, which lacks that rank,"
                    f" inside the loop over {reducing} that it reduces; exchange the two loops"
                )

    def check_order(self, split: Split, path: Path) -> None:
        """What a branch reads must be complete when an earlier branch has made it."""
        made: dict[str, Einsum] = {}
        for branch in split.branches:
            names = [name for name in computed(branch) if name in self.tensors]
            for name in names:
                for access in self.cascade.einsum(name).reads:
                    maker = made.get(access.tensor)
                    if maker is not None:
                        ended = any(index.at is not None for index in access.indices)
                        running = {rank for index in access.indices for rank, _ in index.terms}
                        self._check_complete(maker, name, running, ended, path)
            for name in names:
                made[name] = self.cascade.einsum(name)

    def _check_complete(
        self, maker: Einsum, reader: str, indexed: set[str], ended: bool, path: Path
    ) -> None:
        stored = self.tensors[maker.name][maker.name].ranks
        for rank in maker.ranks:
            if rank in stored:
                continue
            extents = positions(self.sizes[rank], path.steps(rank), -1, 0)
            running = rank in indexed and self.cascade.ranks[rank].iterative and not ended
            wanted = 1 if running else self.sizes[rank]
            if extents[0][1] != wanted:
                self.refuse(
                    f"{reader} reads {maker.name}, which is reduced or recurrent along {rank}, in"
                    f" the same turn of a loop over {rank} that holds {extents[0][1]} of its"
                    f" {self.sizes[rank]} points; expected {wanted} around their Split"
                )


def in_use(split: Split, tensors: Table[str, Table[str, Projection]]) -> list[set[str]]:
    """Tensors in use during each branch: first touched there or before, and again or later."""
    touched = [
        {t for name in computed(branch) for t in tensors.get(name, ())} for branch in split.branches
    ]
    return [
        set().union(*touched[: at + 1]) & set().union(*touched[at:]) for at in range(len(touched))
    ]


def computed(nest: Nest) -> list[str]:
    """Names of the Einsums computed in a nest, in order."""
    names: list[str] = []
    for node in nest:
        if isinstance(node, Compute | Box):
            names.append(node.einsum)
        elif isinstance(node, Split):
            for branch in node.branches:
                names += computed(branch)
    return names
