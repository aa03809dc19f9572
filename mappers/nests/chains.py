"""Chains: a sequence of placed keeps, as the search has it, written as a loop nest."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from hwmodel.mappers.nests.answers import Chain
from hwmodel.mappers.nests.interleave import Space
from hwmodel.spine.mapping import Compute, Keep, Loop, Nest


@dataclass(frozen=True)
class NestProblem:
    """An Einsum on a machine: the names behind the positions of a `Space`, and the space.

    `parts` are the ranks, with their sizes, that each of `ranks` stands for (see `merged`).
    """

    einsum: str
    ranks: tuple[str, ...]
    parts: tuple[tuple[tuple[str, int], ...], ...]
    tensors: tuple[str, ...]
    memories: tuple[str, ...]
    axes: tuple[str, ...]
    space: Space

    def loops(self, rank: int, before: int, after: int, axis: str = "") -> Iterator[Loop]:
        """The loops that leave `after` of `before` points of a rank."""
        parts = self.parts[rank]
        if len(parts) == 1:
            yield Loop(parts[0][0], after, axis)
            return
        for (name, _), old, new in zip(
            parts, _divided(parts, before), _divided(parts, after), strict=True
        ):
            if new < old:
                yield Loop(name, new, axis)


def _divided(parts: tuple[tuple[str, int], ...], points: int) -> list[int]:
    """Points of several ranks by rank, those of the last one first."""
    found: list[int] = []
    for _, size in reversed(parts):
        found.append(math.gcd(points, size))
        points //= found[-1]
    return found[::-1]


def nest_of(problem: NestProblem, chain: Chain) -> Nest:
    """A chain as a loop nest; loops over the array stand where elements first have their own.

    Right before a first keep there, so that what they share out is as small as may be: the fewer
    points a tile has, the fewer elements idle in a last one that is smaller. Outside of them ranks
    of windows are walked to their end.
    """
    nest: list[Keep | Loop | Compute] = []
    left = list(chain.walked)
    spread = [1] * len(left)
    over = tuple(math.prod(line) for line in zip(*chain.axes, strict=True)) or (1,) * len(left)
    outside = problem.space.fixed_over(over)
    for keep in chain.keeps:
        if keep.level > problem.space.shared and max(spread) == 1:
            inwards = zip(outside, keep.points, chain.keeps[-1].points, strict=True)
            for rank, (walked, here, least) in enumerate(inwards):
                points = least if walked else here
                if points < left[rank]:
                    nest += problem.loops(rank, left[rank], points)
                    left[rank] = points
            for axis, line in zip(problem.axes, chain.axes, strict=True):
                for rank, at_once in enumerate(line):
                    if at_once > 1:
                        spread[rank] *= at_once
                        nest += problem.loops(rank, left[rank], left[rank] // at_once, axis)
                        left[rank] //= at_once
        for rank, points in enumerate(keep.points):
            tile = points // spread[rank]
            if tile < left[rank]:
                nest += problem.loops(rank, left[rank], tile)
                left[rank] = tile
        nest.append(Keep(problem.tensors[keep.tensor], problem.memories[keep.level]))
    return (*nest, Compute(problem.einsum))
