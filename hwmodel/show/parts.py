"""One kernel of a prediction for people: how often it runs, what binds it, and what it counts.

Where sizes are arrays, the first value is shown.
"""

import numpy as np

from hwmodel.quantity.units import Amount, show
from hwmodel.show.text import by_word
from hwmodel.spine.estimate import Part
from hwmodel.text.grid import grid
from hwmodel.text.markup import answer_html

RESOURCES = ("resource", "of each run")
COUNTS = ("count of each run", "")


def part_text(part: Part) -> str:
    """The time and what binds, then each resource and each count."""
    tables = [grid(heads, rows, left=(0,)) for heads, rows in _tables(part) if rows]
    return "\n\n".join((_finding(part), *tables))


def part_html(part: Part) -> str:
    """The same for a notebook."""
    return answer_html(_finding(part), _tables(part))


def _finding(part: Part) -> str:
    return (
        f"{part.name} ({part.family}): {_one(part.times):,.6g} runs of"
        f" {show(_one(part.time_s), 's')}, {np.ravel(part.bottleneck)[0]} binds"
    )


def _tables(part: Part) -> list[tuple[tuple[str, str], list[list[str]]]]:
    busy = sorted(by_word(part.busy_s).items(), key=lambda pair: -pair[1])
    counts = [(f"{level} read", n, "bytes") for level, n in part.counts.read.items()]
    counts += [(f"{level} written", n, "bytes") for level, n in part.counts.written.items()]
    counts += [(" ".join(key), n, "") for key, n in part.counts.operations.items()]
    counted = [[what, show(_one(n), unit).rstrip()] for what, n, unit in counts if _one(n)]
    return [(RESOURCES, [[word, show(s, "s")] for word, s in busy if s]), (COUNTS, counted)]


def _one(amount: Amount) -> float:
    return float(np.ravel(amount)[0])
