"""Activity: what a mapped workload does, as counts in a small tree; and the one fold over it.

`Activity` is the narrow waist of the package. Everything upstream produces counts and sees only
capacities; everything downstream turns counts into seconds and joules and knows no Einsum.

A leaf, `Work`, holds counts. Nodes say how leaves share time:

    Serial(a, b)         one after the other                     t = t_a + t_b
    Overlap(a, b)        at the same time                        t = max(t_a, t_b, busiest resource)
    Repeat(n, a)         n times in a row                        t = n t_a
    Waves(T, S, a)       T tiles on S slots                      t = max(rounds t_a, T q / Q)
    Chance(p, a)         happens with probability p              E[t] = p t_a

Inside `Waves` a *private* resource (a processor's own units) runs at 1/S of the machine's rate for
each slot, so that rounds are quantised, while a *shared* resource (DRAM, L2, a link)
serves all tiles together: its time is the sum q over all tiles at the machine's rate Q,
whatever the rounds. Equal tiles take ceil(T / S) rounds; see `rounds` for unequal ones. A leaf's
resources overlap perfectly unless the rates say otherwise
(`Rates.sharpness`); exposed latencies (`slots`: pipeline fill, drain, launch) add to its time.

One fold serves all machine classes: GPU waves, the max-plus latency of a spatial array's binding
(FuseMax, MICRO 2024, section V), a double-buffered loop. Times are seconds, sizes bytes. Counts
are ints (exact) or float64 arrays that broadcast; expectations are floats.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any, TypeAlias, TypeVar, cast

import numpy as np

from hwmodel.quantity.arithmetic import ceil_div, least, most, power, powers, where
from hwmodel.quantity.errors import CoverageError
from hwmodel.quantity.units import Amount

K = TypeVar("K")
T = TypeVar("T")

Operation: TypeAlias = tuple[str, str, str]
"""(unit, kind, dtype): ("matrix", "flop", "bf16"), ("exp", "exp", "fp32")."""


def _amounts() -> dict[str, Amount]:
    return {}


NOTHING: Mapping[Any, Any] = MappingProxyType({})


@dataclass(frozen=True, eq=False, init=False)
class Work:
    """Counts of one piece of work whose resources all run at the same time.

    Attributes:
        operations: operations by (unit, kind, dtype).
        read: bytes read from each memory level.
        written: bytes written to each memory level.
        messages: (messages, bytes) sent over each link.
        atomics: (atomic operations in all, at the most contended address).
        live: bytes that must stay resident at each memory level.
        slots: latencies that nothing hides, counted by name (launches, pipeline fills).
    """

    operations: Mapping[Operation, Amount]
    read: Mapping[str, Amount]
    written: Mapping[str, Amount]
    messages: Mapping[str, tuple[Amount, Amount]]
    atomics: tuple[Amount, Amount]
    live: Mapping[str, Amount]
    slots: Mapping[str, Amount]

    def __init__(
        self,
        operations: Mapping[Operation, Amount] = NOTHING,
        read: Mapping[str, Amount] = NOTHING,
        written: Mapping[str, Amount] = NOTHING,
        messages: Mapping[str, tuple[Amount, Amount]] = NOTHING,
        atomics: tuple[Amount, Amount] = (0, 0),
        live: Mapping[str, Amount] = NOTHING,
        slots: Mapping[str, Amount] = NOTHING,
    ) -> None:
        vars(self).update(  # all at once, which takes a third of the time: a kernel has a dozen
            operations=operations,
            read=read,
            written=written,
            messages=messages,
            atomics=atomics,
            live=live,
            slots=slots,
        )


@dataclass(frozen=True, eq=False)
class Serial:
    """Children one after the other."""

    children: tuple["Activity", ...]


@dataclass(frozen=True, eq=False)
class Overlap:
    """Children at the same time; a resource that several need serves them in turn."""

    children: tuple["Activity", ...]


@dataclass(frozen=True, eq=False)
class Repeat:
    """The child, `times` in a row."""

    times: Amount
    child: "Activity"


@dataclass(frozen=True, eq=False)
class Waves:
    """`tiles` children, `slots` of them at a time.

    The child is the mean tile; `spread` is the longest tile's work over the mean (1: all equal).
    """

    tiles: Amount
    slots: Amount
    child: "Activity"
    spread: Amount = 1


@dataclass(frozen=True, eq=False)
class Chance:
    """The child, with a probability; counts and times are expectations."""

    probability: Amount
    child: "Activity"


Activity: TypeAlias = Work | Serial | Overlap | Repeat | Waves | Chance


@dataclass(frozen=True, eq=False)
class Rates:
    """How fast each resource of a machine is, all processors together.

    Attributes:
        operations: operations/s by (unit, kind, dtype); the unit is the resource.
        read: bytes/s by memory level; the level is the resource.
        written: bytes/s by memory level.
        messages: (seconds per message, bytes/s) by link; the resource is its name, up to a colon:
            "link:LL" is the link in one of several ways to use it.
        atomics: (atomics/s in all, atomics/s at one address); the resource is "atomics".
        slots: (resource, seconds) of one latency, by name.
        private: resources of which every slot of a `Waves` has its own share.
        sharpness: exponent p of the norm that combines overlapping times; infinity is max.
        inner: the same among the private resources of one tile of a `Waves`; None: `sharpness`.
        operation_j: joules per operation.
        byte_j: joules per byte read or written, by memory level or link.
        static_w: watts drawn whatever happens.
        live_w: watts drawn by each unit that is live (processors at work), beyond the static ones.
        limit_w: watts at which the machine slows itself down; infinity is never.
        voltage: exponent of dynamic joules in the clock, where that limit lowers it; 0: none.
        of: the machine's name, for errors.
    """

    operations: Mapping[Operation, Amount] = field(default_factory=lambda: {})
    read: Mapping[str, Amount] = field(default_factory=_amounts)
    written: Mapping[str, Amount] = field(default_factory=_amounts)
    messages: Mapping[str, tuple[Amount, Amount]] = field(default_factory=lambda: {})
    atomics: tuple[Amount, Amount] = (np.inf, np.inf)
    slots: Mapping[str, tuple[str, Amount]] = field(default_factory=lambda: {})
    private: frozenset[str] = frozenset()
    sharpness: float = np.inf
    inner: float | None = None
    operation_j: Mapping[Operation, Amount] = field(default_factory=lambda: {})
    byte_j: Mapping[str, Amount] = field(default_factory=_amounts)
    static_w: Amount = 0.0
    live_w: Mapping[str, Amount] = field(default_factory=_amounts)
    limit_w: Amount = np.inf
    voltage: float = 0.0
    of: str = "this machine"

    @cached_property
    def latencies(self) -> frozenset[str]:
        """Resources that slots keep waiting."""
        return frozenset(resource for resource, _ in self.slots.values())


@dataclass(frozen=True, eq=False)
class Folded:
    """The time of an activity, and the seconds that each resource is needed on its slowest path."""

    time_s: Amount
    busy_s: Mapping[str, Amount]


def fold(activity: Activity, rates: Rates) -> Folded:
    """Time of an activity at given rates: the package's only loop over time.

    Raises `CoverageError` naming the operation, memory level or link that has no rate.
    """
    return _fold(activity, rates, None)


def _fold(node: Activity, rates: Rates, slots: Amount | None) -> Folded:
    if isinstance(node, Work):
        return _fold_work(node, rates, slots)
    if isinstance(node, Waves):
        return _fold_waves(node, rates, slots)
    if isinstance(node, Repeat):
        return _scaled(_fold(node.child, rates, slots), node.times)
    if isinstance(node, Chance):
        return _scaled(_fold(node.child, rates, slots), node.probability)
    parts = [_fold(child, rates, slots) for child in node.children]
    busy: dict[str, Amount] = {}
    for part in parts:
        for name, seconds in part.busy_s.items():
            busy[name] = busy[name] + seconds if name in busy else seconds
    if isinstance(node, Serial):
        time_s = sum([part.time_s for part in parts])
    else:
        latencies = rates.latencies
        mine = [
            seconds
            for name, seconds in busy.items()
            if slots is None or name in rates.private or name in latencies
        ]
        time_s = most([*(part.time_s for part in parts), _together(mine, rates, slots is not None)])
    return Folded(time_s, busy)


def _scaled(part: Folded, factor: Amount) -> Folded:
    return Folded(
        part.time_s * factor, {name: seconds * factor for name, seconds in part.busy_s.items()}
    )


def _fold_work(work: Work, rates: Rates, slots: Amount | None) -> Folded:
    """Busy seconds of each resource, at one slot's share of the private ones."""
    found: list[tuple[str, Amount]] = []
    for key, count in work.operations.items():
        found.append((key[0], count / _rate(rates, rates.operations, key, "operation")))
    for level, count in work.read.items():
        found.append((level, count / _rate(rates, rates.read, level, "memory level")))
    for level, count in work.written.items():
        found.append((level, count / _rate(rates, rates.written, level, "memory level")))
    for link, (count, size) in work.messages.items():
        latency_s, bandwidth = _rate(rates, rates.messages, link, "link")
        found.append((link.partition(":")[0], count * latency_s + size / bandwidth))
    total, hottest = work.atomics
    if not (isinstance(total, int) and total == 0):
        found.append(("atomics", most((total / rates.atomics[0], hottest / rates.atomics[1]))))

    inside, private = slots is not None, rates.private
    busy: dict[str, Amount] = {}
    for resource, seconds in found:
        mine = seconds * slots if slots is not None and resource in private else seconds
        busy[resource] = busy[resource] + mine if resource in busy else mine
    overlapping = [s for name, s in busy.items() if not inside or name in private]
    time_s = _together(overlapping, rates, inside)
    for name, count in work.slots.items():
        resource, latency_s = _rate(rates, rates.slots, name, "latency")
        seconds = count * latency_s
        time_s = time_s + seconds
        busy[resource] = busy.get(resource, 0) + seconds
    return Folded(time_s, busy)


