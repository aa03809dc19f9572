"""Lower bounds on the cost of any balanced expert placement.

A link cost is at least a sum of levels: at a threshold t of the cost, devices fall into groups that
costs below t connect, and a transition between two groups costs t or more. Each level asks how many
transitions cross groups of q experts, by three bounds on those that do not:

matching      an expert stays with at most q of the next layer and they with q of this one: a
              b-matching linear program for each pair of layers. It is also what the linear
              relaxation of the kept-transition program gives. Tight where affinity forms groups
              that fit on a device.
semidefinite  M[i, j] = 1 where experts i and j, of any two layers, share a group. M is positive
              semidefinite, non-negative, 1 on its diagonal, has row sums q in each layer and
              L q-fold eigenvalues (Karisch, Rendl 1998 for one layer). Any multiplier S gives
                kept <= sum(C - S) / G + L q * (G - 1 largest eigenvalues of P (C - S) P)+ + Y(S)
              where C are the counts, G groups, P removes the mean of each layer, and Y(S) adds up
              the q largest entries of S in each row of each block, diagonal included.
              S = 0 is the eigenvalue bound of Donath and Hoffman (1973); alternating directions
              (Boyd et al. 2011) improve S, and every S on the way is a proof.

stars         the matching of a layer with those around it, with what standing together implies:
              `stars`. Ahead where affinity is strong but forms no groups.

All are evaluated from their multipliers, so that a solver's tolerance cannot make them wrong.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from hwmodel.experts.statistics import Counts
from hwmodel.mappers.placement.problem import Problem
from hwmodel.mappers.placement.stars import kept_by_stars

Window: TypeAlias = tuple[tuple[int, int, Counts], ...]
"""Some pairs of layers with their counts, as `Problem.pairs`."""

WINDOW_ROWS = 640
"""Most experts of a run of layers that one semidefinite bound covers."""
CHECK_EVERY = 10
"""Iterations between evaluations of the semidefinite bound."""
PATIENCE = 12
"""Evaluations that may gain less than `LEAST_GAIN` of the window before it is left."""
LEAST_GAIN = 2e-5
OVER_RELAXATION = 1.6
"""Boyd et al. 2011, section 3.4.3, advise 1.5 to 1.8."""
LARGEST_GROUP = 16
"""Most experts of a group for which stars are tried: beyond it company excludes little."""
ROUNDING = 1e-10
"""Share of the transitions that floating point may have lost in a bound."""


@dataclass(frozen=True)
class Level:
    """Crossing between groups of devices costs `step` more than the levels below say."""

    step: float
    group_of_device: tuple[int, ...]

    @property
    def groups(self) -> int:
        """Number of groups."""
        return max(self.group_of_device) + 1

    @property
    def largest(self) -> int:
        """Devices of the largest group."""
        return int(np.bincount(self.group_of_device).max())

    @property
    def is_even(self) -> bool:
        """Whether all groups have the same number of devices."""
        return self.largest * self.groups == len(self.group_of_device)


@dataclass(frozen=True)
class Bound:
    """A proven least cost and the bound that gave most of it."""

    least: float
    reason: str


def levels(cost: Counts) -> tuple[Level, ...]:
    """Levels of a link cost, finest first; their sum is at most the cost, for every two devices."""
    from scipy.sparse.csgraph import connected_components  # late: costly to load

    both = np.minimum(cost, cost.T)
    found: list[Level] = []
    below = 0.0
    for threshold in np.unique(both):
        near = both < threshold
        np.fill_diagonal(near, True)
        count, group = connected_components(near, directed=False)
        if count == 1:
            break
        if threshold > below:
            found.append(Level(float(threshold - below), tuple(int(g) for g in group)))
            below = float(threshold)
    return tuple(found)


def load_bound(posed: Problem) -> float:
    """Least cost of the busiest devices: never below the mean, nor below one expert's load."""
    if not posed.load_cost:
        return 0.0
    mean, single = posed.loads.sum(axis=1) / posed.devices, posed.loads.max(axis=1)
    return posed.load_cost * float(np.maximum(mean, single).sum())


def bounds(posed: Problem) -> Iterator[Bound]:
    """Bounds that only rise; ends when nothing more is gained. Interrupt it at any time."""
    board = _Board(posed)
    yield board.total()
    for level in board.levels:
        for pair in posed.pairs:
            capacity = level.largest * posed.most
            kept = kept_by_matching(pair[2], capacity)
            board.matching[level, pair[:2]] = _crossing(float(pair[2].sum()), kept)
            yield board.total()
    even = [level for level in board.levels if posed.is_exact and level.is_even]
    plan = [(level, window) for level in even for window in board.windows]
    for level, window in plan:  # cheap, and coarse levels need it
        kept = kept_by_eigenvalues(window, posed.experts, level.groups)
        board.prove(level, window, kept, "semidefinite")
        yield board.total()
    if len(board.windows) > 1:  # else the semidefinite bound sees all layers and gets further
        yield from _by_stars(posed, board)
    for level, window in plan:
        for kept in kept_semidefinite(window, posed.experts, level.groups):
            board.prove(level, window, kept, "semidefinite")
            yield board.total()


