"""Positions: the places that nested loops over one rank come to, in classes of equal extent.

Loops of one rank nest, and only the last turn of each is smaller, so that few classes (full tile,
remainder, remainder of the remainder ...) stand for any number of places.
"""

from typing import TypeAlias

FOREVER = 1 << 30
"""Depth beyond every loop."""
Step: TypeAlias = tuple[int, int, bool]
"""A loop over one rank: (depth on the path, tile, whether over an array)."""
Class: TypeAlias = tuple[int, int, int]
"""Positions alike: (how many, extent, depth of the innermost loop with more than one turn)."""


def positions(size: int, steps: tuple[Step, ...], stop: int, shared: int) -> list[Class]:
    """Positions of one rank's nested loops, by class.

    Of loops in time deeper than `stop`, and of loops over an array at `shared` or deeper, only the
    first turn is taken, which is the fullest one.
    """
    classes: dict[tuple[int, int], int] = {(size, -1): 1}
    for depth, tile, spatial in steps:
        found: dict[tuple[int, int], int] = {}
        for (extent, last), count in classes.items():
            whole, rest = divmod(extent, tile)
            if depth >= shared if spatial else depth > stop:
                parts = [(1, min(extent, tile))]
            else:
                parts = [(whole, tile), (1 if rest else 0, rest)]
                if whole + (rest > 0) > 1 and not spatial:
                    last = depth
            for times, points in parts:
                if times:
                    found[points, last] = found.get((points, last), 0) + count * times
        classes = found
    return [(count, extent, last) for (extent, last), count in classes.items()]