def _fold_waves(node: Waves, rates: Rates, slots: Amount | None) -> Folded:
    if slots is not None:
        raise CoverageError("a Waves inside a Waves: give the inner one as Repeat or Overlap")
    tile = _fold(node.child, rates, node.slots)
    turns = rounds(node.tiles, node.slots, node.spread)
    latencies = rates.latencies
    busy: dict[str, Amount] = {}
    shared: list[Amount] = []
    for name, seconds in tile.busy_s.items():
        if name in rates.private or name in latencies:
            busy[name] = seconds * turns
        else:
            busy[name] = seconds * node.tiles
            shared.append(busy[name])
    return Folded(_together([tile.time_s * turns, *shared], rates), busy)


def rounds(tiles: Amount, slots: Amount, spread: Amount = 1) -> Amount:
    """Turns of the busiest slot, in units of the mean tile.

    Equal tiles (`spread` 1) take ceil(tiles / slots). Unequal ones that start longest first end no
    earlier than max(tiles / slots, spread), the mean load and the longest tile, and list scheduling
    comes within a third of that (Graham 1969); with many small last tiles it meets it, so it is
    taken as the time.
    """
    equal = ceil_div(tiles, slots)
    return where(spread <= 1, equal, most((tiles / slots, spread)))


def _together(times: list[Amount], rates: Rates, inside: bool = False) -> Amount:
    """Time of things that overlap: their maximum, or a p-norm where the overlap is imperfect."""
    if len(times) < 2:
        return times[0] if times else 0
    p = rates.inner if inside and rates.inner is not None else rates.sharpness
    longest = most(times)
    if p == np.inf:
        return longest
    if isinstance(longest, (int, float)):
        times = [time for time in times if time]  # nothing takes no share of a norm
        if len(times) < 2:
            return longest
    floor = most((longest, 1e-300))
    return longest * power(sum(powers([time / floor for time in times], p)), 1 / p)


