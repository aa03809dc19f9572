"""Merged: ranks that always stand together, searched as one.

Where each tensor has all of some ranks or none of them (batch and heads; all ranks of a sum of two
tensors), what a tile of them moves and holds depends on the product of their points alone. A tile
of the product is one of the ranks: by the greatest common divisor with the innermost rank's size,
then the next one's, so that a tile that divides another one does so rank by rank. The optimum is
the same, and there are far fewer boxes of divisors.

Ranks that are walked as if they were larger, or that windows meet, stay by themselves.
"""

import math
from dataclasses import replace

from hwmodel.machines.spatial.projection import Projection
from hwmodel.mappers.nests.chains import NestProblem


def merged(problem: NestProblem, plain: tuple[bool, ...]) -> NestProblem:
    """The problem with those of its `plain` ranks as one that always stand together."""
    space = problem.space
    groups: dict[object, list[int]] = {}
    for at, free in enumerate(plain):
        own: object = tuple(has[at] for has in space.has) if free and not space.windowed[at] else at
        groups.setdefault(own, []).append(at)
    if len(groups) == len(plain):
        return problem
    places = tuple(groups.values())
    sizes = tuple(math.prod(space.sizes[at] for at in each) for each in places)
    ranks = tuple(problem.ranks[each[0]] for each in places)
    return replace(
        problem,
        ranks=ranks,
        parts=tuple(tuple(part for at in each for part in problem.parts[at]) for each in places),
        space=replace(
            space,
            ranks=ranks,
            sizes=sizes,
            walked=sizes,
            tensors=tuple(_without(t, {*problem.ranks}.difference(ranks)) for t in space.tensors),
            along=tuple((True,) * len(ranks) for _ in space.along),
        ),
    )


def _without(tensor: Projection, ranks: set[str]) -> Projection:
    """A tensor whose axes over some ranks stand for nothing any more."""
    left = tuple(axis for axis in tensor.axes if not {rank for rank, _ in axis} & ranks)
    return replace(tensor, axes=left)
