"""Levels: fused cascades on more than two memories and on arrays, for energy and time.

The mapspace `fused`. At the outermost boundary a tree of `uniform` (`search`), inside of each of
its leaves a nest of one Einsum on the memories and the array within (`nests.levels`), of the tile
that the tree leaves it. Trees of least traffic in the buffer, in a half and in a quarter of it are
tried, with tiles as large as fit and move no more, and beside them every Einsum by itself; the best
is the answer. It is not proven best, but of energy there is a bound for the whole mapspace:

    least traffic of any tree, at the outermost memory and at the buffer,
    + for each Einsum the least energy of any nest inside of a buffer without limit

since a tree only ever divides those nests further. Without idle watts both add up. Of bands and
windows the second is the arithmetic, and its operands at the innermost memory. Time is bounded by
what any schedule takes.

A turn of a loop in a band, or of what reads windows, leaves a box of points to an Einsum (`Box`):
the nest inside starts anew in each of them, and computes all of it.

Units: bytes, joules, seconds.
"""

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from math import prod
from typing import cast

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.counts import cascade_counts, points
from hwmodel.hardware.hardware import Hardware, limits
from hwmodel.machines.spatial.asking import asking
from hwmodel.machines.spatial.boxes import alone, boxed
from hwmodel.machines.spatial.nest import evaluate
from hwmodel.machines.spatial.rates import rates, unit_of
from hwmodel.machines.spatial.rules import OVERLAP, Rules
from hwmodel.mappers.fusion.fuse import fuse
from hwmodel.mappers.fusion.turns import boxes_of
from hwmodel.mappers.mapper import Proposal
from hwmodel.mappers.nests.costs import any_schedule, cost
from hwmodel.mappers.nests.levels import map_levels
from hwmodel.quantity.dtypes import bytes_of
from hwmodel.quantity.errors import CapacityError, InputError, SolverError
from hwmodel.spine.activity import Rates
from hwmodel.spine.mapping import Box, Compute, Loop, Nest, Node, Split, walk
from hwmodel.spine.mapping import Mapping as LoopNest

SHARES = (1.0, 0.5, 0.25)
"""Parts of the buffer in which trees of least traffic are tried."""
TREES = 0.5
"""Share of the time after which no more trees are looked for."""
TIME_LIMIT_S = 10.0
"""Seconds that the search inside of one leaf may take at most."""
LEAST_S = 0.2
"""And those that it has when there is no time left."""


def fuse_levels(
    cascade: Cascade,
    hardware: Hardware,
    *,
    objective: str,
    capacities: Mapping[str, float],
    mapspace: str = "uniform",
    rules: Rules = OVERLAP,
    deadline_s: float = math.inf,
) -> Proposal:
    """The best fused mapping that is found for "energy", "latency" or "edp"; see the module.

    Raises `CapacityError` where no tree fits, `CoverageError` for what the two searches refuse.
    """
    outer, level, *_ = capacities
    began_s = time.perf_counter()
    inner = {name: size for name, size in capacities.items() if name != outer}
    inside = _Inside(cascade, hardware, objective, inner, deadline_s)
    found: list[tuple[float, LoopNest, bool]] = []
    moved, candidates = 0.0, 0
    apart: list[Proposal] = []
    for share in SHARES:
        room = {**capacities, level: capacities[level] * share}
        over_s = min(deadline_s, began_s + (deadline_s - began_s) * TREES)
        try:
            tree = fuse(
                cascade,
                hardware,
                objective="traffic",
                capacities=room,
                mapspace=mapspace,
                deadline_s=over_s,
            )
        except (CapacityError, SolverError):
            if share == SHARES[0]:
                raise
            break
        if share == SHARES[0]:
            moved = cast(float, tree.expected) if tree.optimal else _once(cascade, hardware)
        candidates += tree.candidates
        whole = inside.filled(_widened(cascade, hardware, cast(LoopNest, tree.choice)))
        found.append((*_valued(cascade, hardware, whole, objective, rules), True))
        if share == SHARES[0] and not inside.banded and time.perf_counter() < deadline_s:
            apart = [inside.alone(einsum.name, hardware, capacities) for einsum in cascade.einsums]
            nests = tuple(cast(LoopNest, each.choice).nest for each in apart)
            whole = LoopNest(cascade.name, hardware.name, (Split(nests),))
            with suppress(CapacityError, InputError):  # a recurrence is fused, or not at all
                found.append((*_valued(cascade, hardware, whole, objective, rules), False))
        if time.perf_counter() > over_s:
            break
    value, best, fused = min(found, key=lambda each: each[0])
    told = "fused at the outermost boundary" if fused else "nothing is fused: that is no better"
    return Proposal(
        best,
        mapspace="fused",
        candidates=candidates + inside.candidates + sum(each.candidates for each in apart),
        least=_least(inside, hardware, moved, objective, value),
        rules=rules,
        given=("trees of 'uniform', and nests of one Einsum each inside of their leaves",),
        notes=(told,),
    )


