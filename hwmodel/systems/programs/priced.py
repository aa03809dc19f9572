"""A program priced: its latency with the critical path, and all that its steps add up to.

Each call has the machines of its model for itself, so that branches run side by side without
contention, and copies of a call as one batch; `batch` programs may run in step, as one batch
each. What a queue of others adds is a matter of serving, and none of this.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import isnan, nan
from pathlib import Path
from typing import Any

from hwmodel.quantity.errors import InputError
from hwmodel.spine.estimate import Estimate
from hwmodel.systems.programs.cost import Cost, Runner, of_call, of_tool
from hwmodel.systems.programs.paths import (
    NOTHING,
    Way,
    along,
    chosen,
    mean_s,
    path_of,
    repeated,
)
from hwmodel.systems.programs.program import COPIES, Program, Step, before, in_order, program_of
from hwmodel.text.shown import Shown

ASSUMPTIONS = (
    "each call has its model's machines for itself; branches do not contend, copies are one batch",
    "loops take their mean time at each turn",
)
UNPRICED = "price: {} has no rent in the catalogue; give it one by but(price=...)"


@dataclass(frozen=True)
class Leaf:
    """A call or a tool of a program: how often it runs, what one run takes, and all runs.

    `on_path_s` are its expected seconds on the critical path.
    """

    name: str
    model: str
    device: str
    runs: float
    once: Cost
    total: Cost
    on_path_s: float = 0.0


@dataclass(frozen=True, eq=False, repr=False)
class Priced(Shown):
    """The answer: of one program, expected values."""

    program: Program
    batch: int
    ways: tuple[Way, ...]
    steps: tuple[Leaf, ...]
    total: Cost
    fits: bool
    warnings: tuple[str, ...]
    assumptions: tuple[str, ...] = ASSUMPTIONS

    @property
    def latency_s(self) -> float:
        """Expected seconds from start to end, along the longest path of each way through."""
        return mean_s(self.ways)

    @property
    def latency_most_s(self) -> float:
        """Of the way that takes longest."""
        return max(way.time_s for way in self.ways)

    @property
    def latency_low_s(self) -> float:
        """Lower end of the 90 % interval, errors of all steps going together."""
        return self._scaled("low_s")

    @property
    def latency_high_s(self) -> float:
        """Upper end of the 90 % interval."""
        return self._scaled("high_s")

    def _scaled(self, end: str) -> float:
        found = 0.0
        for leaf in self.steps:
            if leaf.on_path_s:
                found += leaf.on_path_s * getattr(leaf.once, end) / leaf.once.time_s
        return found

    @property
    def busy_s(self) -> float:
        """Seconds of all calls and tools together, one after another."""
        return self.total.time_s

    @property
    def output_tokens_per_s(self) -> float:
        """Tokens made in a second, by all programs that run in step."""
        return self.batch * self.total.made / self.latency_s if self.latency_s else nan

    def record(self) -> dict[str, Any]:
        """Every field, for JSON."""
        total = _record(self.total)
        ways = sorted(self.ways, key=lambda way: -way.chance)
        return {
            **{"program": self.program.name, "batch": self.batch},
            **{name: getattr(self, name) for name in LATENCIES},
            **{"busy_s": total.pop("time_s"), **total},
            "output_tokens_per_s": self.output_tokens_per_s,
            "fits": self.fits,
            "steps": [
                {
                    **{"name": leaf.name, "model": leaf.model, "device": leaf.device},
                    **{"runs": leaf.runs, "once_s": leaf.once.time_s},
                    **{"on_path_s": leaf.on_path_s, **_record(leaf.total)},
                }
                for leaf in self.steps
            ],
            "ways": [{"chance": way.chance, "time_s": way.time_s} for way in ways],
            "assumptions": list(self.assumptions),
            "warnings": list(self.warnings),
        }


LATENCIES = ("latency_s", "latency_low_s", "latency_high_s", "latency_most_s")


def _record(cost: Cost) -> dict[str, Any]:
    names = ("time_s", "calls", "read", "reused", "made", "flop", "energy_j", "price_usd")
    tokens = {"read": "tokens_read", "reused": "tokens_reused", "made": "tokens_made"}
    return {tokens.get(name, name): getattr(cost, name) for name in names}


class _Pricing:
    """What is gathered on the way through a program."""

    def __init__(self, program: Program, on: Any, batch: int) -> None:
        self.program, self.on, self.batch = program, on, batch
        self.leaves: list[Leaf] = []
        self.warnings: dict[str, None] = {}
        self.fits = True
        self._runners: dict[int | str, Runner] = {}

    def steps(self, steps: Mapping[str, Step], above: str, runs: float, copies: int) -> list[Way]:
        """Ways through the steps of a program, which runs so often, in so many copies."""
        order = in_order(steps)
        ways = {name: self.step(steps[name], above + name, runs, copies) for name in order}
        return along(order, {name: before(steps, name) for name in order}, ways)

    def step(self, step: Step, name: str, runs: float, copies: int) -> list[Way]:
        """Ways through one step, its chance and its repetitions included."""
        count = copies * step.copies
        if count > COPIES:
            raise InputError(
                f"{name}: copies: expected at most {COPIES:,} at once, found {count:,}"
            )
        often = runs * step.chance * step.repeat
        if (copies > 1 and step.chance < 1) or (count > 1 and step.choice is not None):
            raise InputError(
                f"{name}: chance among copies is not modelled; give each outcome a step of its own,"
                " in as many copies as take it"
            )
        ways = self._ways(step, name, often, count)
        once = repeated(ways, step.repeat)
        return once if step.chance == 1 else chosen([(step.chance, once)])

    def _ways(self, step: Step, name: str, runs: float, copies: int) -> list[Way]:
        if step.steps is not None:
            return self.steps(step.steps, f"{name}/", runs, copies)
        if step.choice is not None:
            taken = [(n, one) for n, one in enumerate(step.choice, 1) if one.chance > 0]
            ways = (
                self.step(one.but(chance=1.0), f"{name}/{n}", runs * one.chance, 1)
                for n, one in taken
            )
            return chosen([(one.chance, each) for (_, one), each in zip(taken, ways, strict=True)])
        return [self._leaf(step, name, runs, copies)]

    def _leaf(self, step: Step, name: str, runs: float, copies: int) -> Way:
        if step.model is None:
            cost, model, device = of_tool(step, copies), "", ""
        else:
            cost, model, device = self._call(step, name, copies)
        self.leaves.append(Leaf(name, model, device, runs * copies, cost, cost.times(runs)))
        return Way(1.0, cost.time_s, {name: cost.time_s}) if cost.time_s else NOTHING

    def _call(self, step: Step, name: str, copies: int) -> tuple[Cost, str, str]:
        key = step.model if isinstance(step.model, str) else id(step.model)
        if key not in self._runners:
            self._runners[key] = Runner.of(self.program.served(step.model), self.on)
        runner = self._runners[key]
        try:
            cost, found = of_call(step, runner, copies, self.batch)
        except InputError as error:
            raise InputError(f"{name}: {error}") from None
        self._heard(found)
        if isnan(runner.price_usd_per_s):
            self.warnings[UNPRICED.format(runner.machine.name)] = None
        device = found[0].device
        return cost, key if isinstance(key, str) else runner.model.name, device

    def _heard(self, found: list[Estimate]) -> None:
        for each in found:
            self.fits = self.fits and each.fits
            self.warnings |= dict.fromkeys(each.warnings)


def price(
    program: Program | Mapping[str, Any] | str | Path, on: Any = None, *, batch: int = 1
) -> Priced:
    """Price a program on a machine; `InputError` and its kin for what cannot be read or modelled.

    `on` is the machine of all models that name none. `batch` programs run in step: latency is that
    of each, tokens, operations, joules and dollars are one program's.
    """
    read = program_of(program)
    pricing = _Pricing(read, on, batch)
    ways = pricing.steps(read.steps, "", 1.0, 1)
    path = path_of(ways)
    leaves = tuple(replace(leaf, on_path_s=path.get(leaf.name, 0.0)) for leaf in pricing.leaves)
    total = Cost()
    for leaf in leaves:
        total = total.plus(leaf.total)
    return Priced(
        program=read,
        batch=batch,
        ways=tuple(ways),
        steps=leaves,
        total=total,
        fits=pricing.fits,
        warnings=tuple(pricing.warnings),
    )
