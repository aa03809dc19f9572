"""Chains: a sequence of placed keeps, as the search has it, written as a loop nest."""

import math
from dataclasses import dataclass

from hwmodel.mappers.nests.answers import Chain
from hwmodel.mappers.nests.interleave import Space
from hwmodel.spine.mapping import Compute, Keep, Loop, Nest


@dataclass(frozen=True)
class NestProblem:
    """An Einsum on a machine: the names behind the positions of a `Space`, and the space."""

    einsum: str
    ranks: tuple[str, ...]
    tensors: tuple[str, ...]
    memories: tuple[str, ...]
    axes: tuple[str, ...]
    space: Space


def nest_of(problem: NestProblem, chain: Chain) -> Nest:
    """A chain as a loop nest; loops over the array stand where elements first have their own."""
    nest: list[Keep | Loop | Compute] = []
    left = list(chain.walked)
    spread = [1] * len(left)
    over = tuple(math.prod(line) for line in zip(*chain.axes, strict=True)) or (1,) * len(left)
    outside = problem.space.fixed_over(over)
    for keep in chain.keeps:
        if keep.level > problem.space.shared and max(spread) == 1:
            for rank, points in enumerate(chain.keeps[-1].points):
                if outside[rank] and points < left[rank]:
                    left[rank] = points
                    nest.append(Loop(problem.ranks[rank], points))
            for axis, line in zip(problem.axes, chain.axes, strict=True):
                for rank, at_once in enumerate(line):
                    if at_once > 1:
                        left[rank] //= at_once
                        spread[rank] *= at_once
                        nest.append(Loop(problem.ranks[rank], left[rank], axis))
        for rank, points in enumerate(keep.points):
            tile = points // spread[rank]
            if tile < left[rank]:
                left[rank] = tile
                nest.append(Loop(problem.ranks[rank], tile))
        nest.append(Keep(problem.tensors[keep.tensor], problem.memories[keep.level]))
    return (*nest, Compute(problem.einsum))
