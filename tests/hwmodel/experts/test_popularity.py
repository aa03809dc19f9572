"""Popular experts in a cache: simulated token by token, and limits that need no simulation."""

import numpy as np
import pytest

from hwmodel.experts.popularity import ALIKE, Popularity
from hwmodel.quantity.errors import InputError


def simulated(chances: list[float], slots: int, tokens: int, layers: int = 8) -> float:
    """Share of needs that a cache of so many slots misses, the least recently used dropped.

    It is one cache for all layers, in each of which experts are needed in any order.
    """
    draw = np.random.default_rng(5)
    cache: dict[tuple[int, int], None] = {}
    missed = needed = 0
    for token in range(tokens):
        for layer in range(layers):
            found = np.flatnonzero(draw.random(len(chances)) < chances)
            for key in ((layer, int(expert)) for expert in draw.permutation(found)):
                if token > tokens // 10:
                    needed += 1
                    missed += key not in cache
                cache.pop(key, None)
                cache[key] = None
                if len(cache) > slots * layers:
                    del cache[next(iter(cache))]
    return missed / needed


@pytest.mark.parametrize(("experts", "picks", "held"), [(32, 4, 0.25), (64, 6, 0.625)])
def test_misses_are_those_of_a_cache_that_drops_the_least_recently_used(
    experts: int, picks: int, held: float
) -> None:
    hot = Popularity(((0.25, 0.3),))
    (_, often), (_, seldom) = hot.whole(experts, picks)
    chances = [often] * (experts // 4) + [seldom] * (3 * experts // 4)
    assert sum(chances) == pytest.approx(picks)
    walked = simulated(chances, int(held * experts), 400)
    assert hot.missed(experts, picks, held) == pytest.approx(walked, abs=0.02)


def test_a_full_cache_misses_nothing_and_one_below_a_token_everything() -> None:
    held = np.array([0.0, 0.02, 0.5, 1.0])
    half = float(ALIKE.missed(64, 6, 0.5))
    missed = Popularity(((0.5, 6 / 64),)).missed(64, 6, held)
    assert missed == pytest.approx(np.array([1, 1, 1.05 * half, 0]), abs=0.01)
    only = Popularity(((0.25, 0.5),))
    assert only.missed(32, 4, np.array([0.25, 0.5])) == pytest.approx(np.zeros(2), abs=1e-6)


def test_chances_that_do_not_add_up_to_the_picks_are_refused() -> None:
    with pytest.raises(InputError, match=r"add up to 6 picks, found .*: they take 6\.4"):
        Popularity(((0.25, 0.4),)).whole(64, 6)
