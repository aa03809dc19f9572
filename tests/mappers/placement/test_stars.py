"""Star bounds against all placements of small cases, and against a ring worked out by hand."""

from itertools import permutations

import numpy as np
import pytest

from hwmodel.experts.statistics import Counts, from_traces, planted
from hwmodel.mappers.placement.bounds import bounds, kept_by_matching
from hwmodel.mappers.placement.problem import problem
from hwmodel.mappers.placement.stars import kept_by_stars


def test_a_ring_keeps_three_of_four_where_matching_keeps_all() -> None:
    """Outer expert i leads to i and i + 1 of six; two experts stand together.

    Three pairs of neighbours can be together. Each is followed whole by one outer expert, and its
    second place goes to one that follows half of it: 3 transitions for each pair, 9 of 12. The
    bound reaches that, for each expert has one companion and two neighbours that compete to be it.
    """
    ring = np.eye(6) + np.roll(np.eye(6), 1, axis=1)
    assert kept_by_matching(ring, 2) == pytest.approx(12)
    *_, least = kept_by_stars([ring], 2)
    assert least == pytest.approx(9)


def most_kept(tables: list[Counts], groups: int) -> float:
    """By all ways to deal the centre and each outer layer to groups."""
    experts = tables[0].shape[1]
    slots = np.repeat(np.arange(groups), experts // groups)
    rows = np.array(sorted(set(permutations(slots))))
    member = (rows[:, :, None] == np.arange(groups)).astype(float)
    kept = np.zeros(len(rows))
    for counts in tables:
        both = np.einsum("aig,ij,bjg->ab", member, counts, member, optimize=True)
        kept += both.max(axis=0)
    return float(kept.max())


@pytest.mark.parametrize("seed", range(6))
def test_the_bound_falls_and_stays_above_the_best_of_all_placements(seed: int) -> None:
    random = np.random.default_rng(seed)
    tables = [random.poisson(0.4, (6, 6)) * random.integers(1, 9, (6, 6)) for _ in range(2)]
    tables = [table.astype(float) for table in tables]
    for groups in (2, 3):
        found = list(kept_by_stars(tables, 6 // groups))
        matched = sum(kept_by_matching(table, 6 // groups) for table in tables)
        assert found == sorted(found, reverse=True)
        assert most_kept(tables, groups) * (1 - 1e-9) <= found[-1] <= matched * (1 + 1e-9)


def test_one_expert_on_a_device_has_no_company() -> None:
    (only,) = kept_by_stars([np.array([[3.0, 2.0], [2.0, 0.0]])], 1)
    assert only == pytest.approx(4)


@pytest.mark.thorough
def test_stars_are_ahead_where_every_expert_leads_to_a_group_of_its_own() -> None:
    trace = planted(layers=6, experts=160, group=4, share=0.8, tokens=8000, seed=0, aligned=False)
    posed = problem(from_traces([trace], experts=160), 40)
    matched = 0.0
    for bound in bounds(posed):
        if bound.reason == "stars":
            assert bound.least > matched
            return
        matched = bound.least
    pytest.fail("no star bound was ahead")