def _by_stars(posed: Problem, board: "_Board") -> Iterator[Bound]:
    """The bounds of all stars, a round of each in turn."""
    waiting = [
        (level, star, kept_by_stars([_outward(pair) for pair in star], capacity))
        for level in board.levels
        if 1 < (capacity := level.largest * posed.most) <= LARGEST_GROUP
        for star in board.stars
    ]
    while waiting:
        going: list[tuple[Level, Window, Iterator[float]]] = []
        for level, star, rounds in waiting:
            kept = next(rounds, None)
            if kept is not None:
                board.prove(level, star, kept, "stars")
                going.append((level, star, rounds))
            yield board.total()
        waiting = going


class _Board:
    """What is proven so far of each level of the cost: the best of several cuts into layers."""

    def __init__(self, posed: Problem) -> None:
        self.posed, self.fixed = posed, load_bound(posed)
        self.levels = levels(posed.cost)
        self.windows, self.stars = _windows(posed), _stars(posed)
        self.matching = {(level, pair[:2]): 0.0 for level in self.levels for pair in posed.pairs}
        self.crossing: dict[tuple[Level, str, tuple[tuple[int, int], ...]], float] = {}

    def prove(self, level: Level, window: Window, kept: float, reason: str) -> None:
        """Take a bound on what a window of pairs of layers keeps."""
        key = (level, reason, tuple(pair[:2] for pair in window))
        crossing = _crossing(sum(float(counts.sum()) for _, _, counts in window), kept)
        self.crossing[key] = max(self.crossing.get(key, 0.0), crossing)

    def total(self) -> Bound:
        """All levels together, and the bound that is ahead of matching, if one is."""
        least, reason = self.fixed, "b-matching" if self.levels else "load"
        for level in self.levels:
            best = 0.0
            for name, cut in (("semidefinite", self.windows), ("stars", self.stars)):
                found, ahead = 0.0, False
                for window in cut:
                    names = tuple(pair[:2] for pair in window)
                    matched = sum(self.matching[level, pair] for pair in names)
                    proven = self.crossing.get((level, name, names), 0.0)
                    found, ahead = found + max(matched, proven), ahead or proven > matched
                if found > best:
                    best, reason = found, name if ahead else reason
            least += level.step * best
        if self.posed.counts_whole:
            least = float(math.ceil(least - ROUNDING * max(1.0, least)))
        return Bound(least, reason)


def kept_by_matching(counts: Counts, capacity: int) -> float:
    """Most transitions of one pair of layers that can stay, from the dual of the b-matching."""
    from scipy.optimize import linprog
    from scipy.sparse import csr_matrix

    rows, columns = np.nonzero(counts)
    size, weight = counts.shape[0], counts[rows, columns]
    entry = np.arange(rows.size)
    table = csr_matrix(
        (np.ones(2 * rows.size), (np.r_[rows, size + columns], np.r_[entry, entry])),
        shape=(2 * size, rows.size),
    )
    solved = linprog(-weight, A_ub=table, b_ub=np.full(2 * size, capacity), bounds=(0, 1))
    if solved.status != 0:  # an unsolved program still has the bound of its rows
        return float(np.sort(counts, axis=1)[:, -capacity:].sum())
    price = np.maximum(-np.asarray(solved.ineqlin.marginals), 0.0)
    over = weight - price[rows] - price[size + columns]
    return capacity * float(price.sum()) + float(np.maximum(over, 0.0).sum())


