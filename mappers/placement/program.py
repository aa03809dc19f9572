"""Expert placement as an integer program in kept-transition form, solved by HiGHS through PuLP.

    x[l, i, d]     1 where expert i of layer l stands on device d
    y[p, i, j, g]  1 where transition i -> j of pair p stays in group g (a device, or a node)

    maximise sum of level step * count * y,   y <= x_i, y <= x_j, sum_j y = q x_i, sum_i y = q x_j

where x of a group is the sum over its devices. With bounded instead of exact balance the sums are
at most the capacity of a group. The form with crossings in place of kept transitions has the same
optimum and a far weaker relaxation. Symmetry is broken by the first layer: device d holds none of
the experts before the first of device d - 1.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from hwmodel.mappers.placement.bounds import levels
from hwmodel.mappers.placement.problem import Assignment, Problem, is_feasible
from hwmodel.quantity.errors import SolverError

if TYPE_CHECKING:
    from highspy import cb
    from pulp import LpAffineExpression, LpProblem, LpVariable

Variables: TypeAlias = "Mapping[tuple[int, int, int], LpVariable]"
"""Layer, expert, device -> whether it stands there."""
MOST_VARIABLES = 6_000
"""Kept transitions of the largest program that is worth a solver's time."""


@dataclass(frozen=True, eq=False)
class Solved:
    """What the solver returned: the best placement it had, if any, and its proven least value."""

    assignment: Assignment | None
    least: float


def variables(posed: Problem) -> int | None:
    """Size of the program; None where levels do not add up to the link cost."""
    steps = levels(posed.cost)
    made = sum(
        (np.not_equal.outer(g := np.array(s.group_of_device), g) * s.step for s in steps),
        np.zeros_like(posed.cost),
    )
    if not np.allclose(made, posed.cost, rtol=1e-12, atol=0):
        return None
    return sum(level.groups for level in steps) * len(posed.pairs) * posed.experts**2


def variable(model: "LpProblem", name: str, *, binary: bool = False) -> "LpVariable":
    """A variable of a model, of 0 or more; PuLP before 3.3 makes it apart from the model."""
    import pulp  # late: costly to load

    kind = pulp.LpBinary if binary else pulp.LpContinuous
    if hasattr(model, "add_variable"):
        return model.add_variable(name, 0, None, kind)
    return pulp.LpVariable(name, 0, None, kind)


def solve_program(posed: Problem, time_limit_s: float, stop: Event | None = None) -> Solved:
    """Solve to optimality, or until the time limit; `SolverError` where nothing is feasible.

    Another thread may `stop` the solver, which then answers with what it has.
    """
    import pulp

    model = pulp.LpProblem("experts", pulp.LpMinimize)
    rows, columns, devices = range(posed.layers), range(posed.experts), range(posed.devices)
    x = {
        (layer, i, d): variable(model, f"x_{layer}_{i}_{d}", binary=True)
        for layer in rows
        for i in columns
        for d in devices
    }
    terms: list[pulp.LpAffineExpression] = []
    for layer in rows:
        for i in columns:
            model += pulp.lpSum(x[layer, i, d] for d in devices) == 1
            for d in devices:
                if not posed.allowed[layer, i, d]:
                    model += x[layer, i, d] == 0
        for d in devices:
            held = pulp.lpSum(x[layer, i, d] for i in columns)
            model += held <= posed.most
            model += held >= posed.least
    terms += _kept(posed, model, x)
    if posed.load_cost:
        for layer in rows:
            peak = variable(model, f"peak_{layer}")
            for d in devices:
                share = pulp.lpSum(float(posed.loads[layer, i]) * x[layer, i, d] for i in columns)
                model += share <= peak
            terms.append(posed.load_cost * peak)
    if posed.is_symmetric:
        for d in range(1, posed.devices):
            for i in columns:
                model += x[0, i, d] <= pulp.lpSum(x[0, h, d - 1] for h in range(i))
    model += pulp.lpSum(terms)
    options: dict[str, Any] = {"timeLimit": time_limit_s, "threads": 1, "gapRel": 0.0}
    if stop is not None:
        from highspy import cb

        options["callbackTuple"] = (_interrupted, stop)
        options["callbacksToActivate"] = [
            cb.HighsCallbackType.kCallbackMipInterrupt,
            cb.HighsCallbackType.kCallbackSimplexInterrupt,
        ]
    from hwmodel.mappers.placement.solver import Quiet  # late, as pulp is costly to import

    model.solve(Quiet(**options))
    if model.status == pulp.LpStatusInfeasible:
        raise SolverError(
            f"placement: no placement keeps all constraints, {posed.least} to {posed.most} experts"
            f" of each layer on each of {posed.devices} devices and the pinned and forbidden ones"
        )
    # The constant stays outside the model: solvers differ in whether their bound includes it.
    moves = sum(float(counts.sum()) for _, _, counts in posed.pairs)
    constant = moves * sum(level.step for level in levels(posed.cost))
    least = constant + float(model.solverModel.getInfo().mip_dual_bound)
    chosen = np.array(
        [[[x[layer, i, d].value() or 0.0 for d in devices] for i in columns] for layer in rows]
    )
    placed = np.argmax(chosen, axis=2)
    return Solved(placed if is_feasible(posed, placed) else None, least)


def _interrupted(
    kind: object,
    message: str,
    out: object,
    reply: "cb.HighsCallbackInput | None",
    stop: Event,
) -> None:
    """What HiGHS calls as it goes, to ask whether to go on."""
    if reply is not None and stop.is_set():
        reply.user_interrupt = True


def _kept(posed: Problem, model: "LpProblem", x: "Variables") -> "list[LpAffineExpression]":
    """What is kept at each level, as a negative cost, with the constraints on it."""
    import pulp

    terms: list[pulp.LpAffineExpression] = []
    experts = range(posed.experts)
    for depth, level in enumerate(levels(posed.cost)):
        for group in range(level.groups):
            devices = [d for d, g in enumerate(level.group_of_device) if g == group]
            capacity = posed.most * len(devices)
            for pair, (a, b, counts) in enumerate(posed.pairs):
                here = [pulp.lpSum(x[a, i, d] for d in devices) for i in experts]
                there = [pulp.lpSum(x[b, j, d] for d in devices) for j in experts]
                y = {
                    (i, j): variable(model, f"y_{depth}_{group}_{pair}_{i}_{j}")
                    for i in experts
                    for j in experts
                }
                for i in experts:
                    for j in experts:
                        model += y[i, j] <= here[i]
                        model += y[i, j] <= there[j]
                    row = pulp.lpSum(y[i, j] for j in experts)
                    column = pulp.lpSum(y[j, i] for j in experts)
                    if posed.is_exact:
                        model += row == capacity * here[i]
                        model += column == capacity * there[i]
                    else:
                        model += row <= capacity * here[i]
                        model += column <= capacity * there[i]
                terms += [
                    -level.step * float(counts[i, j]) * y[i, j]
                    for i in experts
                    for j in experts
                    if counts[i, j]
                ]
    return terms
