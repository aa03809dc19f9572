"""Nests of tiny cases, all of them: searched without pruning, and walked word by word."""

import itertools
import math
import random
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hwmodel.einsum.cascade import Access, Cascade
from hwmodel.einsum.notation import parse
from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.spatial.rules import OVERLAP
from hwmodel.mappers.nests.costs import Costs, cost
from hwmodel.quantity.errors import CapacityError
from hwmodel.spine.mapping import Compute, Keep, Loop
from hwmodel.spine.mapping import Mapping as LoopNest

PRODUCT = "Z[m, n] = A[m, k] * B[k, n]"


TEXTS = {  # text, ranks, operations a point
    "product": (PRODUCT, "mnk", 2),
    "row": ("Z[m] = A[m, k] * B[k]", "mk", 2),
    "sum": ("Z[m] = A[m, k]", "mk", 1),
    "map": ("Z[m, n] = exp(A[m, n])", "mn", 1),
    "outer": ("Z[m, n] = A[m] * B[n]", "mn", 1),
    "batch": ("Z[b, m] = A[b, m, k] * B[b, k]", "bmk", 2),
}


WINDOWS = {
    "window": ("tensor I[i]\nZ[c, y] = I[y+r] * W[c, r]", "cyr", 2),
    "stride": ("tensor I[i]\nZ[y] = I[2*y+r] * W[r]", "yr", 2),
    "dilation": ("tensor I[c, i]\nZ[y] = I[c, y+2*r] * W[c, r]", "ycr", 2),
}


PICO = 1e-12


Loops = tuple[tuple[str, int], ...]


def product_of(size: int) -> Cascade:
    return parse(PRODUCT, sizes={"m": size, "n": size, "k": size}, dtypes={"*": "int8"})


def a3(buffer: str = "128 KiB", **changes: Any) -> Hardware:
    return device("peer-a3").but(buffer={"capacity": buffer}, **changes)


@dataclass(frozen=True)
class Tiny:
    """A case small enough for every mapping to be looked at."""

    cascade: Cascade
    machine: Hardware
    operations: int

    @property
    def sizes(self) -> dict[str, int]:
        ranks = self.cascade.einsums[0].ranks
        return {name: int(self.cascade.ranks[name].size) for name in ranks}  # type: ignore[arg-type]

    @property
    def tensors(self) -> dict[str, tuple[str, ...]]:
        return {name: access.ranks for name, access in self.accesses.items()}

    @property
    def accesses(self) -> dict[str, Access]:
        einsum = self.cascade.einsums[0]
        return {a.tensor: a for a in (einsum.output, *einsum.reads)}

    @property
    def windowed(self) -> set[str]:
        meeting = (index.terms for a in self.accesses.values() for index in a.indices)
        return {rank for terms in meeting if len(terms) > 1 for rank, _ in terms}

    def elements(self, tensor: str, extents: dict[str, int]) -> int:
        """Elements that a tile from 0 on has, point by point."""
        return len(points_of(self.accesses[tensor], {r: range(n) for r, n in extents.items()}))


def points_of(access: Access, ranges: dict[str, range]) -> frozenset[tuple[int, ...]]:
    """The elements of a tensor that a box of points reads or writes."""
    lines: list[set[int]] = []
    for index in access.indices:
        spans = itertools.product(*(ranges[rank] for rank, _ in index.terms))
        factors = [factor for _, factor in index.terms]
        lines.append({sum(f * i for f, i in zip(factors, at, strict=True)) for at in spans})
    return frozenset(itertools.product(*lines))