def _rate(rates: Rates, table: Mapping[K, T], key: K, what: str) -> T:
    found = table.get(key)
    if found is None:
        words = sorted(map(_words, table))
        unit, *_ = _words(key).split()
        same_unit = [word for word in words if word.split()[0] == unit]
        known = ", ".join(same_unit or words) or "none"
        raise CoverageError(f"{rates.of} has no rate for {what} {_words(key)}; it has: {known}")
    return found


def _words(key: object) -> str:
    """A name, or the words of an operation."""
    return " ".join(cast(Operation, key)) if isinstance(key, tuple) else str(key)


def totals(activity: Activity) -> Work:
    """All counts of an activity in one leaf; live bytes are the most that are live at once.

    Live bytes take the maximum over `Serial`, the sum over `Overlap`, and in `Waves` one share for
    each tile that runs at the same time.
    """
    if isinstance(activity, Work):
        return activity
    if isinstance(activity, Waves):
        resident = least((activity.tiles, activity.slots))
        return _times(totals(activity.child), activity.tiles, resident)
    if isinstance(activity, Repeat):
        return _times(totals(activity.child), activity.times, least((1, activity.times)))
    if isinstance(activity, Chance):
        return _times(totals(activity.child), activity.probability, 1)
    parts = [totals(child) for child in activity.children]
    if len(parts) == 1:
        return parts[0]
    overlapping = isinstance(activity, Overlap)
    return Work(
        operations=_summed([part.operations for part in parts]),
        read=_summed([part.read for part in parts]),
        written=_summed([part.written for part in parts]),
        messages=_pairs([part.messages for part in parts if part.messages]),
        atomics=(
            sum([part.atomics[0] for part in parts]),
            sum([part.atomics[1] for part in parts]),
        ),
        live=_summed([p.live for p in parts]) if overlapping else _highest([p.live for p in parts]),
        slots=_summed([part.slots for part in parts]),
    )


