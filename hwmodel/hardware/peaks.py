"""Peak rates that follow a machine's processors and clock, as its what-ifs change these.

    rate of a unit         = processors x rate a clock and processor x clock
    its own memory's rate  = processors x bytes a clock and processor x clock     (shared, l1, ...)

A catalogue states the products, as datasheets do; the rate a clock and processor is what they say
divided by what it says of processors and clock. So with a share of the processors, or at a share of
the clock, the product is that share of the stated one: exactly, whatever was rounded. The matrix
unit has a clock of its own where datasheets state its peak at another (`matrix_clock`), which
follows the other. A level that all processors share keeps its bandwidth, unless its source derives
it from one of the two (`Memory.follows`). What a switch adds up goes with the link's bandwidth.

A number that a what-if has named is pinned: it is what the user says, whatever else he changes.
Only GPUs are built so; what follows what on other machines is in `levers`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from hwmodel.hardware.described import Described

WHAT_IF = "what-if"
"""The source of a number that a user has named."""

KINDS = ("gpu",)
MATRIX = "matrix"
LEADERS = frozenset({"processors.count", "clock", "matrix_clock"})
"""Numbers that others follow, by the paths of `numbers`."""

_NOTE = ", followed to another number of processors or clock"


def follow(old: Described, new: Described, told: Sequence[str]) -> dict[str, Any]:
    """Fields of `new` whose numbers follow what changed between the two; empty where none does.

    `told` are the paths of the numbers that the what-if named.
    """
    if new.kind not in KINDS:
        return {}
    pinned = Pinned(old, told)
    count = new.processors.count / old.processors.count
    clock = new.clock_hz / old.clock_hz
    given = new.matrix_clock_hz
    if given is not None and not pinned("matrix_clock"):
        given = given * clock
    own = old.matrix_clock_hz
    matrix_clock = clock if given is None or own is None else given / own
    link, before = new.link, old.link
    wire = link.bandwidth_bytes_per_s / before.bandwidth_bytes_per_s if link and before else 1
    if all(np.all(ratio == 1) for ratio in (count, clock, matrix_clock, wire)):
        return {}
    sources = dict(new.sources)

    def scaled(path: str, value: Any, ratio: Any) -> Any:
        if pinned(path) or np.all(ratio == 1):
            return value
        sources[path] = f"{sources.get(path, '').removesuffix(_NOTE)}{_NOTE}"
        return value * ratio

    units = {
        name: unit.model_copy(
            update={
                "rate_per_s": {
                    dtype: scaled(
                        f"units.{name}.rate.{dtype}",
                        rate,
                        count * (matrix_clock if name == MATRIX else clock),
                    )
                    for dtype, rate in unit.rate_per_s.items()
                }
            }
        )
        for name, unit in new.units.items()
    }
    ratios = {"": 1, "clock": clock, "processors": count}
    memories = {
        level: memory.model_copy(
            update={
                "bandwidth_bytes_per_s": scaled(
                    f"memories.{level}.bandwidth",
                    memory.bandwidth_bytes_per_s,
                    count * clock if memory.per_processor else ratios[memory.follows],
                )
            }
        )
        for level, memory in new.memories.items()
    }
    if link is not None and link.reduction_bytes_per_s is not None:
        reduction = scaled("link.reduction", link.reduction_bytes_per_s, wire)
        link = link.model_copy(update={"reduction_bytes_per_s": reduction})
    return {
        "units": units, "memories": memories, "sources": sources, "matrix_clock_hz": given,
        "link": link,
    }  # fmt: skip


class Pinned:
    """Whether a number was named by this what-if or an earlier one."""

    def __init__(self, old: Described, told: Sequence[str]) -> None:
        self.told = told
        self.sources = old.sources

    def __call__(self, path: str) -> bool:
        """Whether the number at a path of `sources` is pinned."""
        named = any(path == each or path.startswith(f"{each}.") for each in self.told)
        return named or self.sources.get(path) == WHAT_IF
