"""Tables and paragraphs as plain text, as wide as the reader's screen.

The same answer always gives the same text: `WIDTH` columns at most, without colour, wherever Python
runs. The command line alone asks the terminal for its width (`fit_terminal`). A table that is wider
is cut into blocks of columns that each begin with the first one; no digit is ever cut off.
"""

import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextvars import ContextVar

from hwmodel.quantity.printable import printable

WIDTH = 100
NARROWEST, WIDEST = 40, 160
"""Columns of a terminal that are believed."""
FOLDED = 12
"""Characters that a column of words keeps at least, where it is folded."""

_width: ContextVar[int] = ContextVar("width", default=WIDTH)


def width() -> int:
    """Columns that a text may take."""
    return _width.get()


def fit_terminal() -> None:
    """From here on, texts are as wide as the terminal (or its COLUMNS), where there is one."""
    if sys.stdout.isatty():
        columns = shutil.get_terminal_size((WIDTH, 24)).columns
        _width.set(min(max(columns, NARROWEST), WIDEST))


def wrapped(mark: str, text: str) -> str:
    """A text of at most `width()` columns, after a mark that later lines are indented below."""
    import textwrap

    mark = f"{mark} " if mark else ""
    indent = " " * (len(mark) or 2)
    return textwrap.fill(mark + printable(text), width(), subsequent_indent=indent)


def hanging(line: str) -> str:
    """A line that opens with a name of at most nine letters; what does not fit goes below it."""
    import textwrap

    return textwrap.fill(
        printable(line[10:]), width(), initial_indent=line[:10], subsequent_indent=" " * 10
    )


def grid(heads: Sequence[str], rows: Iterable[Sequence[str]], *, left: Sequence[int]) -> str:
    """A table with a rule under its head; columns are flush right but those in `left`.

    Columns in `left` hold words, and are folded where that makes the table fit.
    """
    body = [[printable(cell) for cell in row] for row in rows]
    blocks = _blocks(heads, body, left)
    return "\n\n".join(
        _drawn(
            [heads[place] for place in block],
            [[row[place] for place in block] for row in body],
            [i for i, place in enumerate(block) if place in left],
        )
        for block in blocks
    )


def _blocks(
    heads: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[int]
) -> Iterator[list[int]]:
    """Places of the columns that stand together, the first one in every block."""
    if not heads:
        return
    widths = [max(map(len, (head, *cells))) for head, *cells in zip(heads, *rows, strict=True)]
    least = [min(w, FOLDED) if place in left else w for place, w in enumerate(widths)]
    block, used = [0], least[0]
    for place, size in list(enumerate(least))[1:]:
        if len(block) > 1 and used + 2 + size > width():
            yield block
            block, used = [0], least[0]
        block.append(place)
        used += 2 + size
    yield block


def _drawn(heads: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[int]) -> str:
    """A table whose columns stand beside each other; where they do not fit, words are folded."""
    columns = list(zip(heads, *rows, strict=True))
    sizes = [max(map(len, column)) for column in columns]
    sizes[-1] = max(1, sizes[-1])
    total = sum(sizes) + 2 * (len(sizes) - 1)
    if total > width() or any(_unlike_its_length(cell) for column in columns for cell in column):
        return _folded(heads, rows, left)

    def line(cells: Sequence[str]) -> str:
        sides = [str.ljust if place in left else str.rjust for place in range(len(cells))]
        held = zip(sides, cells, sizes, strict=True)
        return "  ".join(side(cell.rstrip(), size) for side, cell, size in held).rstrip()

    return "\n".join([line(heads), "─" * total, *map(line, rows)]).rstrip()


def _unlike_its_length(cell: str) -> bool:
    """Whether a cell takes other columns of a screen than it has characters, or several lines."""
    if cell.isascii():
        return "\n" in cell or "\t" in cell
    from unicodedata import category, east_asian_width

    return any(
        east_asian_width(sign) in "WF" or category(sign)[0] in "MC" or sign.isspace()
        for sign in cell
        if sign != " "
    )


def _folded(heads: Sequence[str], rows: Iterable[Sequence[str]], left: Sequence[int]) -> str:
    from io import StringIO

    from rich.box import SIMPLE_HEAD  # rich costs 0.1 s to import: only where it is needed
    from rich.console import Console
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for place, head in enumerate(heads):
        side = "left" if place in left else "right"
        table.add_column(head, justify=side, overflow="fold", no_wrap=place not in left)
    for row in rows:
        table.add_row(*row)
    out = StringIO()
    Console(
        file=out,
        width=width(),
        color_system=None,
        force_terminal=False,
        force_jupyter=False,  # in a notebook rich would show the table there, and return nothing
        markup=False,
        legacy_windows=False,
    ).print(table, highlight=False)
    return "\n".join(line.rstrip() for line in out.getvalue().rstrip().splitlines())
