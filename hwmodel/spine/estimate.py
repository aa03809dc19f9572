"""The answer to `predict`: time, energy and traffic, what binds, and what it rests on.

An `Estimate` is a list of parts, one for each kernel (or phase) of the mapped workload, run `times`
in a row. All of its totals are sums over parts. Numbers are scalars, or arrays over the points of a
sweep. Meanings are those of DESIGN section 14: `time_s` is the marginal device time of one call in
a CUDA graph with a cold L2; `energy_j` is whole-board energy, idle power included.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.counts import flops
from hwmodel.quantity.arithmetic import first_where, least, most
from hwmodel.quantity.extras import extras_told
from hwmodel.quantity.units import Amount, show
from hwmodel.spine.activity import Work
from hwmodel.spine.flow import Flow, Woven
from hwmodel.spine.memory import MemoryFit
from hwmodel.spine.outside import Outside, farthest, told
from hwmodel.text.frames import Framed
from hwmodel.text.shown import Shown, columns, part_columns, record

if TYPE_CHECKING:
    import polars

BOTTLENECKS = {
    "matrix": "matrix",
    "qk": "matrix",
    "pv": "matrix",
    "vector": "vector",
    "issue": "vector",
    "topk": "vector",
    "exp": "exp",
    "shared": "shared",
    "tensor": "shared",
    "keys": "shared",
    "values": "shared",
    "l1": "shared",
    "register": "shared",
    "port": "l2",
    "pipeline": "shared",
    "stream": "dram",
    "copy": "l2",
    "narrow": "vector",
    "l2": "l2",
    "l3": "l2",
    "buffer": "l2",
    "fill": "matrix",
    "dram": "dram",
    "flash": "dram",
    "sram": "shared",
    "dsp": "matrix",
    "lut": "vector",
    "bram": "shared",
    "uram": "shared",
    "storage": "link",
    **{f"{kind}{speed}": "link" for kind in ("link", "nic", "uplink") for speed in ("", *range(9))},
    "atomics": "atomics",
    "launch": "launch",
    "drain": "launch",
    "host": "host",
}
"""Resource of a machine model -> the word that answers carry (DESIGN section 14)."""


Quantity: TypeAlias = Any
"""A number of an answer: a float, or an array of them over the points of a sweep.

For type checkers it is `Any`, since which of the two it is follows from the question.
"""

UNKNOWN = (math.nan, math.nan)
"""Interval of a prediction of which no error is known."""

UNMEASURED = "modelled, never measured: the 90 % interval is not known, and null"
"""What such a prediction warns of."""


@dataclass(frozen=True, eq=False, repr=False)
class Part(Shown):
    """One kernel of the mapping: counts and times of a single run, and how often it runs.

    `time_s` is at the full clock, `sustained_s` in unbroken repetition, when the power limit may
    have lowered it. `interval` is the (low, high) multiple of the predicted time that holds 90 % of
    measurements.
    """

    name: str
    family: str
    times: Amount
    counts: Work
    time_s: Amount
    sustained_s: Amount
    busy_s: Mapping[str, Amount]
    energy_j: Amount
    interval: tuple[Amount, Amount]
    """`UNKNOWN` where nothing was ever measured: the answer's interval is null then."""
    tile: Any = None
    work: Cascade | None = None
    asked_flop: Amount | None = None
    """Operations of one run where it is of several cascades; None: those of `work`."""
    outside: tuple[Outside, ...] = ()
    """Sizes that lie outside those that the calibration saw, somewhere."""
    host: bool = False
    """Whether it is no kernel but what an engine's host adds."""
    energy_by_j: Mapping[str, Amount] = field(default_factory=lambda: {})
    """Joules of one run by component (units, memories, links, static); they sum to `energy_j`."""

    @property
    def flop(self) -> Amount | None:
        """Operations that the Einsums ask for, once: nothing padded, nothing masked."""
        if self.asked_flop is not None:
            return self.asked_flop
        return None if self.work is None else flops(self.work)

    @property
    def bottleneck(self) -> Any:
        """The resource that is needed longest."""
        return bottleneck(self.busy_s)


@dataclass(frozen=True)
class Store:
    """A memory that has to hold something: the most bytes needed at once, and when; its size."""

    name: str
    needed_bytes: Amount
    capacity_bytes: Amount
    where: str

    @property
    def short_by_bytes(self) -> Amount:
        """Bytes that are missing; 0 where it fits."""
        return most((0.0, self.needed_bytes - self.capacity_bytes))


