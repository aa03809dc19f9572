"""Nest: exact counts of a mapped cascade, in closed form, without a walk over its tiles.

A `Mapping` is a tree of loops, of tiles kept and of Einsums (see `hwmodel.spine.mapping`). Its
traffic follows from these rules, element by element:

- Entering a `Keep` fills its tile from the memory in which the tensor is kept outside of it (the
  outermost one at last), unless it holds that very tile already. "The very same" means equal ranges
  of all ranks that index the tensor; parts of windows that overlap are fetched anew.
- A `Keep` around the Einsum that makes the tensor drains its tile when it is left for another one.
  A re-entry that continues a reduction reads the partial sums back first; a first entry reads
  nothing. Loops over ranks that an Einsum lacks repeat it, and start its reductions anew.
- An intermediate whose `Keep` surrounds all of its uses never leaves that memory.
- A `Keep` inside a branch of a `Split` lives only there: entering the branch again fills it again.
  One right before a `Split`, with no loop in between, takes room from the first branch that touches
  its tensor to the last, where the loops around need nothing of it in their next turn.
- Loops over an axis of an array run at once. What several elements need alike is read once from the
  memory outside (multicast), and sums of several elements are added on their way out (spatial
  reduction); an element's own memory is filled and drained alone, and keeps its tile while idle.
  Where windows overlap, that is each word of them, unless the array multicasts whole tiles alone.
- A memory that all elements share holds their tiles together, also inside of loops over the array.
- The last tile of a loop may be smaller; it is counted as small as it is.
- Of two ranks in a band a tile of one asks for an interval of the other, and so does a tile of an
  Einsum that reads in windows what another one makes (`asking`): loops walk the tiles that hold a
  point that is asked for, tiles hold what is asked for, and what two turns in a row of the
  innermost loop that moves an interval both ask for stays where it is.

With D the loops around a Keep, the tiles of its tensor are the joint positions x of the loops over
the tensor's ranks. Let k(x) be the innermost of them that makes more than one turn around x, of
turns in which x's element of an array takes part. Then x is entered once for each position of the
other ranks' loops outside of k(x), so that

    fills = sum over x of elements(x) * product over other ranks q of positions_q(outside k(x))

and since loops of one rank nest, positions of a rank fall into few classes (full tile, remainder,
remainder of the remainder ...), which are enumerated in place of the positions. Windows that
elements of an array share are counted by their words (`axes`).

Counts are ints (bytes are ints too where an element is a whole number of bytes).
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import product
from math import prod

from hwmodel.einsum.cascade import Cascade, Einsum
from hwmodel.einsum.counts import operation_counts
from hwmodel.hardware.hardware import Limits
from hwmodel.machines.spatial.asking import asking, needed
from hwmodel.machines.spatial.axes import apart, united
from hwmodel.machines.spatial.boxes import Extents, boxed, boxes, summed
from hwmodel.machines.spatial.counts import Counts, Live, Touch, Transfer, stack
from hwmodel.machines.spatial.legal import Home, Legal, Path, computed, in_use
from hwmodel.machines.spatial.near import Near
from hwmodel.machines.spatial.positions import FOREVER, Class, positions, together
from hwmodel.machines.spatial.projection import Axis, Projection, projections
from hwmodel.quantity.errors import CoverageError, InputError, UnknownNameError
from hwmodel.quantity.units import Amount
from hwmodel.spine.mapping import Box, Compute, Keep, Loop, Mapping, Nest, Split


class Nested:
    """One evaluation: the cascade's sizes and projections, and the counts found so far."""

    def __init__(self, cascade: Cascade, mapping: Mapping, limits: Limits) -> None:
        self.cascade, self.limits = cascade, limits
        self.where = f"mapping of {mapping.cascade} on {mapping.machine}"
        found = asking(cascade, windows=needed(cascade, mapping.nest))
        sizes = {**cascade.sizes(), **found.sizes}
        self.sizes = {name: self._whole(name, size) for name, size in sizes.items()}
        self.near = Near(self.where, found)
        self.levels = tuple(limits.capacity_bytes)
        self.tensors = {
            e.name: projections(e, cascade, bands=True, axes=found.axes) for e in cascade.einsums
        }
        self.legal = Legal(self.where, cascade, self.sizes, self.tensors, limits)
        self.outputs = frozenset(cascade.outputs or (cascade.einsums[-1].name,))
        self.transfers: list[Transfer] = []
        self.touches: list[Touch] = []
        self.operations: dict[tuple[str, str], Amount] = {}
        self.computed: set[str] = set()
        self.steps, self.elements = 0, 1

    def _whole(self, rank: str, size: Amount) -> int:
        if isinstance(size, int):
            return size
        raise CoverageError(
            f"{self.where}: rank {rank} has extent {size!r}; expected one whole number (a mapping"
            " is of one size, and data-dependent ranks have none)"
        )

    def run(self, nest: Nest, path: Path) -> Live:
        """Count one nest; returns the bytes live in it by level and tensor."""
        live: Live = {}
        passing: Live = {}  # kept since the last loop: live from the first to the last use alone
        for at, node in enumerate(nest):
            if isinstance(node, Loop):
                stack(live, [passing])
                passing = {}
                path = self._loop(node, path)
            elif isinstance(node, Keep):
                passes = not node.slides and self.legal.passes(
                    node.tensor, nest[at + 1 :], path, self.outputs
                )
                held = passing if passes else live
                path = self._keep(node, nest[at + 1 :], path, held)
            else:
                if at + 1 < len(nest):
                    self.legal.refuse(f"expected nothing after {_kind(node)}, found {nest[at + 1]}")
                if isinstance(node, Compute):
                    self._compute(node.einsum, path)
                    stack(live, [passing])
                elif isinstance(node, Box):
                    stack(live, [passing, self._box(node, path)])
                else:
                    inner = Path(path.loops, path.homes, len(path.loops))
                    self.legal.check_order(node, inner)
                    branches = [self.run(branch, inner) for branch in node.branches]
                    for branch, used in zip(branches, in_use(node, self.tensors), strict=True):
                        for level, tensors in passing.items():
                            kept = {name: size for name, size in tensors.items() if name in used}
                            stack(branch, [{level: kept}])
                    stack(live, branches)
                return live
        self.legal.refuse("expected every nest to end in Compute or Split, found one that does not")

    def _loop(self, loop: Loop, path: Path) -> Path:
        if loop.rank not in self.sizes:
            raise UnknownNameError(f"rank in {self.where}", loop.rank, self.sizes)
        if loop.tile < 1:
            self.legal.refuse(f"expected a tile of 1 or more in the loop over {loop.rank}")
        self.near.check(loop, path)
        path = Path((*path.loops, loop), path.homes, path.split)
        if loop.array:
            self.legal.check_axis(loop, path)
        return path

    def _keep(
        self, keep: Keep, inside: Nest, path: Path, live: dict[str, dict[str, int | float]]
    ) -> Path:
        if keep.level not in self.levels:
            raise UnknownNameError(f"memory level in {self.where}", keep.level, self.levels)
        einsums = [self.cascade.einsum(name) for name in computed(inside) if name in self.tensors]
        users = [e for e in einsums if keep.tensor in self.tensors[e.name]]
        if keep.tensor not in self.cascade.tensors:
            raise UnknownNameError(f"tensor in {self.where}", keep.tensor, self.cascade.tensors)
        if not users:
            self.legal.refuse(
                f"{keep.tensor} is kept in {keep.level} around no Einsum that touches it"
            )
        home = path.homes.get(keep.tensor, Home(self.levels[0], 0))
        if self.levels.index(keep.level) <= self.levels.index(home.level):
            self.legal.refuse(
                f"expected {keep.tensor} to be kept inside of {home.level}, where it lives already;"
                f" found {keep.level} (levels, outermost first: {', '.join(self.levels)})"
            )
        self.legal.check_within(keep, path)
        projection = self._one_projection(keep.tensor, users)
        new = Home(keep.level, len(path.loops), slides=int(keep.slides))
        inner = path
        if self.limits.instances.get(keep.level) == 1 and any(loop.array for loop in path.loops):
            new = Home(keep.level, next(at for at, loop in enumerate(path.loops) if loop.array))
            path = replace(path, together=True)
        tile = self._first_tile(projection, path)
        share = Fraction(1)
        if keep.rank:
            share = self._part(keep, projection, path)
            tile = int(tile * share)
            new = replace(home, part=keep)
        elif home.part is not None and home.part.level == keep.level:
            share = 1 - self._part(home.part, projection, path)
        moved = self._transfer(keep, projection, tile, users, home, path)
        self.transfers.append(moved.part(share))
        held = live.setdefault(keep.level, {})
        size = tile * projection.element_bytes * (2 if keep.double else 1)
        held[keep.tensor] = held.get(keep.tensor, 0) + size
        return Path(inner.loops, {**inner.homes, keep.tensor: new}, inner.split)

    def _positions(self, rank: str, path: Path, stop: int, shared: int) -> list[Class]:
        """Positions of a rank's loops; elements of an array as one where the path says so."""
        steps = path.steps(rank)
        if path.together:
            return together(self.sizes[rank], steps, stop)
        return positions(self.sizes[rank], steps, stop, shared)

    def _part(self, keep: Keep, projection: Projection, path: Path) -> Fraction:
        """Share of a tensor that a Keep of the first points of a rank holds."""
        size = self.sizes.get(keep.rank, 0)
        steps = path.steps(keep.rank)
        plain = any(axis == ((keep.rank, 1),) for axis in projection.axes)
        made = any(e.name == keep.tensor for e in self.cascade.einsums)
        if made or not plain or not 0 < keep.points < size:
            self.legal.refuse(
                f"expected a Keep of the first points of a rank of an input, fewer than its {size};"
                f" found {keep.points} of {keep.rank!r} of {keep.tensor}"
            )
        banded = any(self.near.asked(rank) for rank in projection.ranks)
        if banded or len(steps) > 1 or any(spatial for _, _, spatial in steps):
            raise CoverageError(
                f"{self.where}: {keep.tensor} is kept for the first {keep.points} of {keep.rank},"
                f" walked by {len(steps)} loops, over an array or in a band; expected one loop in"
                " time, and no band"
            )
        return Fraction(keep.points, size)

    def _one_projection(self, tensor: str, users: list[Einsum]) -> Projection:
        found = {self.tensors[e.name][tensor] for e in users}
        if len(found) > 1:
            raise CoverageError(
                f"{self.where}: {', '.join(e.name for e in users)} touch {tensor} through different"
                " indices; expected one Keep for each of them"
            )
        return found.pop()

    def _first_tile(self, projection: Projection, path: Path) -> int:
        """Elements of the largest tile in one memory."""
        if path.together:
            return next(elements for _, elements, _ in self._tiles(projection, path, -1))
        first = {rank: self._positions(rank, path, -1, 0)[0][1] for rank in projection.ranks}
        return int(projection.elements(self.near.narrowed(projection.tensor, first, path)))

    def _transfer(
        self,
        keep: Keep,
        projection: Projection,
        tile: int,
        users: list[Einsum],
        home: Home,
        path: Path,
    ) -> Transfer:
        near = FOREVER if "tile" in self.limits.multicast.values() else home.depth
        first = sum(n * elements for n, elements, _ in self._tiles(projection, path, -1, near))
        names = (keep.tensor, home.level, keep.level, projection.element_bytes, tile)
        moved = Transfer(*names, keep.double, first)
        maker = next((e for e in users if e.name == keep.tensor), None)
        outside = [
            e.name
            for e in self.cascade.einsums
            if keep.tensor in self.tensors[e.name] and e not in users
        ]
        if maker is not None and keep.tensor not in self.outputs and not outside:
            return moved
        others = {loop.rank for loop in path.loops} - set(projection.ranks)
        foreign = [rank for rank in others if maker is not None and rank not in maker.ranks]
        self.near.check_moved(keep.tensor, projection.ranks, others)
        self.near.check_made(keep, projection.ranks, maker is None, path)
        tiles = tuple(self._tiles(projection, path, slides=keep.slides))
        alike = tuple(self._tiles(projection, path, shared=near)) if projection.windows else tiles
        shared = self._entered(alike, projection, path, home.depth)
        everyone = self._entered(tiles, projection, path, FOREVER)
        if maker is None:
            return replace(moved, fills=shared, copies=everyone)
        return replace(
            moved,
            drains=shared,
            partials=everyone,
            returns=shared - self._entered(tiles, projection, path, home.depth, foreign),
            returned=everyone - self._entered(tiles, projection, path, FOREVER, foreign),
        )

    def _entered(
        self,
        tiles: Iterable[Class],
        of: Projection,
        path: Path,
        shared: int,
        foreign: Iterable[str] | None = None,
    ) -> int:
        """Elements of tiles, each as often as loops over ranks but its own enter it.

        With `foreign`: for a first time in each element, as loops over these alone begin it anew.
        """
        total = Fraction(0)
        for count, elements, last in tiles:
            stop, entered = max(last, path.split - 1), count * elements
            for rank in {loop.rank for loop in path.loops} - set(of.ranks):
                if foreign is not None and rank not in foreign:
                    entered = entered * self._elements(rank, path, shared)
                else:
                    turns = self.near.turns(rank, of, path, stop)
                    places = self._positions(rank, path, stop, shared)
                    entered = entered * (turns or sum(n for n, _, _ in places))
            total += entered
        return int(total)

    def _elements(self, rank: str, path: Path, shared: int) -> int:
        """Array elements that hold parts of a rank, those of loops at `shared` or deeper as one."""
        return sum(n for n, _, _ in self._positions(rank, path, -1, shared))

    def _tiles(
        self,
        of: Projection,
        path: Path,
        stop: int = FOREVER,
        shared: int = FOREVER,
        slides: bool = False,
    ) -> Iterator[Class]:
        """Tiles of a tensor by class: how many, elements, innermost loop that changes them.

        Where windows meet, elements that array elements at `shared` or deeper take alike are one.
        """
        each = [self._line(axis, of, path, stop, shared, slides) for axis in of.axes]
        for classes in product(*each):
            last = max((last for _, _, last in classes), default=-1)
            yield prod(n for n, _, _ in classes), prod(e for _, e, _ in classes), last

    def _line(
        self, axis: Axis, of: Projection, path: Path, stop: int, shared: int, slides: bool
    ) -> Iterable[Class]:
        """Tiles along one axis of a tensor."""
        rank = axis[0][0]
        if len(axis) == 1 and stop >= 0 and self.near.asked(rank):
            return [self.near.together(of.tensor, rank, of.ranks, path, slides)]
        if len(axis) == 1:
            each = self._positions(rank, path, stop, FOREVER)
            limit = self.sizes if stop >= 0 else self.near.narrowed(of.tensor, self.sizes, path)
            return [(n, min(extent, limit[rank]), last) for n, extent, last in each]
        sizes = tuple(self.sizes[rank] for rank, _ in axis)
        steps = tuple(path.steps(rank) for rank, _ in axis)
        least = 0 if path.together else shared
        if any(over and depth >= least for each in steps for depth, _, over in each):
            return united(axis, sizes, steps, stop, least, path.together)
        return apart(axis, sizes, steps, stop)

    def _einsum(self, name: str, path: Path) -> Einsum:
        """An Einsum that is computed here, and nowhere else."""
        if name not in self.tensors:
            raise UnknownNameError(f"Einsum in {self.where}", name, self.tensors)
        if name in self.computed:
            self.legal.refuse(f"expected each Einsum once, found {name} a second time")
        self.computed.add(name)
        einsum = self.cascade.einsum(name)
        self.legal.check_repeats(einsum, path)
        self.near.check_repeats(einsum, path)
        return einsum

    def _box(self, box: Box, path: Path) -> Live:
        """Count a nest in every box of its Einsum; returns what is live inside."""
        einsum = self._einsum(box.einsum, path)
        outermost = Home(self.levels[0], 0)
        homes = {path.homes.get(t, outermost).level for t in self.tensors[einsum.name]}
        if len(homes) > 1 or any(loop.array for loop in path.loops):
            self.legal.refuse(
                f"expected all tensors of {einsum.name} in one memory, and no loop over an array,"
                f" around a box of it; found {', '.join(sorted(homes))}"
            )
        inside = self.levels[self.levels.index(homes.pop()) :]
        room = {level: self.limits.capacity_bytes[level] for level in inside}
        machine = replace(self.limits, capacity_bytes=room)
        mapping = Mapping(einsum.name, self.where, box.nest)

        def counted(extents: Extents) -> Counts:
            return evaluate(boxed(einsum, self.cascade, dict(extents)), mapping, machine)

        stored = self.tensors[einsum.name][einsum.name].ranks
        each = boxes(einsum, stored, path, self.sizes, self.near)
        found = summed([(n, counted(some), first) for (some, first), n in each.items()])
        self.transfers += found.transfers
        self.touches += found.touches
        for key, count in found.operations.items():
            self.operations[key] = self.operations.get(key, 0) + count
        self.steps += int(found.steps)
        self.elements = max(self.elements, found.elements)
        return {level: {einsum.name: size} for level, size in found.footprint_bytes.items()}

    def _compute(self, name: str, path: Path) -> None:
        einsum = self._einsum(name, path)
        ranks = tuple(dict.fromkeys((*einsum.ranks, *(loop.rank for loop in path.loops))))
        ranks = tuple(rank for rank in ranks if not self.near.foreign(rank, einsum))
        made = self.near.made(einsum, path)

        def points(rank: str, shared: int, among: tuple[str, ...] = einsum.ranks) -> int:
            own = rank in einsum.ranks
            if own and self.near.asked(rank):
                return self.near.together(name, rank, among, path)[1]
            found = positions(self.sizes[rank], path.steps(rank), FOREVER, shared)
            return sum(n * (extent if own else 1) for n, extent, _ in found)

        for tensor, projection in self.tensors[name].items():
            home = path.homes.get(tensor, Home(self.levels[0], 0))
            if home.part is not None:
                self.legal.refuse(
                    f"{tensor} is kept for the first {home.part.points} of {home.part.rank} alone;"
                    f" expected a Keep of the others around {name}"
                )
            each = (FOREVER if rank in projection.ranks else home.depth for rank in ranks)
            count = int(made * prod(map(points, ranks, each)))
            reduced = tensor == name and set(projection.ranks) != set(einsum.ranks)
            first = made * prod(
                points(rank, FOREVER, projection.ranks)
                if rank in projection.ranks
                else self._elements(rank, path, home.depth)
                if rank in einsum.ranks
                else points(rank, home.depth)
                for rank in ranks
            )
            self.touches.append(
                Touch(
                    *(name, tensor, home.level, projection.element_bytes, count),
                    made=tensor == name,
                    reduced=reduced,
                    first=int(first) if reduced else 0,
                )
            )
        self.steps += int(made * prod(points(rank, 0) for rank in ranks))
        repeats = prod(points(rank, FOREVER) for rank in ranks if rank not in einsum.ranks)
        for key, count in operation_counts(einsum, self.cascade).items():
            done = count * repeats if made == 1 else int(made * int(count) * repeats)
            self.operations[key] = self.operations.get(key, 0) + done
        used = 1
        for rank in ranks:
            first = positions(self.sizes[rank], path.steps(rank), -1, FOREVER)
            used *= sum(n for n, _, _ in first)
        self.elements = max(self.elements, used)


def evaluate(
    cascade: Cascade, mapping: Mapping, limits: Limits, *, check_capacity: bool = True
) -> Counts:
    """Exact counts of a mapping.

    Raises `InputError` for a tree that makes no sense (unknown rank, tensor or level, an Einsum
    missing or twice, a reader before its maker is complete), `CapacityError` for tiles larger than
    their memory, `CoverageError` for accesses without a closed form.
    """
    nested = Nested(cascade, mapping, limits)
    live = nested.run(mapping.nest, Path())
    missing = [e.name for e in cascade.einsums if e.name not in nested.computed]
    if missing:
        raise InputError(f"{nested.where}: expected Compute({missing[0]!r}), found none")
    footprint = (
        nested.legal.check_capacity(live)
        if check_capacity
        else {level: sum(tensors.values()) for level, tensors in live.items()}
    )
    return Counts(
        tuple(nested.transfers),
        tuple(nested.touches),
        nested.operations,
        nested.steps,
        nested.elements,
        footprint,
    )


def _kind(node: Compute | Box | Split) -> str:
    return "Split" if isinstance(node, Split) else f"{type(node).__name__}({node.einsum!r})"
