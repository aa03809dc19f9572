"""A page that stands by itself: one HTML file, without a script or anything from elsewhere.

Light or dark as its reader's screen is, as wide as a phone or a sheet of paper. Tables that are
wider scroll by themselves; bars are boxes of HTML, pictures of matplotlib are SVG within the page,
whose black is the text's colour.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from io import StringIO
from typing import Any

STYLE = """
:root{color-scheme:light dark;--ink:#1b1f24;--faint:#59636e;--paper:#fff;--line:#d1d9e0;
--soft:#f2f4f7;--bar:#0072b2}
@media (prefers-color-scheme:dark){:root{--ink:#e6edf3;--faint:#9198a1;--paper:#0d1117;
--line:#3d444d;--soft:#161b22;--bar:#56b4e9}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1.2em;max-width:62em;background:var(--paper);color:var(--ink);
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
h1{font-size:1.5em;line-height:1.25;margin:.2em 0;overflow-wrap:anywhere}
h2{font-size:1.15em;margin:2em 0 .5em;border-bottom:1px solid var(--line);padding-bottom:.2em}
p,li{overflow-wrap:anywhere}.faint{color:var(--faint);font-size:.9em}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(9.5em,1fr));gap:.6em;margin:1em 0}
.facts div{background:var(--soft);border:1px solid var(--line);border-radius:6px;padding:.5em .7em}
.facts b{display:block;font-size:1.2em;font-variant-numeric:tabular-nums}
.wide{overflow-x:auto;margin:.6em 0}table{border-collapse:collapse;font-size:.88em}
th,td{padding:.2em .7em;text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
th{border-bottom:1px solid var(--faint);font-weight:600}
tr:nth-child(even) td{background:var(--soft)}
.word{text-align:left}td.long{white-space:normal;min-width:16em}
.bar{display:grid;grid-template:"name track said" auto/13em 1fr 8.5em;gap:0 .7em;
align-items:center;font-size:.9em;margin:.25em 0;font-variant-numeric:tabular-nums}
.bar span{grid-area:name;overflow-wrap:anywhere}.bar b{grid-area:said;font-weight:400}
.track{grid-area:track}
.track{position:relative;height:1.1em;background:var(--soft);border-radius:3px;overflow:hidden}
.track i{position:absolute;top:0;bottom:0;min-width:1px;background:var(--bar)}
.track u{position:absolute;top:0;bottom:0;width:1px;background:var(--ink)}
.stack{display:flex;height:1.6em;border:1px solid var(--line);border-radius:3px;overflow:hidden}
.key{display:flex;flex-wrap:wrap;gap:.2em 1.2em;font-size:.9em;margin:.4em 0}
.key i{display:inline-block;width:.8em;height:.8em;border-radius:2px;margin-right:.4em}
.drawn svg{display:block;width:100%;height:auto;min-width:34em}.drawn text{fill:currentColor}
pre{background:var(--soft);border:1px solid var(--line);border-radius:6px;padding:.7em;
white-space:pre-wrap;overflow-wrap:anywhere;font-size:.85em;line-height:1.35}
details summary{cursor:pointer;color:var(--faint)}
@media (max-width:34em){.bar{grid-template:"name said" auto "track track" auto/1fr max-content}
body{padding:.8em}}
@media print{:root{--ink:#000;--faint:#444;--paper:#fff;--line:#bbb;--soft:#f6f6f6;--bar:#0072b2}
body{max-width:none;padding:0;font-size:10pt}h2{break-after:avoid}.wide{overflow:visible}
table{font-size:7.5pt}tr,.bar,.drawn,.facts{break-inside:avoid}details>*{display:block}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
"""

_BLACK = re.compile(r"(fill|stroke): ?#000000")
_WHITE = re.compile(r"fill: ?#ffffff(; opacity: ?[\d.]+)?")
_HEAD = re.compile(r"<\?xml.*?<svg", re.DOTALL)
_LEFT = re.compile(r"<metadata>.*?</metadata>", re.DOTALL)


@dataclass(frozen=True)
class Section:
    """A part of a page: its heading, and HTML that is escaped already."""

    heading: str
    body: str


def page(title: str, headline: str, sections: Iterable[Section], foot: str = "") -> str:
    """The whole file; `title`, `headline` and `foot` are plain text."""
    parts = [f"<section><h2>{escape(s.heading)}</h2>{s.body}</section>" for s in sections if s.body]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>"
        f"<h1>{escape(title)}</h1>{paragraph(headline)}{''.join(parts)}"
        f'<p class="faint">{escape(foot)}</p></body></html>\n'
    )


def paragraph(text: str) -> str:
    """Plain text as a paragraph."""
    return f"<p>{escape(' '.join(text.split()))}</p>" if text else ""


def listed(texts: Sequence[str]) -> str:
    """Plain texts as a list."""
    items = "".join(f"<li>{escape(' '.join(text.split()))}</li>" for text in texts)
    return f"<ul>{items}</ul>" if items else ""


def code(text: str) -> str:
    """Words to be typed."""
    return f"<pre>{escape(text)}</pre>"


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """A few numbers that matter most, each with its name."""
    shown = "".join(f"<div>{escape(name)}<b>{escape(value)}</b></div>" for name, value in pairs)
    return f'<div class="facts">{shown}</div>'


def table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], *, words: Sequence[int] = (0,)
) -> str:
    """A table; columns in `words` are flush left, and long texts in them are folded."""

    def cell(tag: str, place: int, text: str) -> str:
        kind = ' class="word long"' if len(text) > 40 else ' class="word"'
        return f"<{tag}{kind if place in words else ''}>{escape(text)}</{tag}>"

    def line(tag: str, cells: Sequence[str]) -> str:
        return "<tr>" + "".join(cell(tag, i, text) for i, text in enumerate(cells)) + "</tr>"

    if not rows:
        return ""
    body = "".join(line("td", row) for row in rows)
    head = f"<thead>{line('th', heads)}</thead>"
    return f'<div class="wide"><table>{head}<tbody>{body}</tbody></table></div>'


@dataclass(frozen=True)
class Bar:
    """A line of a bar chart: from `low` to `high`, shares of the width from 0 to 1."""

    name: str
    low: float
    high: float
    said: str
    colour: str = "var(--bar)"


def bars(rows: Sequence[Bar], *, mark: float | None = None) -> str:
    """A chart of bars, a name before and a number behind each; `mark` is where a line stands."""
    if not rows:
        return ""
    line = "" if mark is None else f'<u style="left:{100 * mark:.2f}%"></u>'
    made = "".join(
        f'<div class="bar"><span>{escape(row.name)}</span><div class="track">'
        f'<i style="left:{100 * row.low:.2f}%;width:{100 * (row.high - row.low):.2f}%;'
        f'background:{row.colour}"></i>{line}</div><b>{escape(row.said)}</b></div>'
        for row in rows
    )
    return f"<div>{made}</div>"


def stack(parts: Sequence[tuple[str, float, str, str]]) -> str:
    """Shares of a whole side by side: name, share, what is said of it, colour."""
    boxes = "".join(
        f'<div style="width:{100 * share:.2f}%;background:{colour}" title="{escape(name)}"></div>'
        for name, share, _, colour in parts
    )
    key = "".join(
        f'<span><i style="background:{colour}"></i>{escape(name)} {escape(said)}</span>'
        for name, _, said, colour in parts
    )
    return f'<div class="stack">{boxes}</div><div class="key">{key}</div>'


def folded(summary: str, body: str) -> str:
    """What a reader opens."""
    return f"<details><summary>{escape(summary)}</summary>{body}</details>" if body else ""


def drawn(figure: Any, name: str) -> str:
    """A figure of matplotlib as SVG within a page, in the page's colours; `name` is its text."""
    import matplotlib

    held = StringIO()
    figure.patch.set_alpha(0)
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):  # pyright: ignore
        figure.savefig(held, format="svg", transparent=True, metadata={"Date": None})
    svg = _HEAD.sub("<svg", _LEFT.sub("", held.getvalue()), count=1)
    svg = _BLACK.sub(r"\1: currentColor", _WHITE.sub("fill: none", svg))
    label = f'<svg role="img" aria-label="{escape(name, quote=True)}"'
    return f'<div class="wide drawn">{svg.replace("<svg", label, 1)}</div>'