def kept_by_eigenvalues(window: Window, experts: int, groups: int) -> float:
    """The semidefinite bound at S = 0 (Donath, Hoffman 1973)."""
    weight = _joined(window, experts)
    return _dual(weight, np.zeros_like(weight), (len(weight) // experts, experts, groups))


def kept_semidefinite(window: Window, experts: int, groups: int) -> Iterator[float]:
    """Falling bounds on the transitions of a window that stay in groups of equal size."""
    weight = _joined(window, experts)
    size = len(weight)
    scale = float(weight.max())
    if scale == 0.0:
        return
    weight /= scale
    shape = (size // experts, experts, groups)
    even = 1.0 / groups
    pull = 0.2
    matrix = np.full((size, size), even)
    price = np.zeros((size, size))
    best, stale, iteration = math.inf, 0, 0
    while stale < PATIENCE:
        smooth = _positive_part(_centred(matrix - price + weight / pull, shape)) + even
        mixed = OVER_RELAXATION * smooth + (1 - OVER_RELAXATION) * matrix
        boxed = np.clip(mixed + price, 0.0, 1.0)
        np.fill_diagonal(boxed, 1.0)
        price += mixed - boxed
        moved, matrix = pull * float(np.linalg.norm(boxed - matrix)), boxed
        apart = float(np.linalg.norm(smooth - boxed))
        iteration += 1
        if iteration % CHECK_EVERY:
            yield best * scale  # nothing new, but a chance to stop
            continue
        found = _dual(weight, pull * price, shape)
        stale = 0 if found < best - LEAST_GAIN * float(weight.sum()) else stale + 1
        best = min(best, found)
        yield best * scale
        factor = 1.5 if apart > 5 * moved else 1 / 1.5 if moved > 5 * apart else 1.0
        pull, price = pull * factor, price / factor


def _joined(window: Window, experts: int) -> Counts:
    """C: counts between all experts of a window's layers, symmetric, each transition once."""
    names = sorted({layer for a, b, _ in window for layer in (a, b)})
    weight = np.zeros((len(names) * experts,) * 2)
    for a, b, counts in window:
        one, other = (names.index(x) * experts for x in (a, b))
        weight[one : one + experts, other : other + experts] += counts / 2
        weight[other : other + experts, one : one + experts] += counts.T / 2
    return weight


def _dual(weight: Counts, price: Counts, shape: tuple[int, int, int]) -> float:
    """The semidefinite bound of one multiplier, in the unit of `weight`."""
    layers, experts, groups = shape
    capacity = experts // groups
    rest = weight - price
    top = np.linalg.eigvalsh(_centred(rest, shape))[-(groups - 1) :] if groups > 1 else np.zeros(1)
    smooth = float(rest.sum()) / groups + layers * capacity * float(np.maximum(top, 0.0).sum())
    blocks = price.reshape(layers, experts, layers, experts).transpose(0, 2, 1, 3).copy()
    own = np.arange(experts)
    held = 0.0
    for layer in range(layers):
        block = blocks[layer, layer]
        held += float(np.trace(block))
        block[own, own] = -np.inf
        if capacity > 1:
            held += float(np.sort(block, axis=1)[:, 1 - capacity :].sum())
        for other in range(layers):
            if other != layer:
                held += float(np.sort(blocks[layer, other], axis=1)[:, -capacity:].sum())
    return smooth + held


def _centred(matrix: Counts, shape: tuple[int, int, int]) -> Counts:
    """Rows and columns without the mean of their layer."""
    layers, experts, _ = shape
    size = layers * experts
    cube = matrix.reshape(layers, experts, size)
    cube = (cube - cube.mean(axis=1, keepdims=True)).reshape(size, layers, experts)
    return (cube - cube.mean(axis=2, keepdims=True)).reshape(size, size)


def _positive_part(matrix: Counts) -> Counts:
    from scipy.linalg import eigh

    values, vectors = eigh(matrix, subset_by_value=(0.0, np.inf), check_finite=False)
    found: Counts = (vectors * values) @ vectors.T
    return found


def _crossing(transitions: float, kept: float) -> float:
    return max(0.0, transitions * (1 - ROUNDING) - kept)


def _outward(pair: tuple[int, int, Counts]) -> Counts:
    """Counts from the experts of the outer layer to those of the centre."""
    return pair[2] if pair[1] == _centre(pair) else pair[2].T


def _centre(pair: tuple[int, int, Counts]) -> int:
    """The layer of a pair that is a centre: odd where one alone is, so that a chain needs few."""
    a, b, _ = pair
    return a if a % 2 and not b % 2 else b


def _stars(posed: Problem) -> list[Window]:
    """Pairs of layers by their centre."""
    centres = sorted({_centre(pair) for pair in posed.pairs})
    return [tuple(p for p in posed.pairs if _centre(p) == centre) for centre in centres]


def _windows(posed: Problem) -> list[Window]:
    """Pairs of layers in runs that one semidefinite bound can cover; each pair is in one run."""
    found: list[list[tuple[int, int, Counts]]] = []
    names: set[int] = set()
    for pair in posed.pairs:
        joined = names | set(pair[:2])
        if not found or len(joined) * posed.experts > WINDOW_ROWS:
            found.append([])
            joined = set(pair[:2])
        found[-1].append(pair)
        names = joined
    return [tuple(window) for window in found]