def _once(cascade: Cascade, hardware: Hardware) -> float:
    """Bytes that cross the outermost boundary whatever is fused."""
    return float(any_schedule(cascade, hardware, "traffic")[1])


class _Inside:
    """Nests of single Einsums on what lies inside of the outermost memory, each searched once."""

    def __init__(
        self,
        cascade: Cascade,
        hardware: Hardware,
        objective: str,
        capacities: Mapping[str, float],
        deadline_s: float,
    ) -> None:
        memories = {name: hardware.memories[name] for name in capacities}
        self.cascade, self.objective = cascade, objective
        self.machine = hardware.model_copy(update={"memories": memories})
        self.capacities, self.deadline_s = capacities, deadline_s
        self.sizes = {name: cast(int, size) for name, size in cascade.sizes().items()}
        self.found: dict[tuple[str, tuple[int, ...]], Proposal] = {}
        found = asking(cascade, windows=True)
        self.asks, self.banded = bool(found.asks), bool(found.bands)
        self.limits = limits(hardware)

    @property
    def candidates(self) -> int:
        """Nests that were looked at."""
        return sum(each.candidates for each in self.found.values())

    def filled(self, tree: LoopNest) -> LoopNest:
        """A tree with a nest in the place of each Einsum.

        Where bands and windows ask for other points in every turn, it is one for the largest box.
        """
        if not self.asks:
            return replace(tree, nest=self.nested(tree.nest, dict(self.sizes)))
        largest = {
            name: max((dict(extents) for extents, _ in each), key=lambda box: prod(box.values()))
            for name, each in boxes_of(self.cascade, tree, self.limits).items()
        }
        return replace(tree, nest=self._boxed(tree.nest, largest))

    def _boxed(self, nest: Nest, largest: Mapping[str, Mapping[str, int]]) -> Nest:
        nodes: list[Node] = []
        for node in nest:
            if isinstance(node, Split):
                node = Split(tuple(self._boxed(branch, largest) for branch in node.branches))
            elif isinstance(node, Compute):
                made = self.best(node.einsum, {**self.sizes, **largest[node.einsum]})
                node = Box(node.einsum, cast(LoopNest, made.choice).nest)
            nodes.append(node)
        return tuple(nodes)

    def nested(self, nest: Nest, extents: dict[str, int]) -> Nest:
        """A tree with a nest in the place of each Einsum, for the tile that the tree leaves it."""
        for at, node in enumerate(nest):
            if isinstance(node, Loop):
                extents = {**extents, node.rank: min(node.tile, extents[node.rank])}
            elif isinstance(node, Split):
                branches = tuple(self.nested(branch, extents) for branch in node.branches)
                return (*nest[:at], Split(branches))
            elif isinstance(node, Compute):
                made = self.best(node.einsum, extents)
                return (*nest[:at], *cast(LoopNest, made.choice).nest)
        return nest

    def best(self, name: str, extents: Mapping[str, int]) -> Proposal:
        """The best nest of one Einsum over a tile."""
        einsum = self.cascade.einsum(name)
        key = name, tuple(extents[rank] for rank in einsum.ranks)
        if key not in self.found:
            self.found[key] = map_levels(
                boxed(einsum, self.cascade, extents),
                self.machine,
                objective=self.objective,
                capacities=self.capacities,
                time_limit_s=self._left_s(),
            )
        return self.found[key]

    def alone(self, name: str, hardware: Hardware, capacities: Mapping[str, float]) -> Proposal:
        """The best nest of one Einsum by itself, on all memories."""
        return map_levels(
            alone(self.cascade.einsum(name), self.cascade),
            hardware,
            objective=self.objective,
            capacities=capacities,
            time_limit_s=self._left_s(),
        )

    def _left_s(self) -> float:
        """Seconds for one more nest: an answer that is proven less is found in any time."""
        left_s = (self.deadline_s - time.perf_counter()) / len(self.cascade.einsums)
        return min(TIME_LIMIT_S, max(LEAST_S, left_s))