def _times(work: Work, factor: Amount, resident: Amount) -> Work:
    return Work(
        operations={key: n * factor for key, n in work.operations.items()},
        read={key: n * factor for key, n in work.read.items()},
        written={key: n * factor for key, n in work.written.items()},
        messages={key: (n * factor, b * factor) for key, (n, b) in work.messages.items()}
        if work.messages
        else {},
        atomics=(work.atomics[0] * factor, work.atomics[1] * factor),
        live={key: n * resident for key, n in work.live.items()},
        slots={key: n * factor for key, n in work.slots.items()},
    )


def _summed(tables: list[Mapping[K, Amount]]) -> Mapping[K, Amount]:
    filled = [table for table in tables if table]
    if len(filled) < 2:
        return filled[0] if filled else {}
    result = dict(filled[0])
    for table in filled[1:]:
        for key, value in table.items():
            result[key] = result[key] + value if key in result else value
    return result


def _highest(tables: list[Mapping[K, Amount]]) -> Mapping[K, Amount]:
    filled = [table for table in tables if table]
    if len(filled) < 2:
        return filled[0] if filled else {}
    result = dict(filled[0])
    for table in filled[1:]:
        for key, value in table.items():
            result[key] = most((result[key], value)) if key in result else value
    return result


def _pairs(tables: list[Mapping[K, tuple[Amount, Amount]]]) -> dict[K, tuple[Amount, Amount]]:
    result: dict[K, tuple[Amount, Amount]] = {}
    for table in tables:
        for key, (count, size) in table.items():
            old = result.get(key, (0, 0))
            result[key] = (old[0] + count, old[1] + size)
    return result
