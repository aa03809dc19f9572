"""Windows that slide over maps of one to three directions: products, and their gradients.

    gathers   O[b, y, k] = sum over c, r of I[b, s y + d r, c] * F[k, c, r]          a convolution
    spreads   O[b, y, p, k] = sum over c, r of I[b, y + d r, c] * F[k, p, c, r]      its transpose
    filters   D[k, c, r] = sum over b, y of I[b, s y + d r, c] * G[b, y, k]          their gradient

A transposed convolution of step s writes s phases of places in each direction, each with taps of
its own, ceil(window / s) of them, of which some are zeros where s does not divide the window; of a
window below the step only as many as it has points, zeros between them. It is what the gradient of
a convolution's input is, from the gradient of its output; and the other way round. Maps are what
windows reach, zeros around them among them; `last` says that channels vary fastest, as training has
them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.notation import parse

READ, MADE, TAPS, PHASES = ("dhw", "zyx", "trs", "opq")


@dataclass(frozen=True)
class Side:
    """One direction: elements of the finer map's coarser one, and the window between them.

    `coarse` is what a convolution makes and a transposed one reads, `fine` the other.
    """

    fine: int
    coarse: int
    taps: int = 1
    step: int = 1
    gap: int = 1

    @property
    def reached(self) -> int:
        """Elements from the first window's first to the last one's last."""
        return (self.coarse - 1) * self.step + (self.taps - 1) * self.gap + 1


@dataclass(frozen=True)
class Slide:
    """Windows between two maps: `inner` channels of the finer one, `outer` of the coarser one."""

    batch: int
    inner: int
    outer: int
    sides: tuple[Side, ...]
    groups: int = 1
    last: bool = True

    def gathers(self, dtype: str, out_dtype: str, name: str) -> Cascade:
        """The coarser map from the finer one."""
        rank = self._ranks(self.inner, self.outer)
        sizes: dict[str, int] = {}
        for side, *names in self._named(READ, MADE, TAPS):
            read, made, tap = names
            sizes |= {read: side.reached, made: side.coarse, tap: side.taps}
        taps = self._names(TAPS)
        text = (
            f"tensor I[{self._laid('c', self._names(READ))}]\n"
            f"tensor F[{self._weights('k', 'c', *taps)}]: weight\n"
            f"O[{self._laid('k', self._names(MADE))}] = I[{self._laid('c', self._moved())}]"
            f" * F[{self._weights('k', 'c', *taps)}]"
        )
        return _parsed(text, rank | sizes, {"*": dtype, "O": out_dtype}, name)

    def spreads(self, dtype: str, out_dtype: str, name: str) -> Cascade:
        """The finer map from the coarser one."""
        rank = self._ranks(self.outer, self.inner)
        sizes: dict[str, int] = {}
        share = 1.0
        for side, *names in self._named(READ, MADE, TAPS, PHASES):
            read, made, tap, phase = names
            some, written = -(-side.taps // side.step), -(-side.fine // side.step)
            sizes |= {read: written + side.gap * (some - 1), made: written}
            sizes |= {tap: some, phase: min(side.step, side.taps)}
            share *= side.taps / (some * min(side.step, side.taps))
        several = self._names(PHASES)
        reads = tuple(f"{made}+{side.gap}*{tap}" for side, made, tap in self._named(MADE, TAPS))
        weights = self._weights("k", *several, "c", *self._names(TAPS))
        text = (
            f"tensor I[{self._laid('c', self._names(READ))}]\n"
            f"tensor F[{weights}]: weight\n"
            f"O[{self._laid('k', (*self._names(MADE), *several))}]"
            f" = I[{self._laid('c', reads)}] * F[{weights}]{f' ~ {share}' if share < 1 else ''}"
        )
        return _parsed(text, rank | sizes, {"*": dtype, "O": out_dtype}, name)

    def filters(self, dtype: str, out_dtype: str, name: str) -> Cascade:
        """The filters' gradient, from both maps."""
        sizes: dict[str, int] = {}
        for side, *names in self._named(READ, MADE, TAPS):
            read, made, tap = names
            sizes |= {read: side.reached, made: side.coarse, tap: side.taps}
        text = (
            f"tensor I[{self._laid('c', self._names(READ))}]\n"
            f"tensor G[{self._laid('k', self._names(MADE))}]\n"
            f"D[{self._weights('k', 'c', *self._names(TAPS))}]"
            f" = I[{self._laid('c', self._moved())}] * G[{self._laid('k', self._names(MADE))}]"
        )
        rank = self._ranks(self.inner, self.outer)
        return _parsed(text, rank | sizes, {"*": dtype, "D": out_dtype}, name)

    def _names(self, letters: str) -> tuple[str, ...]:
        return tuple(letters[-len(self.sides) :])

    def _named(self, *letters: str) -> list[tuple[Any, ...]]:
        return list(zip(self.sides, *map(self._names, letters), strict=True))

    def _moved(self) -> tuple[str, ...]:
        """Where a window of the finer map is read."""
        each = self._named(MADE, TAPS)
        return tuple(f"{s.step}*{made}+{s.gap}*{tap}" for s, made, tap in each)

    def _ranks(self, read: int, made: int) -> dict[str, int]:
        sizes = {"b": self.batch, "c": read // self.groups, "k": made // self.groups}
        return sizes | ({"g": self.groups} if self.groups > 1 else {})

    def _laid(self, channels: str, inner: Sequence[str]) -> str:
        parts = ("g", channels) if self.groups > 1 else (channels,)
        return ", ".join(("b", *inner, *parts) if self.last else ("b", *parts, *inner))

    def _weights(self, *ranks: str) -> str:
        return ", ".join((*(("g",) if self.groups > 1 else ()), *ranks))


def _parsed(text: str, sizes: dict[str, int], dtypes: dict[str, str], name: str) -> Cascade:
    return parse(text, sizes=sizes, dtypes=dtypes, name=name)
