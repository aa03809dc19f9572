"""The best deployment for a traffic and a promise: engines of which kind, how many, started how.

A candidate is a kind of engine, a number of them, a token budget and a batch limit; together
(`aggregated`), or as two pools of which one reads prompts and the other makes tokens. What rules a
kind and number out by bounds (`hwmodel.mappers.deployments.bounds`) does so for all its settings.
The others are looked at in the order of what they cost at the least, by the search of
`hwmodel.mappers.parallelism.search`, so that the best are those of the whole set. Two pools are
chosen apart, by cost, and where that would take more devices than there may be, by cost and
devices: of all pairs within the number of devices the best is then one of the two fronts.

What the steady state lets pass is then simulated, the best first (`seen`). Settings that do not
keep the promise there are refused, the next of their engines take their place, and the search goes
on until the best `SEEN` and the whole front have kept it. So of those that the steady state lets
pass each costs no less than the best, or fails in its simulation.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from hwmodel.mappers.deployments.bounds import REASONS, Bounds
from hwmodel.mappers.deployments.kinds import Kind
from hwmodel.mappers.deployments.missed import Missed
from hwmodel.mappers.deployments.pools import (
    REMOTE_BYTES_PER_S,
    Deployment,
    Pool,
    Seen,
    kv_bytes,
)
from hwmodel.mappers.deployments.steady import Limits, Table, settle
from hwmodel.mappers.deployments.tables import Role
from hwmodel.mappers.deployments.traffic import Promise, Traffic
from hwmodel.mappers.parallelism.search import Costs, search
from hwmodel.quantity.errors import CapacityError, CoverageError, InputError

BUDGETS = (1024, 2048, 4096, 8192, 16384)
"""Tokens of a step at most (`--max-num-batched-tokens`)."""
BATCHES = (64, 128, 256, 512, 1024)
"""Sequences at a time at most (`--max-num-seqs`)."""
KEPT = 6
"""Kinds and numbers that are kept, the best first."""
SEEN = 2
"""Of them so many keep the promise in simulated streams: the best, and a runner-up."""
ABOVE = 4.0
"""Standard deviations (of a Poisson count) by which a batch limit is above what is there."""

Priced: TypeAlias = Callable[[Kind, int, float], float]
"""What is minimised: of a kind, a number of them and their watts in all."""


@dataclass(frozen=True)
class Tally:
    """How candidates were settled. Numbers are of kinds and numbers of engines, in all roles.

    `settings` is how many budgets and batch limits each stands for; `by_bound` counts what was
    ruled out by what; `dearer` what costs more at the least than the best kept; of those evaluated
    `failed` keep no promise. `simulated` deployments were, of which `broken` did not keep it.
    """

    all: int
    settings: int
    by_bound: Mapping[str, int]
    dearer: int
    evaluated: int
    failed: int
    simulated: int = 0
    broken: int = 0
    refused: tuple[str, ...] = ()
    """Why kinds have no steps on their device: what the engine's model does not cover there."""


@dataclass(frozen=True)
class Found:
    """The best deployments, the front of cost and time between tokens, and the proof."""

    best: tuple[Deployment, ...]
    front: tuple[Deployment, ...]
    tally: Tally
    least: float
    """A floor of the cost: of whatever no bound rules out."""


@dataclass(frozen=True, eq=False)
class Sought:
    """What is asked: kinds of engines, traffic, promise, devices at most, and what is minimised.

    `table` gives the steps of a kind under a token budget, and raises `CoverageError` or
    `CapacityError` where it cannot run; `least` is what a kind and number cost at the least; `seen`
    simulates a stream (None: the steady state has the last word). `ahead` is told `soon` kinds
    whose steps are asked for next.
    """

    kinds: Sequence[Kind]
    traffic: Traffic
    promise: Promise
    devices: int
    priced: Priced
    least: Callable[[Kind, int], float]
    table: Callable[[Kind, int, Role], Table]
    bounds: Bounds
    budgets: Sequence[int] = BUDGETS
    batches: Sequence[int] = BATCHES
    apart: bool = True
    keep: int = KEPT
    seen: Callable[[Deployment], Seen] | None = None
    ahead: Callable[[Sequence[Kind], Role], None] | None = None
    soon: int = 1


