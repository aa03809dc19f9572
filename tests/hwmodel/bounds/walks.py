"""Traffic of real schedules: a walk over the points of an Einsum through a memory with a policy.

Inputs are loaded when they are touched and absent; an output's partial sum is stored when it has to
leave, and loaded when it comes back. What leaves is what was touched longest ago.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from itertools import product

Element = tuple[str, tuple[int, ...]]

ROUNDING = 1 + 1e-12
"""A bound that a schedule reaches exactly may lie above it by the last bits."""


def tiled(
    sizes: Sequence[int], tiles: Sequence[int], order: Sequence[int]
) -> list[tuple[int, ...]]:
    """All points, tile by tile in an order of the ranks, and in the same order inside a tile."""
    starts = [range(0, size, tile) for size, tile in zip(sizes, tiles, strict=True)]
    points: list[tuple[int, ...]] = []
    for outer in product(*(starts[rank] for rank in order)):
        begin = dict(zip(order, outer, strict=True))
        inner = [range(begin[r], min(begin[r] + tiles[r], sizes[r])) for r in order]
        for point in product(*inner):
            place = dict(zip(order, point, strict=True))
            points.append(tuple(place[rank] for rank in range(len(sizes))))
    return points


def moved(
    touches: Iterable[Sequence[Element]], output: str, room: int, width: dict[str, int]
) -> int:
    """Bytes in and out for the elements that each point touches, through `room` bytes."""
    held: OrderedDict[Element, None] = OrderedDict()
    begun: set[Element] = set()
    traffic = used = 0
    for elements in touches:
        for element in elements:
            tensor = element[0]
            if element in held:
                held.move_to_end(element)
                continue
            while used + width[tensor] > room:
                victim = next(old for old in held if old not in elements)
                del held[victim]
                used -= width[victim[0]]
                traffic += width[output] if victim[0] == output else 0
            if tensor != output or element in begun:
                traffic += width[tensor]
            begun.add(element)
            held[element] = None
            used += width[tensor]
    return traffic + sum(width[output] for tensor, _ in held if tensor == output)