def factors(number: int) -> list[int]:
    smallest = next((p for p in range(2, number + 1) if number % p == 0), None)
    return [smallest, *factors(number // smallest)] if smallest else []


def unrolled(case: Tiny) -> Iterator[dict[str, int]]:
    """Every choice of points that go over the rows and the columns."""
    array = case.machine.arrays["elements"]
    ranks, seen = list(case.sizes), set[tuple[int, ...]]()
    lines = [range(1, size + 1) for size in case.sizes.values()]
    for row in itertools.product(*lines):
        for column in itertools.product(*lines):
            both = tuple(r * c for r, c in zip(row, column, strict=True))
            divides = all(case.sizes[rank] % n == 0 for rank, n in zip(ranks, both, strict=True))
            fits = math.prod(row) <= array.rows and math.prod(column) <= array.columns
            if divides and fits and both not in seen:
                seen.add(both)
                yield dict(zip(ranks, both, strict=True))


def entries(loops: Loops, place: int, ranks: tuple[str, ...]) -> tuple[int, int]:
    """How often a tile kept inside the first `place` loops changes, and how many there are."""
    changes, last, tiles = 0, None, set[tuple[int, ...]]()
    for turn in itertools.product(*(range(n) for _, n in loops)):
        tile = tuple(t for t, (rank, _) in zip(turn[:place], loops, strict=False) if rank in ranks)
        changes += tile != last
        last = tile
        tiles.add(tile)
    return changes, len(tiles)


Grid = np.ndarray[Any, Any]


def every_mapping(case: Tiny) -> Iterator[tuple[Grid, Grid]]:
    """(joules / pJ, seconds / ns) of all mappings, one array for each loop order and unrolling."""
    for over in unrolled(case):
        inside = [(r, f) for r, size in case.sizes.items() for f in factors(size // over[r])]
        for loops in sorted(set(itertools.permutations(inside))):
            yield every_place(case, over, loops)


def every_place(case: Tiny, over: dict[str, int], loops: Loops) -> tuple[Grid, Grid]:
    """Each keep inside any number of the loops: an axis of the arrays for each keep."""
    memories = case.machine.memories.values()
    output, points = case.cascade.einsums[0].name, math.prod(case.sizes.values())
    reduced = set(case.tensors[output]) != set(case.sizes)
    shape = (len(loops) + 1,) * (2 * len(case.tensors))
    held, moved, valid = np.zeros((3, *shape)), np.zeros((3, *shape)), np.ones(shape, np.bool_)
    first, last = np.full(shape, len(loops)), np.zeros(shape, np.int64)
    for at, (tensor, ranks) in enumerate(case.tensors.items()):
        copies = math.prod(n for r, n in over.items() if r not in ranks)
        places = np.indices(shape)[2 * at : 2 * at + 2]
        valid &= places[0] <= places[1]
        first, last = np.minimum(first, places[1]), np.maximum(last, places[1])
        left = [
            {r: math.prod(n for q, n in loops[p:] if q == r) for r in over} for p in range(shape[0])
        ]
        own = np.array([case.elements(tensor, extents) for extents in left])
        alike = np.array(
            [case.elements(tensor, {r: n * over[r] for r, n in e.items()}) for e in left]
        )
        seen = [entries(loops, p, ranks) for p in range(shape[0])]
        again = np.array([2 * n - first if tensor == output else n for n, first in seen])
        for level, place in enumerate(places, start=1):
            lanes = math.prod(over.values()) if level == 2 else 1
            held[level] += (own if level == 2 else alike)[place]
            moved[level - 1] += (alike * again)[place]
            moved[level] += ((own * lanes if level == 2 else alike) * again)[place]
        moved[2] += points
        if tensor == output and reduced:
            moved[2] += points - math.prod(case.sizes[r] for r in ranks) * copies
    for at, (rank, _) in enumerate(loops):  # windows over the array: no keep of theirs inside
        if over[rank] > 1 and rank in case.windowed:
            valid &= (at < first) | (at >= last)
    for level, memory in enumerate(memories):
        valid &= held[level] <= memory.capacity_bytes
    energy = np.full(shape, points * case.operations * 0.5)
    time = np.full(shape, points / math.prod(over.values()))
    for level, memory in enumerate(memories):
        energy += moved[level] * float(memory.energy_j_per_byte) / PICO
        time = np.maximum(time, moved[level] / float(memory.bandwidth_bytes_per_s) / 1e-9)
    return energy[valid], time[valid]


def tiny(seed: int, texts: dict[str, tuple[str, str, int]] = TEXTS) -> Tiny:
    """A random small Einsum on a random small machine."""
    draw = random.Random(seed)
    text, ranks, operations = texts[draw.choice([next(iter(texts)), next(iter(texts)), *texts])]
    budget = 3 if len(ranks) == 3 else 4
    sizes = dict.fromkeys(ranks, 1)
    for _ in range(budget + draw.randint(0, 1)):
        sizes[draw.choice(ranks)] *= draw.choice((2, 2, 3))
    machine = device("peer-a3").but(
        arrays={"elements": {"rows": draw.randint(1, 4), "columns": draw.randint(1, 3)}},
        dram={"energy": f"{draw.randint(5, 200)} pJ/B", "bandwidth": f"{draw.randint(1, 8)} GB/s"},
        buffer={
            "capacity": f"{draw.randint(3, 40)} B",
            "energy": f"{draw.randint(1, 20)} pJ/B",
            "bandwidth": f"{draw.randint(2, 20)} GB/s",
        },
        register={"capacity": f"{draw.randint(3, 12)} B", "energy": f"{draw.randint(1, 4)} pJ/B"},
    )
    if "I[" in text:
        sizes["i"] = 100
    return Tiny(parse(text, sizes=sizes, dtypes={"*": "int8"}), machine, operations)


def walked(case: Tiny, mapping: LoopNest) -> dict[str, int]:
    """Words that each memory reads and writes, from sets of words that every element holds."""
    loops: list[tuple[Loop, int]] = []
    keeps: list[tuple[Keep, int]] = []
    extents = dict(case.sizes)
    for node in mapping.nest:
        if isinstance(node, Loop):
            assert extents[node.rank] % node.tile == 0
            loops.append((node, extents[node.rank] // node.tile))
            extents[node.rank] = node.tile
        elif isinstance(node, Keep):
            keeps.append((node, len(loops)))
    dram, *inner = case.machine.memories
    moved, output = dict.fromkeys([dram, *inner], 0), case.cascade.einsums[0].name
    in_array = [bool(loop.array) for loop, _ in loops]
    elements = list(itertools.product(*(range(n) for (loop, n) in loops if loop.array)))
    held: dict[tuple[int, Any], frozenset[Any]] = {}
    known: set[Any] = set()
    outer: dict[str, str] = dict.fromkeys(case.tensors, dram)
    homes: list[tuple[Keep, int, str]] = []
    for keep, depth in keeps:
        homes.append((keep, depth, outer[keep.tensor]))
        outer[keep.tensor] = keep.level

    def tile(tensor: str, depth: int, turn: tuple[int, ...], element: tuple[int, ...]) -> Any:
        time, space = iter(turn), iter(element)
        first, left = dict.fromkeys(case.sizes, 0), dict(case.sizes)
        for at, (loop, _) in enumerate(loops):
            step = next(space) if in_array[at] else next(time)
            if at < depth:
                first[loop.rank] += step * loop.tile
                left[loop.rank] = loop.tile
        lines = {r: range(first[r], first[r] + left[r]) for r in case.tensors[tensor]}
        return points_of(case.accesses[tensor], lines)

    def visit(at: int, new: dict[Any, frozenset[Any]]) -> None:
        keep, _, source = homes[at]
        changed = [e for e in new if held.get((at, e)) != new[e]]
        coming = frozenset[Any]().union(*(new[e] for e in changed))
        if keep.tensor != output:
            moved[source] += len(coming)
            moved[keep.level] += sum(len(new[e]) for e in changed)
        else:
            going = [held.get((at, e), frozenset[Any]()) for e in changed]
            moved[keep.level] += sum(len(words) for words in going)
            moved[source] += len(frozenset[Any]().union(*going))
            moved[source] += sum((at, word) in known for word in coming)
            moved[keep.level] += sum((at, e, word) in known for e in changed for word in new[e])
            known.update((at, word) for word in coming)
            known.update((at, e, word) for e in changed for word in new[e])
        held.update({(at, e): new[e] for e in changed})

    for turn in itertools.product(*(range(n) for loop, n in loops if not loop.array)):
        for at, (keep, depth, _) in enumerate(homes):
            new = {e: tile(keep.tensor, depth, turn, e) for e in elements}
            if not case.machine.memories[keep.level].array:
                new = {None: frozenset[Any]().union(*new.values())}
            visit(at, new)
        for e in elements:
            points = math.prod(extents.values())
            moved[inner[-1]] += points * len(case.tensors)
            if set(case.tensors[output]) != set(case.sizes):
                words = tile(output, len(loops), turn, e)
                moved[inner[-1]] += points - sum(("sum", e, word) not in known for word in words)
                known.update(("sum", e, word) for word in words)
    for at, (keep, _, _) in enumerate(homes):
        if keep.tensor == output:
            visit(at, {e: frozenset[Any]() for place, e in list(held) if place == at})
    return moved


def ragged_case(text: str, sizes: tuple[int, ...], array: tuple[int, int]) -> Tiny:
    """A tiny Einsum whose sizes the array's sides do not divide, on a machine with little room."""
    words, ranks, operations = (TEXTS | WINDOWS)[text]
    machine = device("peer-a3").but(
        arrays={"elements": {"rows": array[0], "columns": array[1]}},
        dram={"energy": "20 pJ/B", "bandwidth": "3 GB/s"},
        buffer={"capacity": "9 B", "energy": "3 pJ/B", "bandwidth": "9 GB/s"},
        register={"capacity": "4 B", "energy": "1 pJ/B"},
    )
    named = {**dict(zip(ranks, sizes, strict=True)), **({"i": 100} if "I[" in words else {})}
    return Tiny(parse(words, sizes=named, dtypes={"*": "int8"}), machine, operations)


def ragged_costs(case: Tiny, text: str) -> Iterator[Costs]:
    """All nests that fit, of sizes as they are, or some or all the next multiples of a side."""
    array = case.machine.arrays["elements"]
    side = int(max(array.rows, array.columns))
    as_is = case.sizes
    rounded = {r: -(-n // side) * side if n > side else n for r, n in as_is.items()}
    either = [sorted({as_is[rank], rounded[rank]}) for rank in as_is]
    for sizes in itertools.product(*either):
        walked = dict(zip(as_is, sizes, strict=True))
        words = (TEXTS | WINDOWS)[text][0]
        held = {"i": 100} if "I[" in words else {}
        sized = parse(words, sizes={**walked, **held}, dtypes={"*": "int8"})
        for over in unrolled(replace(case, cascade=sized)):
            inside = [(r, f) for r, n in walked.items() for f in factors(n // over[r])]
            for loops in sorted(set(itertools.permutations(inside))):
                places = list(itertools.combinations_with_replacement(range(len(loops) + 1), 2))
                for chosen in itertools.product(places, repeat=len(case.tensors)):
                    keeps = dict(zip(case.tensors, chosen, strict=True))
                    sides = int(array.rows), int(array.columns)
                    nest = (*ragged_nest(walked, over, loops, keeps, sides), Compute("Z"))
                    if not side_by_side(nest, case.windowed):
                        continue
                    mapping = LoopNest("cascade", case.machine.name, nest)
                    with suppress(CapacityError):
                        yield cost(case.cascade, case.machine, mapping, OVERLAP)


def ragged_nest(
    walked: dict[str, int],
    over: dict[str, int],
    loops: Loops,
    keeps: dict[str, tuple[int, int]],
    sides: tuple[int, int],
) -> Iterator[Keep | Loop]:
    """Keeps in the buffer and in registers after so many loops; the array where registers begin."""
    left, first = dict(walked), min(inner for _, inner in keeps.values())
    for at in range(len(loops) + 1):
        if at:
            rank, factor = loops[at - 1]
            left[rank] //= factor
            yield Loop(rank, left[rank])
        yield from (Keep(tensor, "buffer") for tensor, (outer, _) in keeps.items() if outer == at)
        if at == first:
            room = dict(zip(("rows", "columns"), sides, strict=True))
            for rank, lanes in over.items():
                for axis, free in room.items():
                    here = max(n for n in range(1, free + 1) if lanes % n == 0)
                    if here > 1:
                        left[rank] //= here
                        lanes, room[axis] = lanes // here, free // here
                        yield Loop(rank, left[rank], axis)
        yield from (Keep(tensor, "register") for tensor, (_, inner) in keeps.items() if inner == at)


def side_by_side(nest: tuple[Any, ...], windowed: set[str]) -> bool:
    """Whether no rank of a window that goes over the array is walked among keeps inside of it."""
    keeps = [at for at, node in enumerate(nest) if isinstance(node, Keep)]
    first = next(at for at in keeps if nest[at].level == "register")
    over = {node.rank for node in nest if isinstance(node, Loop) and node.array} & windowed
    inside = nest[first : keeps[-1]]
    return not any(isinstance(n, Loop) and not n.array and n.rank in over for n in inside)