@dataclass(frozen=True, eq=False)
class Note:
    """A warning that holds at some points only; `{}` in its text stands for a point's `value`.

    A second `{}` stands for what is `also` told, a plain number.
    """

    text: str
    holds: Any
    value: Amount
    dimension: str | None = None
    """What the value is, where it has a unit."""
    also: Amount = 0

    def at(self, points: int) -> list[tuple[str, ...]]:
        """What each of so many points is told."""
        columns = [
            np.broadcast_to(np.asarray(each, dtype=np.float64), (points,)).tolist()
            for each in (self.holds, self.value, self.also)
        ]
        return [(self._told(*told),) if held else () for held, *told in zip(*columns, strict=True)]

    def first(self) -> tuple[str, ...]:
        """What the first point at which it holds is told."""
        if not np.any(self.holds):
            return ()
        return (self._told(*first_where(self.holds, self.value, self.also)),)

    def _told(self, value: float, also: float) -> str:
        shown = show(value, self.dimension) if self.dimension else f"{value:,.0f}"
        return self.text.format(shown, f"{also:,.0f}")


@dataclass(frozen=True, eq=False)
class Serving:
    """What a decoder step means to its user: tokens made, and whether the memory holds it.

    In a step that only decodes each sequence `makes` so many tokens: one, or those that are right
    of what was drafted, on average; None in others.
    """

    tokens: Amount
    memory: MemoryFit
    makes: float | None = None


