"""Counts: what a mapped cascade does, element by element, without a second in it.

Transfers are between two memories, touches between the nearest memory and the arithmetic. All are
ints, bytes are ints too where an element is a whole number of bytes.
"""

from collections.abc import Mapping as Table
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TypeAlias

from hwmodel.quantity.units import Amount

Live: TypeAlias = dict[str, dict[str, int | float]]
"""Bytes live at once, by level and tensor."""


@dataclass(frozen=True)
class Transfer:
    """Elements of one tensor that cross between two memories because of one `Keep`.

    Attributes:
        tensor: name of the tensor.
        outer: memory that fills come from and drains go to.
        inner: memory in which the tile is kept.
        element_bytes: bytes per element, as `outer` keeps it.
        inner_bytes: as `inner` does; None: the same.
        tile: elements of the largest tile, in one memory.
        double: whether two tiles are reserved, so that transfers go on behind the arithmetic.
        first: elements of the first tiles of all array elements, shared ones counted once.
        fills: elements read from `outer`, what several array elements share counted once.
        copies: elements written into `inner` by those fills, in every array element.
        drains: elements written to `outer`, sums over array elements counted once.
        partials: elements read out of `inner` for those drains, in every array element.
        returns: partial sums read back from `outer`.
        returned: elements written into `inner` by those, in every array element that goes on with
            the sum: one of them takes its value, the others start from zero.
    """

    tensor: str
    outer: str
    inner: str
    element_bytes: int | float
    tile: int
    double: bool = False
    first: int = 0
    fills: int | float = 0
    copies: int | float = 0
    drains: int = 0
    partials: int = 0
    returns: int = 0
    returned: int = 0
    inner_bytes: int | float | None = None

    @property
    def moved_bytes(self) -> int | float:
        """All bytes that cross `outer`'s boundary."""
        return (self.fills + self.drains + self.returns) * self.element_bytes

    def part(self, share: Fraction) -> "Transfer":
        """The share of a tensor's transfers that some of a rank's points make: all move alike."""
        if share == 1:
            return self
        counts = {name: int(getattr(self, name) * share) for name in ("first", "fills", "copies")}
        return replace(self, **counts)


@dataclass(frozen=True)
class Touch:
    """Accesses of one Einsum to one tensor in the memory that is nearest to the arithmetic.

    `points` counts one access for each point, what several array elements share at once counted
    once; how many reads and writes a point makes is a matter of the accounting rules. At `first` of
    them an array element touches an element of the output for the first time ever.
    """

    einsum: str
    tensor: str
    level: str
    element_bytes: int | float
    points: int
    made: bool
    reduced: bool
    first: int = 0

    @property
    def accesses(self) -> int:
        """Reads and writes: an operand is read, a sum written, and read but where it is first."""
        return self.points + (self.points - self.first if self.reduced else 0)


@dataclass(frozen=True)
class Counts:
    """Everything that a mapped cascade does, without a second in it.

    Attributes:
        transfers: per tensor and `Keep`, in the order of the nest.
        touches: per Einsum and tensor, at the innermost level.
        operations: operations by (kind, dtype), repetitions included.
        steps: turns of the busiest array element, one point each, all Einsums together.
        elements: array elements that are ever at work.
        footprint_bytes: most bytes live at once in one memory of each level.
        share: of points that take a turn; others are skipped for a zero of an operand.
        hop_bytes: bytes times steps between shared memories and elements' own, where they cost.
        ways: how often words cross the array before the first turn and after the last.
    """

    transfers: tuple[Transfer, ...]
    touches: tuple[Touch, ...]
    operations: Table[tuple[str, str], Amount]
    steps: int | float
    elements: int
    footprint_bytes: Table[str, int | float] = field(default_factory=lambda: {})
    share: float = 1.0
    hop_bytes: float = 0.0
    ways: int = 0

    def traffic_bytes(self, level: str) -> int | float:
        """Bytes read from and written to a level by the tiles kept inside of it."""
        return sum(t.moved_bytes for t in self.transfers if t.outer == level) + sum(
            t.accesses * t.element_bytes for t in self.touches if t.level == level
        )


def stack(live: Live, branches: list[Live]) -> None:
    """Add to each level the branch that needs most of it."""
    for level in {level for branch in branches for level in branch}:
        widest = max(branches, key=lambda branch: sum(branch.get(level, {}).values()))
        held = live.setdefault(level, {})
        for tensor, size in widest[level].items():
            held[tensor] = held.get(tensor, 0) + size
