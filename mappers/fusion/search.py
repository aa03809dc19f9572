"""Search of all fused loop trees of a cascade on a memory and one buffer: least bytes moved.

The mapspace `uniform`. A tree is a row of subtrees; a subtree is a prefix of loops around another
row, or the loops of one Einsum. In it

- the Einsums stand in one order (see `form.orders`), and none is computed twice: a loop
  around several Einsums is over a rank of each of them;
- a rank has at most one loop on the way to an Einsum, with any tile, the last tile smaller;
- what an Einsum makes under a loop over a rank that it reduces, no Einsum under that loop reads,
  but for recurrent tensors, which are read step by step (so a second pass starts after the first,
  and what both need is held whole in between, or written out and fetched again);
- every tensor that an Einsum touches has one Keep on its way, at any depth; a tensor made and read
  inside stays in the buffer from its first to its last use, or goes through the memory;
- states of recurrent tensors are held while their rank is walked;
- a loop whose Einsum reads windows asks for windows of what is made inside of it, which is computed
  anew in every turn, or slides: it is held behind some of the loops, and what is new is computed;
- a loop over a rank in a band (causal, windowed attention) has the least tile of its number of
  turns; the interval that it asks of a tensor moves with it, and what stays of it is held on.

What is left out is dominated: a Keep outside a loop over a rank of its tensor (moving it inwards
holds less and moves the same), a tile larger than the least for its number of turns, a tile above
the least where no traffic counts its turns. Numbers are arrays over the tiles of the loops around,
so that one call looks at all of them; a place whose lower bound reaches the best known is dropped.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

import numpy as np

from hwmodel.mappers.fusion.form import Numbers, TileRule, tiles
from hwmodel.mappers.fusion.leaves import Leaves
from hwmodel.mappers.fusion.points import TimeOverError
from hwmodel.mappers.fusion.traffic import Axis, Places, Value
from hwmodel.mappers.fusion.tree import Branch

Plan = tuple[float, Branch | None]
"""Bytes of the best subtree at one point, and the subtree."""


@dataclass(eq=False)
class Search(Leaves):
    """One form on one buffer."""

    rules: Mapping[str, TileRule]
    anew: bool = True
    """Whether what windows ask for may be computed more than once."""
    capacity: float = 0.0
    spilling: bool = True
    ended: bool = False
    """Whether the time was over before all trees were looked at."""
    in_hand: tuple[float, Branch] | None = None
    found: dict[object, tuple[Numbers, Branch | None, float]] = field(default_factory=lambda: {})

    def __post_init__(self) -> None:
        """Tiles worth looking at."""
        super().__post_init__()
        for rank, size in self.form.sizes.items():
            self.choices[rank] = tiles(size, self.rules.get(rank, TileRule()), rank)
        for rank in self.form.blocks:
            self.choices[rank] = np.ones(1)

    def best(self, capacity: float, below: float = np.inf) -> Plan:
        """The least bytes of one slice in a buffer of `capacity` bytes, and its tree.

        No tree where none fits or all move `below` bytes or more; the best in hand where the time
        is over.
        """
        self.capacity, self.in_hand = float(capacity), None
        try:
            return self._best(below)
        except TimeOverError:
            self.ended = True
            return self.in_hand or (below, None)

    def _best(self, below: float) -> Plan:
        whole = (0, len(self.form.items) - 1)
        dram = frozenset(name for name in self.form.outside)
        one = np.full(1, self.capacity)
        limit = np.full(1, below)
        if len(self.form.items) == 1:
            cost, plan = self.leaf(0, (), dram, one, limit)
        else:
            cost, plan = limit, None
            for self.spilling in (False, True):  # what fits without spills sets the bar
                fused, tree = self.prefixed(*whole, (), dram, one, cost)
                cost, plan = (fused, tree) if fused[0] < cost[0] else (cost, plan)
            parts, tree = self.row(*whole, (), (), dram, one, cost)
            cost, plan = (parts, tree) if parts[0] < cost[0] else (cost, plan)
        return float(cost[0]), plan

    def prefixed(
        self,
        first: int,
        last: int,
        path: tuple[Axis, ...],
        dram: frozenset[str],
        room: Numbers,
        limit: Numbers,
    ) -> tuple[Numbers, Branch | None]:
        """Least bytes of a subtree of several Einsums under loops of its own, at every point."""
        best, plan = np.full(room.shape, np.inf), None
        prefixes = self._prefixes(first, last, frozenset(axis.rank for axis in path))
        floor = self._floor(dram, path, first, last)
        for few in (True, False):  # choices with one free tile first: they set the bar
            for prefix in prefixes:
                bar = np.minimum(limit, best)
                if not np.any(floor < bar):
                    return best, plan
                found, tree = self.row(first, last, prefix, path, dram, room, bar, few)
                if tree is not None and found[0] < best[0]:
                    plan = tree
                best = np.minimum(best, found)
        return best, plan

    def row(
        self,
        first: int,
        last: int,
        prefix: tuple[str, ...],
        path: tuple[Axis, ...],
        dram: frozenset[str],
        room: Numbers,
        limit: Numbers,
        few: bool | None = None,
    ) -> tuple[Numbers, Branch | None]:
        """Least bytes of a row of subtrees under the loops `prefix`, at every point around."""
        best, plan = np.full(room.shape, np.inf), None
        inside = sorted(self._touched(dram, first, last))
        states = self._states(first, last, prefix)
        options = [self._positions(t, prefix, first, last, states) for t in inside]
        windows = {  # what computes least first: it wins ties
            t: [*depths, None] if self.anew else depths[:1]
            for t in self._internal(first, last)
            if (depths := self._slides(t, prefix))
        }
        if not self.anew and any(self._again(t, path) for t in self._internal(first, last)):
            return best, plan
        for chosen in product(*options, *windows.values()):
            keeps = {t: at for t, at in zip(inside, chosen, strict=False) if at is not None}
            depths = zip(windows, chosen[len(inside) :], strict=True)
            slid = {t: at for t, at in depths if at is not None}
            keeping = {
                rank: frozenset(t for t, at in slid.items() if place >= at - 1)
                for place, rank in enumerate(prefix)
            }
            pushed = dram.difference(keeps)
            counted = self._counted(prefix, keeps, pushed, first, last)
            if few is not None and few is not (len(counted) < 2):
                continue
            points = self._points(
                prefix, keeps, pushed, path, first, last, room, limit, best, keeping=keeping
            )
            if points is None:
                continue
            where, axes = points
            around: tuple[Axis, ...] = (*(axis.at(where) for axis in path), *axes)
            outer = len(path)
            left = room[where].copy()
            moved = np.zeros(where.shape)
            for name, at in keeps.items():
                moved += self._moved(
                    name, self._turns(name, around, outer, outer + at), first, last
                )
                if at < len(prefix) or self._rolls(name, prefix, at):
                    left -= self._tile(name, around[: outer + at])
            for name, (at, steps) in states.items():
                if name not in keeps:
                    steps -= name not in self._internal(first, last)
                left -= steps * self._tile(name, around[: outer + at])
                if name in keeps:
                    left += self._tile(name, around[: outer + at])
            for name, at in slid.items():
                left -= self._tile(name, around[: outer + at])
            alone = frozenset({*states, *slid})
            ended: set[str] = {
                t for t, at in keeps.items() if at == len(prefix) and not self._rolls(t, prefix, at)
            }
            bar = np.minimum(limit, best)[where]
            found, tree = self._spills(
                first, last, around, pushed, ended, alone, left, moved, bar, where, frozenset(slid)
            )
            if found is None:
                continue
            better = np.full(room.shape, np.inf)
            np.minimum.at(better, where, found)
            if room.size == 1 and better[0] < best[0]:
                at = int(np.argmin(found))
                if tree is None:  # several points: look again at the best one, for its tree
                    spot = np.array([at])
                    _, tree = self._spills(
                        *(first, last, tuple(axis.at(spot) for axis in around), pushed, ended),
                        *(alone, left[spot], moved[spot], np.full(1, np.inf)),
                        *(np.zeros(1, dtype=np.intp), frozenset(slid)),
                    )
                if tree is not None:
                    loops = tuple((axis.rank, int(axis.tile[at])) for axis in axes)
                    kept = slid | keeps
                    kept |= {
                        t: d for t, (d, _) in states.items() if t in self._internal(first, last)
                    }
                    walked = {axis.rank for axis in path}
                    held = self._crossing(tree, first, last, pushed, alone, walked)
                    kept |= dict.fromkeys(held, len(prefix))
                    slides = slid.keys() | {
                        t for t, at in keeps.items() if self._rolls(t, prefix, at)
                    }
                    plan = Branch(first, last, loops, tuple(kept.items()), tree, frozenset(slides))
                    if not path and (first, last) == (0, len(self.form.items) - 1):
                        self.in_hand = float(better[0]), plan
            best = np.minimum(best, better)
        return best, plan

    def _spills(
        self,
        first: int,
        last: int,
        around: tuple[Axis, ...],
        pushed: frozenset[str],
        ended: set[str],
        states: frozenset[str],
        left: Numbers,
        moved: Numbers,
        limit: Numbers,
        owner: Places,
        slid: frozenset[str] = frozenset(),
    ) -> tuple[Numbers | None, tuple[Branch, ...] | None]:
        """Try every set of inner tensors that go through the memory, least traffic first.

        Points of one owner are alternatives: what one of them reaches, the others must beat.
        """
        best: Numbers | None = None
        tree: tuple[Branch, ...] | None = None
        inner = [t for t in self._internal(first, last) if t not in states]
        inner = [t for t in inner if not self.form.tensors[t].state_rank]
        inner = [t for t in inner if not self._asked_by(t, around)]
        extra = {
            t: self._moved(t, self._turns(t, around, len(around), len(around)), first, last)
            + self.form.bytes[t] * self._outer_turns(t, around)
            for t in inner
        }
        floor = moved + self._floor(pushed, around, first, last)
        stack: list[tuple[int, tuple[str, ...], Numbers]] = [(0, (), floor)]
        while stack:
            start, spilled, lower = stack.pop(0)
            bar = limit
            if best is not None:
                reached = np.full(int(owner.max()) + 1, np.inf)
                np.minimum.at(reached, owner, best)
                bar = np.minimum(limit, reached[owner])
            if not np.any(lower < bar):
                continue
            found, row = self._compose(
                *(first, last, around, pushed | set(spilled), ended, states, {*spilled, *slid}),
                *(left, moved, bar),
            )
            if found is not None:
                if best is None or (row is not None and found[0] < best[0]):
                    tree = row
                best = found if best is None else np.minimum(best, found)
            for at in range(start, len(inner) if self.spilling else 0):
                name = inner[at]
                more = lower + extra[name]
                if np.any(more < bar):
                    stack.append((at + 1, (*spilled, name), more))
        return best, tree

    def _compose(
        self,
        first: int,
        last: int,
        around: tuple[Axis, ...],
        dram: frozenset[str],
        ended: set[str],
        states: frozenset[str],
        apart: set[str],
        left: Numbers,
        moved: Numbers,
        limit: Numbers,
    ) -> tuple[Numbers | None, tuple[Branch, ...] | None]:
        """The best row of subtrees from `first` to `last`: a shortest path over where it is cut.

        What is set `apart` goes from one subtree to another.
        """
        size = left.shape
        reached: dict[int, Numbers] = {first: moved}
        rows: dict[int, tuple[Branch, ...]] = {first: ()}
        looped = frozenset(axis.rank for axis in around)
        rest = {
            at: self._floor(dram, around, at, last) if at <= last else 0.0
            for at in range(first, last + 2)
        }
        for start in range(first, last + 1):
            if start not in reached:
                continue
            for end in range(start, last + 1):
                if (start, end) == (first, last) or not self._may_stand(start, end, looped):
                    continue
                if any(self._within(t, start, end) for t in apart):
                    continue
                room = left - self._live(start, end, first, last, around, dram, ended, states)
                bar = np.full(size, -np.inf)
                known = np.flatnonzero(np.isfinite(reached[start]) & (room >= 0))
                bar[known] = (limit - rest[end + 1])[known]
                if end + 1 in reached:
                    bar[known] = np.minimum(bar[known], reached[end + 1][known])
                bar[known] -= reached[start][known]
                where = np.flatnonzero(bar > 0)
                if not where.size:
                    continue
                inner = tuple(axis.at(where) for axis in around)
                needed = self._touched(dram, start, end)
                if around:
                    cost, tree = self._any(start, end, inner, needed, room[where], bar[where])
                else:
                    cost, tree = self._once(start, end, needed, float(room[0]), float(bar[0]))
                total = np.full(size, np.inf)
                total[where] = reached[start][where] + cost
                if not np.any(np.isfinite(total)):
                    continue
                if end + 1 not in reached or total[0] < reached[end + 1][0]:
                    if tree is not None:
                        rows[end + 1] = (*rows.get(start, ()), tree)
                before = reached.get(end + 1)
                reached[end + 1] = total if before is None else np.minimum(before, total)
        if last + 1 not in reached:
            return None, None
        return reached[last + 1], rows.get(last + 1) if left.size == 1 else None

    def _any(
        self,
        first: int,
        last: int,
        path: tuple[Axis, ...],
        dram: frozenset[str],
        room: Numbers,
        limit: Numbers,
    ) -> tuple[Numbers, Branch | None]:
        """A subtree of one Einsum or of several."""
        if first == last:
            return self.leaf(first, path, dram, room, limit)
        return self.prefixed(first, last, path, dram, room, limit)

    def _once(
        self, first: int, last: int, dram: frozenset[str], room: float, limit: float
    ) -> tuple[Numbers, Branch | None]:
        """A subtree outside of all loops: remembered, and first asked of the whole buffer.

        What moves too much with the whole buffer moves too much with less.
        """
        cost, tree = np.full(1, np.inf), None
        for given in sorted({self.capacity, room}, reverse=True):
            key = (first, last, dram, given)
            cost, tree, tried = self.found.get(key, (np.full(1, np.inf), None, 0.0))
            if not np.isfinite(cost[0]) and tried < limit:
                ones = np.full(1, given), np.full(1, limit)
                cost, tree = self._any(first, last, (), dram, *ones)
                if not cost[0] < limit:  # dearer than asked for: perhaps not the least
                    cost, tree = np.full(1, np.inf), None
                self.found[key] = cost, tree, limit
            if not cost[0] < limit:
                return np.full(1, np.inf), None
        return cost, tree

    def _live(
        self,
        start: int,
        end: int,
        first: int,
        last: int,
        around: Sequence[Axis],
        dram: frozenset[str],
        ended: set[str],
        states: frozenset[str],
    ) -> Value:
        """Bytes of the row's tensors that are held while one of its subtrees runs."""
        total: Value = 0.0
        looped = {axis.rank for axis in around}
        for name in {*self._internal(first, last), *ended}:
            inner = name in dram or name in states or self._within(name, start, end)
            inner = inner or self.form.tensors[name].state_rank in looped  # held further outside
            if inner and name not in ended:
                continue
            used = [at for at in self.form.touches[name] if first <= at <= last]
            if used[0] <= end and used[-1] >= start:
                total = total + self._tile(name, around)
        return total

    def _crossing(
        self,
        row: tuple[Branch, ...],
        first: int,
        last: int,
        pushed: frozenset[str],
        states: frozenset[str],
        walked: set[str],
    ) -> list[str]:
        """Inner tensors that the found row keeps between its subtrees."""
        spilled = self._through_memory(row)
        return [
            name
            for name in self._internal(first, last)
            if name not in pushed
            and name not in states
            and name not in spilled
            and self.form.tensors[name].state_rank not in walked
            and not any(self._within(name, b.first, b.last) for b in row)
        ]

    def _through_memory(self, row: tuple[Branch, ...]) -> set[str]:
        """Tensors that some subtree of a row keeps by itself."""
        found: set[str] = set()
        for branch in row:
            found |= {name for name, _ in branch.keeps} | self._through_memory(branch.row)
        return found
