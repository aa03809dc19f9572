"""What all pictures share: a palette, axes whose numbers bear units, columns of a table, saving.

Colours of categories are those of Okabe and Ito (2008), which colour-blind readers tell apart, and
stay with their resource in every picture; scales of numbers are viridis. matplotlib is loaded when
a picture is asked for, without any window system.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.quantity.extras import extras_told
from hwmodel.quantity.printable import shown
from hwmodel.quantity.units import dimension_of, show

P = ParamSpec("P")
R = TypeVar("R")

PALETTE = (
    *("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#F0E442"),
    *("#7F7F7F", "#000000"),
)
"""Okabe and Ito's colours, and a grey."""

COLOURS = {
    "matrix": "#0072B2",
    "dram": "#D55E00",
    "l2": "#E69F00",
    "shared": "#009E73",
    "vector": "#56B4E9",
    "exp": "#CC79A7",
    "link": "#F0E442",
    "launch": "#7F7F7F",
    "static": "#BBBBBB",
    "atomics": "#000000",
    "storage": "#8C6D31",
    "host": "#4D4D4D",
}
"""Colour of each resource, by the word that answers carry."""

SYMBOLS = {
    "s": "s",
    "bytes": "B",
    "j": "J",
    "hz": "Hz",
    "w": "W",
    "bytes_per_s": "B/s",
    "flop_per_s": "operations/s",
    "per_s": "1/s",
    "j_per_byte": "J/B",
    "j_per_flop": "J/operation",
    "usd": "USD",
    "usd_per_hour": "USD/h",
    "m2": "m²",
}
"""How the unit of a dimension is written at an axis."""

DOTS_PER_INCH = 150

FEW_DECADES = 50.0
"""Ratio of an axis' ends below which powers of ten alone are too few ticks."""


@extras_told()
def figure(width: float, height: float) -> Any:
    """An empty figure, in inches."""
    from matplotlib import figure as figures

    return figures.Figure(figsize=(width, height), layout="constrained")


