"""Answers as HTML for notebooks: a finding, small tables and notes, with all style inline."""

from collections.abc import Sequence
from html import escape

FRAME = 'cellpadding="4" style="border-collapse:collapse;border:0"'
"""Of a table: what a cell would say again counts hundreds of times."""
RULE = "border-bottom:1px solid #888"

LONGEST_LINE = 200
"""Characters of an answer that is named in a line."""

Table = tuple[Sequence[str], Sequence[Sequence[str]]]
"""Heads and rows."""


def answer_html(finding: str, tables: Sequence[Table], notes: Sequence[str] = ()) -> str:
    """A self-contained piece of HTML; everything in it is escaped."""
    parts = [f"<p><b>{escape(' '.join(finding.split()))}</b></p>"]
    parts += [_table(heads, rows) for heads, rows in tables if rows]
    if notes:
        parts.append("<ul>" + "".join(f"<li>{escape(note)}</li>" for note in notes) + "</ul>")
    return f"<div>{''.join(parts)}</div>"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Words flush left, numbers flush right: a column is of numbers where most begin with one."""
    sides = [_side([row[place] for row in rows]) for place in range(len(heads))]

    def line(tag: str, cells: Sequence[str], more: str = "") -> str:
        styled = zip(cells, sides, strict=True)
        return "".join(
            f'<{tag} style="text-align:{side}{more}">{escape(cell)}</{tag}>'
            for cell, side in styled
        )

    head = f"<thead><tr>{line('th', heads, ';' + RULE)}</tr></thead>"
    body = "".join(f"<tr>{line('td', row)}</tr>" for row in rows)
    return f"<table {FRAME}>{head}<tbody>{body}</tbody></table>"


def _side(cells: Sequence[str]) -> str:
    numeric = sum(cell.lstrip("+-<(")[:1].isdigit() or cell in ("-", "") for cell in cells)
    return "right" if 2 * numeric > len(cells) else "left"


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
        return f'<pre style="line-height:1.3">{escape(str(self))}</pre>'