@dataclass(frozen=True, eq=False)
class _Many:
    """A kind and a number of them."""

    kind: Kind
    replicas: int

    @property
    def devices(self) -> int:
        return self.replicas * self.kind.devices


def found(problem: Sought, *, pruned: bool = True) -> Found:
    """The best deployments; not `pruned`, every candidate is evaluated, as tests do.

    Raises `CapacityError` where none keeps the promise.
    """
    spaces = _spaces(problem, pruned)
    tested = _Tested(problem)
    front: tuple[Deployment, ...] = ()
    while True:
        best = sorted((each for space in spaces for each in space.best(tested)), key=_order)
        if not best:
            break
        kept = best[: problem.keep]
        front = _front([*kept, *(each for space in spaces for each in space.reached(tested))])
        if tested.all_keep((*kept[:SEEN], *front)):
            break
    tally = _tally(problem, [role for space in spaces for role in space.roles], tested)
    if not best:
        broken = f" ({tally.broken:,} of them in simulated streams)" if tally.broken else ""
        raise CapacityError(
            f"deploy: the promise is kept by none of {tally.all:,} kinds and numbers of engines on"
            f" {problem.devices} devices at most{broken}; {_why(tally, spaces[0].roles[0].missed)}"
        )
    floor = min(space.least for space in spaces)
    kept, front = (tuple(map(tested.told, each)) for each in (best[: problem.keep], front))
    return Found(kept, front, tally, floor)


class _Tested:
    """What simulated streams said of deployments, and which pools they refuse."""

    def __init__(self, problem: Sought) -> None:
        """Nothing is refused yet."""
        self.problem = problem
        self.seen: dict[tuple[Pool, ...], Seen] = {}
        self.refused: set[Pool] = set()
        self.broken = 0

    def all_keep(self, each: Sequence[Deployment]) -> bool:
        """Whether all keep the promise; at the first that does not its pools are refused."""
        if self.problem.seen is None:
            return True
        for one in each:
            if one.pools in self.seen:
                continue
            self.seen[one.pools] = seen = self.problem.seen(one)
            broken = seen.broken(self.problem.promise)
            if broken:
                self.broken += 1
                to_blame = {"ttft": one.pools[0], "tpot": one.pools[-1]}
                self.refused.update(to_blame[part] for part in broken)
                return False
        return True

    def told(self, one: Deployment) -> Deployment:
        """The deployment with what was seen of it."""
        return replace(one, seen=self.seen.get(one.pools))


def _order(each: Deployment) -> tuple[float, float, int]:
    return each.cost, each.tpot_s, len(each.pools)


def _front(each: Sequence[Deployment]) -> tuple[Deployment, ...]:
    kept: list[Deployment] = []
    for one in sorted(each, key=_order):
        if not kept or one.tpot_s < kept[-1].tpot_s:
            kept.append(one)
    return tuple(kept)


def _whole(problem: Sought, pool: Pool) -> Deployment:
    settled = pool.settled
    return Deployment(
        (pool,), _cost(problem, pool), settled.ttft_s, settled.ttft_late_s, settled.tpot_s
    )


def _cost(problem: Sought, pool: Pool) -> float:
    return problem.priced(pool.kind, pool.replicas, pool.replicas * pool.settled.power_w)


