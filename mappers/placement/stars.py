"""A lower bound on crossings where affinity forms no groups: stars around the experts of a layer.

Take one layer as the centre and the layers that exchange transitions with it as points around it.
y[i, j] says that an outer expert i stands with expert j of the centre, m[j, k] that two experts of
the centre stand together. A group of devices holds at most q experts of a layer, so that

    sum_j y[i, j] <= q,   sum_i y[i, j] <= q,   sum_k m[j, k] <= q - 1
    s * sum_{j in R} y[i, j] - sum_{j < k in R} m[j, k] <= s (s + 1) / 2     for all i, R, s >= 1

the last because z = sum y of R counts experts that stand with i, and so with each other: of their
pairs z (z - 1) / 2 >= s z - s (s + 1) / 2 are together (the difference is (z - s)(z - s - 1) / 2,
not negative for whole z). The first two lines without m are the b-matching. There an expert may
stand with all that it leads to though these stand with others; here their company is limited, which
tells where every expert leads to a group of its own. Derived here; clique inequalities of this form
are known from graph partitioning (Chopra, Rao 1993; Grötschel, Wakabayashi 1990).

Inequalities are added where the last solution breaks them. Each bound is evaluated from the dual.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np

from hwmodel.experts.statistics import Counts

ROUNDS = 6
"""Most times that inequalities are added: later ones gain little."""
LEAST_GAIN = 2e-3
"""Part of the bound that a round must gain for another one to follow."""
LEAST_BROKEN = 0.02
"""By how much an inequality must be broken to be added."""
LONGEST_S = 20.0
"""Seconds after which the solver gives a program up: others wait for their turn."""
DEEPEST = 6
"""Largest s that is tried."""


@dataclass(eq=False)
class _Program:
    """A linear program that grows: maximise weight . x, A x <= limit, x from 0 to 1."""

    weight: list[float] = field(default_factory=list[float])
    rows: list[int] = field(default_factory=list[int])
    columns: list[int] = field(default_factory=list[int])
    factors: list[float] = field(default_factory=list[float])
    limit: list[float] = field(default_factory=list[float])

    def add(self, columns: list[int], factors: list[float], limit: float) -> None:
        """Add one inequality."""
        self.rows += [len(self.limit)] * len(columns)
        self.columns += columns
        self.factors += factors
        self.limit.append(limit)

    def solve(self, company: list[list[int]], capacity: int) -> tuple[float, Counts] | None:
        """A proven maximum, and x; None where the solver gives up."""
        from scipy.optimize import linprog  # late: costly to load
        from scipy.sparse import csr_matrix

        rows, columns = list(self.rows), list(self.columns)
        factors, limit = list(self.factors), list(self.limit)
        for others in company:
            rows += [len(limit)] * len(others)
            columns += others
            factors += [1.0] * len(others)
            limit.append(capacity - 1.0)
        weight, most = np.array(self.weight), np.array(limit)
        table = csr_matrix((factors, (rows, columns)), shape=(most.size, weight.size))
        solved = linprog(
            -weight,
            A_ub=table,
            b_ub=most,
            bounds=(0, 1),
            method="highs-ipm",
            options={"time_limit": LONGEST_S},
        )
        if solved.status != 0:
            return None
        price = np.maximum(-np.asarray(solved.ineqlin.marginals), 0.0)
        over = np.maximum(weight - table.T @ price, 0.0)
        return float(most @ price) + float(over.sum()), np.asarray(solved.x)


def kept_by_stars(tables: list[Counts], capacity: int) -> Iterator[float]:
    """Falling bounds on the transitions between a centre and its outer layers that can stay.

    `tables` are counts `(outer experts, centre experts)`, one for each outer layer; a group holds
    at most `capacity` experts of a layer.
    """
    program = _Program()
    number: list[Any] = []
    for counts in tables:
        index = np.full(counts.shape, -1)
        index[counts > 0] = len(program.weight) + np.arange(np.count_nonzero(counts))
        program.weight += counts[counts > 0].tolist()
        number.append(index)
        for line in (*index, *index.T):
            used = [int(column) for column in line if column >= 0]
            program.add(used, [1.0] * len(used), float(capacity))
    company: list[list[int]] = [[] for _ in range(tables[0].shape[1])]
    together: dict[tuple[int, int], int] = {}
    best = float("inf")
    for _ in range(ROUNDS):
        solved = program.solve(company, capacity)
        if solved is None or solved[0] > best * (1 - LEAST_GAIN):
            break
        best, x = solved
        yield best
        for index in number:
            for line in index:
                for s in range(1, min(capacity, DEEPEST + 1)):
                    found = _broken(line, x, together, s)
                    if found:
                        _add(program, line, found, s, together, company)


def _broken(line: Any, x: Counts, together: dict[tuple[int, int], int], s: int) -> list[int]:
    """Experts R of the centre whose inequality is broken most, taken greedily; none where kept."""
    inner = np.flatnonzero(line >= 0)
    near = x[line[inner]]
    inner, near = inner[near > LEAST_BROKEN], near[near > LEAST_BROKEN]
    chosen: list[int] = []
    gain, pull = -s * (s + 1) / 2, s * near
    while pull.size and pull.max() > 0:
        at = int(np.argmax(pull))
        gain += float(pull[at])
        chosen.append(int(inner[at]))
        pull[at] = -np.inf
        for other in np.flatnonzero(pull > 0):
            column = together.get(_pair(chosen[-1], int(inner[other])))
            if column is not None and column < x.size:
                pull[other] -= x[column]
    return chosen if gain > LEAST_BROKEN else []


def _add(
    program: _Program,
    line: Any,
    inner: list[int],
    s: int,
    together: dict[tuple[int, int], int],
    company: list[list[int]],
) -> None:
    """Add the inequality of R = `inner`, and the pairs of the centre that it needs."""
    columns = [int(line[j]) for j in inner]
    for one, other in combinations(inner, 2):
        pair = _pair(one, other)
        if pair not in together:
            together[pair] = len(program.weight)
            program.weight.append(0.0)
            for expert in pair:
                company[expert].append(together[pair])
        columns.append(together[pair])
    factors = [float(s)] * len(inner) + [-1.0] * (len(columns) - len(inner))
    program.add(columns, factors, s * (s + 1) / 2)


def _pair(one: int, other: int) -> tuple[int, int]:
    return (one, other) if one < other else (other, one)
