"""Expectations over routing, against sums over the whole distribution."""

import itertools
from itertools import chain
from math import ceil, comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwmodel.einsum.cascade import Distribution
from hwmodel.einsum.distribution import (
    chances,
    expected_tiles,
    fullest,
    fullest_share,
    touched_members,
)
from hwmodel.quantity.errors import CoverageError
from hwmodel.quantity.units import Amount


def spread(kind: str, draws: Amount, picks: int = 1, exponent: float = 0.0) -> Distribution:
    return Distribution(kind, "x", draws, picks, exponent)


def binomial_tiles(draws: int, chance: float, tile: int) -> float:
    """E[ceil(n / tile)] by summing over every n."""
    return sum(
        comb(draws, n) * chance**n * (1 - chance) ** (draws - n) * ceil(n / tile)
        for n in range(draws + 1)
    )


@given(
    draws=st.integers(1, 300),
    members=st.integers(1, 64),
    picks=st.integers(1, 8),
    tile=st.sampled_from((1, 2, 3, 16, 64, 128)),
)
def test_uniform_tiles_equal_the_sum_over_the_binomial(
    draws: int, members: int, picks: int, tile: int
) -> None:
    picks = min(picks, members)
    found = expected_tiles(spread("uniform", draws, picks), members, tile)
    exact = members * binomial_tiles(draws, picks / members, tile)
    assert found == pytest.approx(exact, rel=1e-10)


def test_uniform_members_touched_equal_the_count_over_all_outcomes() -> None:
    members, picks, draws = 4, 2, 3
    choices = [*itertools.combinations(range(members), picks)]
    outcomes = [len({*chain(*o)}) for o in itertools.product(choices, repeat=draws)]
    found = touched_members(spread("uniform", draws, picks), members)
    assert found == pytest.approx(sum(outcomes) / len(outcomes), rel=1e-14)


def test_one_draw_touches_exactly_what_it_picks() -> None:
    assert touched_members(spread("uniform", 1, 2), 8) == pytest.approx(2.0, rel=1e-15)
    assert touched_members(spread("balanced", 1, 2), 8) == 2
    assert touched_members(spread("uniform", 5, 8), 8) == 8.0


