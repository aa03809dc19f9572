"""Leaves: the least traffic of one Einsum under loops of its own, at every point around."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hwmodel.mappers.fusion.form import Numbers
from hwmodel.mappers.fusion.points import Points
from hwmodel.mappers.fusion.traffic import Axis
from hwmodel.mappers.fusion.tree import Branch


@dataclass(eq=False)
class Leaves(Points):
    """Loop nests of single Einsums of one form, inside of loops around."""

    def leaf(
        self,
        place: int,
        path: tuple[Axis, ...],
        dram: frozenset[str],
        room: Numbers,
        limit: Numbers,
    ) -> tuple[Numbers, Branch | None]:
        """Least bytes of one Einsum under loops of its own, at every point around."""
        looped = tuple(axis.rank for axis in path)
        best, plan = np.full(room.shape, np.inf), None
        floor = self._floor(dram, path, place, place)
        for order, keeps, counted in self._leaf_shapes(place, looped, dram):
            if not np.any(floor < np.minimum(limit, best)):
                break
            largest = next((rank for rank in reversed(counted) if rank not in self.form.askers), "")
            tried = tuple(rank for rank in counted if rank != largest)
            points = self._points(
                order, dict(keeps), frozenset(), path, place, place, room, limit, best, tried
            )
            if points is None:
                continue
            where, axes = points
            around = [*(axis.at(where) for axis in path), *axes]
            outer = len(path)
            if largest:
                around = self._largest(largest, keeps, around, outer, room[where])
            held = sum(
                (self._tile(name, around[: outer + at]) for name, at in keeps),
                np.zeros(where.shape),
            )
            moved = sum(
                (
                    self._moved(name, self._turns(name, around, outer, outer + at), place, place)
                    for name, at in keeps
                ),
                np.zeros(where.shape),
            )
            moved = np.where(held <= room[where], moved, np.inf)
            better = np.full(room.shape, np.inf)
            np.minimum.at(better, where, moved)
            if room.size == 1 and better[0] < best[0]:
                at = int(np.argmin(moved))
                loops = tuple((axis.rank, int(axis.tile[at])) for axis in around[outer:])
                slides = {t for t, at in keeps if self._rolls(t, order, at)}
                plan = Branch(place, place, loops, keeps, slides=frozenset(slides))
            best = np.minimum(best, better)
        return best, plan

    def _largest(
        self,
        rank: str,
        keeps: Sequence[tuple[str, int]],
        around: list[Axis],
        outer: int,
        room: Numbers,
    ) -> list[Axis]:
        """Give one loop of a leaf the largest tile that fits: what is held is linear in it."""
        at = next(i for i, axis in enumerate(around) if axis.rank == rank and i >= outer)
        unit = Axis(rank, np.ones(room.shape), around[at].turns)
        probe = [*around[:at], unit, *around[at + 1 :]]
        fixed, slope = np.zeros(room.shape), np.zeros(room.shape)
        for name, depth in keeps:
            held = self._tile(name, probe[: outer + depth])
            if rank in self.form.tensors[name].ranks and at < outer + depth:
                slope += held
            else:
                fixed += held
        choices = self.choices[rank]
        most = np.floor((room - fixed) / np.maximum(slope, 1e-9))
        found = np.searchsorted(choices, np.minimum(most, choices[-1]), side="right") - 1
        tile = choices[np.maximum(found, 0)]
        around[at] = Axis(rank, tile, np.ceil(self.form.sizes[rank] / tile))
        return around