@dataclass(frozen=True, eq=False, repr=False)
class Estimate(Shown, Framed):
    """Time, energy and traffic of a workload on a machine.

    Parts are one device's, of a pipeline one of each stage's, for one batch that passes; energy,
    traffic and `bound_bytes` are those of all `devices` together.
    """

    name: str
    device: str
    parts: tuple[Part, ...]
    bound_bytes: Quantity
    bound_s: Quantity
    window_s: Amount = 0.0
    devices: Amount = 1
    runs: Amount | None = None
    """How often each part runs on all devices together; None: once on each."""
    flow: Flow | Woven | None = None
    """How batches flow through a pipeline of devices, or take turns, where they do."""
    assumptions: tuple[str, ...] = ()
    everywhere: tuple[str, ...] = ()
    """Warnings of all points."""
    serving: Serving | None = None
    stores: tuple[Store, ...] = ()
    """Memories that limit what the machine can run at all: all of them on machines that stream
    nothing in, elsewhere one that is short."""
    notes: tuple[Note, ...] = ()
    """Warnings of some points only."""
    outermost: str = "dram"
    """The memory whose traffic is counted as DRAM's: an MCU has Flash in its place."""
    area_m2: Amount | None = None
    """Area of all devices together; None where nothing states it, as `area_reason` says."""
    area_range_m2: tuple[Amount, Amount] | None = None
    """Low and high of the area where laws of capacity gave it; None where it was published."""
    area_reason: str = ""
    by_layer: tuple[Mapping[str, Any], ...] = ()
    """A row for each layer of a network, where layers take memory or fabric of their own."""

    @property
    def fits(self) -> bool:
        """Whether all that has to be held fits, at every point."""
        return bool(np.all(self.fits_by_point))

    @property
    def fits_by_point(self) -> Any:
        """The same point by point."""
        fits: Any = True if self.serving is None else self.serving.memory.fits
        for store in self.stores:
            fits = fits & (np.asarray(store.short_by_bytes) == 0)
        return fits if np.ndim(fits) else bool(fits)

    @property
    def total_runs(self) -> Quantity:
        """How often each part runs, on all devices together."""
        return self.devices if self.runs is None else self.runs

    @property
    def wall(self) -> Quantity:
        """Seconds on the wall over the parts' together: 1 but for a pipeline of batches."""
        return 1.0 if self.flow is None else self.flow.wall

    @property
    def time_s(self) -> Quantity:
        """Predicted seconds of one call after a rest.

        The power limit acts with a delay of `window_s`: a call shorter than that runs at the full
        clock, a longer one at the sustained pace from there on.
        """
        return self._settled(_sum(part.times * part.time_s for part in self.parts))

    @property
    def sustained_time_s(self) -> Quantity:
        """Predicted seconds of one call in unbroken repetition, under the power limit."""
        return self.wall * self._slow_s

    @property
    def _slow_s(self) -> Quantity:
        """Seconds of all parts in a row, under the power limit."""
        return _sum(part.times * part.sustained_s for part in self.parts)

    @property
    def busy_time_s(self) -> Quantity:
        """Seconds that the machine's kernels run; `time_s` less what an engine's host adds."""
        return self.time_s - self.wall * _sum(p.times * p.time_s for p in self.parts if p.host)

    def _settled(self, burst_s: Amount) -> Amount:
        """Seconds of a call that would take `burst_s` at the full clock."""
        full = _sum(part.times * part.time_s for part in self.parts)
        burst_s, slowdown = burst_s * self.wall, self._slow_s / full
        return burst_s + most((0.0, burst_s - self.window_s)) * (slowdown - 1)

    @property
    def time_low_s(self) -> Quantity:
        """Lower end of the 90 % interval, no sooner than the roofline.

        Errors of the parts are taken to go together. No measurement beats every peak at once.
        """
        low = _sum(part.times * part.time_s * part.interval[0] for part in self.parts)
        return least((most((self._settled(low), self.bound_s)), self.time_s))

    @property
    def time_high_s(self) -> Quantity:
        """Upper end of the 90 % interval."""
        high = _sum(part.times * part.time_s * part.interval[1] for part in self.parts)
        return self._settled(high)

    @property
    def energy_j(self) -> Quantity:
        """Predicted joules of one call in steady repetition: all devices, idle power included."""
        return self.total_runs * _sum(part.times * part.energy_j for part in self.parts)

    @property
    def energy_by_j(self) -> dict[str, Amount]:
        """Joules of one call by component, of all devices together; empty where not modelled."""
        joules: dict[str, Amount] = {}
        for part in self.parts:
            for name, each_j in part.energy_by_j.items():
                joules[name] = joules.get(name, 0.0) + self.total_runs * part.times * each_j
        return joules

    @property
    def dram_bytes_read(self) -> Quantity:
        """Bytes read from the DRAM in one call, of all devices together."""
        return self.total_runs * _sum(
            part.times * part.counts.read.get(self.outermost, 0) for part in self.parts
        )

    @property
    def dram_bytes_written(self) -> Quantity:
        """Bytes written to the DRAM in one call, of all devices together."""
        return self.total_runs * _sum(
            part.times * part.counts.written.get(self.outermost, 0) for part in self.parts
        )

    @property
    def flop(self) -> Quantity:
        """Operations that the workload asks for, on all devices together."""
        asked = ((part.times, part.flop) for part in self.parts)
        return self.total_runs * _sum(times * flop for times, flop in asked if flop is not None)

    @property
    def busy_s(self) -> dict[str, Amount]:
        """Seconds that each resource is needed, on the slowest path."""
        busy: dict[str, Amount] = {}
        for part in self.parts:
            for name, seconds in part.busy_s.items():
                busy[name] = busy.get(name, 0) + part.times * seconds
        return busy

    @property
    def bottleneck(self) -> Any:
        """What binds: a word of `BOTTLENECKS`, or an array of them."""
        return bottleneck(self.busy_s)

    @property
    def extrapolated(self) -> Any:
        """Whether any part lies outside the sizes that its calibration saw, point by point."""
        outside: Any = False
        for part in self.parts:
            if part.outside:
                here = np.asarray(farthest(part.outside)) > 1
                outside = outside | (here & (np.asarray(part.times) > 0))
        return outside if np.ndim(outside) else bool(outside)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the answer warns of: at every point, and at any of them."""
        beyond = (text for text in self.beyond() if text)
        return (*self.everywhere, *beyond, *(text for note in self.notes for text in note.first()))

    def beyond(self, points: int | None = None) -> list[str]:
        """What each of so many points is told of sizes that were not measured (see `told`)."""
        return told([(each, part.times) for part in self.parts for each in part.outside], points)

    @property
    def tokens_per_s(self) -> Quantity:
        """Tokens made per second, of a decoder step."""
        return None if self.serving is None else self.serving.tokens / self.time_s

    @property
    def time_per_token_s(self) -> Quantity:
        """Seconds from one token of a sequence to its next, of a step that only decodes."""
        makes = None if self.serving is None else self.serving.makes
        return None if makes is None else self.time_s / makes

    @property
    def full_tokens_per_s(self) -> Quantity:
        """The same with as many batches under way as a pipeline has stages; None without one."""
        if self.serving is None or self.flow is None:
            return None
        return self.tokens_per_s * self.flow.full

    @property
    def bubble(self) -> Quantity:
        """Part of devices' time in which they wait for other stages; None without a pipeline."""
        return None if self.flow is None else self.flow.bubble

    @property
    def joules_per_token(self) -> Quantity:
        """Joules per token, of a decoder step."""
        return None if self.serving is None else self.energy_j / self.serving.tokens

    @property
    @extras_told()
    def table(self) -> "polars.DataFrame":
        """A row for each point, in polars; columns end in their SI unit."""
        return columns(self)

    @property
    def kernels(self) -> "polars.DataFrame":
        """A row for each part, in polars: its runs, and seconds, joules and bytes of one run."""
        return part_columns(self)

    def record(self) -> dict[str, Any]:
        """The fields with one value a point, and the warnings of all points."""
        return record(self)


def bottleneck(busy_s: Mapping[str, Amount]) -> Any:
    """The resource with the most busy seconds, in the words of `BOTTLENECKS`."""
    names = list(busy_s)
    if not names:
        return None
    if all(np.ndim(seconds) == 0 for seconds in busy_s.values()):
        return BOTTLENECKS.get(longest := max(names, key=lambda n: float(busy_s[n])), longest)
    table = np.stack(np.broadcast_arrays(*(np.asarray(busy_s[n], dtype=float) for n in names)))
    words = np.array([BOTTLENECKS.get(n, n) for n in names])
    return words[np.argmax(table, axis=0)]


def _sum(values: Any) -> Amount:
    return sum(values, start=0)
