"""Positions: the places that nested loops over one rank come to, in classes of equal extent.

Loops of one rank nest, and only the last turn of each is smaller, so that few classes (full tile,
remainder, remainder of the remainder ...) stand for any number of places.

A smaller last turn leaves elements of an array idle, which keep what they hold: to them the loop
has a turn less. With one full turn and a smaller one that makes a difference, as an element idle in
the second stays where it is. Such a turn is kept in mind until the loops over the array have told
which elements take part in it.

A memory that all elements share sees them as one: their tiles together are one tile, which moves
on whenever any of theirs does (`together`). Elements whose parts are smaller take fewer turns.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import TypeAlias

FOREVER = 1 << 30
"""Depth beyond every loop."""
Step: TypeAlias = tuple[int, int, bool]
"""A loop over one rank: (depth on the path, tile, whether over an array)."""
Class: TypeAlias = tuple[int, int, int]
"""Positions alike: (how many, extent, depth of the innermost loop with more than one turn)."""
Turn: TypeAlias = tuple[int, int]
"""A smaller second turn of a loop in time: (the loop's depth, points that are left of it)."""
Place: TypeAlias = tuple[int, int, tuple[Turn, ...]]
"""(extent, depth of the innermost loop with more than one turn, turns still to be decided)."""
Parts: TypeAlias = tuple[tuple[int, int], ...]
"""Parts of a rank that elements of an array work on at once: (elements, points), largest first."""


def positions(size: int, steps: tuple[Step, ...], stop: int, shared: int) -> list[Class]:
    """Positions of one rank's nested loops, by class.

    Of loops in time deeper than `stop`, and of loops over an array at `shared` or deeper, only the
    first turn is taken, which is the fullest one.
    """
    classes: dict[Place, int] = {(size, -1, ()): 1}
    for at, (depth, tile, spatial) in enumerate(steps):
        spread = any(later for _, _, later in steps[at + 1 :])
        found: dict[Place, int] = {}
        for place, count in classes.items():
            if depth >= shared if spatial else depth > stop:
                parts = iter([(1, _within(place, 0, tile))])
            else:
                parts = _lanes(place, tile) if spatial else _turns(place, depth, tile, spread)
            for times, part in parts:
                found[part] = found.get(part, 0) + count * times
        classes = found
    merged: dict[tuple[int, int], int] = {}
    for (extent, last, second), count in classes.items():
        key = extent, max((last, *(depth for depth, _ in second)))
        merged[key] = merged.get(key, 0) + count
    return [(count, extent, last) for (extent, last), count in merged.items()]


def together(size: int, steps: tuple[Step, ...], stop: int) -> list[Class]:
    """Positions of one rank's nested loops as a memory that all elements share sees them.

    Loops over an array make no turns for it; extents are those of all elements together. Of loops
    in time deeper than `stop` only the first turn is taken.
    """
    classes: dict[tuple[Parts, int], int] = {(((1, size),), -1): 1}
    for depth, tile, spatial in steps:
        found: dict[tuple[Parts, int], int] = {}
        for (parts, last), count in classes.items():
            if spatial:
                turns = iter([(1, _split(parts, tile), last)])
            elif depth > stop:
                turns = iter([(1, _slice(parts, 0, tile), last)])
            else:
                turns = _slices(parts, depth, tile, last)
            for times, part, deepest in turns:
                key = part, deepest
                found[key] = found.get(key, 0) + count * times
        classes = found
    return [
        (count, sum(lanes * extent for lanes, extent in parts), last)
        for (parts, last), count in classes.items()
    ]


def _split(parts: Parts, tile: int) -> Parts:
    """Parts dealt out to elements, a tile each and the last one smaller."""
    found: dict[int, int] = {}
    for lanes, extent in parts:
        for more, points in ((extent // tile, tile), (1, extent % tile)):
            if more and points:
                found[points] = found.get(points, 0) + lanes * more
    return tuple((lanes, points) for points, lanes in sorted(found.items(), reverse=True))


def _slice(parts: Parts, begin: int, tile: int) -> Parts:
    """What the turn of a loop in time that begins at a point holds of each element's part."""
    found: dict[int, int] = {}
    for lanes, extent in parts:
        if extent > begin:
            points = min(tile, extent - begin)
            found[points] = found.get(points, 0) + lanes
    return tuple((lanes, points) for points, lanes in sorted(found.items(), reverse=True))


def _slices(parts: Parts, depth: int, tile: int, last: int) -> Iterator[tuple[int, Parts, int]]:
    """A loop in time over all parts at once: turns alike, until the largest part is done."""
    turns = -(-parts[0][1] // tile)
    deepest = depth if turns > 1 else last
    ends = {turns, *(extent // tile for _, extent in parts)}
    ends |= {-(-extent // tile) for _, extent in parts}
    for begin, end in pairwise(sorted({0, *ends})):
        yield end - begin, _slice(parts, begin * tile, tile), deepest


def _within(place: Place, begin: int, tile: int) -> Place:
    """What a tile that begins at a point holds of a place; turns that hold none of it are not."""
    extent, last, second = place
    left = ((depth, min(tile, points - begin)) for depth, points in second if points > begin)
    return min(tile, extent - begin), last, tuple(left)


def _turns(place: Place, depth: int, tile: int, spread: bool) -> Iterator[tuple[int, Place]]:
    """A loop in time; turns kept in mind go on with their first tile, which is the fullest."""
    extent, last, second = _within(place, 0, tile)
    whole, rest = divmod(place[0], tile)
    if whole == 1 and rest and spread:
        yield 1, (extent, last, (*second, (depth, rest)))
    elif whole:
        yield whole, (extent, depth if whole + (rest > 0) > 1 else last, second)
    if rest:
        yield 1, (rest, depth if whole else last, second)


def _lanes(place: Place, tile: int) -> Iterator[tuple[int, Place]]:
    """A loop over an array: elements alike stand between the ends of full and of smaller tiles."""
    lanes = -(-place[0] // tile)
    ends = {0, lanes}
    for points in (place[0], *(points for _, points in place[2])):
        ends |= {min(lanes, points // tile), min(lanes, -(-points // tile))}
    for begin, end in pairwise(sorted(ends)):
        yield end - begin, _within(place, begin * tile, tile)
