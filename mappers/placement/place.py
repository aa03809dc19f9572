"""Places experts on devices, with a proof of how good the placement is, at any interruption.

What is minimised is `problem.value`. Small or special cases are solved exactly
(`exact`, `program`). Beyond them a search for better placements (`search`) and
one for better bounds (`bounds`) take turns, so that the gap shrinks from both sides until
it is closed, the time is up or the user interrupts. The answer is costed again by
`hwmodel.experts.placement`, which shares no code with the search.
"""

import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwmodel.experts.placement import Placement, device_loads, link_cost, placement
from hwmodel.experts.statistics import Counts, Routing
from hwmodel.mappers.mapper import Proposal, name_of, proposed
from hwmodel.mappers.placement.bounds import Bound, bounds
from hwmodel.mappers.placement.exact import solve_exactly
from hwmodel.mappers.placement.problem import Assignment, Problem, is_feasible, problem, value
from hwmodel.mappers.placement.program import MOST_VARIABLES, Solved, solve_program, variables
from hwmodel.mappers.placement.search import search
from hwmodel.quantity.errors import InputError
from hwmodel.quantity.printable import shown
from hwmodel.spine.certificate import Certificate

Progress = Callable[[float, float, float], None]
"""Called with elapsed seconds, value of the best placement and proven bound, as they change."""

SOLVER_TOLERANCE = 1e-7
"""Relative error that the integer program's bound may have."""
PROVE_SHARE = 3.0
"""Time that bounds get for each second of search: they need it more, and end."""
MAPSPACE = "balanced"
GENERAL_S = 1.0
"""Seconds after which no further bound is begun for a mapper that has none."""
EXACT = "dynamic programming or assignment along the chain of layers"
REASONS = {
    "load": "a busiest device serves at least the mean load and one whole expert",
    "b-matching": "b-matching of each pair of layers, from its dual",
    "stars": "b-matching of each layer with its neighbours and what stands together, from its dual",
    "semidefinite": "semidefinite relaxation of co-location, from its multipliers",
    "program": "integer program of kept transitions, solved by branch and bound",
    "exact": EXACT,
}


@dataclass(frozen=True)
class Placed:
    """A placement with its certificate.

    Attributes:
        placement: device of each expert.
        certificate: its value, costed anew, and the proven bound.
        interrupted: whether the user stopped the search.
        history: (elapsed seconds, value, bound) whenever one of them improved.
    """

    placement: Placement
    certificate: Certificate
    interrupted: bool = False
    history: tuple[tuple[float, float, float], ...] = ()
    notes: tuple[str, ...] = ()


def place_experts(
    routing: Routing,
    devices: int,
    *,
    cost: Counts | None = None,
    load_cost: float = 0.0,
    slack: int = 0,
    most: int | None = None,
    pinned: dict[tuple[int, int], int] | None = None,
    forbidden: dict[tuple[int, int], tuple[int, ...]] | None = None,
    objective: str = "crossings",
    unit: str = "",
    time_limit_s: float = 60.0,
    gap: float = 0.0,
    seed: int = 0,
    progress: Progress | None = None,
) -> Placed:
    """The best placement found in `time_limit_s`, sooner where it is proven within `gap`.

    The problem's arguments are those of `problem.problem`; `objective` and `unit` name what
    `cost` and `load_cost` mean. Ctrl-C returns the best so far. Raises `InputError`,
    `CapacityError`, and `SolverError` where no placement keeps the constraints.
    """
    posed = problem(
        routing,
        devices,
        cost=cost,
        load_cost=load_cost,
        slack=slack,
        most=most,
        pinned=pinned,
        forbidden=forbidden,
    )
    search = {"time_limit_s": time_limit_s, "gap": gap, "seed": seed, "progress": progress}
    return certified(map_experts, routing, posed, objective=objective, unit=unit, **search)


