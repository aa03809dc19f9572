"""Tori whose links are alike, in closed form: a message looks the same from every device.

Where its shortest ways lie depends on its step alone: `a` hops along the sides, A in all, in one
direction each (half in either where it is half around). Messages spread evenly over all orders of
these hops, so that of a step the part

    prod over sides C(a_j, b_j) / C(A, B)  (a_i - b_i) / (A - B)

passes the place b, B hops on its way, and leaves it along side i (draws without replacement). What
many messages load is the sum over their steps; a step that all devices take alike loads all links
of a direction alike, with its hops. It is what `hwmodel.network.routes` counts path by path, which
takes a minute for 1,024 devices.
"""

import itertools
import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from hwmodel.network.routes import Array
from hwmodel.network.topology import Topology
from hwmodel.quantity.reading import DEVICES

Places: TypeAlias = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Torus:
    """A grid of devices that wraps around, with a link of one kind between neighbours.

    A link is one for each direction: `[2 sides, devices]` by where it starts, flat.
    """

    sides: tuple[int, ...]
    message_s: float
    latency_s: float

    @property
    def number(self) -> int:
        """Of devices."""
        return math.prod(self.sides)

    def hops(self, start: Places, end: Places) -> Array:
        """Links on the way of each message."""
        step = self._step(start, end)
        return np.minimum(step, np.array(self.sides) - step).sum(axis=1).astype(np.float64)

    def loads(self, start: Places, end: Places, weights: Array, everywhere: bool = False) -> Array:
        """What each link carries of messages with these weights, `[n, message]` -> `[n, link]`.

        `everywhere`: all other devices send the same, each as far on.
        """
        found = np.zeros((len(weights), 2 * len(self.sides), self.number))
        step = _number(self._step(start, end), self.sides)
        order = np.argsort(step, kind="stable")
        first = np.flatnonzero(np.diff(step[order], prepend=-1))
        for begin, stop in itertools.pairwise([*first.tolist(), len(order)]):
            mine = order[begin:stop]
            side, way, place, part = _ways(self.sides, int(step[mine[0]]))
            link = 2 * side + way
            each = np.stack([np.bincount(start[mine], w[mine], self.number) for w in weights])
            if everywhere or np.ptp(each, axis=1).max() <= ROUNDED * each.max():
                sent = weights[:, mine].sum(axis=1) if everywhere else each.mean(axis=1)
                hops = np.bincount(link, part, 2 * len(self.sides))
                found += (sent[:, None] * hops)[:, :, None]
                continue
            some = np.flatnonzero(each.any(axis=0))
            at = self._moved(some, place)
            where = (link * self.number + at).ravel()
            for row, sent in zip(found, each, strict=True):
                load = (sent[some, None] * part).ravel()
                row += np.bincount(where, load, row.size).reshape(row.shape)
        return found.reshape(len(weights), -1)

    def _step(self, start: Places, end: Places) -> Places:
        """Hops on along each side, `[message, side]`."""
        return (_at(end, self.sides) - _at(start, self.sides)) % np.array(self.sides)

    def _moved(self, devices: Places, place: Places) -> Places:
        """Places as far from each of some devices as from the first, `[device, place]`."""
        moved = _at(devices, self.sides)[:, None] + _at(place, self.sides)
        return _number(moved, self.sides)


ROUNDED = 1e-12
"""Of a load: what differs by less is the same."""

FACTORIALS = np.concatenate(([0.0], np.cumsum(np.log(np.arange(1, DEVICES + 1)))))
"""Logarithms of factorials; no way has as many hops as there are devices."""


def _at(devices: Places, sides: tuple[int, ...]) -> Places:
    """Where devices stand along each side, `[..., side]`."""
    return np.array(np.unravel_index(devices, sides), dtype=np.intp).T


def _number(at: Places, sides: tuple[int, ...]) -> Places:
    """Devices that stand there, around the sides, `[..., side]` -> `[...]`."""
    each = np.cumprod((1, *sides[:0:-1]))[::-1]
    return np.asarray((at % np.array(sides) * each).sum(axis=-1), dtype=np.intp)


def _ways(sides: tuple[int, ...], step: int) -> tuple[Places, Places, Places, Array]:
    """Of a message from the first device: side, direction, place and part of each link it takes."""

    def ways(n: NDArray[np.intp] | int, k: NDArray[np.intp]) -> Array:
        """The logarithm of n over k."""
        return FACTORIALS[n] - FACTORIALS[k] - FACTORIALS[n - k]

    to = _at(np.array([step], dtype=np.intp), sides)[0]
    lengths = np.array(sides)
    hops = np.minimum(to, lengths - to)
    boxes: tuple[int, ...] = tuple((hops + 1).tolist())  # places b of the box of shortest ways
    before = _at(np.arange(math.prod(boxes), dtype=np.intp), boxes).T
    done, every = before.sum(axis=0), int(hops.sum())
    chance = np.exp(ways(hops[:, None], before).sum(axis=0) - ways(every, done))
    side, number = np.nonzero(hops[:, None] - before)
    left = (hops[:, None] - before)[side, number]
    part = chance[number] * left / (every - done)[number]
    both = [
        (1, -1) if 2 * n == length > 2 else (1,) if 2 * n <= length else (-1,)
        for n, length in zip(to.tolist(), sides, strict=True)
    ]
    found: list[tuple[Places, Places, Places, Array]] = []
    for signs in itertools.product(*both):
        place = _number((np.array(signs)[:, None] * before).T[number], sides)
        found.append((side, (np.array(signs)[side] < 0).astype(np.intp), place, part))
    along, turned, places, parts = zip(*found, strict=True)
    each = np.concatenate(parts) / len(found)
    return np.concatenate(along), np.concatenate(turned), np.concatenate(places), each


@lru_cache(maxsize=64)
def torus_of(topology: Topology) -> Torus | None:
    """A topology as a torus of links that are alike; None of any other."""
    sides, links = topology.sides, topology.links
    if not sides or topology.paths != "even" or len(topology.nodes) != math.prod(sides):
        return None
    kinds = {tuple(link.model_dump(exclude={"between"}).values()) for link in links}
    if len(kinds) != 1 or links[0].duplex != "full":
        return None
    index = {name: i for i, name in enumerate(topology.devices)}
    if len(index) < len(topology.nodes):
        return None
    ends = np.array([[index[name] for name in link.between] for link in links], dtype=np.intp)
    step = np.abs(_at(ends[:, 1], sides) - _at(ends[:, 0], sides))
    step = np.minimum(step, np.array(sides) - step)
    pairs = {tuple(sorted(each)) for each in ends.tolist()}
    many = sum(len(index) // (2 if side == 2 else 1) for side in sides if side > 1)
    if np.any(step.sum(axis=1) != 1) or not len(pairs) == len(links) == many:
        return None
    return Torus(sides, links[0].message_s, links[0].latency_s)
