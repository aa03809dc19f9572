"""Tiles: the best loop nest of one Einsum between two levels of memory, with a proof.

Mapspaces, each a set of nests with one loop for each rank, in any order, around the Einsum; each
tensor is kept behind any number of the loops (before them all: whole):

    uniform     any tile size; the last tile of a loop may be smaller
    divisors    tiles that divide the rank

The search is exact. Of loop orders and Keep positions only those that no other dominates are looked
at (`loops.py`). A rank's tile matters where some tensor tiles it (smaller is leaner) and some other
visits it (smaller is dearer); where only one of the two holds, the extreme is best. What is left
are the tiles of two or three ranks, as distinct ceilings (`ceilings.py`), rank after rank in one
NumPy array: a partial choice is dropped when it cannot fit even with the other tiles smallest, or
cannot beat the best found even with the other tiles largest; the last rank takes the largest
tile that fits.

All objectives grow with the bytes that cross the boundary (and, under `ports` with tiles kept
twice, with the bytes of the first tiles), so that these prunings hold for each of them. The answer
is counted again by `hwmodel.machines.spatial.nest`, never believed.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from hwmodel.einsum.cascade import Cascade
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.spatial.projection import Axis, Projection, projections
from hwmodel.machines.spatial.rules import OVERLAP, Rules
from hwmodel.mappers.mapper import Proposal
from hwmodel.mappers.nests import ceilings
from hwmodel.mappers.nests.costs import check_objective
from hwmodel.mappers.nests.loops import Pattern, Structure, structures
from hwmodel.mappers.nests.objective import Numbers, Value, charge
from hwmodel.quantity.errors import CapacityError, CoverageError, InputError, UnknownNameError
from hwmodel.quantity.units import Amount
from hwmodel.spine.mapping import Compute, Keep, Loop, Node
from hwmodel.spine.mapping import Mapping as LoopNest

MAPSPACES = ("uniform", "divisors")


@dataclass(frozen=True)
class Buffer:
    """A memory inside of the outermost one, and the tensors (by position) that it may hold."""

    level: str
    capacity_bytes: float
    tensors: tuple[int, ...]


@dataclass(frozen=True)
class TileProblem:
    """One Einsum between two levels: tensors, tile choices of each rank, buffers."""

    einsum: str
    sizes: Mapping[str, int]
    tensors: tuple[Projection, ...]
    made: tuple[bool, ...]
    choices: Mapping[str, Numbers]
    buffers: tuple[Buffer, ...]
    copies: int
    """Tiles reserved for each Keep: 1, or 2 to load one while the other is used."""

    def pattern(self) -> Pattern:
        """What the loop orders depend on."""
        return Pattern(
            tuple(rank for rank, size in self.sizes.items() if size > 1),
            tuple(self._looped(t.ranks) for t in self.tensors),
            tuple(self._looped([r for axis in t.windows for r, _ in axis]) for t in self.tensors),
        )

    def _looped(self, ranks: Sequence[str]) -> frozenset[str]:
        return frozenset(rank for rank in ranks if self.sizes[rank] > 1)

    def held(self, structure: Structure, tiles: Mapping[str, Numbers]) -> list[Numbers]:
        """Bytes of the largest tiles in each buffer, once each."""
        each = [
            t.elements({r: tiles[r] if r in tiled else self.sizes[r] for r in t.ranks})
            * t.element_bytes
            for t, (tiled, _) in zip(self.tensors, structure.footings, strict=True)
        ]
        return self._by_buffer(each)

    def fits(self, held: Sequence[Numbers]) -> NDArray[np.bool_]:
        """Whether every buffer holds its tiles, in as many copies as are reserved."""
        fitting: NDArray[np.bool_] = np.asarray(True)
        for buffer, size in zip(self.buffers, held, strict=True):
            fitting = fitting & (size * self.copies <= buffer.capacity_bytes)
        return fitting

    def moved(self, structure: Structure, tiles: Mapping[str, Numbers]) -> list[Numbers]:
        """Bytes of each buffer: every tile once a visit, sums back and forth in between."""
        each: list[Amount] = []
        for t, made, (tiled, visits) in zip(
            self.tensors, self.made, structure.footings, strict=True
        ):
            elements: Amount = 1
            for axis in t.axes:
                elements = elements * _axis_elements(axis, tiled, self.sizes, tiles)
            times: Amount = 1
            for rank in visits:
                times = times * np.ceil(self.sizes[rank] / tiles[rank])
            each.append(elements * (2 * times - 1 if made else times) * t.element_bytes)
        return self._by_buffer(each)

    def touched_bytes(self) -> list[float]:
        """Bytes that the arithmetic reads and writes in each buffer."""
        points = math.prod(self.sizes.values())
        each: list[Amount] = []
        for t, made in zip(self.tensors, self.made, strict=True):
            reduced = made and set(t.ranks) != set(self.sizes)
            first_sums = math.prod(self.sizes[rank] for rank in t.ranks)
            each.append((2 * points - first_sums if reduced else points) * t.element_bytes)
        return [float(part) for part in self._by_buffer(each)]

    def _by_buffer(self, each: Sequence[Amount]) -> list[Numbers]:
        return [
            np.asarray(sum(each[at] for at in buffer.tensors), dtype=np.float64)
            for buffer in self.buffers
        ]


def _axis_elements(
    axis: Axis, tiled: frozenset[str], sizes: Mapping[str, int], tiles: Mapping[str, Numbers]
) -> Numbers:
    """Elements along one axis, summed over all tiles: full ones, and the last of each rank."""
    if len(axis) == 1:
        return np.asarray(float(sizes[axis[0][0]]))
    line = Projection("", (axis,), 1)
    parts: list[list[tuple[Numbers, Numbers]]] = []
    for rank, _ in axis:
        size = np.asarray(float(sizes[rank]))
        tile = tiles[rank] if rank in tiled else size
        whole = np.floor(size / tile)
        parts.append([(whole, tile), (np.ceil(size / tile) - whole, size - whole * tile)])
    (outer, _), (inner, _) = axis
    total: Numbers = np.zeros(())
    for n, a in parts[0]:
        for m, b in parts[1]:
            total = total + n * m * line.elements({outer: a, inner: b})
    return total


@dataclass
class BestTiles:
    """The best point so far, and how many were looked at."""

    key: tuple[float, float, float] = (math.inf, math.inf, math.inf)
    """Value, then bytes across the boundary, then bytes held: of equals seen the leaner wins."""
    structure: Structure | None = None
    tiles: dict[str, int] = field(default_factory=lambda: {})
    candidates: int = 0


def search(problem: TileProblem, value: Value, *, monotone: bool) -> BestTiles:
    """The least value over the mapspace; `monotone` says that first tiles play no part in it."""
    best = BestTiles()
    for structure in structures(problem.pattern()):
        _search_structure(problem, structure, value, monotone, best)
    return best


def _search_structure(
    problem: TileProblem, structure: Structure, value: Value, monotone: bool, best: BestTiles
) -> None:
    free, tiles = _roles(problem, structure)
    smallest = {**tiles, **{rank: problem.choices[rank][:1] for rank in free}}
    largest = {**tiles, **{rank: problem.choices[rank][-1:] for rank in free}}
    if not np.all(problem.fits(problem.held(structure, smallest))):
        return
    chosen: dict[str, Numbers] = {}
    for at, rank in enumerate(free):
        if at == len(free) - 1 and monotone and not _strided(problem, rank):
            chosen[rank] = _largest_that_fits(problem, structure, {**smallest, **chosen}, rank)
        else:
            options = problem.choices[rank]
            rows = len(next(iter(chosen.values()))) if chosen else 1
            chosen = {r: np.repeat(column, len(options)) for r, column in chosen.items()}
            chosen[rank] = np.tile(options, rows)
        best.candidates += len(chosen[rank])
        held = problem.held(structure, {**smallest, **chosen})
        least = value(problem.moved(structure, {**largest, **chosen}), held)
        kept = np.broadcast_to(problem.fits(held) & (least <= best.key[0]), chosen[rank].shape)
        chosen = {r: column[kept] for r, column in chosen.items()}
        if not len(chosen[rank]):
            return
    best.candidates += not free
    point = {**tiles, **chosen}
    held, moved = problem.held(structure, point), problem.moved(structure, point)
    columns = [np.atleast_1d(column) for column in (value(moved, held), sum(moved), sum(held))]
    values, crossing, needed = np.broadcast_arrays(*columns)
    at = int(np.lexsort((needed, crossing, values))[0])
    key = (float(values[at]), float(crossing[at]), float(needed[at]))
    if key < best.key:
        best.key, best.structure = key, structure
        best.tiles = {r: int(column[at if len(column) > 1 else 0]) for r, column in point.items()}


def _roles(problem: TileProblem, structure: Structure) -> tuple[list[str], dict[str, Numbers]]:
    """Ranks whose tile is a trade-off, those with most choices last; and the tiles of the rest."""
    leaner = {rank for tiled, _ in structure.footings for rank in tiled}
    dearer = {rank for _, visits in structure.footings for rank in visits}
    for t, (tiled, _) in zip(problem.tensors, structure.footings, strict=True):
        dearer |= {rank for axis in t.windows for rank, _ in axis if rank in tiled}
    free = [rank for rank in problem.sizes if rank in leaner and rank in dearer]
    free.sort(key=lambda rank: (not _strided(problem, rank), len(problem.choices[rank])))
    tiles = {
        rank: problem.choices[rank][:1] if rank in leaner else problem.choices[rank][-1:]
        for rank in problem.sizes
        if rank not in free
    }
    return free, tiles


def _strided(problem: TileProblem, rank: str) -> bool:
    """Whether a window's traffic depends on the rank's tile beyond its number of turns."""
    return any(
        coefficient > 1
        for t in problem.tensors
        for axis in t.windows
        if rank in (axis[0][0], axis[1][0])
        for other, coefficient in axis
        if other != rank
    )


def _largest_that_fits(
    problem: TileProblem, structure: Structure, tiles: Mapping[str, Numbers], rank: str
) -> Numbers:
    """For each row, the largest tile of `rank` with which all fits; the smallest is known to."""
    options = problem.choices[rank]
    rows = max((len(column) for column in tiles.values()), default=1)
    low = np.zeros(rows, dtype=np.intp)
    high = np.full(rows, len(options), dtype=np.intp)
    while np.any(high - low > 1):
        middle = (low + high) // 2
        fits = problem.fits(problem.held(structure, {**tiles, rank: options[middle]}))
        low, high = np.where(fits, middle, low), np.where(fits, high, middle)
    return options[low]


def choices(size: int, mapspace: str, strided: bool) -> Numbers:
    """Tile sizes of a rank in a mapspace, ascending."""
    if mapspace == "divisors":
        return ceilings.divisors(size)
    return ceilings.every(size) if strided else ceilings.distinct_ceilings(size)


def problem_of(
    cascade: Cascade,
    hardware: Hardware,
    mapspace: str,
    *,
    capacities: Mapping[str, float],
    double: bool,
    shares: Mapping[str, Sequence[str]],
) -> TileProblem:
    """The Einsum, its tile choices and buffers; refuses what a two-level mapper cannot do."""
    if mapspace not in MAPSPACES:
        raise UnknownNameError("mapspace", mapspace, MAPSPACES)
    if len(cascade.einsums) != 1:
        raise CoverageError(
            f"{cascade.name}: expected one Einsum, found {len(cascade.einsums)}; a cascade goes"
            " through hwmodel.mappers.cascades"
        )
    einsum = cascade.einsums[0]
    found = projections(einsum, cascade)
    sizes: dict[str, int] = {}
    for rank in einsum.ranks:
        size = cascade.ranks[rank].size
        if not isinstance(size, int):
            raise CoverageError(
                f"{cascade.name}: rank {rank} has extent {size!r}; expected one whole number"
            )
        sizes[rank] = size
    names = tuple(found)
    problem = TileProblem(
        einsum.name,
        sizes,
        tuple(found.values()),
        tuple(name == einsum.name for name in names),
        {},
        _buffers(cascade.name, hardware.name, capacities, names, shares),
        2 if double else 1,
    )
    each = {r: choices(size, mapspace, _strided(problem, r)) for r, size in sizes.items()}
    return replace(problem, choices=each)


def _buffers(
    where: str,
    machine: str,
    capacities: Mapping[str, float],
    names: tuple[str, ...],
    shares: Mapping[str, Sequence[str]],
) -> tuple[Buffer, ...]:
    """Each memory inside of the outermost one with its tensors; each tensor has one home."""
    outermost, *inner = capacities
    for level, tensors in shares.items():
        if level not in inner:
            raise UnknownNameError(f"memory inside of {outermost}", level, inner)
        for tensor in tensors:
            if tensor not in names:
                raise UnknownNameError(f"tensor of {where}", tensor, names)
    homes: dict[str, str] = {}
    for name in names:
        able = [level for level in inner if name in shares.get(level, names)]
        if len(able) != 1:
            raise InputError(
                f"{where} on {machine}: expected one memory inside of {outermost} for tensor"
                f" {name}, found {', '.join(able) or 'none'}; say which tensors share which memory"
            )
        homes[name] = able[0]
    return tuple(
        Buffer(
            level,
            float(capacities[level]),
            tuple(i for i, n in enumerate(names) if homes[n] == level),
        )
        for level in inner
    )


def map_tiles(
    cascade: Cascade,
    hardware: Hardware,
    *,
    objective: str,
    capacities: Mapping[str, float],
    mapspace: str = "uniform",
    rules: Rules = OVERLAP,
    double: bool = False,
    shares: Mapping[str, Sequence[str]] | None = None,
) -> Proposal:
    """The best nest of one Einsum in a mapspace, on an outermost memory and buffers inside of it.

    `shares` says which tensors each buffer holds, where there are several buffers; `double` keeps
    every tile twice. Raises `CapacityError` where nothing fits, with how much would suffice.
    """
    check_objective(objective)
    problem = problem_of(
        cascade, hardware, mapspace, capacities=capacities, double=double, shares=shares or {}
    )
    monotone = objective == "traffic" or not (rules.exposed and double)
    value = charge(
        cascade,
        hardware,
        [buffer.level for buffer in problem.buffers],
        problem.touched_bytes(),
        objective=objective,
        rules=rules,
        double=double,
    )
    best = search(problem, value, monotone=monotone)
    if best.structure is None:
        raise CapacityError(_no_mapping(problem, hardware))
    return Proposal(
        nest(problem, cascade.name, hardware.name, best.structure, best.tiles),
        mapspace=mapspace,
        candidates=best.candidates,
        optimal=True,
        rules=rules,
    )


def _no_mapping(problem: TileProblem, hardware: Hardware) -> str:
    words: list[str] = []
    for buffer in problem.buffers:
        least = sum(problem.tensors[at].element_bytes for at in buffer.tensors) * problem.copies
        if least > buffer.capacity_bytes:
            words.append(
                f"one element of each tensor{' twice' if problem.copies > 1 else ''} needs"
                f" {least:,} bytes of {buffer.level}, which has {buffer.capacity_bytes:,.0f};"
                f" {least:,} bytes would suffice"
            )
    return f"no valid mapping of {problem.einsum} on {hardware.name}: {'; '.join(words)}"


def nest(
    problem: TileProblem, cascade: str, machine: str, structure: Structure, tiles: Mapping[str, int]
) -> LoopNest:
    """The structure with its tiles as a loop nest; loops of one turn are left out."""
    homes = {at: buffer.level for buffer in problem.buffers for at in buffer.tensors}
    nodes: list[Node] = []
    for place in range(len(structure.order) + 1):
        if place:
            rank = structure.order[place - 1]
            if tiles[rank] < problem.sizes[rank]:
                nodes.append(Loop(rank, tiles[rank]))
        nodes += [
            Keep(problem.tensors[at].tensor, homes[at], problem.copies > 1)
            for at, position in enumerate(structure.positions)
            if position == place
        ]
    return LoopNest(cascade, machine, (*nodes, Compute(problem.einsum)))