class _Role:
    """The search of one role's pools."""

    def __init__(self, problem: Sought, role: Role, promise: Promise, pruned: bool) -> None:
        """Rule out by bounds."""
        self.problem, self.promise = problem, promise
        self.role: Role = role
        self.ways: list[_Many] = [
            _Many(kind, n)
            for kind in problem.kinds
            for n in range(1, problem.devices // kind.devices + 1)
        ]
        reads, makes = role != "decode", role != "prefill"
        told_of = [
            problem.bounds.ruled_out(m.kind, m.replicas, promise, reads=reads, makes=makes)
            for m in self.ways
        ]
        self.by_bound = Counter(why for why, _ in told_of if why is not None)
        floors: list[tuple[float, ...]] = []
        for many, (why, between) in zip(self.ways, told_of, strict=True):
            told = problem.least(many.kind, many.replicas), float(many.devices)
            floors.append((*told, between) if why is None else (math.inf,) * 3)
        order = sorted(range(len(floors)), key=lambda at: floors[at])
        self.ways = [self.ways[at] for at in order]
        self.bounds = np.array([floors[at][:-1] for at in order], dtype=np.float64)
        self.least = float(np.min(self.bounds[:, 0], initial=math.inf))
        if not pruned:
            self.bounds = np.zeros_like(self.bounds)
        self.options: dict[_Many, tuple[Pool, ...]] = {}
        self.told: set[Kind] = set()
        self.missed = Missed()
        self.evaluated = self.failed = self.dearer = 0

    def searched(self, tested: _Tested, *, few: bool = False) -> list[Pool]:
        """The best pools by cost; `few`: and the front of cost and devices."""
        told = 2 if few else 1

        def costs(many: _Many) -> Costs | None:
            pool = self.pool(many, tested)
            both = None if pool is None else (_cost(self.problem, pool), float(pool.devices))
            return None if both is None else both[:told]

        result = search(self.ways, self.bounds[:, :told], costs, keep=self.problem.keep)
        counted = result.counted
        self.evaluated, self.failed = counted.evaluated, counted.failed
        self.dearer = counted.ruled_out
        ways = dict.fromkeys(many for many, _ in (*result.best, *result.front))
        return [pool for many in ways if (pool := self.pool(many, tested)) is not None]

    def pool(self, many: _Many, tested: _Tested) -> Pool | None:
        """The best settings of so many engines that no simulation refuses."""
        if many not in self.options:
            self._look_ahead(many)
            self.options[many] = options(
                self.problem, many.kind, many.replicas, self.role, self.promise, self.missed
            )
        return next((each for each in self.options[many] if each not in tested.refused), None)

    def _look_ahead(self, many: _Many) -> None:
        """Say whose steps come next in the order of what they cost, if this one's are not known."""
        if self.problem.ahead is None or many.kind in self.told:
            return
        soon: dict[Kind, None] = {}
        start = self.ways.index(many)
        for way, floor in zip(self.ways[start:], self.bounds[start:, 0], strict=True):
            if floor < math.inf and way.kind not in self.told:
                soon[way.kind] = None
            if len(soon) == self.problem.soon:
                break
        self.told.update(soon)
        self.problem.ahead(tuple(soon), self.role)

    def reached(self, tested: _Tested) -> list[Pool]:
        """Of all that were evaluated, those that will do."""
        each = (self.pool(many, tested) for many in self.options)
        return [pool for pool in each if pool is not None]


def options(
    problem: Sought,
    kind: Kind,
    replicas: int,
    role: Role,
    promise: Promise,
    missed: Missed | None = None,
) -> tuple[Pool, ...]:
    """The settings of so many engines that will do, by cost, then the quickest.

    `missed` is told of those that will not.
    """
    missed = missed or Missed()
    reads, makes = role != "decode", role != "prefill"
    traffic = problem.traffic
    output = traffic.output if makes else 1
    rate = traffic.rate_per_s / replicas
    found: list[tuple[tuple[float, float, int], Pool]] = []
    for tokens in problem.budgets if reads else problem.budgets[-1:]:
        try:
            table = problem.table(kind, tokens, role)
        except CoverageError as error:
            missed.refused[str(error)] = None
            return ()
        except (CapacityError, InputError):
            return ()
        for sequences in problem.batches:
            limits = Limits(tokens, sequences)
            settled = settle(
                table, rate, output, traffic.context, limits, percentile=promise.percentile
            )
            if settled is None:
                continue
            pool = Pool(kind, replicas, limits, settled, role)
            late = reads and settled.ttft_late_s > promise.ttft_s
            if late or (makes and settled.tpot_s > promise.tpot_s):
                missed.by(pool, promise)
                continue
            there = settled.concurrency + ABOVE * math.sqrt(settled.concurrency)
            if sequences * kind.queries > tokens and makes:
                continue  # more than a step may verify
            if there > sequences * kind.ways.dp and sequences < problem.batches[-1]:
                continue
            quick = settled.tpot_s if makes else settled.ttft_s
            found.append(((_cost(problem, pool), quick, tokens), pool))
            break  # a larger batch limit settles alike
    return tuple(pool for _, pool in sorted(found, key=lambda each: each[0]))


class _Whole:
    """Engines that do both."""

    def __init__(self, problem: Sought, pruned: bool) -> None:
        self.problem, self.role = problem, _Role(problem, "both", problem.promise, pruned)
        self.roles, self.least = (self.role,), self.role.least

    def best(self, tested: _Tested) -> list[Deployment]:
        return [_whole(self.problem, pool) for pool in self.role.searched(tested)]

    def reached(self, tested: _Tested) -> list[Deployment]:
        return [_whole(self.problem, pool) for pool in self.role.reached(tested)]


class _Apart:
    """Two pools of the same formats."""

    def __init__(self, problem: Sought, pruned: bool) -> None:
        self.problem = problem
        kept = kv_bytes(problem.kinds[0], problem.traffic.input)
        self.seconds = kept / REMOTE_BYTES_PER_S
        sooner = replace(problem.promise, ttft_s=problem.promise.ttft_s - self.seconds)
        self.reads = _Role(problem, "prefill", sooner, pruned)
        self.makes = _Role(problem, "decode", problem.promise, pruned)
        self.roles, self.least = (self.reads, self.makes), self.reads.least + self.makes.least
        self._pairs: list[Deployment] = []

    def best(self, tested: _Tested) -> list[Deployment]:
        self._pairs = []
        for few in (False, True) if math.isfinite(self.least) else ():
            ones, others = (r.searched(tested, few=few) for r in (self.reads, self.makes))
            all_pairs = [
                _paired(self.problem, one, other, self.seconds) for one in ones for other in others
            ]
            within = [each for each in all_pairs if each.devices <= self.problem.devices]
            self._pairs = sorted(within, key=_order)[: self.problem.keep]
            if len(within) == len(all_pairs):
                break  # else what costs more on fewer devices may be in the best pair
        return self._pairs

    def reached(self, tested: _Tested) -> list[Deployment]:
        return self._pairs


def _spaces(problem: Sought, pruned: bool) -> list["_Whole | _Apart"]:
    """Engines that do both, and pairs of pools of each pair of formats that draft alike."""
    alike: dict[tuple[int, bool], list[Kind]] = {}
    for kind in problem.kinds if problem.apart else ():
        alike.setdefault((id(kind.model), kind.draft is None), []).append(kind)
    apart = [_Apart(replace(problem, kinds=each), pruned) for each in alike.values()]
    return [_Whole(problem, pruned), *apart]


def _paired(problem: Sought, one: Pool, other: Pool, seconds: float) -> Deployment:
    return Deployment(
        (one, other),
        _cost(problem, one) + _cost(problem, other),
        one.settled.ttft_s + seconds,
        one.settled.ttft_late_s + seconds,
        other.settled.tpot_s,
        seconds,
    )


def _why(tally: Tally, missed: Missed) -> str:
    """What rules them out, how near they came, and what would help."""
    bounds = [f"{n:,} by {REASONS[why]}" for why, n in tally.by_bound.items()]
    told = [f"ruled out {', '.join(bounds)}"] if bounds else []
    told += missed.told or ([f"{tally.failed:,} do not keep up"] if tally.failed else [])
    if tally.by_bound.get("memory", 0) < tally.all and not tally.refused:
        told.append("promise more seconds, or use more devices")
    return "; ".join(told)


def _tally(problem: Sought, roles: Sequence[_Role], tested: _Tested) -> Tally:
    by_bound: Counter[str] = Counter()
    for role in roles:
        by_bound.update(role.by_bound)
    return Tally(
        all=sum(len(role.ways) for role in roles),
        settings=len(problem.budgets) * len(problem.batches),
        by_bound=dict(sorted(by_bound.items())),
        dearer=sum(role.dearer for role in roles),
        evaluated=sum(role.evaluated for role in roles),
        failed=sum(role.failed for role in roles),
        simulated=len(tested.seen),
        broken=tested.broken,
        refused=tuple(dict.fromkeys(text for role in roles for text in role.missed.refused)),
    )
