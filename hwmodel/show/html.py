"""What answers look like in notebooks.

Imports of tables are late, as those of the answers' own texts are: rich is costly to load.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, cast

from hwmodel.bounds.limit import Limit
from hwmodel.quantity.units import dimension_of, show
from hwmodel.spine import answer as spine_answer
from hwmodel.spine.estimate import Estimate
from hwmodel.text.markup import Brief, Table, answer_html, plain_html

MOST_ROWS = 20
"""Rows of a list in an answer that are shown."""


class Answer(Protocol):
    """What prints as a text that opens with its finding, and has all its fields as a record."""

    def record(self) -> dict[str, Any]: ...  # noqa: D102


class Notebook(Brief):
    """Gives an `Answer` its look in a notebook: the finding, then the rest of its text."""

    def _repr_html_(self: Answer) -> str:
        finding, _, rest = str(self).partition("\n\n")
        return answer_html(finding, []) + (plain_html(rest) if rest else "")


def facts_html(finding: str, record: Mapping[str, Any]) -> str:
    """A finding, the fields of a record that are one number or word each, and lists of such."""
    rows = [[name, fact(name, value)] for name, value in record.items() if _single(value)]
    tables: list[Table] = [(("field", "value"), rows)]
    for value in record.values():
        listed: list[Any] = cast(list[Any], value) if isinstance(value, list) else []
        if listed and all(isinstance(item, Mapping) for item in listed):
            heads = [name for name, item in listed[0].items() if _single(item)]
            cells = [[fact(n, item.get(n)) for n in heads] for item in listed[:MOST_ROWS]]
            tables.append((heads, cells))
    return answer_html(finding, tables)


def _single(value: Any) -> bool:
    return isinstance(value, (bool, int, float, str))


def fact(name: str, value: Any) -> str:
    """A field's value for people, with the unit that its name ends in."""
    dimension = dimension_of(name)
    if value is None or value != value:
        return "-" if value is None else "not known"
    if isinstance(value, (bool, str)) or not isinstance(value, (int, float)):
        return str(value)
    if dimension == "per_s":
        return f"{value:,.4g} a second"
    if dimension is not None:
        return show(float(value), dimension)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.{4 if abs(value) < 1e4 else 9}g}"


def estimate_html(estimate: Estimate) -> str:
    """The answer in one line, a row for each kernel, totals, and what the answer rests on."""
    from hwmodel.show.text import headline, parts_table, summary_text

    notes = (*estimate.assumptions, *(f"warning: {w}" for w in estimate.warnings))
    totals = (("of the whole", ""), named_lines(summary_text(estimate)))
    return answer_html(headline(estimate), [parts_table(estimate), totals], notes)


def comparison_html(estimates: Sequence[spine_answer.Answer], refusals: Sequence[str] = ()) -> str:
    """One row a machine."""
    from hwmodel.show.text import comparison_table

    finding, heads, rows, warnings = comparison_table(estimates)
    return answer_html(finding, [(heads, rows)], [*refusals, *(f"warning: {w}" for w in warnings)])


def limit_html(limit: Limit) -> str:
    """The least bytes at each level, and how far the kernels are from the limit."""
    from hwmodel.show.text import first, limit_text

    levels = [
        [each.level, show(float(first(each.bytes)), "bytes"), each.reason]
        for each in limit.bound.levels
    ]
    finding, *_, distance = limit_text(limit).split("\n\n")
    tables = [(("level", "at least", "since"), levels), (("distance", ""), named_lines(distance))]
    return answer_html(finding, tables)


def named_lines(text: str) -> list[list[str]]:
    """Lines such as `roofline  4.9 ms; ...` as rows of a name and what is said of it."""
    return [line.split(None, 1) for line in text.splitlines() if len(line.split(None, 1)) == 2]
