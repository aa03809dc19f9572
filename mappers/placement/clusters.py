"""Tokens and experts clustered together, so that tokens meet their experts on one device.

Speculative MoE (arXiv 2503.04398; later "Semantic Parallelism") assigns token types j to clusters
(R[i, j]) and experts k to clusters (C[i, k]) and minimises

    theta * sum_i |sum_j R[i, j] a_j - S / E|
    + (1 - theta) * sum_ijk a_j P[j, k] R[i, j] (1 - C[i, k])

with a_j the frequency of a token type, S their sum, P[j, k] the probability that it activates
expert k, E clusters and experts / E of them in each. R (1 - C) is bilinear; it is exactly
max(0, R - C) for binaries, so that continuous g[i, j, k] >= R[i, j] - C[i, k] make it an integer
program. `cluster_exactly` solves that; `cluster` alternates between the best tokens and the best
experts (an assignment), for sizes beyond it. Values are expected activations.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hwmodel.experts.statistics import Counts
from hwmodel.mappers.placement.problem import assign
from hwmodel.mappers.placement.program import variable
from hwmodel.quantity.errors import InputError, SolverError

if TYPE_CHECKING:
    from pulp import LpVariable

RESTARTS = 20


@dataclass(frozen=True, eq=False)
class Clusters:
    """Cluster of each token type and of each expert, the value, and a proven least value.

    `least` is None where none was proven.
    """

    tokens: NDArray[np.int64]
    experts: NDArray[np.int64]
    value: float
    least: float | None


def cluster_value(
    frequency: Counts, activation: Counts, clusters: int, theta: float, found: Clusters
) -> float:
    """The objective of given clusters, term by term."""
    apart = found.tokens[:, None] != found.experts[None, :]
    remote = float((frequency[:, None] * activation * apart).sum())
    held = [float(frequency[found.tokens == i].sum()) for i in range(clusters)]
    uneven = sum(abs(load - float(frequency.sum()) / clusters) for load in held)
    return theta * uneven + (1 - theta) * remote


def cluster_exactly(
    frequency: Counts,
    activation: Counts,
    clusters: int,
    *,
    theta: float,
    time_limit_s: float = 60.0,
) -> Clusters:
    """Optimal clusters by the linearised integer program, or the best within the time limit."""
    _check(frequency, activation, clusters, theta)
    import pulp  # late: costly to load

    types, experts = activation.shape
    names = range(clusters)
    model = pulp.LpProblem("clusters", pulp.LpMinimize)
    held = [[variable(model, f"R_{i}_{j}", binary=True) for j in range(types)] for i in names]
    home = [[variable(model, f"C_{i}_{k}", binary=True) for k in range(experts)] for i in names]
    uneven = [variable(model, f"u_{i}") for i in names]
    mean = float(frequency.sum()) / clusters
    terms: list[pulp.LpAffineExpression] = [theta * uneven[i] for i in names]
    for j in range(types):
        model += pulp.lpSum(held[i][j] for i in names) == 1
    for k in range(experts):
        model += pulp.lpSum(home[i][k] for i in names) == 1
    pairs: list[list[int]] = np.argwhere(activation * frequency[:, None] > 0).tolist()
    for i in names:
        load = pulp.lpSum(float(frequency[j]) * held[i][j] for j in range(types))
        model += load - mean <= uneven[i]
        model += mean - load <= uneven[i]
        model += pulp.lpSum(home[i][k] for k in range(experts)) == experts // clusters
        for j, k in pairs:
            remote = variable(model, f"g_{i}_{j}_{k}")
            model += remote >= held[i][j] - home[i][k]
            terms.append((1 - theta) * float(frequency[j] * activation[j, k]) * remote)
    for i in range(1, clusters):  # clusters have no names: i starts after i - 1
        for k in range(experts):
            model += home[i][k] <= pulp.lpSum(home[i - 1][h] for h in range(k))
    model += pulp.lpSum(terms)
    from hwmodel.mappers.placement.solver import Quiet  # late, as pulp is costly to import

    model.solve(Quiet(timeLimit=time_limit_s, threads=1, gapRel=0.0))
    chosen = [[_value(held[i][j]) for i in names] for j in range(types)]
    homes = [[_value(home[i][k]) for i in names] for k in range(experts)]
    if any(math.isnan(value) for row in chosen + homes for value in row):
        raise SolverError(
            f"clusters: the solver found no clusters in {time_limit_s:g} s; allow more time, or use"
            " cluster"
        )
    least = float(model.solverModel.getInfo().mip_dual_bound)
    found = Clusters(np.argmax(chosen, axis=1), np.argmax(homes, axis=1), 0.0, None)
    value = cluster_value(frequency, activation, clusters, theta, found)
    return Clusters(found.tokens, found.experts, value, min(least, value))


def _value(variable: "LpVariable") -> float:
    """What the solver gave a variable; NaN where it gave none."""
    found = variable.value()
    return math.nan if found is None else found


def cluster(
    frequency: Counts, activation: Counts, clusters: int, *, theta: float, seed: int = 0
) -> Clusters:
    """Good clusters by alternation from several starts; carries no bound."""
    _check(frequency, activation, clusters, theta)
    random = np.random.default_rng(seed)
    experts = activation.shape[1]
    slots = np.repeat(np.arange(clusters), experts // clusters)
    weight = frequency[:, None] * activation
    best: Clusters | None = None
    for _ in range(RESTARTS):
        homes = random.permutation(slots)
        last: Clusters | None = None
        while True:
            tokens = _best_tokens(frequency, weight, homes, clusters, theta)
            local = np.zeros((clusters, experts))
            np.add.at(local, tokens, weight)
            homes = slots[assign(-local.T[:, slots])]
            tried = Clusters(tokens, homes, 0.0, None)
            value = cluster_value(frequency, activation, clusters, theta, tried)
            if last is not None and value >= last.value:
                break
            last = Clusters(tokens, homes, value, None)
        if best is None or last.value < best.value:
            best = last
    assert best is not None  # RESTARTS is not 0
    return best


def _best_tokens(
    frequency: Counts, weight: Counts, homes: NDArray[np.int64], clusters: int, theta: float
) -> NDArray[np.int64]:
    """Frequent types first, each to the cluster that costs least with those already there."""
    mean = float(frequency.sum()) / clusters
    load = np.zeros(clusters)
    local = np.zeros((frequency.size, clusters))
    np.add.at(local.T, homes, weight.T)
    found = np.zeros(frequency.size, dtype=np.int64)
    for j in np.argsort(-frequency, kind="stable"):
        uneven = np.abs(load + frequency[j] - mean) - np.abs(load - mean)
        cost = theta * uneven - (1 - theta) * local[j]
        found[j] = int(np.argmin(cost))
        load[found[j]] += frequency[j]
    return found


def _check(frequency: Counts, activation: Counts, clusters: int, theta: float) -> None:
    good = (
        activation.ndim == 2
        and frequency.shape == activation.shape[:1]
        and bool(np.isfinite(activation).all() and np.isfinite(frequency).all())
        and bool((activation >= 0).all() and (frequency >= 0).all())
    )
    if not good or clusters < 1 or activation.shape[1] % clusters or not 0 < theta < 1:
        raise InputError(
            "clusters: expected frequencies (types,), activations (types, experts) of 0 or more,"
            " clusters that divide the experts and theta between 0 and 1; found"
            f" {frequency.shape}, {activation.shape}, {clusters} clusters, theta {theta}"
        )
