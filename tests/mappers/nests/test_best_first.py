"""The search over all spreads: what it leaves out, and what it says when its time is over."""

import time
from dataclasses import replace

import numpy as np

from hwmodel.einsum.notation import parse
from hwmodel.hardware.catalogue import device
from hwmodel.mappers.mapper import capacities_of
from hwmodel.mappers.nests.answers import OBJECTIVES, Answers
from hwmodel.mappers.nests.best_first import search
from hwmodel.mappers.nests.branch import BranchPart, BranchSearch
from hwmodel.mappers.nests.floors import Floors
from hwmodel.mappers.nests.interleave import Space, spreads
from hwmodel.mappers.nests.levels import problem_of

ROUNDING = 1 + 1e-12


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


def test_floors_of_many_parts_lie_below_the_tables_of_each() -> None:
    sizes = {"k": 12, "y": 6, "x": 6, "r": 3}
    text = "tensor I[h, x]\nZ[k, y, x] = sum(r) I[y+r, x] * F[k, r]"
    window = parse(text, sizes={**sizes, "h": 8}, dtypes={"*": "int8"})
    machine = device("peer-a3").but(buffer={"capacity": "96 B"})
    whole = problem_of(window, machine, capacities_of(machine)).space
    for each in (whole, replace(whole, walked=(16, 6, 6, 3), least=True)):
        search_ = BranchSearch(each, Answers(OBJECTIVES["edp"]))
        found = spreads(each)
        floors = Floors(search_, list(found))
        near = floors.near(np.arange(len(found)))
        for at, (over, axes) in enumerate(found.items()):
            bound = BranchPart(search_, over, axes).bound()
            for name in ("energy", "time", "traffic"):
                values = [getattr(values, name) for values in (floors.at_once[at], near[at], bound)]
                assert values[0] <= values[1] * ROUNDING <= values[2] * ROUNDING**2, (over, name)
