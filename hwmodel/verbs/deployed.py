"""The answer of `deploy`: the best, the front, the proof, dollars, and how to start it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hwmodel.machines.gpu.engines.engine import Engine
from hwmodel.machines.gpu.engines.step import elsewhere
from hwmodel.mappers.deployments.bounds import REASONS
from hwmodel.mappers.deployments.pools import Deployment
from hwmodel.mappers.deployments.search import Found
from hwmodel.mappers.deployments.traffic import Promise, Traffic
from hwmodel.quantity.units import show
from hwmodel.show.html import Notebook
from hwmodel.show.json import plain
from hwmodel.text.grid import grid, hanging, wrapped
from hwmodel.verbs.started import command


@dataclass(frozen=True)
class Money:
    """Dollars: an hour of all devices, a million tokens in and out, in the cache already.

    Devices that do both are shared by seconds: what prompts add to steps is of tokens in, the rest
    of tokens out. A cached token costs what attending to it adds to the reading of the others.
    """

    usd_per_hour: float
    in_usd: float
    out_usd: float
    cached_usd: float | None

    @classmethod
    def of(
        cls,
        best: Deployment,
        traffic: Traffic,
        rents: Mapping[str, float],
        cached_part: float | None,
    ) -> "Money":
        """Of a deployment whose devices all have a price."""
        hours = [pool.devices * rents[pool.kind.machine.name] for pool in best.pools]
        shares = {"both": None, "prefill": 1.0, "decode": 0.0}
        reading = 0.0
        for pool, dollars in zip(best.pools, hours, strict=True):
            fixed = shares[pool.role]
            reading += dollars * (pool.settled.prompts_share if fixed is None else fixed)
        requests = traffic.rate_per_s * 3600
        part = 0.0 if cached_part is None else cached_part
        tokens = traffic.new + part * traffic.cached
        each = reading / requests / tokens * 1e6
        out = (sum(hours) - reading) / requests / traffic.output * 1e6
        return cls(sum(hours), each, out, None if cached_part is None else cached_part * each)


@dataclass(frozen=True, eq=False, repr=False)
class Deployed(Notebook):
    """The best deployments for a traffic and a promise, and how all others were settled.

    `found.least` is a floor of the objective over whatever no bound rules out.
    """

    name: str
    engine: Engine
    traffic: Traffic
    promise: Promise
    objective: str
    unit: str
    found: Found
    rents: Mapping[str, float]
    money: Money | None
    sources: Mapping[str, str]
    solve_time_s: float

    @property
    def best(self) -> Deployment:
        """The best."""
        return self.found.best[0]

    @property
    def margin(self) -> float | None:
        """How much more the runner-up costs, relative to the best."""
        _, *others = self.found.best
        return others[0].cost / self.best.cost - 1 if others else None

    @property
    def gap(self) -> float:
        """How much more the best costs than the floor of all."""
        return self.best.cost / self.found.least - 1

    @property
    def flags(self) -> tuple[str, ...]:
        """A command for each kind of engine."""
        return tuple(command(self.engine, self.name, pool) for pool in self.best.pools)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the answer rests on."""
        told = [
            "kinds of engines are excluded by where they settle on average, and only what that lets"
            " pass is simulated; measure before you buy"
        ]
        if self.best.seen is None:
            told = [
                "engines are judged where they settle on average: simulated streams waited a fifth"
                " to a third longer for a first token (docs/deploy.md); simulate and measure before"
                " you buy"
            ]
        if len(self.best.pools) > 1:
            told.append(
                "assumed: caches go from pool to pool at 50 GB/s, one network card's, not hidden"
                " behind the reading"
            )
        machines = {pool.kind.machine.name: pool.kind.machine for pool in self.best.pools}
        for machine in machines.values():
            told += elsewhere(self.engine, machine)
            told += self.engine.unmeasured(machine.calibration)
        return (*told, *self.found.tally.refused[:3])

    def per_dollar(self, each: Deployment) -> float | None:
        """Tokens out a dollar, at the traffic; None where a price is not known."""
        names = [pool.kind.machine.name for pool in each.pools]
        if any(name not in self.rents for name in names):
            return None
        hour = sum(p.devices * self.rents[n] for p, n in zip(each.pools, names, strict=True))
        return self.traffic.rate_per_s * self.traffic.output * 3600 / hour

    def row(self, each: Deployment) -> dict[str, Any]:
        """A deployment as plain fields."""
        return {
            "deployment": words(each),
            "devices": each.devices,
            self.objective_field: each.cost,
            "ttft_s": each.ttft_s,
            f"ttft_p{self.promise.percentile}_s": each.ttft_late_s,
            "tpot_s": each.tpot_s,
            "simulated": self._simulated(each),
            "power_w": each.power_w,
            "tokens_per_usd": self.per_dollar(each),
        }

    def _simulated(self, each: Deployment) -> dict[str, Any] | None:
        """What a simulated stream waited, as plain fields."""
        seen, late = each.seen, f"p{self.promise.percentile}_s"
        if seen is None:
            return None
        return {
            "requests": seen.requests,
            "ttft_s": seen.ttft_s,
            f"ttft_{late}": seen.ttft_late_s,
            "tpot_s": seen.tpot_s,
            f"tpot_{late}": seen.tpot_late_s,
        }

    @property
    def objective_field(self) -> str:
        """The name of what is minimised in a record."""
        return {"price": "usd_per_hour", "energy": "least_power_w", "devices": "least_devices"}[
            self.objective
        ]

    def record(self) -> dict[str, Any]:
        """Every field, for JSON."""
        return plain(
            {
                "name": self.name,
                "engine": self.engine.name,
                "objective": self.objective,
                **self.row(self.best),
                "runner_up_margin": self.margin,
                "floor": self.found.least,
                "gap": self.gap,
                "flags": list(self.flags),
                "traffic": self.traffic,
                "promise": {k: None if v == float("inf") else v for k, v in vars_of(self.promise)},
                "best": [self.row(each) for each in self.found.best],
                "front": [self.row(each) for each in self.found.front],
                "candidates": self.found.tally,
                "money": self.money,
                "prices": [
                    {"device": n, "usd_per_hour": v, "source": self.sources[n]}
                    for n, v in self.rents.items()
                ],
                "solve_time_s": self.solve_time_s,
                "warnings": list(self.warnings),
            }
        )

    def __str__(self) -> str:
        """The best, the runners-up, the front, dollars, the command, and the proof."""
        head = (
            f"{self.name}, {self.traffic.words}: {words(self.best)} is best by {self.objective}:"
            f" {self._cost(self.best)}"
        )
        if self.margin is not None:
            head += f"; the runner-up costs {self.margin:.1%} more"
        waits = "waits where engines settle / in a simulated stream"
        blocks = [head, f"best by {self.objective}; {waits}\n{self.table(self.found.best)}"]
        if len(self.found.front) > 1:
            blocks.append(
                "front of those evaluated, the dearer the quicker\n" + self.table(self.found.front)
            )
        blocks += [self.priced()] if self.money is not None else []
        blocks.append("\n".join(self.flags))
        blocks.append(self.proof())
        blocks.append("\n".join(["warnings", *(wrapped("  -", text) for text in self.warnings)]))
        return "\n\n".join(blocks)

    def _cost(self, each: Deployment) -> str:
        return f"{each.cost:,.2f} {self.unit}".strip() if self.unit else f"{each.cost:,.0f} devices"

    def cells(
        self, rows: tuple[Deployment, ...], wide: bool = True
    ) -> tuple[list[str], list[list[str]]]:
        """Heads and rows of a table; `wide`: late seconds between tokens and watts too."""
        late = f"p{self.promise.percentile}"
        waits = [f"ttft {late}", "tpot", *([f"tpot {late}"] if wide else [])]
        more = ["power"] if wide else []
        heads = ["deployment", "devices", self.objective, *waits, *more, "tokens/USD"]
        found: list[list[str]] = []
        for each in rows:
            per, seen = self.per_dollar(each), each.seen
            seconds = [
                _both(each.ttft_late_s, seen and seen.ttft_late_s),
                _both(each.tpot_s, seen and seen.tpot_s),
                _both(None, seen and seen.tpot_late_s),
            ]
            power = [show(each.power_w, "w")] if wide else []
            cells = [words(each), str(each.devices), self._cost(each), *seconds[: len(waits)]]
            found.append([*cells, *power, "-" if per is None else f"{per:,.0f}"])
        return heads, found

    def table(self, rows: tuple[Deployment, ...]) -> str:
        """The same for people."""
        heads, cells = self.cells(rows, wide=False)
        return grid(heads, cells, left=(0,))

    def priced(self) -> str:
        """Dollars of tokens, and where prices are from."""
        money = self.money
        assert money is not None
        told = f"{money.in_usd:.3g} in, {money.out_usd:.3g} out"
        told += "" if money.cached_usd is None else f", {money.cached_usd:.3g} in the cache"
        lines = [f"dollars of a million tokens: {told}"]
        lines += [
            f"  {name}: {value:g} USD/h ({self.sources[name]})"
            for name, value in self.rents.items()
        ]
        return "\n".join(lines)

    def proof(self) -> str:
        """How all candidates were settled."""
        tally = self.found.tally
        bounds = ", ".join(f"{n:,} by {REASONS[why]}" for why, n in tally.by_bound.items())
        seen = "none"
        if tally.simulated:
            seen = f"{tally.simulated:,} deployments, of which {tally.broken:,} broke the promise"
        lines = (
            f"proof     {tally.all:,} kinds and numbers of engines, each with {tally.settings}"
            f" settings: {tally.evaluated:,} evaluated, of which {tally.failed:,} keep no promise"
            f" where they settle; excluded {bounds or 'none by bounds'}, {tally.dearer:,} as dearer"
            " than what was found",
            f"simulated {seen}",
            f"floor     {self.found.least:,.2f} {self.unit}: the best is within"
            f" {self.gap:.0%} of what any could be",
            f"engine    {self.engine.title} {self.engine.version}",
            f"search    {show(self.solve_time_s, 's')}",
        )
        return "\n".join(map(hanging, lines))


def _both(settled: float | None, seen: float | None) -> str:
    """Seconds as the steady state has them, then those of a simulated stream."""
    return " / ".join("-" if each is None else show(each, "s") for each in (settled, seen))


def vars_of(promise: Promise) -> list[tuple[str, Any]]:
    """Names and values of a promise."""
    return [(name, getattr(promise, name)) for name in ("ttft_s", "tpot_s", "percentile")]


def words(each: Deployment) -> str:
    """`2 x (h200 tp=4, fp8 weights, fp8 cache)`, and what the other pool is."""
    roles = {"both": "", "prefill": " reading prompts", "decode": " making tokens"}
    return " + ".join(
        f"{pool.replicas} x ({pool.kind.words}){roles[pool.role]}" for pool in each.pools
    )
