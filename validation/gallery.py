"""Published claims as a page by itself: a section a system, a figure a card, and what moves it.

Nothing is loaded from elsewhere; colours follow the reader's choice of light or dark.
"""

from collections.abc import Iterator, Sequence
from html import escape
from math import floor, isfinite, log10

from hwmodel.validation.papers.claim import Claim, Move
from hwmodel.validation.papers.coverage import SYSTEMS, System

MOST_MOVES = 3
"""Inputs that a card names, those that move most."""
SIGNS = {"": "", "least": "≥ ", "most": "≤ "}
STYLE = """
:root{color-scheme:light dark;--ink:#1d2329;--dim:#5b6570;--page:#fbfbf9;--card:#fff;--rule:#dfe2e5;
--theirs:#8a94a0;--ours:#2f6fb3;--band:#2f6fb326;--good:#1f7a4d;--part:#8a6100;--bad:#b3261e}
@media (prefers-color-scheme:dark){:root{--ink:#e4e7ea;--dim:#a0a9b2;--page:#14171a;--card:#1c2024;
--rule:#343a40;--theirs:#7d8792;--ours:#6aa9ea;--band:#6aa9ea33;--good:#6fcf9f;--part:#e0b352;
--bad:#ff8a80}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:76rem;padding:1.5rem 1rem 4rem;background:var(--page);color:var(--ink);
font:16px/1.5 system-ui,sans-serif}
h1{font-size:1.7rem;margin:0 0 .3rem}h2{font-size:1.2rem;margin:0}h3{font-size:1rem;margin:0}
p{margin:.3rem 0}a{color:inherit}sup{line-height:0}.dim{color:var(--dim);font-size:.88rem}
.counts{display:flex;flex-wrap:wrap;gap:.6rem 2rem;margin:1rem 0 1.5rem;padding:0;list-style:none}
.counts b{display:block;font-size:1.6rem;line-height:1.2;font-variant-numeric:tabular-nums}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.9rem}
th,td{text-align:left;vertical-align:top;padding:.3rem .7rem .3rem 0;
border-bottom:1px solid var(--rule)}
td:nth-child(2){white-space:nowrap}td.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
section{margin-top:2.5rem;padding-top:1rem;border-top:1px solid var(--rule)}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(21rem,100%),1fr));gap:.8rem;
margin-top:.8rem}
article{background:var(--card);border:1px solid var(--rule);border-radius:6px;padding:.8rem .9rem}
article.missed{border-color:var(--bad)}
.mark{font-size:.78rem;font-weight:600;white-space:nowrap}
.good{color:var(--good)}.part{color:var(--part)}.bad{color:var(--bad)}
.top{display:flex;justify-content:space-between;gap:.8rem;align-items:baseline}
dl{display:grid;grid-template-columns:auto 1fr;gap:.05rem .7rem;margin:.5rem 0;font-size:.9rem}
dt{color:var(--dim)}dd{margin:0;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
@media (max-width:42rem){th:nth-child(2),td:nth-child(2){display:none}
td:last-child{min-width:12rem}}
svg{display:block;width:100%;height:2.4rem;margin:.5rem 0}
figure{margin:1rem 0 1.5rem}svg.spread{height:auto;min-width:36rem;max-width:56rem}
.spread text{font-size:13px;text-anchor:middle;fill:var(--ink)}.spread text.at{fill:var(--dim)}
.over{fill:var(--bad)}.theirs{fill:var(--theirs)}.ours{fill:var(--ours)}.band{fill:var(--band)}
"""
MARKS = {"modelled": "good", "partly": "part", "not modelled": "bad"}
BAR, GAP, WIDE = 14, 6, 400
COLUMN, TALL = 130, 150
"""Of the pictures, in their own units."""
APART = (
    *((1e-6, "the same"), (0.01, "within 1 %"), (0.05, "1 to 5 %"), (0.1, "5 to 10 %")),
    *((0.2, "10 to 20 %"), (0.5, "20 to 50 %"), (float("inf"), "beyond")),
)
"""Relative errors up to which a claim is in a column, and what the column is called."""


