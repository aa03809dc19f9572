"""Accounting rules: how the counts of a mapping become an activity, under a name that is printed.

Peers charge the same loop nest differently, so every answer says which rules it rests on.

`overlap` (as AccelForge charges): arithmetic and all memories work at the same time, so the busiest
one decides; reads and writes share a memory's bandwidth.

`ports` (in the manner of ZigZag): a tile that is kept once cannot be used while it is loaded or
drained, so its transfers stand in front of the arithmetic; of a tile that is kept twice, only the
first load and the last drain do.

Under both, each point of an Einsum reads every operand from the nearest memory that keeps it, reads
the partial sum where it reduces, and writes the sum: three reads and one write per
multiply-accumulate. Where an array element touches an element of the output for the first time
ever, there is no sum to read, which spares that read. Fills read the outer memory and write the
inner one, drains the reverse; partial sums that return are read outside once and written inside by
every array element that goes on with them (one its value, the others zero).

The activity's counts are bytes by memory level and operations by (unit, kind, dtype). On a machine
with arrays the turns of the busiest element are latencies called "step", a clock cycle each.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from hwmodel.machines.spatial.counts import Counts, Transfer
from hwmodel.quantity.errors import UnknownNameError
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Activity, Overlap, Serial, Work

STEP = "step"
WAY = "way"
"""The first word's way over the array and the last sum's way back, of an Einsum."""
NETWORK = "network"
"""What answers call the bytes of words times their steps over an array (`hops`)."""


@dataclass(frozen=True)
class Rules:
    """A named way to charge a mapping; `words` is what an answer prints of it."""

    name: str
    exposed: bool
    words: str


OVERLAP = Rules(
    "overlap",
    exposed=False,
    words="arithmetic and memories overlap; reads and writes share a memory's bandwidth;"
    " 3 reads and 1 write per multiply-accumulate at the nearest memory",
)
PORTS = Rules(
    "ports",
    exposed=True,
    words="transfers of tiles kept once are exposed, of tiles kept twice the first load and the"
    " last drain; 3 reads and 1 write per multiply-accumulate at the nearest memory",
)
RULES: Mapping[str, Rules] = {rules.name: rules for rules in (OVERLAP, PORTS)}


def rules_named(name: str) -> Rules:
    """The rules called `name`; raises `UnknownNameError`."""
    if name not in RULES:
        raise UnknownNameError("accounting rules", name, RULES)
    return RULES[name]


def activity(
    counts: Counts, rules: Rules, unit_of: Callable[[str], str], *, array: bool
) -> Activity:
    """What the mapping does under the rules; `unit_of` names the unit that runs a kind."""
    operations = {(unit_of(kind), kind, dtype): n for (kind, dtype), n in counts.operations.items()}
    steps: dict[str, Amount] = {STEP: counts.steps} if array else {}
    near = _touched(counts)
    if counts.hop_bytes:
        near = replace(near, read={**near.read, NETWORK: counts.hop_bytes})
    ways = (Work(slots={WAY: counts.ways}),) if counts.ways else ()
    if not rules.exposed:
        moved = _moved((t, 1.0) for t in counts.transfers)
        busy = _parallel(_joined((near, moved), operations, counts.footprint_bytes), steps)
        return Serial((*ways, busy)) if ways else busy
    ahead = [(t, 1.0 if not t.double else _first_share(t)) for t in counts.transfers]
    behind = _moved((t, 1.0 - share) for t, share in ahead)
    exposed = tuple(_moved([pair]) for pair in ahead)
    busy = _parallel(_joined((near, behind), operations, counts.footprint_bytes), steps)
    return Serial((*ways, *exposed, busy))


def _parallel(work: Work, steps: Mapping[str, Amount]) -> Activity:
    return Overlap((work, Work(slots=steps))) if steps else work


def _first_share(transfer: Transfer) -> float:
    """The share of a transfer that its first load, or its last drain, makes up."""
    moved = transfer.fills + transfer.drains + transfer.returns
    return min(1.0, transfer.first / moved) if moved else 0.0


def _moved(transfers: Iterable[tuple[Transfer, float]]) -> Work:
    """Bytes of transfers at both of their ends, each by the share that is asked for."""
    read: dict[str, Amount] = {}
    written: dict[str, Amount] = {}
    for t, share in transfers:
        inner = t.element_bytes if t.inner_bytes is None else t.inner_bytes
        for table, level, elements, each in (
            (read, t.outer, t.fills + t.returns, t.element_bytes),
            (written, t.inner, t.copies + t.returned, inner),
            (read, t.inner, t.partials, inner),
            (written, t.outer, t.drains, t.element_bytes),
        ):
            if elements and share:
                size = elements * each
                table[level] = table.get(level, 0) + (size if share == 1.0 else size * share)
    return Work(read=read, written=written)


def _touched(counts: Counts) -> Work:
    """Bytes that the arithmetic itself reads and writes."""
    read: dict[str, Amount] = {}
    written: dict[str, Amount] = {}
    for touch in counts.touches:
        size = touch.points * touch.element_bytes
        if not touch.made or touch.reduced:
            spared = touch.first * touch.element_bytes
            read[touch.level] = read.get(touch.level, 0) + size - spared
        if touch.made:
            written[touch.level] = written.get(touch.level, 0) + size
    return Work(read=read, written=written)


def _joined(
    parts: Iterable[Work],
    operations: Mapping[tuple[str, str, str], Amount],
    live: Mapping[str, Amount],
) -> Work:
    read: dict[str, Amount] = {}
    written: dict[str, Amount] = {}
    for part in parts:
        for table, found in ((read, part.read), (written, part.written)):
            for level, size in found.items():
                table[level] = table.get(level, 0) + size
    return Work(operations=operations, read=read, written=written, live=live)
