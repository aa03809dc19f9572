"""Points: tiles of loops, all at once, and those of them that can still win.

A point is a choice of tiles of all loops around. Numbers are arrays over points; a point whose
lower bound reaches the best known is dropped.
"""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from hwmodel.einsum.cascade import NOTHING
from hwmodel.mappers.fusion.form import Numbers
from hwmodel.mappers.fusion.shapes import Shapes
from hwmodel.mappers.fusion.traffic import Axis, Places


class TimeOverError(Exception):
    """The deadline has passed."""


@dataclass(eq=False)
class Points(Shapes):
    """Points of one form's trees; counts those looked at, and ends in time."""

    candidates: int = field(default=0, kw_only=True)
    deadline_s: float = field(default=math.inf, kw_only=True)
    """A reading of `time.perf_counter()`."""

    def _points(
        self,
        prefix: tuple[str, ...],
        keeps: Mapping[str, int],
        pushed: frozenset[str],
        path: tuple[Axis, ...],
        first: int,
        last: int,
        room: Numbers,
        limit: Numbers,
        best: Numbers,
        only: tuple[str, ...] | None = None,
        keeping: Mapping[str, frozenset[str]] = NOTHING,
    ) -> tuple[Places, tuple[Axis, ...]] | None:
        """The points around times the tiles of the prefix that can still win."""
        if time.perf_counter() > self.deadline_s:
            raise TimeOverError
        bar = np.minimum(limit, best)
        where = np.flatnonzero(bar > 0)
        axes: list[Axis] = []
        counted = only if only is not None else self._counted(prefix, keeps, pushed, first, last)
        for rank in sorted(prefix, key=lambda r: r not in counted):
            choices = self.choices[rank] if rank in counted else self.choices[rank][:1]
            turns = np.ceil(self.form.sizes[rank] / choices)
            if only is not None and rank not in counted:
                turns = np.ones(1)  # a leaf's own tile comes later; a bound takes one turn
            many = np.repeat(np.arange(where.size), choices.size)
            where = where[many]
            axes = [axis.at(many) for axis in axes]
            axes.append(
                Axis(
                    rank,
                    np.tile(choices, many.size // choices.size),
                    np.tile(turns, many.size // choices.size),
                    keeping.get(rank, frozenset()),
                )
            )
            if rank in counted or len(axes) == len(prefix):
                self.candidates += where.size
                ordered = self._ordered(prefix, axes, where.size)
                around = [*(axis.at(where) for axis in path), *ordered]
                lower = self._floor(pushed, around, first, last)
                for name, at in keeps.items():
                    deep = len(path) + at
                    lower = lower + self._moved(
                        name, self._turns(name, around, len(path), deep), first, last
                    )
                alive = np.flatnonzero(lower < bar[where])
                if not alive.size:
                    return None
                where = where[alive]
                axes = [axis.at(alive) for axis in axes]
        if not where.size:
            return None
        if only is not None:
            axes = [
                axis
                if axis.rank in counted
                else Axis(axis.rank, axis.tile, np.ceil(self.form.sizes[axis.rank] / axis.tile))
                for axis in axes
            ]
        return where, tuple(self._ordered(prefix, axes, where.size))

    def _ordered(self, prefix: Sequence[str], axes: Sequence[Axis], size: int) -> list[Axis]:
        """The loops in their order; those not chosen yet make one turn."""
        known = {axis.rank: axis for axis in axes}
        return [
            known[rank]
            if rank in known
            else Axis(rank, np.full(size, float(self.form.sizes[rank])), np.ones(size))
            for rank in prefix
        ]
