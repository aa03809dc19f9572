"""Mapspaces `interleaved` and `ragged`: where in a loop nest each tensor is kept at each level.

One Einsum runs on memories 0 (holds everything), 1 .. n. Its nest is a chain of keeps, one for each
tensor and level, in any order that has a tensor's outer level before its inner one; between keeps
stand loops, and S_r points of rank r go over an array at once (on any axes, several ranks to one
axis if they fit). All tiles are whole divisors. Below a keep of tensor t (|t| words), let all
elements together work on j_r points of rank r. Then each level's words cross from the level around
it this often:

    V = |t| * product over ranks r that t lacks of D_r / j_r                           (1)

since a loop over a rank that t has walks over its tiles, and one over another rank brings the same
tile again. An input crosses V times inwards; an output V times outwards and V - |t| inwards, for
its first entry reads nothing. The keep holds the product of j_r over the ranks of t in a memory
that all elements share, of i_r = j_r / S_r in one that each element has for itself. There every
word is written, or read, by each of the product of S_r, over the ranks that t lacks, elements that
work on it: multicast and spatial reduction spare the memory outside, not the elements' own.

Canonical form: a loop directly above a keep of t over a rank that t lacks can move below that keep.
The tile stays as large, V falls by (1), and no other keep changes. So only ranks of t need to be
divided directly above a keep of t.

Windows: on an axis of t where ranks y and r meet, tiles of j_y and j_r points have w(j_y, j_r)
elements (`hwmodel.machines.spatial.projection`), so that in place of the axis's elements stand

    W(j) = D_y / j_y * D_r / j_r * w(j_y, j_r)                                         (3)

of them: at the box j of all elements together where they are read for all (an array reads words for
several elements once), at the box i of one of them in its own memory. That holds where the elements
work side by side, so that a rank of a window that goes over the array is walked in time outside of
it, and its part in an element is not divided by keeps. Such a loop can stand above several keeps of
elements' memories and enter none of them that lacks its rank anew, if no other loop stands in
between: its division comes after theirs in the chain, but not once another rank was divided there.

Units: bytes, joules, seconds; extents are points.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from hwmodel.machines.spatial.projection import Projection
from hwmodel.machines.spatial.sparsity import Thinned
from hwmodel.quantity.arithmetic import product as times

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Box = tuple[int, ...]
"""One number of points for each rank."""
WORD_BITS = 62
"""Bits of a word that hold exponents."""


@dataclass(frozen=True)
class Space:
    """An Einsum and a machine as the search sees them; memories are counted from the outermost, 0.

    Attributes:
        sizes: extent D_r of each rank.
        walked: what its tiles and spreads divide, D_r or D'_r.
        least: whether costs are the least that a walk can have, since its last turns are smaller.
        ranks: their names.
        tensors: for each tensor, how ranks index it.
        apart: whether the array reads words once for each element, but for tiles alike.
        output: which tensor is written.
        reduced: whether it sums over ranks that it lacks.
        word_bytes: of memories 0 .. n, bytes of an element of each tensor.
        left: what zeros leave of a dense nest; None: nothing is known of zeros.
        memories: names of memories 0 .. n.
        capacity_bytes: of memories 1 .. n, of one element's where each has its own.
        shared: memories 1 .. shared serve all elements; the others are one per element.
        energy_j_per_byte: of memories 0 .. n.
        steps: of a word that leaves the shared memories for elements' own, and of each that an
            element takes.
        step_j_per_byte: joules of a byte's step.
        bandwidth_bytes_per_s: of memories 0 .. n, all elements together, and of all steps of bytes
            over the array; infinity is no limit.
        axes: elements along each axis of the array; empty without one.
        along: for each axis, which ranks may go over it.
        rests: tensor that is kept first in the elements' own memories; None: any.
        fixed_j: joules that every mapping spends: arithmetic, and the accesses of its operands.
        fixed_bytes: bytes of memories 0 .. n, and steps, that every mapping moves: those accesses.
        step_s: seconds in which each element computes one point.
        floor_s: seconds that no mapping falls below: operations at the full rate.
        waits_s: seconds before the first point and after the last, of every mapping.
        idle_w: watts drawn whatever happens.
    """

    sizes: Box
    walked: Box
    least: bool
    ranks: tuple[str, ...]
    tensors: tuple[Projection, ...]
    apart: bool
    output: int
    reduced: bool
    word_bytes: tuple[tuple[float, ...], ...]
    left: Thinned | None
    memories: tuple[str, ...]
    capacity_bytes: tuple[float, ...]
    shared: int
    energy_j_per_byte: tuple[float, ...]
    steps: tuple[float, float]
    step_j_per_byte: float
    bandwidth_bytes_per_s: tuple[float, ...]
    axes: tuple[int, ...]
    along: tuple[tuple[bool, ...], ...]
    rests: int | None
    fixed_j: float
    fixed_bytes: tuple[float, ...]
    step_s: float
    floor_s: float
    waits_s: float
    idle_w: float

    @property
    def levels(self) -> int:
        """Memories below the outermost one."""
        return len(self.capacity_bytes)

    @cached_property
    def has(self) -> tuple[tuple[bool, ...], ...]:
        """For each tensor, which ranks it has."""
        return tuple(tuple(rank in t.ranks for rank in self.ranks) for t in self.tensors)

    def joules(self, level: int) -> tuple[float, float]:
        """Of a byte that crosses into a level: in the memory above with its way, and below."""
        above, below = self.energy_j_per_byte[level - 1 : level + 1]
        leaving, taken = self.hops(level)
        return above + leaving * self.step_j_per_byte, below + taken * self.step_j_per_byte

    def hops(self, level: int) -> tuple[float, float]:
        """Steps of a byte that leaves for a level, and of each that is written there."""
        return self.steps if level == self.shared + 1 else (0.0, 0.0)

    @property
    def output_name(self) -> str:
        """The tensor that is written."""
        return self.tensors[self.output].tensor

    def brought(self, level: int, tensor: int, own: Floats, every: Floats) -> tuple[Any, Any]:
        """Shares of a keep's tiles that are read above and written below, as zeros leave them.

        By the points of one element and of all together, [rank, box].
        """
        if self.left is None:
            return 1.0, 1.0
        outer, name = self.memories[level - 1], self.tensors[tensor].tensor
        if (outer, name) not in self.left.leaders:
            return 1.0, 1.0
        inside = every if level <= self.shared else own
        outside = np.where(np.array(self.has[tensor])[:, None], own, every)
        outside = own if level > self.shared + 1 else every if level <= self.shared else outside
        found = [
            self.left.brought(outer, name, dict(zip(self.ranks, extents, strict=True)))
            for extents in (outside, inside)
        ]
        return found[0], found[1]

    @cached_property
    def windowed(self) -> tuple[bool, ...]:
        """Which ranks meet another one on an axis."""
        meeting = {rank for t in self.tensors for axis in t.windows for rank, _ in axis}
        return tuple(rank in meeting for rank in self.ranks)

    def fixed_over(self, over: Box) -> tuple[bool, ...]:
        """Ranks of windows that go over the array, which elements do not divide among keeps."""
        return tuple(n > 1 and meets for n, meets in zip(over, self.windowed, strict=True))

    def words(self, tensor: int) -> float:
        """Elements of a tensor."""
        return float(self.tensors[tensor].elements(dict(zip(self.ranks, self.sizes, strict=True))))

    def over(self, box: Sequence[Any], tensor: int, *, lacking: bool = False) -> Any:
        """Points of a box in the ranks that a tensor has, or lacks."""
        chosen = zip(box, self.has[tensor], strict=True)
        return math.prod(points for points, has in chosen if has != lacking)


def spreads(space: Space) -> dict[Box, tuple[Box, ...]]:
    """Every number of points of the ranks that can go over the array at once, split by axis."""
    walked = np.array(space.walked)
    overs, splits = np.ones((1, len(walked)), np.int64), np.ones((1, 0, len(walked)), np.int64)
    for axis, along in zip(space.axes, space.along, strict=True):
        lines = np.ones((1, 0), np.int64)
        for size, may in zip(space.walked, along, strict=True):
            factors = [f for f in range(1, (axis if may else 1) + 1) if size % f == 0]
            grown = np.repeat(lines, len(factors), axis=0)
            lines = np.column_stack((grown, np.tile(factors, len(lines))))
            lines = lines[lines.prod(axis=1) <= axis]
        joined = (overs[:, None] * lines).reshape(-1, len(walked))
        whole = np.flatnonzero((walked % joined == 0).all(axis=1))
        places: Ints = np.zeros_like(whole)
        for rank, size in enumerate(space.walked):
            divisors = [f for f in range(1, size + 1) if size % f == 0]
            found = cast(Ints, np.searchsorted(divisors, joined[whole, rank]))
            places = places * len(divisors) + found
        kept = whole[np.sort(np.unique(places, return_index=True)[1])]
        before, line = np.divmod(kept, len(lines))
        overs = joined[kept]
        splits = np.concatenate((splits[before], lines[line][:, None]), axis=1)
    pairs = zip(overs.tolist(), splits.tolist(), strict=True)
    return {tuple(over): tuple(map(tuple, split)) for over, split in pairs}


@dataclass(frozen=True)
class Crossing:
    """Bytes that a word which crosses into a level moves in the memories above and below it."""

    above_bytes: Any
    below_bytes: Any


@dataclass(frozen=True)
class Costs:
    """All costs for one choice of what goes over the array.

    Attributes:
        crossings: for each level from 1, for each tensor, what each of its V words moves.
        energy_j: joules apart from those: what is fixed, less what first entries spare.
        moved: bytes of memories 0 .. n, and their steps over the array, likewise.
        time_s: seconds of the arithmetic alone.
    """

    crossings: tuple[tuple[Crossing, ...], ...]
    energy_j: Any
    moved: tuple[Any, ...]
    time_s: Any


def costs(space: Space, over: Sequence[Any]) -> Costs:
    """Costs where `over` points go over the array; arrays of them are many choices at once.

    An output's first entry into a level reads nothing outside and writes nothing inside; its first
    sum in the innermost memory reads nothing either.
    """
    joules = space.energy_j_per_byte
    energy: Any = space.fixed_j
    moved: list[Any] = list(space.fixed_bytes)
    crossings: list[tuple[Crossing, ...]] = []
    for level in range(1, space.levels + 1):
        row: list[Crossing] = []
        words = zip(*space.word_bytes[level - 1 : level + 1], strict=True)
        for t, (outer, inner) in enumerate(words):
            copies = space.over(over, t, lacking=True)
            ways = 2 if t == space.output else 1
            above = outer * ways * (1 if level - 1 <= space.shared else copies)
            below = inner * ways * (1 if level <= space.shared else copies)
            row.append(Crossing(above, below))
            if t == space.output:
                whole = space.words(t)
                summed = space.reduced and level == space.levels
                touched = 1.0 if space.left is None else space.left.touched[space.output_name]
                spared = whole * (below / 2 * (1 + touched) if summed else below / 2)
                for memory, size in ((level - 1, whole * above / 2), (level, spared)):
                    moved[memory] = moved[memory] - size
                    energy = energy - size * joules[memory]
                leaving, taken = space.hops(level)
                stepped = whole / 2 * (above * leaving + below * taken)
                moved[-1] = moved[-1] - stepped
                energy = energy - stepped * space.step_j_per_byte
        crossings.append(tuple(row))
    walked = space.sizes if space.least else space.walked
    steps = math.prod(-(-d // o) for d, o in zip(walked, over, strict=True))
    time_s = np.maximum(steps * space.step_s, space.floor_s)
    return Costs(tuple(crossings), energy, tuple(moved), time_s)


def crossings_of(space: Space, grid: "Grid", tensor: int, *, private: bool) -> Floats:
    """Times that a tensor crosses into a keep with each box of the grid: (1), or the least (2).

    Times its elements, or (3) where windows meet. `private`: a keep in a memory of each element,
    whose boxes may be those of one element.
    """
    has = space.has[tensor]
    lacking = [rank for rank, own in enumerate(has) if not own]
    turns = np.ones(grid.boxes)
    for rank in lacking:
        each = (space.sizes if space.least else space.walked)[rank] / grid.extents[rank]
        turns *= np.ceil(each) if space.least and not private else each
    if not space.least:
        return turns
    single = np.zeros(grid.boxes)
    for rank, own in enumerate(has):
        missing = space.walked[rank] - space.sizes[rank]
        if own and missing:
            touched = private | (grid.extents[rank] <= missing)
            single = np.maximum(single, touched * _idle(space, tensor, rank))
    once = 1.0
    if private:
        once = math.prod(space.sizes[rank] / space.walked[rank] for rank in lacking)
    return np.asarray(np.maximum((1 - single) * turns, once))


def _idle(space: Space, tensor: int, rank: int) -> float:
    """Most of a tensor's elements, as (3) has them, that a smaller last turn may spare."""
    name, size, walked = space.ranks[rank], space.sizes[rank], space.walked[rank]
    axis = next(a for a in space.tensors[tensor].axes if any(r == name for r, _ in a))
    line = Projection("", (axis,), 1)
    whole = dict(zip(space.ranks, space.walked, strict=True))
    most = line.elements({**whole, name: 1}) / (line.elements(whole) * size / walked)
    return float(min(1.0, (walked - size) * most))