@given(total=st.integers(1, 500), members=st.integers(1, 40), tile=st.integers(1, 64))
def test_balanced_tiles_equal_the_walk_over_members(total: int, members: int, tile: int) -> None:
    loads = [total // members + (i < total % members) for i in range(members)]
    assert expected_tiles(spread("balanced", total), members, tile) == sum(
        ceil(load / tile) for load in loads
    )
    assert touched_members(spread("balanced", total), members) == sum(load > 0 for load in loads)


def test_zipf_without_skew_is_uniform() -> None:
    flat, even = spread("zipf", 50, 2, 0.0), spread("uniform", 50, 2)
    assert touched_members(flat, 16) == pytest.approx(touched_members(even, 16))
    assert expected_tiles(flat, 16, 8) == pytest.approx(expected_tiles(even, 16, 8))


def test_zipf_chances_are_capped_and_still_sum_to_the_picks() -> None:
    """Two picks of three, weights 1, 1/4, 1/9: the first member is certain, the rest share one."""
    skewed = spread("zipf", 1, 2, 2.0)
    assert touched_members(skewed, 3) == pytest.approx(2.0)
    assert touched_members(spread("zipf", 2, 2, 2.0), 3) == pytest.approx(
        1 + (1 - (4 / 13) ** 2) + (1 - (9 / 13) ** 2)
    )


def test_more_skew_touches_fewer_members_and_fills_fewer_tiles() -> None:
    touched = [touched_members(spread("zipf", 64, 2, a), 64) for a in (0.0, 0.5, 1.0, 2.0)]
    tiles = [expected_tiles(spread("zipf", 64, 2, a), 64, 16) for a in (0.0, 0.5, 1.0, 2.0)]
    assert touched == sorted(touched, reverse=True)
    assert tiles == sorted(tiles, reverse=True)


def test_arrays_equal_scalars() -> None:
    draws, members, tile = (
        np.array([1.0, 40, 4000]),
        np.array([8.0, 8, 128]),
        np.array([16, 64, 64]),
    )
    for kind, exponent in (("balanced", 0.0), ("uniform", 0.0), ("zipf", 1.1), ("power", 1.2)):
        one = [
            (spread(kind, int(d), 2, exponent), int(e), int(t))
            for d, e, t in zip(draws, members, tile, strict=True)
        ]
        many = spread(kind, draws, 2, exponent)
        assert touched_members(many, members) == pytest.approx(
            [touched_members(s, e) for s, e, _ in one]
        )
        assert expected_tiles(many, members, tile) == pytest.approx(
            [expected_tiles(s, e, t) for s, e, t in one]
        )


def drawn_loads(
    random: np.random.Generator, draws: int, members: int, picks: int, exponent: float, ways: int
) -> list[int]:
    """Loads of the fullest device, drawn: quantiles of the density at random, rounded, capped."""
    low, high = (1.0, 0.8 * draws) if draws * picks > members else (0.01, 2.0)
    power, level = 1 - exponent, random.random(members)
    each = ((high**power - low**power) * level + low**power) ** (1 / power)
    loads = [min(draws, round(n)) for n in each / each.sum() * draws * picks]
    left = draws * picks - sum(loads)
    while left:
        step = 1 if left > 0 else -1
        place = loads.index(min(loads) if step > 0 else max(loads))
        loads[place] += step
        left -= step
    held = members // ways
    return max((loads[n : n + held] for n in range(0, members, held)), key=sum)


@pytest.mark.parametrize(
    ("draws", "members", "picks", "exponent", "ways", "within"),
    [
        (16, 160, 8, 1.01, 1, 0.02),  # fewer choices than members: most get one row
        (192, 160, 8, 1.2, 1, 0.03),
        (8, 8, 2, 1.01, 1, 0.02),
        (4096, 8, 2, 1.2, 1, 0.02),  # what is above the draws goes to others
        (256, 128, 8, 1.2, 8, 0.08),
        (4096, 128, 8, 1.01, 32, 0.15),  # the fullest of many, of four members each
    ],
)
def test_power_is_near_the_mean_of_drawn_loads(
    draws: int, members: int, picks: int, exponent: float, ways: int, within: float
) -> None:
    random = np.random.default_rng(0)
    found = [drawn_loads(random, draws, members, picks, exponent, ways) for _ in range(60)]
    share = fullest_share(draws, picks, members, exponent, ways)
    assert share * draws * picks == pytest.approx(np.mean([sum(n) for n in found]), rel=within)
    mine = Distribution("power", "x", draws, picks * share, exponent, 1 / share)
    touched = np.mean([sum(n > 0 for n in loads) for loads in found])
    assert touched_members(mine, members // ways) == pytest.approx(touched, rel=0.06)
    tiles = np.mean([sum(ceil(n / 64) for n in loads) for loads in found])
    assert expected_tiles(mine, members // ways, 64) == pytest.approx(tiles, rel=max(within, 0.03))
    assert fullest(mine, members // ways) <= draws


def test_an_unknown_distribution_is_refused() -> None:
    with pytest.raises(CoverageError, match="expected balanced, uniform, hot or zipf"):
        touched_members(spread("normal", 3), 4)


@given(draws=st.integers(1, 60), members=st.integers(1, 12), share=st.sampled_from((0, 0.25, 1)))
def test_a_hot_member_and_the_others_are_binomials_of_their_own(
    draws: int, members: int, share: float
) -> None:
    """Of a draw the hot one gets s + (1-s)/E and each other (1-s)/E: tiles sum over all loads."""
    hot = spread("hot", draws, 1, share)
    first, rest = share + (1 - share) / members, (1 - share) / members
    touched = 1 - (1 - first) ** draws + (members - 1) * (1 - (1 - rest) ** draws)
    assert touched_members(hot, members) == pytest.approx(touched, rel=1e-9)
    tiles = binomial_tiles(draws, first, 4) + (members - 1) * binomial_tiles(draws, rest, 4)
    assert expected_tiles(hot, members, 4) == pytest.approx(tiles, rel=1e-9)
    assert chances(hot, members).tolist() == pytest.approx([first, *[rest] * (members - 1)])


@pytest.mark.parametrize(
    ("draws", "members", "share", "within"),
    [
        (10_000, 100, 0.0, 0.05),
        (3_000, 3_000, 0.0, 0.35),
        (20_000, 50, 0.1, 0.03),
        (500, 1, 0.0, 0.0),
    ],
)
def test_the_fullest_member_is_as_full_as_in_drawn_samples(
    draws: int, members: int, share: float, within: float
) -> None:
    drawn = np.random.default_rng(7)
    loads: list[float] = []
    for _ in range(40):
        taken = drawn.integers(members, size=draws)
        taken[drawn.random(draws) < share] = 0
        loads.append(float(np.bincount(taken).max()))
    found = fullest(spread("hot", draws, 1, share), members)
    assert found == pytest.approx(np.mean(loads), rel=within + 1e-9)
    assert fullest(spread("balanced", 7, 1), 4) == 2
