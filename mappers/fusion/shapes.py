"""Shapes: which loops a fused tree may have, and where its keeps are worth looking at.

All of it follows from the form alone, whatever the tiles: orders of loops around Einsums, depths at
which a tensor may be kept or slide, ranks whose number of turns some traffic depends on, and where
a row of subtrees may be cut.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import permutations, product

from hwmodel.mappers.fusion.traffic import Axis, Traffic

LeafShape = tuple[tuple[str, ...], tuple[tuple[str, int], ...], tuple[str, ...]]
"""Order of the loops, depths of the keeps, and the ranks whose turns count."""


@dataclass(eq=False)
class Shapes(Traffic):
    """Loops, keeps and cuts of one form's trees."""

    def __post_init__(self) -> None:
        """What depends on the form alone, once for all."""
        super().__post_init__()
        self._leaf_shapes = cache(self._find_leaf_shapes)
        self._prefixes = cache(self._find_prefixes)
        self._internal = cache(self._find_internal)

    def _counted(
        self,
        prefix: tuple[str, ...],
        keeps: Mapping[str, int],
        pushed: frozenset[str],
        first: int,
        last: int,
    ) -> tuple[str, ...]:
        """Ranks of the prefix whose number of turns some traffic may depend on."""
        found: list[str] = []
        for at, rank in enumerate(prefix):
            lacking = [
                t
                for t in pushed
                if rank not in self.form.tensors[t].ranks
                and any(first <= place <= last for place in self.form.touches[t])
            ]
            deeper = [
                t
                for t, depth in keeps.items()
                if rank not in self.form.tensors[t].ranks
                and any(r in self.form.moving[t] for r in prefix[at + 1 : depth])
            ]
            if lacking or deeper:
                found.append(rank)
        return tuple(found)

    def _find_leaf_shapes(
        self, place: int, looped: tuple[str, ...], dram: frozenset[str]
    ) -> tuple[tuple[tuple[str, ...], tuple[tuple[str, int], ...], tuple[str, ...]], ...]:
        """Loop orders of one Einsum, places of its keeps, and the ranks whose turns count."""
        item = self.form.items[place]
        free = sorted(item.ranks - self.form.walked(frozenset(looped)))
        kept = [t for t in sorted(set(item.tensors)) if t in dram]
        shapes: dict[object, tuple[tuple[str, ...], tuple[tuple[str, int], ...], tuple[str, ...]]]
        shapes = {}
        for order in permutations(free):
            options = [self._positions(t, order, place, place, {}) for t in kept]
            for chosen in product(*([at for at in o if at is not None] for o in options)):
                keeps = tuple(zip(kept, chosen, strict=True))
                counted = self._counted(order, dict(keeps), frozenset(), place, place)
                facts = tuple(
                    (t, frozenset(order[:at]), self._counted(order, {t: at}, frozenset(), 0, 0))
                    for t, at in keeps
                )  # orders that hold and move the same are one shape
                shapes.setdefault(facts, (order, keeps, counted))
        return tuple(shapes.values())

    def _positions(
        self,
        name: str,
        prefix: tuple[str, ...],
        first: int,
        last: int,
        states: Mapping[str, tuple[int, int]],
    ) -> list[int | None]:
        """Depths in a prefix where a Keep is worth looking at; None leaves it to the row inside."""
        if name in states:
            return [at for at in range(states[name][0] + 1) if self._worth(name, prefix, at)]
        shared = first == last or sum(first <= at <= last for at in self.form.touches[name]) > 1
        found: list[int | None] = [
            at
            for at in range(len(prefix) + 1)
            if self._worth(name, prefix, at)
            and (at < len(prefix) or shared or self._rolls(name, prefix, at))
        ]
        return [*found, None] if first < last else found

    def _worth(self, name: str, prefix: tuple[str, ...], at: int) -> bool:
        """Whether a Keep after `at` loops is neither free to move inwards nor as good outwards."""
        moving = self.form.moving[name]
        if at and prefix[at - 1] not in moving:
            return False
        return at == len(prefix) or prefix[at] not in moving or self._rolls(name, prefix, at)

    def _rolls(self, name: str, prefix: tuple[str, ...], at: int) -> bool:
        """Whether what is kept after `at` loops is an interval that the last of them moves on."""
        return at > 0 and prefix[at - 1] in self.form.moving[name] - {
            *self.form.tensors[name].ranks
        }

    def _slides(self, name: str, prefix: tuple[str, ...]) -> list[int]:
        """Depths in a prefix where what windows ask for of a tensor may slide."""
        asks = self.form.asking.by_tensor.get(name, {})
        return [
            at + 1
            for at, rank in enumerate(prefix)
            if rank in asks and asks[rank].slides and rank in self.form.asking.windows
        ]

    def _again(self, name: str, path: Sequence[Axis]) -> bool:
        """Whether loops around a row ask again for what it made of a tensor in their last turn."""
        asks = self.form.asking.by_tensor.get(name, {})
        windows = self.form.asking.windows
        return any(a.rank in windows and a.rank in asks and asks[a.rank].slides for a in path)

    def _asked_by(self, name: str, around: Sequence[Axis]) -> bool:
        """Whether loops around ask for windows of a tensor."""
        asks, windows = self.form.asking.by_tensor.get(name, {}), self.form.asking.windows
        return any(axis.rank in asks and axis.rank in windows for axis in around)

    def _find_prefixes(
        self, first: int, last: int, looped: frozenset[str]
    ) -> tuple[tuple[str, ...], ...]:
        """Orders of the ranks that loops around these Einsums may walk, the longest first."""
        items = self.form.items[first : last + 1]
        common = frozenset[str]().union(*(item.ranks for item in items))
        common -= self.form.walked(looped)
        asks = self.form.asking
        for item in items:
            common &= item.ranks | {rank for rank in asks.windows if (rank, item.name) in asks.asks}
            if any(item.name in other.reads for other in items):
                common -= item.reduces
        ranks = sorted(rank for rank in common if self._whole_block(rank, first, last))
        orders = [p for n in range(len(ranks), 0, -1) for p in permutations(ranks, n)]
        windows = self.form.asking.windows
        return tuple(p for p in orders if not any({*p} & windows.get(q, {*()}) for q in p))

    def _whole_block(self, rank: str, first: int, last: int) -> bool:
        block = self.form.blocks.get(rank)
        return block is None or (first <= block[0] and block[1] <= last)

    def _may_stand(self, start: int, end: int, looped: frozenset[str]) -> bool:
        """Whether a subtree may begin and end here: it cuts no recurrence, and may have loops."""
        for rank, (first, last) in self.form.blocks.items():
            if rank not in looped and start <= last and end >= first:
                if not (start <= first and last <= end):
                    return False
        return start == end or bool(self._prefixes(start, end, looped))

    def _find_internal(self, first: int, last: int) -> tuple[str, ...]:
        """Tensors made and read between two places only."""
        return tuple(
            name
            for name in self.form.makers
            if name not in self.form.outside and self._within(name, first, last)
        )

    def _within(self, name: str, first: int, last: int) -> bool:
        touched = self.form.touches[name]
        return first <= touched[0] and touched[-1] <= last

    def _states(self, first: int, last: int, prefix: tuple[str, ...]) -> dict[str, tuple[int, int]]:
        """States held while the prefix walks their rank: loops outside of them, and steps."""
        return {
            name: (prefix.index(held.state_rank), held.steps)
            for name, held in self.form.tensors.items()
            if held.state_rank in prefix and first <= self.form.makers[name] <= last
        }
