"""Every loop tree there is, one by one: what searches of fused cascades must find.

The oracle enumerates trees without any pruning: every order of every set of loops, every tile size,
every depth of every Keep, every cut of the row, every choice of what goes through the memory. It
walks the loops around a Keep turn by turn and counts what enters and leaves. Of ranks in a band it
asks of every point whether it is kept, and of every turn which elements its kept points touch.
Traffic and room are in bytes.
"""

from collections.abc import Callable
from functools import cache
from itertools import chain, combinations, pairwise, permutations, product
from math import inf
from typing import ClassVar

from hwmodel.mappers.fusion.form import Form

Loops = tuple[tuple[str, int], ...]


class Oracle:
    """Least traffic of any tree, by trying all of them."""

    def __init__(self, form: Form, keeps: Callable[[int, int], bool] | None = None) -> None:
        """`keeps` says of a point of m and p, which are in a band, whether it is kept."""
        self.form = form
        self.size = form.sizes
        self.keeps = keeps
        self.crossings = cache(self._crossings)
        self.row = cache(self._row)
        self.leaf = cache(self._leaf)
        self.tile = cache(self._tile)

    def least(self, room: float) -> float:
        if len(self.form.items) == 1:
            return self.alone(0, (), self.form.outside, room)
        return self.row(0, len(self.form.items) - 1, (), self.form.outside, room)

    def tiles(self, rank: str) -> list[int]:
        """Every tile; of ranks in a band the least of each number of turns."""
        size = self.size[rank]
        if not self.keeps or rank not in "mp":
            return list(range(1, size + 1))
        return [t for t in range(1, size + 1) if t == 1 or -(-size // t) < -(-size // (t - 1))]

    def asked(self, rank: str, tile: int) -> int:
        """Most points of m that a tile of p asks for, or of p a tile of m."""
        assert self.keeps
        other = self.size["p" if rank == "m" else "m"]
        keeps = self.keeps if rank == "m" else lambda p, m: self.keeps(m, p)  # type: ignore[misc]
        spans = [
            [
                b
                for b in range(other)
                if any(keeps(a, b) for a in range(at, min(at + tile, self.size[rank])))
            ]
            for at in range(0, self.size[rank], tile)
        ]
        return max(len(span) for span in spans)

    def _tile(self, name: str, loops: Loops) -> float:
        held = self.form.tensors[name]
        tiles = dict(loops)
        total = held.width
        for rank in held.ranks:
            extent = tiles.get(rank, self.size[rank])
            if self.keeps and rank in "mp" and (other := "pm"["mp".index(rank)]) in tiles:
                extent = min(extent, self.asked(other, tiles[other]))
            total *= extent
        return total

    def elements(self, name: str, loops: Loops, place: tuple[int, ...]) -> frozenset[object]:
        """What the kept points of one turn touch of a tensor."""
        assert self.keeps
        spans = {rank: range(size) for rank, size in self.size.items()}
        for (rank, tile), at in zip(loops, place, strict=True):
            spans[rank] = range(at, min(at + tile, self.size[rank]))
        both = product(spans.get("m", (0,)), spans.get("p", (0,)))
        pairs = [{"m": m, "p": p} for m, p in both if self.keeps(m, p)]
        ranks = self.form.tensors[name].ranks
        apart = [rank for rank in ranks if rank not in "mp"]
        rest = [tuple(zip(apart, at, strict=True)) for at in product(*(spans[r] for r in apart))]
        mine = {tuple((r, pair[r]) for r in ranks if r in "mp") for pair in pairs}
        return frozenset(pair + more for pair in mine for more in rest)

    def asks(self, name: str, loops: Loops) -> list[tuple[tuple[int, ...], frozenset[object]]]:
        """What every turn asks of a tensor."""
        turns = [range(0, self.size[rank], tile) for rank, tile in loops]
        return [(place, self.elements(name, loops, place)) for place in product(*turns)]

    def moves_tile(self, name: str, rank: str) -> bool:
        """Whether a loop over a rank moves the tile of a tensor."""
        ranks = self.form.tensors[name].ranks
        return rank in ranks or (rank in "mp" and "pm"["mp".index(rank)] in ranks)

    def _walk(self, name: str, made: bool, loops: Loops, split: int) -> float:
        """Crossings where loops ask for intervals: element by element.

        What two turns in a row ask for stays, where nothing but the innermost loop that moves the
        tile turned, and that loop is over a rank that the tensor lacks.
        """
        ranks = self.form.tensors[name].ranks
        moving = [
            at
            for at, (rank, tile) in enumerate(loops)
            if tile < self.size[rank] and self.moves_tile(name, rank)
        ]
        last = max(moving, default=-1)
        rolls = last >= split and loops[last][0] not in ranks
        moved, before, seen = 0.0, None, set[object]()
        held: frozenset[object] = frozenset()
        for place, asked in self.asks(name, loops):
            if not asked:
                continue
            entry = (place[: max(split, last + 1)],)
            if entry == before:
                assert asked <= held
                continue
            stays = rolls and before is not None and entry[0][:last] == before[0][:last]
            new = asked - held if stays else asked
            moved += len(new) * self.form.tensors[name].width
            moved += sum(self.form.tensors[name].width for e in new if made and e in seen)
            before, held = entry, asked
            seen |= new
        return moved

    def _crossings(self, name: str, made: bool, loops: Loops, split: int) -> float:
        """Walk the loops; `split` of them stand around the branch that the Keep is in."""
        held = self.form.tensors[name]
        if self.keeps:
            return self._walk(name, made, loops, split)
        moved, before, seen = 0.0, None, set[object]()
        turns = [range(0, self.size[rank], tile) for rank, tile in loops]
        for place in product(*turns):
            mine = tuple(
                at for at, (rank, _) in zip(place, loops, strict=True) if rank in held.ranks
            )
            entry = (place[:split], mine)
            if entry == before:
                continue
            before = entry
            elements = held.width
            for at, (rank, tile) in zip(place, loops, strict=True):
                elements *= min(tile, self.size[rank] - at) if rank in held.ranks else 1
            for rank in held.ranks:
                elements *= 1 if rank in dict(loops) else self.size[rank]
            moved += elements * (2 if made and mine in seen else 1)
            seen.add(mine)
        return moved

    def _leaf(self, place: int, path: Loops, dram: frozenset[str]) -> list[tuple[float, float]]:
        """(bytes held, bytes moved) of every nest of one Einsum."""
        item = self.form.items[place]
        names = [t for t in dict.fromkeys(item.tensors) if t in dram]
        free = self.free(place, path)
        found: set[tuple[float, float]] = set()
        for order in permutations(free):
            for tiles in product(*(self.tiles(rank) for rank in order)):
                loops = tuple(zip(order, tiles, strict=True))
                options = [
                    [
                        (
                            self.tile(t, path + loops[:d]),
                            self.crossings(t, t == item.name, path + loops[:d], len(path)),
                        )
                        for d in range(len(loops) + 1)
                    ]
                    for t in names
                ]
                for chosen in product(*options):
                    found.add((sum(h for h, _ in chosen), sum(m for _, m in chosen)))
        return sorted(found)

    def alone(self, place: int, path: Loops, dram: frozenset[str], room: float) -> float:
        return min((m for held, m in self.leaf(place, path, dram) if held <= room), default=inf)

    def _row(self, first: int, last: int, path: Loops, dram: frozenset[str], room: float) -> float:
        """A row under any loops of its own, at least one of them unless it is the whole cascade."""
        items = self.form.items[first : last + 1]
        read = {name for item in items for name in item.reads}
        looped = {rank for rank, _ in path}
        common = self.common(first, last) - looped
        for item in items:
            common -= item.reduces if item.name in read else frozenset()
        best = inf
        for order in chain.from_iterable(
            permutations(sorted(common), n) for n in range(len(common) + 1)
        ):
            if not order and (first, last) != (0, len(self.form.items) - 1):
                continue
            for tiles in product(*(self.tiles(rank) for rank in order)):
                loops = tuple(zip(order, tiles, strict=True))
                best = min(best, self.kept(first, last, path, loops, dram, room))
        return best

    def common(self, first: int, last: int) -> frozenset[str]:
        """Ranks whose loops may stand around all of these Einsums."""
        items = self.form.items[first : last + 1]
        return frozenset[str].intersection(*(item.ranks for item in items))

    def free(self, place: int, path: Loops) -> list[str]:
        """Ranks that loops of an Einsum's own may walk."""
        return sorted(self.form.items[place].ranks - {rank for rank, _ in path})

    def touched(self, name: str, first: int, last: int) -> list[int]:
        return [at for at in self.form.touches[name] if first <= at <= last]

    def kept(
        self, first: int, last: int, path: Loops, loops: Loops, dram: frozenset[str], room: float
    ) -> float:
        """Every depth of the Keeps around the row, and every set of inner tensors that spills."""
        items = range(first, last + 1)
        names = [t for t in sorted(dram) if self.touched(t, first, last)]
        inner = [
            self.form.items[at].name
            for at in items
            if self.form.items[at].name not in self.form.outside
            and len(self.touched(self.form.items[at].name, first, last))
            == len(self.form.touches[self.form.items[at].name])
        ]
        best = inf
        for depths in product(*([None, *range(len(loops) + 1)] for _ in names)):
            held, moved, late = room - self.sliding(loops), 0.0, list[str]()
            for name, depth in zip(names, depths, strict=True):
                if depth is None:
                    continue
                made = self.form.makers.get(name, -1) in items
                moved += self.crossings(name, made, path + loops[:depth], len(path))
                moving = depth == len(loops) and self.moves(name, path + loops[:depth])
                late += [name] if moving else []
                held -= 0 if moving else self.tile(name, path + loops[:depth])
            pushed = dram - {n for n, d in zip(names, depths, strict=True) if d is not None}
            for spilled in chain.from_iterable(
                combinations(inner, n) for n in range(len(inner) + 1)
            ):
                if held >= 0 and moved < best:
                    live = self.live(inner, spilled)
                    below = pushed | set(spilled)
                    more = self.cut(first, last, path + loops, below, live, tuple(late), held)
                    best = min(best, moved + more)
        return best

    def sliding(self, loops: Loops) -> float:
        """Bytes that windows take which slide with these loops."""
        return 0.0

    def live(self, inner: list[str], spilled: tuple[str, ...]) -> tuple[str, ...]:
        """Inner tensors that are held from their first use to their last."""
        return tuple(t for t in inner if t not in spilled)

    def moves(self, name: str, loops: Loops) -> bool:
        """Whether the innermost loop of several turns walks a rank of the tensor."""
        turning = [rank for rank, tile in loops if tile < self.size[rank]]
        return not turning or turning[-1] in self.form.tensors[name].ranks

    def cut(
        self,
        first: int,
        last: int,
        path: Loops,
        dram: frozenset[str],
        live: tuple[str, ...],
        late: tuple[str, ...],
        room: float,
    ) -> float:
        """Every way to cut the row; tensors held across the cuts live from first to last use."""
        whole = last - first + 1
        best = inf
        for cuts in chain.from_iterable(combinations(range(1, whole), n) for n in range(1, whole)):
            ends = [0, *cuts, whole]
            total = 0.0
            for start, stop in pairwise(ends):
                a, b = first + start, first + stop - 1
                left = room
                for name in (*live, *late):
                    used = self.touched(name, first, last)
                    inside = a <= used[0] and used[-1] <= b and name not in late
                    if used[0] <= b and used[-1] >= a and not inside:
                        left -= self.tile(name, path)
                needed = frozenset(t for t in dram if self.touched(t, a, b))
                total += (
                    self.alone(a, path, needed, left)
                    if a == b
                    else self.row(a, b, path, needed, left)
                )
                if left < 0 or total >= best:
                    total = inf
                    break
            best = min(best, total)
        return best


class Windows(Oracle):
    """Trees of `Z[k, h, w] = I[c, h+r, w+s] ...` and `Y[l, y, x] = Z[k, y+u, x+v] ...`.

    `slid` is how many loops stand outside of the Keep of Z, of which what the next turn needs again
    stays; None: it is computed anew in every turn. Every turn's points are followed by hand: those
    of Z that it needs, those that it computes, and those of I that these read.
    """

    beside: ClassVar[dict[str, str]] = {"h": "y", "w": "x"}

    def __init__(self, form: Form, slid: int | None, taps: tuple[int, int]) -> None:
        super().__init__(form, lambda _m, _p: True)
        self.slid, self.taps = slid, taps

    def tiles(self, rank: str) -> list[int]:
        return list(range(1, self.size[rank] + 1))

    def common(self, first: int, last: int) -> frozenset[str]:
        return super().common(first, last) if first == last else frozenset("yxk") & {*self.size}

    def free(self, place: int, path: Loops) -> list[str]:
        looped = {rank for rank, _ in path}
        return [r for r in super().free(place, path) if self.beside.get(r) not in looped]

    def moves_tile(self, name: str, rank: str) -> bool:
        asked = {"Z": "yx", "I": "yxhw"}.get(name, "")
        return rank in self.form.tensors[name].ranks or rank in asked

    def _tile(self, name: str, loops: Loops) -> float:
        return self.form.tensors[name].width * max(len(a) for _, a in self.asks(name, loops))

    def sliding(self, loops: Loops) -> float:
        if self.slid is None:
            return 0.0
        if self.slid > len(loops) or loops[self.slid - 1][0] not in "yx":
            return inf
        return self.tile("Z", loops[: self.slid])

    def live(self, inner: list[str], spilled: tuple[str, ...]) -> tuple[str, ...]:
        return super().live(inner, spilled) if self.slid is None else ()

    def cut(
        self,
        first: int,
        last: int,
        path: Loops,
        dram: frozenset[str],
        live: tuple[str, ...],
        late: tuple[str, ...],
        room: float,
    ) -> float:
        if "Z" in dram and {rank for rank, _ in path} & {"y", "x"}:
            return inf  # what windows ask for goes through no memory
        return super().cut(first, last, path, dram, live, late, room)

    def asks(self, name: str, loops: Loops) -> list[tuple[tuple[int, ...], frozenset[object]]]:
        """Of sides the points as a set, with all points of the other ranks."""
        computed = self.computed(loops)
        found: list[tuple[tuple[int, ...], frozenset[object]]] = []
        for place in product(*(range(0, self.size[rank], tile) for rank, tile in loops)):
            spans = self.spans(loops, place)
            rest = product(*(spans[r] for r in self.form.tensors[name].ranks if r in "clkruvs"))
            sides: set[tuple[int, ...]] = {()}
            if name == "Y":
                sides = set(product(spans["y"], spans.get("x", (0,))))
            elif name == "Z":
                sides = self.needed(spans, loops)
            elif name == "I":
                fresh = computed[tuple(self.places(loops, place))]
                taps = range(self.taps[0]), range(self.taps[0] if "w" in self.size else 1)
                sides = {(h + r, w + v) for (h, w) in fresh for r in taps[0] for v in taps[1]}
            found.append((place, frozenset(product(sides, rest))))
        return found

    def spans(self, loops: Loops, place: tuple[int, ...]) -> dict[str, range]:
        spans = {rank: range(size) for rank, size in self.size.items()}
        for (rank, tile), at in zip(loops, place, strict=True):
            spans[rank] = range(at, min(at + tile, self.size[rank]))
        return spans

    def places(self, loops: Loops, place: tuple[int, ...]) -> list[int]:
        """The turns of the loops that walk sides."""
        return [at for (rank, _), at in zip(loops, place, strict=True) if rank in "yxhw"]

    def needed(self, spans: dict[str, range], loops: Loops) -> set[tuple[int, int]]:
        """Points of Z's sides that a turn needs: by its own loops, or in windows of Y's."""
        looped = {rank for rank, _ in loops}
        sides: list[set[int]] = []
        for own, place in self.beside.items():
            if own not in self.size:
                sides.append({0})
            elif own in looped or place not in looped:
                sides.append({*spans[own]})
            else:
                sides.append({y + u for y in spans[place] for u in range(self.taps[1])})
        return {(h, w) for h in sides[0] for w in sides[1]}

    def computed(self, loops: Loops) -> dict[tuple[int, ...], set[tuple[int, int]]]:
        """Points of Z that each turn computes: what it needs, but for what is held of it."""
        outside = loops[: (self.slid or 0) - 1] if self.slid else loops
        still = sum(rank in "yxhw" for rank, _ in outside)
        around = sum(rank in "yxhw" for rank, _ in loops[: self.slid or 0])
        walking = tuple(loop for loop in loops if loop[0] in "yxhw")
        found: dict[tuple[int, ...], set[tuple[int, int]]] = {}
        held, before = set[tuple[int, int]](), None
        for place in product(*(range(0, self.size[rank], tile) for rank, tile in walking)):
            if self.slid is None or place[:still] != before:
                held = set[tuple[int, int]]()
            before = place[:still]
            needs = self.needed(self.spans(walking, place), walking)
            found[place] = needs - held
            outer = walking[:around]
            held = (held | needs) & self.needed(self.spans(outer, place[:around]), outer)
        return found
