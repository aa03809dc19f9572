"""The bucket algorithm on a grid of devices: all links of a torus at once.

On D sides above 1 the buffer is cut into 2 D parts. Each goes around the ring of one side after the
other, in its own direction and from a side of its own on, so that every link of a device carries
one part at any time: a gather of n bytes among p devices takes (p - 1) / p n / (2 D) on each link
where sides are equal, 2 D times less than a ring of all devices (Jain, Sabharwal, "Optimal bucket
algorithms for large MPI collectives on torus interconnects", ICS 2010; Sack, Gropp, "Collective
algorithms for multiported torus networks", TOPC 2015; as XLA runs them on TPUs' tori). Devices of a
side that is part of a longer one have no link back: what goes around crosses the side again.
"""

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from hwmodel.network.rounds import Round, made

Sides: TypeAlias = tuple[int, ...]


def sides_of(groups: Sequence[Sequence[int]], torus: Sides) -> tuple[Sides, list[list[int]]] | None:
    """The sides of a grid in a torus that each group is, and its devices in the grid's order.

    None where groups are no grids of the same sides.
    """
    found: list[list[int]] = []
    shapes: set[Sides] = set()
    for group in groups:
        ranks = sorted(group)
        places = np.unravel_index(ranks, torus)
        shape = tuple(len(np.unique(axis)) for axis in places)
        if math.prod(shape) != len(ranks):
            return None
        shapes.add(shape)
        found.append(ranks)
    return (shapes.pop(), found) if len(shapes) == 1 else None


def gathered(sides: Sides) -> tuple[Round, ...]:
    """All parts to all devices of a grid, numbered with its last side fastest."""
    ranks = math.prod(sides)
    axes = [axis for axis, side in enumerate(sides) if side > 1]
    number = np.arange(ranks).reshape(sides)
    rounds: list[Round] = []
    for phase in range(len(axes)):
        ends: list[np.ndarray[tuple[int], np.dtype[np.intp]]] = []
        shares: list[float] = []
        for first in range(len(axes)):
            known = math.prod(sides[axes[(first + before) % len(axes)]] for before in range(phase))
            axis = axes[(first + phase) % len(axes)]
            for step in (1, -1):
                ends.append(np.roll(number, -step, axis).ravel())
                shares.append((sides[axis] - 1) * known / ranks / (2 * len(axes)))
        start = np.tile(np.arange(ranks), len(ends))
        share = np.repeat(shares, ranks)
        rounds.append(made(start, np.concatenate(ends), share, depth=max(sides) - 1))
    return tuple(rounds)
