"""Data-dependent ranks: how many members are touched, how many tiles their loads fill.

`draws` draws (T) spread over `members` (E), each taking `picks` distinct members (k). The load of
one member is then Binomial(T, q), q being the chance that a draw takes it:

- uniform: q = k/E for every member;
- zipf: q_i = min(1, c * i**-exponent), c such that the q_i sum to k (sampling with these inclusion
  probabilities, so that no member is taken twice by one draw);
- balanced: no chance at all: T*k spread as evenly as integers allow.

Members touched: sum of 1 - (1-q)**T. Tiles: sum of E[ceil(n/tile)], exact through the
characteristic function of n, because -n mod t has period t:

    t*ceil(n/t) = n + (-n mod t),
    E[-n mod t] = (t-1)/2 + sum over f = 1..t-1 of (1-q+q*w**f)**T / (w**f - 1),  w = exp(2 pi i/t)

All answers are expectations E[f(n)], never f(E[n]). Everything broadcasts.
"""

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwmodel.einsum.cascade import Distribution
from hwmodel.errors import CoverageError
from hwmodel.units import Amount

NEGLIGIBLE = 80.0
"""Terms of the series below exp(-NEGLIGIBLE/2), 4e-18, are left out."""


def touched_members(distribution: Distribution, members: Amount) -> Amount:
    """Expected number of members that get at least one draw."""
    draws, picks = distribution.draws, distribution.picks
    if distribution.kind == "balanced":
        return _smaller(members, draws * picks)
    if distribution.kind == "uniform":
        return _scalar(members * _ever(np.minimum(picks / members, 1.0), draws))
    chances = _zipf_chances(distribution, members)
    return _scalar(np.sum(_ever(chances, np.asarray(draws, np.float64)[..., None]), axis=-1))


def expected_tiles(distribution: Distribution, members: Amount, tile: Amount) -> Amount:
    """Expected sum over members of ceil(load / tile)."""
    draws, picks = distribution.draws, distribution.picks
    if distribution.kind == "balanced":
        total = draws * picks
        load, more = total // members, total % members
        return (members - more) * -(-load // tile) + more * -(-(load + 1) // tile)
    if distribution.kind == "uniform":
        return _scalar(members * _binomial_tiles(draws, np.minimum(picks / members, 1.0), tile))
    chances = _zipf_chances(distribution, members)
    draws, tile = (np.asarray(size, np.float64)[..., None] for size in (draws, tile))
    return _scalar(np.sum(_binomial_tiles(draws, chances, tile), axis=-1))


def chances(distribution: Distribution, members: Amount) -> NDArray[np.float64]:
    """Chance that a draw takes each member, along a last axis: its load is binomial.

    Raises `CoverageError` for `balanced`.
    """
    if distribution.kind == "uniform":
        size = np.asarray(members, np.float64)[..., None]
        picks = np.asarray(distribution.picks, np.float64)[..., None]
        taken = np.arange(int(np.max(size))) < size
        return np.where(taken, np.minimum(picks / size, 1.0), 0.0)
    return _zipf_chances(distribution, members)


def _ever(chance: Any, draws: Amount) -> Any:
    """1 - (1-q)**T, without cancellation for small q."""
    with np.errstate(divide="ignore"):
        return -np.expm1(draws * np.log1p(-chance))


def _binomial_tiles(draws: Amount, chance: Any, tile: Amount) -> Any:
    """E[ceil(n/tile)] for n ~ Binomial(draws, chance)."""
    if np.ndim(tile) == 0:
        return _binomial_tiles_of(int(tile), draws, chance)
    draws, chance, tile = np.broadcast_arrays(np.asarray(draws, np.float64), chance, tile)
    answer = np.empty(tile.shape)
    for size in np.unique(tile):
        here = tile == size
        answer[here] = _binomial_tiles_of(int(size), draws[here], chance[here])
    return answer


def _binomial_tiles_of(tile: int, draws: Amount, chance: Any) -> Any:
    mean = draws * chance
    if tile == 1:
        return mean
    steps, weights = _series(tile)
    # |1-q+q*w**f|**2 = 1 - 2q(1-q)(1-cos): terms beyond the narrowest load's reach vanish.
    with np.errstate(divide="ignore", invalid="ignore"):
        decay = -draws * np.log1p(-2.0 * chance * (1.0 - chance) * (1.0 - steps[0].real))
    least = float(np.min(np.nan_to_num(decay, nan=0.0, posinf=1e300)))
    count = len(steps)
    if least > 0:  # decay grows with f at least as 4/pi**2 * f**2
        count = min(count, math.ceil(math.sqrt(NEGLIGIBLE / least) * math.pi / 2))
    total: Any = 0.0
    for step, weight in zip(steps[:count], weights[:count], strict=True):
        total = total + (weight * (1.0 - chance + chance * step) ** draws).real
    return (mean + (tile - 1) / 2 + total) / tile


@lru_cache(maxsize=256)
def _series(tile: int) -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
    """w**f and its weight for f = 1..tile/2, conjugate pairs taken together."""
    steps = np.exp(2j * math.pi / tile * np.arange(1, tile // 2 + 1)).astype(np.complex128)
    weights = 2.0 / (steps - 1.0)
    if tile % 2 == 0:
        weights[-1] = 1.0 / (steps[-1] - 1.0)
    return steps, weights


def _zipf_chances(distribution: Distribution, members: Amount) -> NDArray[np.float64]:
    """Inclusion chances of the zipf skew, members along a new last axis (zero beyond E)."""
    if distribution.kind != "zipf":
        raise CoverageError(
            f"distribution {distribution.kind!r}: expected balanced, uniform or zipf"
        )
    size = np.asarray(members, np.float64)[..., None]
    picks = np.asarray(distribution.picks, np.float64)[..., None]
    exponent = np.asarray(distribution.exponent, np.float64)[..., None]
    place = np.arange(1, int(np.max(size)) + 1)
    weight = np.where(place <= size, place**-exponent, 0.0)
    chance = picks * weight / weight.sum(axis=-1, keepdims=True)
    while np.any(chance > 1.0 + 1e-12):  # at most E rounds: each caps one more member
        full = chance >= 1.0
        left = picks - full.sum(axis=-1, keepdims=True)
        rest = np.where(full, 0.0, weight)
        chance = np.where(full, 1.0, left * rest / rest.sum(axis=-1, keepdims=True))
    return np.minimum(chance, 1.0)


def _smaller(one: Amount, other: Amount) -> Amount:
    scalars = isinstance(one, (int, float)) and isinstance(other, (int, float))
    return min(one, other) if scalars else np.minimum(one, other)


def _scalar(value: Any) -> Amount:
    return float(value) if np.ndim(value) == 0 else value
