"""The search over all spreads: what it leaves out, and what it says when its time is over."""

import math
import time

from hwmodel.einsum.notation import parse
from hwmodel.hardware.catalogue import device
from hwmodel.mappers.mapper import capacities_of
from hwmodel.mappers.nests.best_first import search
from hwmodel.mappers.nests.interleave import Space
from hwmodel.mappers.nests.levels import problem_of


def space() -> Space:
    sizes = {"m": 24, "n": 24, "k": 24}
    product = parse("Z[m, n] = A[m, k] * B[k, n]", sizes=sizes, dtypes={"*": "int8"})
    machine = device("peer-a3").but(buffer={"capacity": "96 B"})
    return problem_of(product, machine, capacities_of(machine)).space


def test_a_search_that_ends_at_once_has_an_answer_and_a_bound_below_the_best() -> None:
    whole = search([space()], "energy")
    hurried = search([space()], "energy", deadline_s=time.perf_counter())
    best, found = float(whole.chains[0].values.energy), float(hurried.chains[0].values.energy)
    assert whole.least == best
    assert hurried.least < best <= found
    assert hurried.candidates < whole.candidates


def test_a_ceiling_that_nothing_is_below_leaves_nothing() -> None:
    best = search([space()], "energy").least
    below = search([space()], "energy", ceiling=best)
    assert not below.chains
    assert below.least == math.inf
    above = search([space()], "energy", ceiling=best * 1.001)
    assert above.least == best