def map_experts(
    routing: Routing,
    posed: Problem,
    *,
    objective: str,
    capacities: Mapping[str, Any],
    time_limit_s: float = 60.0,
    gap: float = 0.0,
    seed: int = 0,
    progress: Progress | None = None,
) -> Proposal:
    """Our mapper: the best assignment found in `time_limit_s`, and the bound proven beside it."""
    run = _Run(posed, time_limit_s, gap, seed, progress)
    run.go()
    if run.best is None:
        raise KeyboardInterrupt
    least = min(run.bound.least, run.value) if run.is_closed else run.bound.least
    return Proposal(
        choice=run.best,
        mapspace=MAPSPACE,
        candidates=run.candidates,
        expected=run.value,
        bound=(least, REASONS[run.bound.reason]),
        interrupted=run.interrupted,
        history=tuple(run.history),
    )


def certified(
    mapper: Callable[..., Proposal],
    routing: Routing,
    posed: Problem,
    *,
    objective: str,
    unit: str,
    **options: Any,
) -> Placed:
    """The placement that a mapper proposes, costed anew by `hwmodel.experts.placement`.

    A mapper gets the routing and the problem, and `capacities` of `experts` that a device may hold
    of each layer; it proposes the device of each expert, `(layers, experts)`. Raises `InputError`
    for what is no such table or breaks a constraint.
    """
    begin_s = time.perf_counter()
    room = {"experts": posed.most}
    found = proposed(mapper, routing, posed, objective=objective, capacities=room, **options)
    elapsed_s = time.perf_counter() - begin_s
    rows = _assignment(found, mapper, posed)
    placed = placement(routing.layers, posed.devices, rows)
    worth = link_cost(routing, placed, posed.cost)
    if posed.load_cost:
        worth += posed.load_cost * float(device_loads(routing, placed).max(axis=1).sum())
    general = (0.0, "") if found.bound else _general(posed, worth)
    certificate = found.certificate(objective, unit, worth, general, elapsed_s)
    return Placed(placed, certificate, found.interrupted, found.history, found.notes)


def _general(posed: Problem, worth: float) -> tuple[float, str]:
    """The best of the bounds that are proven within moments, for a mapper that has none."""
    best, begin_s = Bound(0.0, "load"), time.perf_counter()
    for found in bounds(posed):
        best = max(best, found, key=lambda bound: bound.least)
        if time.perf_counter() - begin_s > GENERAL_S:
            break
    return min(best.least, worth), REASONS[best.reason]


def _assignment(found: Proposal, mapper: Any, posed: Problem) -> Assignment:
    """What was proposed, as a table of devices that keeps every constraint."""
    where = f"mapper {name_of(mapper)}"
    try:
        rows = np.asarray(found.choice)
        whole = rows.shape == posed.loads.shape and bool((rows == rows.astype(np.int64)).all())
    except (TypeError, ValueError):
        whole, rows = False, np.zeros(0)
    if not whole:
        raise InputError(
            f"{where}: expected the device of each expert, {posed.layers} layers x {posed.experts}"
            f" experts, found {shown(found.choice)}"
        )
    rows = rows.astype(np.int64)
    if not ((rows >= 0) & (rows < posed.devices)).all() or not is_feasible(posed, rows):
        raise InputError(
            f"{where}: expected {posed.least} to {posed.most} experts of each layer on each of"
            f" {posed.devices} devices, where they are allowed; found an assignment that breaks it"
        )
    return rows