def elements_of(space: Space, grid: "Grid", tensor: int) -> Floats:
    """Elements of all tiles of a tensor together with each box of the grid: (3) for its windows.

    A smaller last tile has no fewer elements than its share of a full one.
    """
    extents = dict(zip(space.ranks, grid.extents, strict=True))
    total = np.full(grid.boxes, 1.0)
    sizes = dict(zip(space.ranks, space.sizes, strict=True))
    walked = dict(zip(space.ranks, space.sizes if space.least else space.walked, strict=True))
    for axis in space.tensors[tensor].axes:
        if len(axis) == 1:
            total *= sizes[axis[0][0]]
        else:
            line = Projection("", (axis,), 1)
            total *= np.asarray(line.elements(extents))
            total *= np.asarray(times(walked[rank] / extents[rank] for rank, _ in axis))
    return total


def held_of(space: Space, grid: "Grid", tensor: int, level: int) -> Floats:
    """Bytes of a tensor's tile in a memory with each box: that of the first turn, the fullest."""
    points = {
        name: np.minimum(extent, size)
        for name, extent, size in zip(space.ranks, grid.extents, space.sizes, strict=True)
    }
    return (
        np.asarray(space.tensors[tensor].elements(points) * np.full(grid.boxes, 1.0))
        * space.word_bytes[level][tensor]
    )


