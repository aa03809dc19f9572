"""A drawing of who leads to whom, as the site has it: boxes in rows, arrows downwards.

Pages hold it as Mermaid, which GitHub draws; a site that loads no script of others draws it here.
"""

import html
import re
from collections.abc import Mapping, Sequence

DRAWN = re.compile(r"^```mermaid\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BOX = re.compile(r'^\s*(\w+)\["<b>\w+</b><br/>(.*?)"\]$', re.MULTILINE)
ARROW = re.compile(r"^\s*(\w+) --> (\w+)$", re.MULTILINE)

WIDTH, HEIGHT, ACROSS, DOWN = 150, 34, 14, 30
"""Of a box, and of what lies between two, in pixels."""


def rows(names: Sequence[str], arrows: Sequence[tuple[str, str]]) -> list[list[str]]:
    """Names by how many steps, at most, lead to them from a name that nothing leads to.

    >>> rows(["a", "b", "c"], [("a", "b"), ("b", "c"), ("a", "c")])
    [['a'], ['b'], ['c']]
    """
    depth = dict.fromkeys(names, 0)
    for _ in names:
        for start, end in arrows:
            depth[end] = max(depth[end], depth[start] + 1)
    return [[n for n in names if depth[n] == row] for row in range(max(depth.values()) + 1)]


def drawing(text: str) -> str:
    """Mermaid's boxes and arrows as SVG, each box with its text where a mouse rests on it."""
    boxes, arrows = dict(BOX.findall(text)), ARROW.findall(text)
    lines = rows(list(boxes), arrows)
    wide = max(map(len, lines)) * (WIDTH + ACROSS)
    places = {
        name: (
            (column + 0.5) * wide / len(line) - WIDTH / 2,
            row * (HEIGHT + DOWN) + 1,
        )
        for row, line in enumerate(lines)
        for column, name in enumerate(line)
    }
    drawn = [_arrow(places, *arrow) for arrow in arrows]
    drawn += [_box(places[name], name, said) for name, said in boxes.items()]
    size = f"0 0 {wide} {len(lines) * (HEIGHT + DOWN)}"
    return f'<svg class="drawn" viewBox="{size}" role="img">{"".join(drawn)}</svg>'


def _arrow(places: Mapping[str, tuple[float, float]], start: str, end: str) -> str:
    (x1, y1), (x2, y2) = places[start], places[end]
    top, bottom = (x1 + WIDTH / 2, y1 + HEIGHT), (x2 + WIDTH / 2, y2)
    return f'<path d="M{top[0]:.0f} {top[1]:.0f} L{bottom[0]:.0f} {bottom[1]:.0f}"/>'


def _box(place: tuple[float, float], name: str, said: str) -> str:
    x, y = place
    shape = f'<rect x="{x:.0f}" y="{y:.0f}" width="{WIDTH}" height="{HEIGHT}" rx="4"/>'
    words = f'<text x="{x + WIDTH / 2:.0f}" y="{y + HEIGHT / 2:.0f}">{html.escape(name)}</text>'
    return f"<g><title>{html.escape(said)}</title>{shape}{words}</g>"


def drawn(page: str) -> str:
    """A page, in which drawings are drawn, and told in words below."""

    def put(found: re.Match[str]) -> str:
        listed = (f"- **{name}**: {said}" for name, said in BOX.findall(found[1]))
        return "\n".join((drawing(found[1]), "", *listed))

    return DRAWN.sub(put, page)
