"""A deployment as a page by itself: the finding, tables, the picture of the front, the proof."""

import base64
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol

from hwmodel.text.markup import answer_html

STYLE = "font-family:sans-serif;max-width:72em;margin:2em auto;padding:0 1em"


class Answer(Protocol):
    """What is written: `hwmodel.verbs.deployed.Deployed`."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def found(self) -> Any: ...  # noqa: D102
    @property
    def money(self) -> Any: ...  # noqa: D102
    @property
    def flags(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def warnings(self) -> tuple[str, ...]: ...  # noqa: D102
    def per_dollar(self, each: Any) -> float | None: ...  # noqa: D102
    def cells(self, rows: Any) -> tuple[list[str], list[list[str]]]: ...  # noqa: D102
    def priced(self) -> str: ...  # noqa: D102
    def proof(self) -> str: ...  # noqa: D102


def written(answer: Answer, path: str) -> None:
    """Write the page, or where the name is a picture's the picture alone."""
    if path.endswith(".html"):
        Path(path).write_text(page(answer), encoding="utf-8")
        return
    figure(answer).savefig(path, dpi=130)


def page(answer: Answer) -> str:
    """One file, without others: its picture is within."""
    tables = [answer.cells(answer.found.best), answer.cells(answer.found.front)]
    finding = str(answer).split("\n\n")[0]
    body = answer_html(finding, tables[:1])
    front = answer_html("front of those evaluated", tables[1:])
    more = [answer.priced()] if answer.money is not None else []
    texts = (*more, "\n".join(answer.flags), answer.proof())
    told = "".join(f"<pre style='white-space:pre-wrap'>{escape(text)}</pre>" for text in texts)
    notes = "".join(f"<li>{escape(text)}</li>" for text in answer.warnings)
    held = BytesIO()
    figure(answer).savefig(held, format="png", dpi=110, metadata={"Software": None})
    drawn = base64.b64encode(held.getvalue()).decode()
    picture = f'<img alt="front" style="max-width:100%" src="data:image/png;base64,{drawn}">'
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(answer.name)}'
        f'</title></head><body style="{STYLE}">{body}{front}{picture}{told}<ul>{notes}</ul>'
        "</body></html>\n"
    )


def figure(answer: Answer) -> Any:
    """Tokens a dollar (or a watt) against tokens a second of one user."""
    from matplotlib import figure as figures

    drawn: Any = figures.Figure(figsize=(7.5, 4.8), layout="constrained")
    axes = drawn.subplots()
    front = answer.found.front
    priced = all(answer.per_dollar(each) is not None for each in front)
    for rows, mark, label in ((answer.found.best, "o", "best"), (front, "s-", "front")):
        users = [1 / each.tpot_s for each in rows]
        worth = [answer.per_dollar(each) if priced else 1 / each.cost for each in rows]
        axes.plot(users, worth, mark, label=label, alpha=0.8)
    axes.set_xlabel("tokens/s of one user")
    axes.set_ylabel("tokens out a dollar" if priced else "1 / objective")
    axes.set_title(answer.name)
    axes.set_ylim(0, None)
    axes.legend(frameon=False)
    return drawn
