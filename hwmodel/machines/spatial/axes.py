"""Axes: the elements along one axis of a tensor that nested loops touch, in classes.

One rank on an axis has the classes of its positions. Two ranks that meet (a window: `y + r`) and
go over an array touch an element from several places of it at once: in a convolution whose outputs
y lie along columns and whose taps r lie along rows, an array's diagonals need the same row of the
input. What is read for all of them is read once, so that elements of the tensor are counted, not
places. At each turn of the loops in time an element is as often read anew as the place that is
entered most often among those that touch it: it gets the innermost loop of theirs that makes more
than one turn. Places that idle in a smaller last turn keep what they hold.

The turns of the two ranks are walked, which are no more than the points of the axis.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from functools import lru_cache
from itertools import product
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from hwmodel.machines.spatial.positions import FOREVER, Class, Step, positions
from hwmodel.machines.spatial.projection import Axis, Projection

Points: TypeAlias = NDArray[np.int64]
Taken: TypeAlias = tuple[tuple[int, bytes], ...]
"""Points of a rank that places work on at one time, by the innermost loop that moves them on."""


def apart(
    axis: Axis, sizes: tuple[int, ...], steps: tuple[tuple[Step, ...], ...], stop: int
) -> list[Class]:
    """Tiles along an axis, those of each place of an array by itself.

    `sizes` and `steps` are those of the axis's ranks; loops in time deeper than `stop` take their
    first turn alone.
    """
    each = [positions(n, s, stop, FOREVER) for n, s in zip(sizes, steps, strict=True)]
    found: Counter[tuple[int, int]] = Counter()
    line = Projection("", (axis,), 1)
    for classes in product(*each):
        many = 1
        for n, _, _ in classes:
            many *= n
        extents = {rank: e for (rank, _), (_, e, _) in zip(axis, classes, strict=True)}
        found[int(line.elements(extents)), max(last for _, _, last in classes)] += many
    return [(many, elements, last) for (elements, last), many in found.items()]


@lru_cache(maxsize=4096)
def united(
    axis: Axis,
    sizes: tuple[int, ...],
    steps: tuple[tuple[Step, ...], ...],
    stop: int,
    shared: int,
    as_one: bool,
) -> tuple[Class, ...]:
    """Elements along an axis, those that several places touch at one time counted once.

    Loops in time deeper than `stop` take their first turn alone; places of loops over an array at
    `shared` or deeper are those that act together. `as_one`: a memory that all of them share, whose
    tile moves on whenever any of theirs does.
    """
    ranks = [_turns(n, s, stop, shared, as_one) for n, s in zip(sizes, steps, strict=True)]
    factors = tuple(factor for _, factor in axis)
    found: Counter[tuple[int, int]] = Counter()
    for each in product(*(turns.items() for turns in ranks)):
        many = 1
        for _, n in each:
            many *= n
        for elements, last in _met(factors, tuple(taken for taken, _ in each), as_one):
            found[elements, last] += many
    return tuple((many, elements, last) for (elements, last), many in found.items())


@lru_cache(maxsize=65536)
def _met(
    factors: tuple[int, ...], taken: tuple[Taken, ...], as_one: bool
) -> tuple[tuple[int, int], ...]:
    """(elements, innermost loop that moves them on) of what the ranks touch at one time."""
    moved: dict[int, int] = {}
    for groups in product(*taken):
        last = max(at for at, _ in groups)
        touched: Points = np.zeros(1, np.int64)
        for factor, (_, points) in zip(factors, groups, strict=True):
            here = np.frombuffer(points, np.int64)
            touched = np.unique(np.add.outer(touched, factor * here))
        for value in touched.tolist():
            moved[value] = max(moved.get(value, -1), last)
    if as_one:
        return ((len(moved), max(moved.values())),)
    return tuple((many, last) for last, many in Counter(moved.values()).items())


def _turns(
    size: int, steps: tuple[Step, ...], stop: int, shared: int, as_one: bool
) -> Counter[Taken]:
    """Every turn of a rank's loops in time: the points that places then work on, from 0 on."""
    parts: dict[tuple[int, ...], tuple[int, int]] = {(): (0, size)}
    for depth, tile, spatial in steps:
        inner: dict[tuple[int, ...], tuple[int, int]] = {}
        for key, (begin, extent) in parts.items():
            turns = -(-extent // tile) if spatial or depth <= stop else 1
            for turn in range(turns):
                inner[*key, turn] = begin + turn * tile, min(tile, extent - turn * tile)
        parts = inner
    together = [spatial and depth >= shared for depth, _, spatial in steps]
    lasts = _lasts(parts, steps, as_one)
    at_once: dict[tuple[int, ...], dict[int, list[tuple[int, int]]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for key, part in parts.items():
        time = tuple(t for t, one in zip(key, together, strict=True) if not one)
        at_once[time][lasts[key]].append(part)
    return Counter(_taken(groups) for groups in at_once.values())


def _lasts(
    parts: Iterable[tuple[int, ...]], steps: tuple[Step, ...], as_one: bool
) -> dict[tuple[int, ...], int]:
    """The innermost loop in time with more than one turn in which a place takes part."""
    keys = list(parts)
    lasts = dict.fromkeys(keys, -1)
    for at, (depth, _, spatial) in enumerate(steps):
        if spatial:
            continue
        turns: dict[tuple[int, ...], set[int]] = defaultdict(set)

        def whose(key: tuple[int, ...], at: int = at) -> tuple[int, ...]:
            """A place, and the turns of the loops around; of a shared memory all places are one."""
            return tuple(
                turn
                for place, (turn, (_, _, over)) in enumerate(zip(key, steps, strict=True))
                if (over and not as_one) or (not over and place < at)
            )

        for key in keys:
            turns[whose(key)].add(key[at])
        for key in keys:
            if len(turns[whose(key)]) > 1:
                lasts[key] = depth
    return lasts


def _taken(groups: dict[int, list[tuple[int, int]]]) -> Taken:
    """Points by loop, moved to begin at 0: elsewhere the same points meet alike."""
    first = min(begin for parts in groups.values() for begin, _ in parts)
    found: list[tuple[int, bytes]] = []
    for last, parts in sorted(groups.items()):
        points = np.concatenate([np.arange(b, b + n, dtype=np.int64) for b, n in parts]) - first
        found.append((last, np.unique(points).tobytes()))
    return tuple(found)
