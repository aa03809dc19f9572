"""Cases in a data frame, a row each: answers in another, in the same order.

Columns are the fields of a case (`hwmodel.verbs.request`; `verb` asks another verb). What a row
leaves out is missing in it (null, None, NaN). Rows that differ in their sizes alone are one
vectorised call; a row that is refused says why in the column `error`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hwmodel.quantity.checked import named
from hwmodel.quantity.errors import InputError
from hwmodel.text.frames import Frame, Framed, rows_in
from hwmodel.text.markup import Brief
from hwmodel.verbs.cases import predict_lines

if TYPE_CHECKING:
    import polars

TOLD = 10
"""Rows that are printed."""


@dataclass(frozen=True, eq=False, repr=False)
class Answered(Brief, Framed):
    """Cases with their answers, a row each."""

    cases: tuple[Mapping[str, Any], ...]
    answers: tuple[Mapping[str, Any], ...]

    @property
    def refused(self) -> int:
        """How many cases have an error and no answer."""
        return sum("error" in each for each in self.answers)

    @property
    def table(self) -> "polars.DataFrame":
        """Fields of each case, then those of its answer that are one value."""
        import polars

        rows = [
            {**{n: v for n, v in answer.items() if _is_single(v)}, **case}
            for case, answer in zip(self.cases, self.answers, strict=True)
        ]
        asked = list(dict.fromkeys(name for case in self.cases for name in case))
        told = list(dict.fromkeys(name for row in rows for name in row if name not in asked))
        simple = [{name: _in_a_cell(value) for name, value in row.items()} for row in rows]
        frame = polars.DataFrame(simple, infer_schema_length=None, strict=False)
        return frame.select([*asked, *told])

    def __str__(self) -> str:
        """How many, and the first rows."""
        refused = f", {self.refused:,} refused" if self.refused else ""
        return f"{len(self.cases):,} cases{refused}\n\n{self.table.head(TOLD)}"

    def _repr_html_(self) -> str:
        from hwmodel.show.html import fact
        from hwmodel.text.markup import answer_html

        head = self.table.head(TOLD)
        rows = [[fact(n, v) for n, v in zip(head.columns, row, strict=True)] for row in head.rows()]
        return answer_html(str(self).partition("\n")[0], [(head.columns, rows)])


def _is_single(value: Any) -> bool:
    return value is None or isinstance(value, (str, int, float))


def _in_a_cell(value: Any) -> Any:
    return value if _is_single(value) else json.dumps(value)


@named
def cases(table: Frame | Sequence[Mapping[str, Any]]) -> Answered:
    """Answers to cases, a row each of a data frame of polars, of pandas, or what speaks Arrow.

    Columns are the fields of a case, as lines of a file of cases have them; a list of tables, one a
    case, does as well. The answer is a data frame. Raises `InputError` for what is neither.
    """
    rows = rows_in(table, "cases")
    if not rows:
        raise InputError("cases: expected a row or more, found none")
    lines = [json.dumps(row, default=str) for row in rows]
    return Answered(tuple(rows), tuple(predict_lines(lines, where="cases")))
