"""Rounds of replicas of which some are slow: how long they take, simulated from a seed.

A round waits for all replicas, or, with a coding, for those that come in time, where the late ones
are so few and so seldom that gradients can still be found (`hwmodel.spine.stragglers`).
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hwmodel.einsum.workloads.training_step import Training
from hwmodel.quantity.errors import InputError
from hwmodel.spine.execution import Execution
from hwmodel.spine.stragglers import WHERE, Stragglers

Array = NDArray[np.bool_]
Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Rounds:
    """Rounds of many steps.

    Attributes:
        load: share of a batch that each replica computes.
        longer: seconds of all rounds over those of as many steps of even replicas without a coding.
        waited: share of the rounds that waited for all.
    """

    load: float
    longer: float
    waited: float


def delayed(work: Training, how: Execution, passes_s: float, ends_s: float) -> Rounds:
    """How much longer a step's passes take; `ends_s` are of what follows the passes."""
    if work.stragglers is None:
        return Rounds(1 / how.dp, 1.0, 1.0)
    ways = Stragglers.of(work.stragglers)
    if ways.coding != "none" and how.zero > 1:
        raise InputError(
            f"{WHERE}: coding: expected zero 0 or 1, so that replicas may be late; found"
            f" zero={how.zero}"
        )
    beside = ends_s / passes_s if ways.slower == "all" else 0.0
    found = simulated(ways, how.dp, beside)
    return replace(found, longer=found.longer - beside)


def simulated(ways: Stragglers, replicas: int, beside: float = 0.0) -> Rounds:
    """As many rounds as are said, and those after them in which gradients are still on the way.

    `beside` is what a replica does in a round beside its passes, over these without a coding.
    Raises `InputError` for more late replicas than there are.
    """
    if ways.tolerated > replicas:
        raise InputError(
            f"{WHERE}: tolerated: expected at most the replicas ({replicas}), found"
            f" {ways.tolerated}"
        )
    slow = _slow(ways, replicas, ways.rounds + ways.delay)
    load = ways.load(replicas)
    alone: Numbers = np.where(slow, float(ways.times), 1.0)
    each_s = (beside + load * replicas) * alone
    patient_s = each_s.min(axis=1) * (1 + ways.patience)
    late: Array = each_s > patient_s[:, None]
    waits = _waits(ways, late) if ways.coding != "none" else np.ones(len(slow), dtype=bool)
    slowest_s: Numbers = each_s.max(axis=1)
    took_s = np.minimum(slowest_s, np.where(waits, np.inf, patient_s))
    return Rounds(load, float(took_s.sum() / ways.rounds), float(waits.mean()))


def _slow(ways: Stragglers, replicas: int, rounds: int) -> Array:
    """Which replicas are slow in which rounds, from the chances that last."""
    draws = np.random.default_rng(ways.seed).random((rounds + 1, replicas))
    state: Array = draws[0] < ways.slows / (ways.slows + ways.recovers)
    found: Array = np.empty((rounds, replicas), dtype=bool)
    for number, drawn in enumerate(draws[1:]):
        state = (state & (drawn >= ways.recovers)) | (~state & (drawn < ways.slows))
        found[number] = state
    return found


def _waits(ways: Stragglers, late: Array) -> Array:
    """Rounds that have to wait for all, since too many would be missed."""
    if ways.coding == "gradient":
        return late.sum(axis=1) > ways.late
    missed = np.zeros_like(late)
    waits = np.zeros(len(late), dtype=bool)
    for number, now in enumerate(late):
        window = missed[max(0, number + 1 - ways.window) : number]
        before = missed[max(0, number + 1 - ways.window) : max(0, number + 1 - ways.burst)]
        many = int((window.any(axis=0) | now).sum()) > ways.tolerated
        again = bool((before.any(axis=0) & now).any())
        waits[number] = many or again
        if not waits[number]:
            missed[number] = now
    return waits
