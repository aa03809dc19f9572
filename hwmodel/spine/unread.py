"""What-ifs on a GPU that nothing reads: numbers that no kernel of a workload depends on.

A user who doubles the rate of a format that no kernel computes in, or a latency that the model does
not know, gets the old time; so the answer says which of his numbers it did not look at. What is
read follows from the counts of the kernels that ran: rates of units by (unit, format), bandwidths
and joules by memory level, latencies by slot. Capacities of memories on the chip bound the traffic
(`bounds`), but of them only the L2's decides what a kernel moves.
"""

from collections.abc import Callable, Sequence

import numpy as np

from hwmodel.hardware.hardware import Hardware
from hwmodel.hardware.peaks import WHAT_IF
from hwmodel.quantity.remembered import remembered, single
from hwmodel.quantity.units import Amount
from hwmodel.spine.estimate import Part

DRAM_SLOTS = ("fill", "queue", "step", "split", "scan", "scales")
"""Latencies that `rates` states in terms of the DRAM's."""

GRAPH_SLOTS = ("launch", "reduction")
NEVER = (
    "storage",
    "price",
    "area",
    "arrays",
    "functions",
    "resources",
    "launch.eager",
    "power.run",
)
"""Numbers that no prediction on a GPU depends on: other machines have them, or other answers."""

IN_ROWS = ("processors.max_threads", "processors.max_blocks", "processors.registers")
"""Read by row kernels alone: the tiles of all others say themselves how many share a processor."""


def unread(hardware: Hardware, parts: Sequence[Part]) -> tuple[str, ...]:
    """A sentence for the what-ifs that no part depends on; none where all are read."""
    named = _changed(hardware)
    if not named or hardware.kind != "gpu":
        return ()
    used = _Used(parts, hardware)
    nothing = [path for path in named if not used.reads(path)]
    bounded = [path for path in nothing if path.endswith(".capacity")]
    silent = [path for path in nothing if path not in bounded]
    found: list[str] = []
    if silent:
        found.append(f"no effect: {_names(silent)}: no kernel of this workload depends on it")
    if bounded:
        found.append(f"in the bound alone: {_names(bounded)}: no kernel's time depends on it")
    return tuple(found)


@remembered(keep=single)
def _changed(hardware: Hardware) -> tuple[str, ...]:
    """The numbers of a machine that a what-if has changed."""
    return tuple(path for path, source in hardware.sources.items() if source == WHAT_IF)


def _names(paths: Sequence[str]) -> str:
    return ", ".join(p.removeprefix("units.").removeprefix("memories.") for p in paths)


class _Used:
    """What the kernels of some parts count: units and formats, levels, slots, links, atomics."""

    def __init__(self, parts: Sequence[Part], hardware: Hardware) -> None:
        self.sources = hardware.sources
        counts = [part.counts for part in parts]
        operations = ((unit, d, n) for c in counts for (unit, _, d), n in c.operations.items())
        self.operations = {(unit, dtype) for unit, dtype, count in operations if _any(count)}
        moved = [table for c in counts for table in (c.read, c.written)]
        self.levels = {level for table in moved for level, size in table.items() if _any(size)}
        self.slots = {name for c in counts for name, n in c.slots.items() if _any(n)}
        self.messages = any(c.messages for c in counts)
        self.atomics = any(_any(c.atomics[0]) for c in counts)
        self.rows = any(part.family.startswith("rows") for part in parts)

    def reads(self, path: str) -> bool:
        """Whether anything depends on the number; paths that are not known here are taken to be."""
        if path.startswith(NEVER):
            return False
        first, *rest = path.split(".")
        known: dict[str, Callable[[], bool]] = {
            "units": lambda: len(rest) < 3 or (rest[0], rest[2]) in self.operations,
            "memories": lambda: len(rest) < 2 or self._memory(rest[0], rest[1]),
            "processors": lambda: self._processors(path),
            "matrix_clock": self._follows_matrix_clock,
            "link": lambda: self.messages,
            "atomics": lambda: self.atomics,
            "launch": lambda: self.messages or bool(self.slots & {*GRAPH_SLOTS}),
        }
        return known[first]() if first in known else True

    def _follows_matrix_clock(self) -> bool:
        formats = [dtype for unit, dtype in self.operations if unit == "matrix"]
        return any(self.sources.get(f"units.matrix.rate.{d}") != WHAT_IF for d in formats)

    def _memory(self, level: str, field: str) -> bool:
        if field in ("bandwidth", "energy"):
            return level in self.levels
        if field == "latency":
            return level == "dram" and bool(self.slots & {*DRAM_SLOTS})
        if field == "capacity":
            return level in ("dram", "l2") or (level == "tensor" and level in self.levels)
        return False

    def _processors(self, path: str) -> bool:
        if path in IN_ROWS:
            return self.rows
        if path == "processors.port_bytes_per_clock":
            return "port" in self.levels
        if path == "processors.shared_per_block":
            return "tensor" in self.levels  # kernels whose tiles follow from both memories
        return True


def _any(count: Amount) -> bool:
    return bool(np.any(np.asarray(count) > 0))