def page(claims: Sequence[Claim], systems: Sequence[System] = SYSTEMS) -> str:
    """The page: counts, the table of systems, and a section for each that has claims."""
    of = {name: [c for c in claims if c.system == name] for name in (s.name for s in systems)}
    listed = {system.name for system in systems}
    others = dict.fromkeys(c.system for c in claims if c.system not in listed)
    systems = (*systems, *(System(name, "your file", "modelled", "its claims") for name in others))
    of |= {name: [c for c in claims if c.system == name] for name in others}
    figures = [claim for claim in claims if not claim.identity]
    missed = sum(not claim.holds for claim in figures)
    known = sum(system.how == "modelled" for system in systems)
    counts = (
        (f"{len(figures)}", "published figures"),
        (f"{len({claim.system for claim in figures})}", "systems with figures"),
        (f"{len(figures) - missed}", "hold"),
        (f"{missed}", "missed"),
        *([(f"{len(claims) - len(figures)}", "identities")] if len(figures) < len(claims) else []),
        (f"{known} of {len(systems)}", "systems modelled"),
    )
    listed = "".join(f"<li><b>{number}</b>{what}</li>" for number, what in counts)
    rows = "".join(_row(system, of[system.name]) for system in systems)
    sections = "".join(_section(system, of[system.name]) for system in systems if of[system.name])
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>Published claims, recomputed</title><style>{STYLE}</style></head><body>"
        "<h1>Published claims, recomputed</h1>"
        '<p class="dim">What papers say of their systems beside what hwmodel predicts. A card has'
        " the published figure, ours, how far apart they may be and what that stands for, and which"
        " inputs move ours. Of two bars the grey one is published and the blue one ours; the"
        " shaded band is what holds.</p>"
        f'<ul class="counts">{listed}</ul>{spread(figures)}'
        '<div class="wide"><table><thead><tr><th>system</th>'
        "<th>paper</th><th>modelled</th><th>claims</th><th>missed</th><th>by what, or why not</th>"
        f"</tr></thead><tbody>{rows}</tbody></table></div>{sections}</body></html>\n"
    )


def spread(claims: Sequence[Claim]) -> str:
    """How many claims are how far apart, as columns of those that hold and of those missed."""
    found = [[0, 0] for _ in APART]
    for claim in claims:
        apart = 0.0 if claim.published_as and claim.holds else abs(claim.error)
        place = next(n for n, (most, _) in enumerate(APART) if apart <= most)
        found[place][not claim.holds] += 1
    tallest = max((sum(each) for each in found), default=0) or 1
    columns: list[str] = []
    for n, ((_, name), each) in enumerate(zip(APART, found, strict=True)):
        x, bottom = n * COLUMN, TALL + 18
        for count, kind in zip(each, ("ours", "over"), strict=True):
            height = round(TALL * count / tallest, 1)
            bottom -= height
            columns.append(
                f'<rect class="{kind}" x="{x + 8}" y="{bottom:.1f}" width="{COLUMN - 16}"'
                f' height="{height}"/>'
            )
        told = f"{sum(each)}" + (f" ({each[1]} missed)" if each[1] else "")
        middle = x + COLUMN / 2
        columns.append(f'<text x="{middle}" y="{bottom - 5:.1f}">{told}</text>')
        columns.append(f'<text class="at" x="{middle}" y="{TALL + 34}">{name}</text>')
    return (
        '<figure class="wide"><svg class="spread" role="img"'
        f' viewBox="0 0 {COLUMN * len(APART)} {TALL + 42}"'
        ' aria-label="claims by how far apart ours and the published figure are">'
        f'{"".join(columns)}</svg><figcaption class="dim">Claims by how far ours is from the'
        " published figure, or from the side that it claims; red ones are missed.</figcaption>"
        "</figure>"
    )


def _row(system: System, claims: Sequence[Claim]) -> str:
    """A system in the table."""
    missed = sum(not claim.holds for claim in claims)
    name = escape(system.name)
    if claims:
        name = f'<a href="#{_anchor(system.name)}">{name}</a>'
    return (
        f"<tr><td>{name}</td><td>{escape(system.paper)}</td>"
        f'<td class="mark {MARKS[system.how]}">{system.how}</td>'
        f'<td class="n">{len(claims) or "–"}</td><td class="n">{missed or "–"}</td>'
        f"<td>{escape(system.why)}</td></tr>"
    )


def _section(system: System, claims: Sequence[Claim]) -> str:
    """A system's claims as cards, those that are missed first."""
    ordered = sorted(claims, key=lambda claim: claim.holds)
    cards = "".join(map(_card, ordered))
    return (
        f'<section id="{_anchor(system.name)}"><div class="top"><h2>{escape(system.name)}</h2>'
        f'<span class="mark {MARKS[system.how]}">{system.how}</span></div>'
        f'<p class="dim">{escape(system.paper)} · {escape(system.why)}</p>'
        f'<div class="cards">{cards}</div></section>'
    )


