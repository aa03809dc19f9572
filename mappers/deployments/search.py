"""The best deployment for a traffic and a promise: engines of which kind, how many, started how.

A candidate is a kind of engine, a number of them, a token budget and a batch limit; together
(`aggregated`), or as two pools of which one reads prompts and the other makes tokens. What rules a
kind and number out by bounds (`hwmodel.mappers.deployments.bounds`) does so for all its settings.
The others are looked at in the order of what they cost at the least, by the search of
`hwmodel.mappers.parallelism.search`, so that the best are those of the whole set. Two pools are
chosen apart, by cost and devices: of all pairs within the number of devices the best is then one of
the two fronts.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from hwmodel.mappers.deployments.bounds import Bounds
from hwmodel.mappers.deployments.kinds import Kind
from hwmodel.mappers.deployments.steady import Limits, Settled, Table, settle
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
REMOTE_BYTES_PER_S = 50e9
"""Of a device's network card, one way: 400 Gb/s (InfiniBand NDR)."""

Priced: TypeAlias = Callable[[Kind, int, float], float]
"""What is minimised: of a kind, a number of them and their watts in all."""


@dataclass(frozen=True, eq=False)
class Pool:
    """So many engines of a kind, how they are started, and what each settles at."""

    kind: Kind
    replicas: int
    limits: Limits
    settled: Settled
    role: Role = "both"

    @property
    def devices(self) -> int:
        """In all."""
        return self.replicas * self.kind.devices


@dataclass(frozen=True)
class Deployment:
    """One pool that does all, or one that reads prompts and one that makes tokens."""

    pools: tuple[Pool, ...]
    cost: float
    ttft_s: float
    ttft_late_s: float
    tpot_s: float
    transfer_s: float = 0.0

    @property
    def devices(self) -> int:
        """In all."""
        return sum(pool.devices for pool in self.pools)

    @property
    def power_w(self) -> float:
        """Of all devices."""
        return sum(pool.replicas * pool.settled.power_w for pool in self.pools)


@dataclass(frozen=True)
class Tally:
    """How candidates were settled. Numbers are of kinds and numbers of engines, in all roles.

    `settings` is how many budgets and batch limits each stands for; `by_bound` counts what was
    ruled out by what; `dearer` what costs more at the least than the best kept; of those evaluated
    `failed` keep no promise.
    """

    all: int
    settings: int
    by_bound: Mapping[str, int]
    dearer: int
    evaluated: int
    failed: int


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
    `CapacityError` where it cannot run; `least` is what a kind and number cost at the least.
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
    whole = _Role(problem, "both", problem.promise, pruned)
    both = whole.searched()
    best = [_whole(problem, pool) for pool, _ in both.best]
    roles, floor = [whole], whole.least
    front = [_whole(problem, pool) for pool in whole.pools.values()]
    if problem.apart:
        pairs, more, apart_floor = _apart(problem, pruned)
        roles += more
        floor = min(floor, apart_floor)
        best += pairs
        front += pairs
    tally = _tally(problem, roles)
    if not best:
        raise CapacityError(
            f"deploy: the promise is kept by none of {tally.all:,} kinds and numbers of engines on"
            f" {problem.devices} devices at most; promise more seconds, or use more devices"
        )
    best.sort(key=_order)
    return Found(tuple(best[: problem.keep]), _front(front), tally, floor)


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