def _widened(cascade: Cascade, hardware: Hardware, tree: LoopNest) -> LoopNest:
    """The tree with tiles as large as fit and move no more, doubled in turn, innermost first."""
    machine = limits(hardware)
    outermost = next(iter(machine.capacity_bytes))
    moved = evaluate(cascade, tree, machine).traffic_bytes(outermost)
    tiles = [node.tile for _, node in walk(tree.nest) if isinstance(node, Loop)]
    ranks = [node.rank for _, node in walk(tree.nest) if isinstance(node, Loop)]
    growing = [at for at, rank in enumerate(ranks) if not cascade.ranks[rank].iterative][::-1]
    while growing:
        for at in tuple(growing):
            size = cast(int, cascade.ranks[ranks[at]].size)
            wider = [*tiles[:at], min(2 * tiles[at], size), *tiles[at + 1 :]]
            trial = replace(tree, nest=_tiled(tree.nest, iter(wider)))
            fits = tiles[at] < size
            if fits:
                try:
                    counts = evaluate(cascade, trial, machine)
                    fits = counts.traffic_bytes(outermost) <= moved
                except CapacityError:
                    fits = False
            if fits:
                tiles = wider
            else:
                growing.remove(at)
    return replace(tree, nest=_tiled(tree.nest, iter(tiles)))


def _tiled(nest: Nest, tiles: Iterator[int]) -> Nest:
    """A nest with other tiles of its loops, in order."""
    nodes: list[Node] = []
    for node in nest:
        if isinstance(node, Loop):
            nodes.append(replace(node, tile=next(tiles)))
        elif isinstance(node, Split):
            nodes.append(Split(tuple(_tiled(branch, tiles) for branch in node.branches)))
        else:
            nodes.append(node)
    return tuple(nodes)


def _least(
    inside: _Inside, hardware: Hardware, moved: float, objective: str, value: float
) -> float | None:
    """The least energy of the mapspace; None where idle watts or the objective leave it open."""
    done = {
        (unit_of(hardware)(kind), kind, t): n
        for (kind, t), n in cascade_counts(inside.cascade).items()
    }
    charged = rates(hardware, done)
    if objective != "energy" or float(charged.static_w):
        return None
    outer, level, *_ = hardware.memories
    crossing = moved * (float(charged.byte_j[outer]) + float(charged.byte_j[level]))
    if inside.asks:
        return min(value, crossing + _near_j(inside.cascade, hardware, charged))
    each = (inside.best(e.name, inside.sizes) for e in inside.cascade.einsums)
    return min(value, crossing + sum(cast(float, nest.least) for nest in each))


def _valued(
    cascade: Cascade, hardware: Hardware, mapping: LoopNest, objective: str, rules: Rules
) -> tuple[float, LoopNest]:
    return float(cost(cascade, hardware, mapping, rules).value(objective)), mapping


def fused_floor(cascade: Cascade, hardware: Hardware, objective: str) -> float:
    """What no mapping of the mapspace falls below; 0 where no more is known than of any schedule.

    Of energy without idle watts: what crosses at the least passes the buffer too, and the
    arithmetic and one access to each operand of each point at the innermost memory.
    """
    done = {
        (unit_of(hardware)(kind), kind, t): n for (kind, t), n in cascade_counts(cascade).items()
    }
    charged = rates(hardware, done)
    if objective != "energy" or float(charged.static_w):
        return 0.0
    outer, level, *_ = hardware.memories
    each = float(charged.byte_j[outer]) + float(charged.byte_j[level])
    return _once(cascade, hardware) * each + _near_j(cascade, hardware, charged)


def _near_j(cascade: Cascade, hardware: Hardware, charged: Rates) -> float:
    """Least joules of the arithmetic, and of one access to each operand of each point."""
    *_, innermost = hardware.memories
    done = charged.operation_j
    total = sum(
        float(n) * float(joules)
        for (kind, dtype), n in cascade_counts(cascade).items()
        for (_, of, t), joules in done.items()
        if (of, t) == (kind, dtype)
    )
    for einsum in cascade.einsums:
        names = {access.tensor for access in (einsum.output, *einsum.reads)}
        width = sum(float(bytes_of(cascade.tensors[name].dtype)) for name in names)
        total += float(points(einsum, cascade)) * width * float(charged.byte_j[innermost])
    return total