class Grid:
    """All boxes of divisors, one index each; dividing a box by another subtracts their indices."""

    def __init__(self, sizes: Box) -> None:
        self.factors = [(rank, p, e) for rank, d in enumerate(sizes) for p, e in _primes(d)]
        self.shape = tuple(most + 1 for _, _, most in self.factors)
        self.boxes = math.prod(self.shape)
        counts = np.indices(self.shape).reshape(len(self.shape), self.boxes)
        self.exponents: NDArray[np.int8] = np.ascontiguousarray(counts.T).astype(np.int8)
        self.words = _words(counts, self.shape)
        self.extents: Floats = np.ones((len(sizes), self.boxes))
        for (rank, prime, _), exponent in zip(self.factors, counts, strict=True):
            self.extents[rank] *= float(prime) ** exponent

    def divides(self, boxes: Any, others: Any) -> Bools:
        """Whether other boxes divide these: no exponent of theirs is larger."""
        found: Any = True
        for word, guards in self.words:
            found = found & (((word[boxes] | guards) - word[others]) & guards == guards)
        return np.asarray(found)

    @staticmethod
    def count(sizes: Box) -> int:
        """How many boxes there are."""
        return math.prod(most + 1 for size in sizes for _, most in _primes(size))

    def index(self, box: Sequence[Any]) -> Any:
        """The index of a box of divisors, or of arrays of them."""
        at: Any = 0
        for rank, prime, most in self.factors:
            at = at * (most + 1) + sum(box[rank] % prime**e == 0 for e in range(1, most + 1))
        return at

    def box(self, index: Any) -> Box:
        """The points of each rank."""
        return tuple(int(points) for points in self.extents[:, index])

    def inside(self, has: tuple[bool, ...]) -> Ints:
        """Indices of the boxes that hold one point of every rank but these."""
        outside = [at for at, (rank, _, _) in enumerate(self.factors) if not has[rank]]
        return np.flatnonzero(~self.exponents[:, outside].any(axis=1))


def _words(counts: Ints, shape: tuple[int, ...]) -> list[tuple[Ints, int]]:
    """Exponents of all boxes, many to a word of 62 bits: a field each, and a guard bit above it.

    Where the difference of two words borrows a guard, an exponent of the second is larger.
    """
    none = cast(Ints, np.zeros(counts.shape[1], np.int64))
    words, used = [(none, 0)], 0
    for exponents, length in zip(counts, shape, strict=True):
        bits = (length - 1).bit_length()
        if used + bits + 1 > WORD_BITS:
            words.append((none, 0))
            used = 0
        word, guards = words[-1]
        words[-1] = word | exponents.astype(np.int64) << used, guards | 1 << used + bits
        used += bits + 1
    return words


def _primes(number: int) -> list[tuple[int, int]]:
    """Prime factors with their exponents."""
    found: list[tuple[int, int]] = []
    prime = 2
    while number > 1:
        prime = prime if prime * prime <= number else number
        exponent = 0
        while number % prime == 0:
            number, exponent = number // prime, exponent + 1
        if exponent:
            found.append((prime, exponent))
        prime += 1
    return found