@dataclass(frozen=True)
class _Searched:
    best: tuple[tuple[Pool, Costs], ...]
    front: tuple[tuple[Pool, Costs], ...]


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
            cost = problem.least(many.kind, many.replicas)
            # Where pools are paired, what has fewer devices is kept though it costs more.
            told = (cost,) if role == "both" else (cost, float(many.devices))
            floors.append((*told, between) if why is None else (math.inf,) * (len(told) + 1))
        order = sorted(range(len(floors)), key=lambda at: floors[at])
        self.ways = [self.ways[at] for at in order]
        self.bounds = np.array([floors[at][:-1] for at in order], dtype=np.float64)
        self.least = float(np.min(self.bounds[:, 0], initial=math.inf))
        if not pruned:
            self.bounds = np.zeros_like(self.bounds)
        self.pools: dict[_Many, Pool] = {}
        self.evaluated = self.failed = self.dearer = 0

    def searched(self) -> _Searched:
        """The best pools and the front, by cost and time between tokens (or devices)."""
        result = search(self.ways, self.bounds, self._costs, keep=self.problem.keep)
        counted = result.counted
        self.evaluated, self.failed = counted.evaluated, counted.failed
        self.dearer = counted.ruled_out
        return _Searched(
            tuple((self.pools[many], costs) for many, costs in result.best),
            tuple((self.pools[many], costs) for many, costs in result.front),
        )

    def _costs(self, many: _Many) -> Costs | None:
        pool = best_of(self.problem, many.kind, many.replicas, self.role, self.promise)
        if pool is None:
            return None
        self.pools[many] = pool
        cost = _cost(self.problem, pool)
        return (cost,) if self.role == "both" else (cost, float(pool.devices))


def best_of(
    problem: Sought, kind: Kind, replicas: int, role: Role, promise: Promise
) -> Pool | None:
    """The best settings of so many engines, by cost, then the quickest; None if none will do."""
    reads, makes = role != "decode", role != "prefill"
    traffic = problem.traffic
    output = traffic.output if makes else 1
    rate = traffic.rate_per_s / replicas
    found: list[tuple[tuple[float, float, int, int], Pool]] = []
    for tokens in problem.budgets if reads else problem.budgets[-1:]:
        try:
            table = problem.table(kind, tokens, role)
        except (CapacityError, CoverageError, InputError):
            return None
        for sequences in problem.batches:
            limits = Limits(tokens, sequences)
            settled = settle(
                table, rate, output, traffic.context, limits, percentile=promise.percentile
            )
            if settled is None:
                continue
            late = reads and settled.ttft_late_s > promise.ttft_s
            if late or (makes and settled.tpot_s > promise.tpot_s):
                continue
            pool = Pool(kind, replicas, limits, settled, role)
            quick = settled.tpot_s if makes else settled.ttft_s
            found.append(((_cost(problem, pool), quick, tokens, sequences), pool))
            break  # a larger batch limit settles alike
    return min(found, key=lambda each: each[0])[1] if found else None


def _apart(problem: Sought, pruned: bool) -> tuple[list[Deployment], list[_Role], float]:
    """The best pairs of pools, for each pair of formats, which both pools share."""
    found: list[Deployment] = []
    roles: list[_Role] = []
    floor = math.inf
    models = {id(kind.model): kind.model for kind in problem.kinds}
    for model in models.values():
        mine = replace(problem, kinds=[k for k in problem.kinds if k.model is model])
        kept = float(model.kv_bytes(1, problem.traffic.input))
        seconds = kept / REMOTE_BYTES_PER_S
        promise = replace(problem.promise, ttft_s=problem.promise.ttft_s - seconds)
        reads = _Role(mine, "prefill", promise, pruned)
        makes = _Role(mine, "decode", problem.promise, pruned)
        roles += [reads, makes]
        floor = min(floor, reads.least + makes.least)
        if math.isinf(reads.least) or math.isinf(makes.least):
            continue
        first, second = reads.searched(), makes.searched()
        ones = dict.fromkeys(pool for pool, _ in (*first.best, *first.front))
        others = dict.fromkeys(pool for pool, _ in (*second.best, *second.front))
        options = sorted(
            (
                _paired(problem, one, other, seconds)
                for one in ones
                for other in others
                if one.devices + other.devices <= problem.devices
            ),
            key=_order,
        )
        found += options[: problem.keep]
    return found, roles, floor


def _paired(problem: Sought, one: Pool, other: Pool, seconds: float) -> Deployment:
    return Deployment(
        (one, other),
        _cost(problem, one) + _cost(problem, other),
        one.settled.ttft_s + seconds,
        one.settled.ttft_late_s + seconds,
        other.settled.tpot_s,
        seconds,
    )


def _tally(problem: Sought, roles: Sequence[_Role]) -> Tally:
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
    )
