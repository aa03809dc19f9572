"""What a sweep is to evaluate: a function, a grid of axes, conditions, and how it is cut up.

A block of rows (one walked combination) is cut into pieces of `PIECE` rows, and each piece is one
call of the function with arrays. Consecutive pieces make a chunk: what one worker does at a time,
what one Parquet file holds, and what a sweep that was stopped does not do again. Pieces do not
depend on the chunks or on who evaluates them, so neither do the rows.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias, cast

import polars

from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.quantity.printable import shown
from hwmodel.quantity.reading import POINTS
from hwmodel.quantity.units import counted
from hwmodel.sweeps.axes import Grid, grid
from hwmodel.sweeps.table import condition

PIECE = 16_384
"""Rows of one call: enough to hide its overhead, few enough for the cache."""

CHUNK = 131_072
"""Rows of a chunk, about: some 20 MB in a worker."""

Where: TypeAlias = str | polars.Expr


@dataclass(frozen=True, eq=False)
class Plan:
    """All that a worker needs to evaluate any chunk; it can be pickled where `function` can."""

    function: Callable[..., Any]
    grid: Grid
    before: tuple[polars.Expr, ...] = ()
    """Conditions on the axes: rows that fail one are not evaluated."""
    after: tuple[polars.Expr, ...] = ()
    """Conditions on answers: rows that fail one are left out."""
    keep: tuple[str, ...] = ()
    chunk: int = CHUNK

    @cached_property
    def pieces_of_block(self) -> int:
        """Pieces of each block."""
        return -(-self.grid.rows // PIECE)

    @cached_property
    def pieces_of_chunk(self) -> int:
        """Pieces of each chunk but the last."""
        return max(1, self.chunk // min(PIECE, self.grid.rows))

    @property
    def chunks(self) -> int:
        """How many chunks there are."""
        return -(-self.grid.blocks * self.pieces_of_block // self.pieces_of_chunk)

    def points(self, chunk: int) -> int:
        """Grid points of a chunk, before any condition."""
        return sum(end - first for _, first, end in self.pieces(chunk))

    def pieces(self, chunk: int) -> Iterator[tuple[int, int, int]]:
        """Block, first row and end of each piece of a chunk."""
        first = chunk * self.pieces_of_chunk
        end = min(first + self.pieces_of_chunk, self.grid.blocks * self.pieces_of_block)
        for piece in range(first, end):
            block, place = divmod(piece, self.pieces_of_block)
            yield block, place * PIECE, min((place + 1) * PIECE, self.grid.rows)


def planned(
    function: Callable[..., Any],
    axes: Mapping[str, Any],
    *,
    where: Where | Sequence[Where] = (),
    keep: Sequence[str] = (),
    samples: int | None = None,
    seed: int = 0,
    chunk: int = CHUNK,
) -> Plan:
    """A sweep checked as far as it can be without evaluating; raises `InputError`."""
    if not axes:
        raise InputError("sweep: expected one axis or more, found none")
    for what, given, kinds in (("where", where, (str, polars.Expr)), ("keep", keep, (str,))):
        listed: Any = _listed(cast(Any, given))
        if not isinstance(listed, (list, tuple)) or not all(
            isinstance(each, kinds) for each in cast(list[Any], listed)
        ):
            raise InputError(
                f"sweep: {what}: expected a list of texts, found {shown(cast(object, listed))}"
            )
    if samples is not None:
        samples = counted(samples, where="samples", most=POINTS)
    points = grid(axes, samples=samples, seed=counted(seed, where="seed", least=0))
    if points.blocks * points.rows > POINTS:
        found = shown(points.blocks * points.rows)
        raise InputError(f"sweep: expected at most {POINTS:,} points, found {found}")
    _check_names(function, list(points.labels))
    names = set(points.labels.values())
    conditions = [condition(each, where="where") for each in _listed(where)]
    ahead = [each for each in conditions if set(each.meta.root_names()) <= names]
    return Plan(
        function,
        points,
        before=tuple(ahead),
        after=tuple(each for each in conditions if not any(each is other for other in ahead)),
        keep=tuple(keep),
        chunk=counted(chunk, where="chunk"),
    )


def _check_names(function: Callable[..., Any], axes: Sequence[str]) -> None:
    """Refuses axes that a function of Python has no argument for, and arguments without an axis."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):  # of some builtins nothing is known
        return
    if any(each.kind is each.VAR_KEYWORD for each in parameters.values()):
        return
    for name in axes:
        if name not in parameters:
            raise UnknownNameError("axis of the function", name, parameters)
    empty = inspect.Parameter.empty
    left = [n for n, p in parameters.items() if p.default is empty and n not in axes]
    left = [n for n in left if parameters[n].kind is not inspect.Parameter.VAR_POSITIONAL]
    if left:
        raise InputError(
            f"sweep: expected an axis {left[0]!r}, which the function takes; found none"
        )


def _listed(where: Where | Sequence[Where]) -> Sequence[Where]:
    return [where] if isinstance(where, (str, polars.Expr)) else where
