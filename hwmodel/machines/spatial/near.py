"""Near: what the loops of a path ask for, where cascades have bands or windows of what is made.

`asking` says which loops ask for which intervals. Here they meet the loops of a nest: a loop makes
as many turns for a tensor as a point of it is asked for in, in the mean; the innermost loop that
moves an interval makes one, since what two turns in a row ask for stays; an Einsum inside a loop
that asks for what it makes computes that alone, or what is new of it where its Keep slides.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from hwmodel.einsum.cascade import Einsum
from hwmodel.machines.spatial.legal import Path
from hwmodel.machines.spatial.projection import Projection
from hwmodel.machines.spatial.reach import Ask, Asking
from hwmodel.quantity.errors import CoverageError
from hwmodel.spine.mapping import Keep, Loop


@dataclass(frozen=True)
class Near:
    """Who asks for what in a mapped cascade; `where` names the mapping."""

    where: str
    asking: Asking

    def asked(self, rank: str) -> bool:
        """Whether any loop asks for points of a rank."""
        return any(ask.rank == rank for ask in self.asking.asks.values())

    def check(self, loop: Loop, path: Path) -> None:
        """A rank of a band or a window is walked by one loop in time, its own or one that asks."""
        rank, bands, windows = loop.rank, self.asking.bands, self.asking.windows
        if rank in self.asking.taps:
            raise CoverageError(f"{self.where}: expected windows whole, found a loop over {rank}")
        walked = {rank, *windows.get(rank, ())}
        before = {r for each in path.loops for r in (each.rank, *windows.get(each.rank, ()))}
        near = rank in bands or rank in windows or self.asked(rank)
        if near and (loop.array or walked & before):
            raise CoverageError(
                f"{self.where}: {rank}, of which a band or window asks, is walked by"
                f" {'an array' if loop.array else 'two loops'}; expected one loop in time"
            )

    def check_made(self, keep: Keep, ranks: Sequence[str], whole: bool, path: Path) -> None:
        """What is asked for in windows is kept around its maker and all readers, or outside."""
        for loop in path.loops:
            if (
                (loop.rank, keep.tensor) in self.asking.asks
                and not whole
                and loop.rank not in ranks
            ):
                if loop.rank not in self.asking.bands:
                    raise CoverageError(
                        f"{self.where}: {keep.tensor} is made inside a loop over {loop.rank}, which"
                        " asks for windows of it; expected its Keep around all that read it"
                    )

    def check_moved(self, tensor: str, ranks: Sequence[str], others: Iterable[str]) -> None:
        """Turns of two loops in a band are not counted for a tensor that has neither rank."""
        walked = set(others)
        for of, reach in self.asking.bands.items():
            if {of, reach.to} <= walked and not {of, reach.to} & set(ranks):
                raise CoverageError(
                    f"{self.where}: {tensor} is kept inside loops over {of} and {reach.to}, which"
                    " are in a band, and has neither; expected its Keep outside of one of them"
                )

    def check_repeats(self, einsum: Einsum, path: Path) -> None:
        """A loop over a rank that an Einsum lacks would repeat a part of it."""
        for loop in path.loops:
            reach = self.asking.bands.get(loop.rank)
            if reach is not None and loop.rank not in einsum.ranks and reach.to in einsum.ranks:
                raise CoverageError(
                    f"{self.where}: {einsum.name} lacks {loop.rank}, which is in a band with"
                    f" {reach.to}; expected no loop over {loop.rank} around it"
                )
            windows = (loop.rank, einsum.name) in self.asking.asks and reach is None
            if windows and einsum.name not in path.homes:
                raise CoverageError(
                    f"{self.where}: {einsum.name} is made inside a loop over {loop.rank}, which"
                    " asks for windows of it, and kept nowhere; expected a Keep around all readers"
                )

    def kept(self, rank: str, path: Path) -> frozenset[str]:
        """Tensors that keep what they have while the loop over a rank goes on."""
        at = next(at for at, loop in enumerate(path.loops) if loop.rank == rank)
        return frozenset(
            name for name, home in path.homes.items() if at >= home.depth - home.slides
        )

    def narrowed(self, tensor: str, extents: dict[str, int], path: Path) -> dict[str, int]:
        """Extents of a tensor's tile, no wider than what the loops around ask for."""
        found = dict(extents)
        for loop in path.loops:
            ask = self.asking.asks.get((loop.rank, tensor))
            if ask is not None and ask.rank in found:
                widest = ask.widest(loop.tile, self.kept(loop.rank, path))
                found[ask.rank] = min(found[ask.rank], widest)
        return found

    def turns(self, rank: str, of: Projection, path: Path, stop: int) -> Fraction | None:
        """Mean turns of a loop over `rank`, which a tensor lacks; None where nothing is asked."""
        ask = self.asking.asks.get((rank, of.tensor))
        if ask is None or rank in of.ranks:
            return None
        tiles = [tile for depth, tile, _ in path.steps(rank) if depth <= stop]
        return self._mean(ask, tiles[0], self.kept(rank, path)) if tiles else Fraction(1)

    def made(self, einsum: Einsum, path: Path) -> Fraction:
        """How often a point of what an Einsum makes is computed, in the mean."""
        times = Fraction(1)
        for loop in path.loops:
            ask = self.asking.asks.get((loop.rank, einsum.name))
            if ask is None or loop.rank in einsum.ranks:
                continue
            kept = self.kept(loop.rank, path)
            if einsum.name not in kept:
                times *= self._mean(ask, loop.tile, kept)
        return times

    def foreign(self, rank: str, einsum: Einsum) -> bool:
        """Whether a loop over a rank that an Einsum lacks asks for a part of what it makes."""
        asks = (rank, einsum.name) in self.asking.asks and rank not in self.asking.bands
        return asks and rank not in einsum.ranks

    def together(
        self, tensor: str, rank: str, ranks: Sequence[str], path: Path, slides: bool = False
    ) -> tuple[int, int, int]:
        """All points of a rank that is asked for as one class: (1, points, the last loop to move).

        The loop that asks for an interval moves it, but brings nothing anew where the tile
        `slides`, and in a band.
        Of two ranks in a band, both among `ranks`, the first has the points of both together.
        """
        sizes = self.asking.sizes
        own = [at for at, loop in enumerate(path.loops) if loop.rank == rank]
        last = max((at for at in own if path.loops[at].tile < sizes[rank]), default=-1)
        band = self.asking.bands.get(rank)
        if band is not None and band.to in ranks:
            alone = list(ranks).index(rank) > list(ranks).index(band.to)
            return 1, 1 if alone else band.pairs, last
        for at, loop in enumerate(path.loops):
            ask = self.asking.asks.get((loop.rank, tensor))
            if ask is not None and ask.rank == rank and loop.tile < ask.reaches[0].points:
                last = max(last, at - (slides or loop.rank in self.asking.bands))
        return 1, sizes[rank], last

    @staticmethod
    def _mean(ask: Ask, tile: int, kept: frozenset[str]) -> Fraction:
        return Fraction(ask.visited(tile, kept), ask.whole)