def shaped(count: int, across: int) -> tuple[int, int]:
    """Columns and rows of so many panels, at most `across` side by side."""
    wide = min(count, across)
    return wide, -(-count // wide)


def panels(
    size: tuple[float, float],
    count: int,
    ax: Any = None,
    *,
    down: bool = False,
    wide: int | None = None,
    **options: Any,
) -> tuple[Any, list[Any]]:
    """A figure and its panels: new ones of a size in inches, or those that the caller has (`ax`).

    Panels stand in a row, one below another (`down`), or `wide` in each of several rows. `ax` is
    matplotlib's axes, or as many of them in a row as there are panels. Raises `InputError`.
    """
    if ax is None:
        drawn = figure(*size)
        across = 1 if down else wide or count
        made = drawn.subplots(-(-count // across), across, squeeze=False, **options).ravel()
        for spare in made[count:]:
            spare.remove()
        return drawn, made[:count].tolist()
    row: Any = np.array(ax, dtype=object)
    given: list[Any] = row.ravel().tolist()
    if len(given) != count or not all(hasattr(each, "get_figure") for each in given):
        what = "matplotlib axes" if count == 1 else f"{count} matplotlib axes, one a panel"
        raise InputError(f"ax: expected {what}, found {len(given)} of {type(given[0]).__name__}")
    return given[0].get_figure(), given


def legend(drawn: Any, panel: Any, ax: Any, **options: Any) -> None:
    """The legend: beside the panels of our own figure, within the panel of somebody else's."""
    handles = options.pop("handles", None)
    found = {} if handles is None else {"handles": handles}
    if ax is not None:
        options = {k: v for k, v in options.items() if k not in ("loc", "ncols", "frameon")}
        small = {"fontsize": 6, "title_fontsize": 6, "framealpha": 0.6, "handlelength": 1.2}
        panel.legend(**found, **{**options, **small})
    else:
        drawn.legend(**found, **options)


def titled(drawn: Any, panel: Any, ax: Any, text: str, **options: Any) -> None:
    """The title: of our own figure, or of the panel in somebody else's."""
    if ax is not None:
        panel.set_title(text, loc="left", size=11)
    else:
        drawn.suptitle(text, size=11, **options)


def saved(drawn: Any, path: str | Path | None, ax: Any = None) -> Any:
    """Write a figure to `path`, if any, in the format of its ending.

    Returns the axes that were given, as other libraries' plots do, or else the figure.
    """
    if path is not None:
        known = drawn.canvas.get_supported_filetypes()
        ending = Path(path).suffix.lstrip(".")
        if ending not in known:
            raise InputError(
                f"{path}: expected a picture's ending ({', '.join(sorted(known))}), found"
                f" {ending or 'none'!r}"
            )
        try:
            drawn.savefig(path, dpi=DOTS_PER_INCH)
        except OSError as error:
            raise InputError(f"{path}: expected a place to write to: {error.strerror}") from None
    return drawn if ax is None else ax


def plain_axes(axes: Any) -> None:
    """A faint grid behind the data, and no frame above and to the right."""
    axes.grid(visible=True, linewidth=0.4, alpha=0.5)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def draws(what: str, *needed: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A picture of values that have what it needs; `InputError` says what was found instead."""

    def of(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def call(*args: P.args, **given: P.kwargs) -> R:
            first = next(iter((*args, *given.values())), None)
            if not all(hasattr(first, name) for name in needed):
                found = shown(first)
                raise InputError(f"{function.__name__}: expected {what}, found {found}")
            return function(*args, **given)

        return call

    return of


def number_axis(axis: Any, dimension: str | None, name: str, *, log: bool = False) -> None:
    """Ticks in units that people read, and a label that names quantity and unit."""
    from matplotlib import ticker as tickers

    if log:
        (axis.axes.set_xscale if axis.axis_name == "x" else axis.axes.set_yscale)("log")
    axis.set_label_text(with_unit(name, dimension))

    def shown(value: float, _: Any) -> str:
        return tick(value, dimension)

    axis.set_major_formatter(tickers.FuncFormatter(shown))
    axis.set_minor_formatter(tickers.NullFormatter())
    low, high = axis.get_view_interval()
    if log and 0 < low and high / low < FEW_DECADES:
        axis.set_major_locator(tickers.LogLocator(subs=(1, 2, 5)))


def with_unit(name: str, dimension: str | None) -> str:
    """A quantity and its unit, as at an axis.

    >>> with_unit("time", "s")
    'time [s]'
    """
    symbol = SYMBOLS.get(dimension or "")
    return f"{name} [{symbol}]" if symbol else name


def tick(value: float, dimension: str | None) -> str:
    """A number at an axis."""
    if not value:
        return "0"
    if dimension is None or dimension not in SYMBOLS:
        return f"{value:,.6g}" if 1e-3 <= abs(value) < 1e6 else show(value, "").rstrip()
    return f"{show(value, '').rstrip()}/s" if dimension == "per_s" else show(value, dimension)


def unit_of(column: str) -> str | None:
    """The unit that a column's name ends in; a column that is called `s` alone is no time."""
    dimension = dimension_of(column)
    return None if dimension == column and column not in ("bytes", "joules") else dimension


def label(column: str) -> str:
    """A column's name without its unit, in words."""
    dimension = unit_of(column)
    return (column.removesuffix(f"_{dimension}") if dimension else column).replace("_", " ")


def columns(table: Any, *names: str) -> dict[str, NDArray[Any]]:
    """Columns of a sweep, a polars table or a mapping of sequences, as arrays of one length."""
    held: Any = getattr(table, "table", table)
    if not any(hasattr(held, name) for name in ("columns", "keys")):
        raise InputError(f"columns: expected a sweep or a table by column, found {shown(table)}")
    known = list(held.columns) if hasattr(held, "columns") else list(held)
    for name in names:
        if name not in known:
            raise UnknownNameError("column", name, known)
    found = {name: np.asarray(held[name]) for name in names}
    sizes = {name: array.size for name, array in found.items()}
    if len(set(sizes.values())) > 1:
        raise InputError(f"columns: expected as many values in each, found {sizes}")
    if not all(sizes.values()):
        raise InputError("columns: expected one row or more, found none")
    return found


def numeric(name: str, values: NDArray[Any]) -> NDArray[np.float64]:
    """A column of numbers; `InputError` where it holds anything else."""
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        found = repr(str(values.ravel()[0]))
        raise InputError(f"column {name}: expected numbers, found {found}") from None


def top(shares: Mapping[str, float], count: int) -> list[str]:
    """The names with the largest shares, largest first."""
    return sorted(shares, key=lambda name: -shares[name])[:count]


def spread(values: Sequence[float]) -> float:
    """The largest over the smallest of positive numbers; infinity where one is not positive."""
    low, high = min(values), max(values)
    return high / low if low > 0 else float("inf")