class _Run:
    """The state of one search: the best placement, the best bound, and the clock."""

    def __init__(
        self, posed: Problem, limit_s: float, gap: float, seed: int, progress: Progress | None
    ) -> None:
        self.posed, self.limit_s, self.gap, self.progress = posed, limit_s, gap, progress
        self.random = np.random.default_rng(seed)
        self.begin_s = time.perf_counter()
        self.best: Assignment | None = None
        self.value, self.bound = math.inf, Bound(0.0, "load")
        self.candidates, self.interrupted, self.elapsed_s = 0, False, 0.0
        self.history: list[tuple[float, float, float]] = []

    @property
    def is_closed(self) -> bool:
        """Whether the bound meets the value, but for rounding."""
        return self.value - self.bound.least <= 1e-9 * abs(self.value)

    def go(self) -> None:
        """Search until closed, out of time or interrupted."""
        try:
            exact = solve_exactly(self.posed)
            if exact is not None:
                self._take(exact)
                self._prove(Bound(self.value, "exact"))
            else:
                self._alternate()
        except KeyboardInterrupt:
            self.interrupted = True
        self.elapsed_s = time.perf_counter() - self.begin_s

    def _alternate(self) -> None:
        """Search and bounds take turns, by the time each has used; a solver runs beside them."""
        finder, prover = search(self.posed, self.random), bounds(self.posed)
        solver = _Solver(self.posed, self.limit_s)
        try:
            self._take_turns(finder, prover, solver)
        finally:
            solver.end()

    def _take_turns(
        self, finder: Iterator[Assignment], prover: Iterator[Bound], solver: "_Solver"
    ) -> None:
        spent = {"find": 0.0, "prove": 0.0}
        proving = True
        while not self._is_over():
            due = spent["prove"] <= PROVE_SHARE * spent["find"]
            turn = "prove" if proving and due and self.best is not None else "find"
            begin_s = time.perf_counter()
            if turn == "find":
                self._take(next(finder))
            else:
                found = next(prover, None)
                proving = found is not None
                if found is not None:
                    self._prove(found)
            spent[turn] += time.perf_counter() - begin_s
            if solver.result is not None:
                self._receive(solver.result)
                solver.result = None
            if self.best is not None:
                solver.start(self.elapsed_s)
            if solver.error is not None:
                raise solver.error

    def _is_over(self) -> bool:
        self.elapsed_s = time.perf_counter() - self.begin_s
        if self.best is None:
            return False
        close = self.value - self.bound.least <= self.gap * abs(self.value)
        return self.is_closed or close or self.elapsed_s >= self.limit_s

    def _receive(self, solved: Solved) -> None:
        """The answer of the integer program; rounding of its bound is taken off."""
        if solved.assignment is not None:
            self._take(solved.assignment)
        if not math.isfinite(solved.least):
            return  # stopped before it had a bound
        least = solved.least - SOLVER_TOLERANCE * abs(solved.least)
        if self.posed.counts_whole:
            least = float(math.ceil(least))
        elif self.value - least <= 2 * SOLVER_TOLERANCE * abs(self.value):
            least = self.value  # no solver tells real numbers apart that are this close
        self._prove(Bound(least, "program"))

    def _take(self, found: Assignment) -> None:
        self.candidates += 1
        if found is self.best:
            return
        worth = value(self.posed, found)
        if worth < self.value:
            self.best, self.value = found, worth
            self._note()

    def _prove(self, found: Bound) -> None:
        if found.least > self.bound.least:
            self.bound = found
            self._note()

    def _note(self) -> None:
        elapsed_s = time.perf_counter() - self.begin_s
        self.history.append((elapsed_s, self.value, self.bound.least))
        if self.progress is not None:
            self.progress(elapsed_s, self.value, self.bound.least)


class _Solver:
    """The integer program in a thread of its own, where it is small enough to be worth it."""

    def __init__(self, posed: Problem, limit_s: float) -> None:
        self.posed, self.limit_s = posed, limit_s
        size = variables(posed)
        self.waits = size is not None and size <= MOST_VARIABLES
        self.result: Solved | None = None
        self.error: Exception | None = None
        self.stop = threading.Event()
        self.thread: threading.Thread | None = None

    def start(self, elapsed_s: float) -> None:
        """Start it, once; it stops by itself at the time limit."""
        if self.waits:
            self.waits = False
            left_s = max(0.1, 0.9 * (self.limit_s - elapsed_s))  # its bound must arrive in time
            self.thread = threading.Thread(target=self._work, args=(left_s,), daemon=True)
            self.thread.start()

    def end(self) -> None:
        """Stop it and wait until it has: a solver must not outlive the process."""
        self.stop.set()
        if self.thread is not None:
            self.thread.join()

    def _work(self, left_s: float) -> None:
        try:
            self.result = solve_program(self.posed, left_s, self.stop)
        except Exception as error:  # handed to the thread that waits
            self.error = error
