"""Answers as HTML for notebooks: a finding, small tables and notes, with all style inline."""

from collections.abc import Sequence
from html import escape

FRAME = 'cellpadding="4" style="border-collapse:collapse;border:0"'
"""Of a table: what a cell would say again counts hundreds of times."""
RULE = "border-bottom:1px solid #888"

LONGEST_LINE = 200
"""Characters of an answer that is named in a line."""

LONGEST_NUMBER = 24
"""Characters of a number with its unit, or of two: "1.52 ms to 1.94 ms"."""
NOTHING = ("", "-", "not known")
"""Cells of a column of numbers that are none."""

Table = tuple[Sequence[str], Sequence[Sequence[str]]]
"""Heads and rows."""


def answer_html(
    finding: str,
    tables: Sequence[Table],
    notes: Sequence[str] = (),
    *,
    folded: Sequence[tuple[str, str]] = (),
) -> str:
    """A self-contained piece of HTML; everything in it is escaped.

    `folded` are texts in columns that a reader opens, each below what it is of.
    """
    parts = [f"<p><b>{escape(' '.join(finding.split()))}</b></p>"]
    parts += [_table(heads, rows) for heads, rows in tables if rows]
    if notes:
        parts.append("<ul>" + "".join(f"<li>{escape(note)}</li>" for note in notes) + "</ul>")
    parts += [
        f"<details><summary>{escape(what)}</summary>{plain_html(text)}</details>"
        for what, text in folded
    ]
    return f"<div>{''.join(parts)}</div>"


def plain_html(text: str) -> str:
    """Text in columns, as it is: pages give `pre` their own letters, so that it says which."""
    style = "font-family:monospace;line-height:1.3;overflow-x:auto;white-space:pre"
    return f'<pre style="{style}">{escape(text)}</pre>'


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Words flush left, numbers flush right and in one line; columns of nothing are left out."""
    kept = [i for i, head in enumerate(heads) if not head or any(row[i] for row in rows)]
    styles = [_style([row[place] for row in rows]) for place in kept]

    def line(tag: str, cells: Sequence[str], more: str = "") -> str:
        return "".join(
            f'<{tag} style="{style}{more}">{escape(cells[place])}</{tag}>'
            for place, style in zip(kept, styles, strict=True)
        )

    head = f"<thead><tr>{line('th', heads, ';' + RULE)}</tr></thead>"
    body = "".join(f"<tr>{line('td', row)}</tr>" for row in rows)
    table = f"<table {FRAME}>{head if any(heads) else ''}<tbody>{body}</tbody></table>"
    return f'<div style="overflow-x:auto">{table}</div>'


def _style(cells: Sequence[str]) -> str:
    """Of a column: of numbers where each cell is a short text that begins with one."""
    numbers = [cell for cell in cells if cell not in NOTHING]
    numeric = all(len(n) <= LONGEST_NUMBER and _opens_with_digit(n) for n in numbers)
    return "text-align:right;white-space:nowrap" if numbers and numeric else "text-align:left"


def _opens_with_digit(text: str) -> bool:
    return text.lstrip("+-−<(~")[:1].isdigit()


class Brief:
    """Shows itself in one line, the first of its text: arrays of a sweep would fill the screen.

    A dataclass that is brief says `repr=False`.
    """

    def __repr__(self) -> str:
        """`<Estimate: gemm on NVIDIA H200: 6.09 us, l2 binds>`."""
        finding = " ".join(str(self).split("\n\n")[0].split())
        if len(finding) > LONGEST_LINE:
            finding = f"{finding[:LONGEST_LINE]} ..."
        return f"<{type(self).__name__}: {finding}>"

    def _repr_html_(self) -> str:
        """The text, its tables kept, where a class says nothing better."""
        return plain_html(str(self))