def _card(claim: Claim) -> str:
    """One figure."""
    colour, verdict = ("good", "holds") if claim.holds else ("bad", "missed")
    verdict += ", an identity" * claim.identity
    words = [
        ("published", f"{SIGNS[claim.published_as]}{number(claim.published)}"),
        ("ours", f"{number(claim.ours)} ({_apart(claim)})"),
        ("tolerance", _tolerance(claim)),
        ("source", escape(claim.source)),
        *(() if claim.holds else (("likely cause", escape(claim.cause or "not known")),)),
        *_moves(claim),
    ]
    listed = "".join(f"<dt>{name}</dt><dd>{said}</dd>" for name, said in words)
    return (
        f'<article class="{"" if claim.holds else "missed"}"><div class="top">'
        f'<h3>{escape(claim.quantity)}</h3><span class="mark {colour}">{verdict}</span>'
        f"</div>{bars(claim)}<dl>{listed}</dl></article>"
    )


def _apart(claim: Claim) -> str:
    """How far ours is from the published figure."""
    return f"{claim.error:+.1%}" if abs(claim.error) >= 5e-4 else "the same"


def _tolerance(claim: Claim) -> str:
    """How far apart the figures may be, and what that stands for."""
    if claim.tolerance <= 1e-6:
        return "one side alone" if claim.published_as else "exact"
    told = escape(claim.within or "the figure's last digit")
    return (
        f"{claim.tolerance:.2g} relative: {told}"
        if claim.tolerance < 5e-4
        else (f"{claim.tolerance:.1%}: {told}")
    )


def _moves(claim: Claim) -> Iterator[tuple[str, str]]:
    """What moves a claim most, where that was tried."""
    if claim.moves is None:
        return
    most = sorted(claim.moves, key=lambda move: -abs(move.by))[:MOST_MOVES]
    lines = "<br>".join(map(_move, most)) or '<span class="bad">nothing that was changed</span>'
    yield "moved by", f"{lines}<br>{len(claim.moves)} of {claim.tried} inputs move it"


def _move(move: Move) -> str:
    by = f"{move.by:+.1%}" if abs(move.by) >= 5e-4 else f"{move.by:+.0e}"
    return f"{escape(move.input)}, {escape(move.change)}: {by}"


def bars(claim: Claim) -> str:
    """Published above ours, as bars on one scale, with the tolerance as a band."""
    largest = max(claim.published * (1 + claim.tolerance), claim.ours, 0.0)
    least = min(claim.published, claim.ours, 0.0)
    if largest == least or not isfinite(largest - least):
        return ""

    def along(value: float) -> float:
        return round(min(max((value - least) / (largest - least), 0.0), 1.0) * WIDE, 2)

    def bar(kind: str, value: float, y: float) -> str:
        x = min(along(0.0), along(value))
        width = abs(round(along(value) - along(0.0), 2))
        return f'<rect class="{kind}" x="{x:g}" y="{y}" width="{width}" height="{BAR}"/>'

    low = (
        along(0.0)
        if claim.published_as == "most"
        else along(claim.published * (1 - claim.tolerance))
    )
    high = WIDE if claim.published_as == "least" else along(claim.published * (1 + claim.tolerance))
    label = f"published {number(claim.published)}, ours {number(claim.ours)}"
    drawn = (
        f'<rect class="band" x="{low}" y="0" width="{max(high - low, 1.5):.2f}" height="40"/>',
        bar("theirs", claim.published, 3),
        bar("ours", claim.ours, 3 + BAR + GAP),
    )
    return (
        f'<svg viewBox="0 0 {WIDE} 40" preserveAspectRatio="none" role="img"'
        f' aria-label="{escape(_plain(label))}">{"".join(drawn)}</svg>'
    )


def number(value: float) -> str:
    """A number with six digits, and powers of ten as such."""
    if value == 0 or 1e-3 <= abs(value) < 1e6:
        return f"{value:,.6g}"
    power = floor(log10(abs(value)))
    return f"{value / 10**power:.6g} × 10<sup>{power}</sup>"


def _plain(text: str) -> str:
    return text.replace("<sup>", "^").replace("</sup>", "")


def _anchor(name: str) -> str:
    return "".join(letter.lower() if letter.isalnum() else "-" for letter in name).strip("-")
