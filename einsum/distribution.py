"""Data-dependent ranks: how many members are touched, how many tiles their loads fill.

`draws` draws (T) spread over `members` (E), each taking `picks` distinct members (k). The load of
one member is then Binomial(T, q), q being the chance that a draw takes it:

- uniform: q = k/E for every member;
- hot: one member is taken by a share s of the draws, and all are by the others as if uniform:
  q = s + (1-s)k/E for that one, and the rest of the k is shared alike;
- zipf: q_i = min(1, c * i**-exponent), c such that the q_i sum to k (sampling with these inclusion
  probabilities, so that no member is taken twice by one draw);
- power: loads drawn from a density x**-exponent, member by member, and scaled to T*k in all: x from
  1 to 0.8 T where T*k is more than E, else from 0.01 to 2. Each is rounded and at most T; what that
  takes goes to the least (so aiconfigurator draws them to time experts whose loads differ,
  Apache-2.0, collector/helper.py, as read). Here they are the E quantiles of that density; of
  members that devices divide the fullest device's, the greatest load and an even choice of others;
- balanced: no chance at all: T*k spread as evenly as integers allow.

Members touched: sum of 1 - (1-q)**T. Tiles: sum of E[ceil(n/tile)], exact through the
characteristic function of n, because -n mod t has period t:

    t*ceil(n/t) = n + (-n mod t),
    E[-n mod t] = (t-1)/2 + sum over f = 1..t-1 of (1-q+q*w**f)**T / (w**f - 1),  w = exp(2 pi i/t)

All answers are expectations E[f(n)], never f(E[n]). Everything broadcasts, and a point's answer is
the same to the last bit whatever stands beside it: sums over members and over f run in order, and
powers are taken in polar form (NumPy multiplies complex arrays otherwise than complex numbers).
"""

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwmodel.einsum.cascade import Distribution
from hwmodel.quantity.errors import CoverageError
from hwmodel.quantity.units import Amount

NEGLIGIBLE = 80.0
"""Terms of the series below exp(-NEGLIGIBLE/2), 4e-18, are left out, point by point."""

POWER = "power"
HALF = 0.5
"""Load from which a member has a row: loads are rounded."""
LESS = 0.85
"""Of sqrt(2 ln n) deviations, which the greatest of n loads lies above the mean for many, what it
does for 8 to 64 (order statistics of a normal)."""

ALIKE = ("uniform", "hot")
"""Kinds whose members are alike, but for one."""

TERMS = 4096
"""Terms of the series worked out together, of all points."""


def touched_members(distribution: Distribution, members: Amount) -> Amount:
    """Expected number of members that get at least one draw."""
    draws, picks = distribution.draws, distribution.picks
    if distribution.kind == "balanced":
        return _smaller(members, draws * picks)
    if distribution.kind in ALIKE:
        return _scalar(sum(n * _ever(q, draws) for n, q in _classes(distribution, members)))
    if distribution.kind == POWER:
        loads = power_loads(distribution, members)
        return _scalar(_total(1.0 * (loads >= HALF))[..., 0])
    chances = _zipf_chances(distribution, members)
    return _scalar(_total(_ever(chances, np.asarray(draws, np.float64)[..., None]))[..., 0])


def expected_tiles(distribution: Distribution, members: Amount, tile: Amount) -> Amount:
    """Expected sum over members of ceil(load / tile)."""
    draws, picks = distribution.draws, distribution.picks
    if distribution.kind == "balanced":
        total = draws * picks
        load, more = total // members, total % members
        return (members - more) * -(-load // tile) + more * -(-(load + 1) // tile)
    if distribution.kind in ALIKE:
        parts = _classes(distribution, members)
        return _scalar(sum(n * _binomial_tiles(draws, q, tile) for n, q in parts))
    if distribution.kind == POWER:
        loads, side = power_loads(distribution, members), np.asarray(tile, np.float64)[..., None]
        return _scalar(_total(_spread_tiles(loads, side))[..., 0])
    chances = _zipf_chances(distribution, members)
    draws, tile = (np.asarray(size, np.float64)[..., None] for size in (draws, tile))
    tiles = np.where(chances > 0, _binomial_tiles(draws, chances, tile), 0.0)
    return _scalar(_total(tiles)[..., 0])


def fullest(distribution: Distribution, members: Amount) -> Amount:
    """Expected load of the fullest member, about.

    Of n members alike: the mean, and as far above it as the greatest of n draws of a normal or, for
    few, a Poisson distribution lies: sqrt(2 v ln n) + ln(n)/3 with the variance v (the exponent of
    Bernstein's inequality). Raises `CoverageError` for a skew whose members all differ.
    """
    draws = distribution.draws
    if distribution.kind == "balanced":
        return -(-draws * distribution.picks // members)
    if distribution.kind == POWER:
        return _scalar(power_loads(distribution, members).max(axis=-1))
    if distribution.kind not in ALIKE:
        raise CoverageError(
            f"distribution {distribution.kind!r}: expected balanced, uniform or hot"
        )
    highest: Any = 0.0
    for count, chance in _classes(distribution, members):
        log = np.log(np.maximum(count, 1.0))
        above = np.sqrt(2 * draws * chance * (1 - chance) * log) + log / 3
        there = np.asarray(count, np.float64) > 0
        highest = np.maximum(highest, np.where(there, draws * chance + above, 0.0))
    return _scalar(np.minimum(highest, draws))


def _classes(distribution: Distribution, members: Amount) -> list[tuple[Any, Any]]:
    """(members, chance that a draw takes each) of those that are alike."""
    picks = distribution.picks
    even = np.minimum(picks / members, 1.0)
    if distribution.kind == "uniform":
        return [(members, even)]
    share = np.asarray(distribution.exponent, np.float64)
    hottest = share + (1 - share) * even
    others = members - 1
    left = (picks - hottest) / np.maximum(others, 1)
    return [(1, hottest), (others, np.clip(left, 0.0, 1.0))]


def chances(distribution: Distribution, members: Amount) -> NDArray[np.float64]:
    """Chance that a draw takes each member, along a last axis: its load is binomial.

    Raises `CoverageError` for `balanced`.
    """
    if distribution.kind == "hot":
        (_, first), (_, left) = _classes(distribution, members)
        size = np.asarray(members, np.float64)[..., None]
        place = np.arange(int(np.max(size)))
        rest = np.where(place < size, np.asarray(left)[..., None], 0.0)
        return np.where(place == 0, np.asarray(first)[..., None], rest)
    if distribution.kind == POWER:
        draws = np.asarray(distribution.draws, np.float64)[..., None]
        return power_loads(distribution, members) / draws
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
    shape = np.broadcast_shapes(np.shape(draws), np.shape(chance))
    at_once = max(1, TERMS // max(1, math.prod(shape)))
    total: Any = np.zeros((1, *shape))
    for first in range(0, len(steps), at_once):
        part = slice(first, first + at_once)
        step, weight = (each[part].reshape(-1, *(1,) * len(shape)) for each in (steps, weights))
        # |1-q+q*w**f|**2 = 1 - 2q(1-q)(1-cos), which falls as f grows.
        with np.errstate(divide="ignore", invalid="ignore"):
            decay = -draws * np.log1p(-2.0 * chance * (1.0 - chance) * (1.0 - step.real))
        angle = draws * np.arctan2(chance * step.imag, 1.0 - chance + chance * step.real)
        turned = weight.real * np.cos(angle) - weight.imag * np.sin(angle)
        terms = np.where(decay > NEGLIGIBLE, 0.0, np.exp(-decay / 2) * turned)
        total = np.add.accumulate(np.concatenate((total, terms)), axis=0)[-1:]
        if np.all(decay[-1] > NEGLIGIBLE):
            break  # so are all that follow, at every point
    return (mean + (tile - 1) / 2 + total[0]) / tile


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
            f"distribution {distribution.kind!r}: expected balanced, uniform, hot or zipf"
        )
    size = np.asarray(members, np.float64)[..., None]
    picks = np.asarray(distribution.picks, np.float64)[..., None]
    exponent = np.asarray(distribution.exponent, np.float64)[..., None]
    place = np.arange(1, int(np.max(size)) + 1)
    weight = np.where(place <= size, place**-exponent, 0.0)
    chance = picks * weight / _total(weight)
    while True:  # at most E rounds: each caps one more member
        over = np.any(chance > 1.0 + 1e-12, axis=-1, keepdims=True)
        if not over.any():
            return np.minimum(chance, 1.0)
        full = chance >= 1.0
        left = picks - full.sum(axis=-1, keepdims=True)
        rest = np.where(full, 0.0, weight)
        others = _total(rest)
        capped = np.where(full, 1.0, left * rest / np.where(others > 0, others, 1.0))
        chance = np.where(over, capped, chance)


def power_loads(distribution: Distribution, members: Amount) -> NDArray[np.float64]:
    """Loads of `power`, the greatest first, along a last axis: T*k in all, each at most T.

    One member has a row at least: these are the fullest device's.
    """
    draws, picks, exponent, ways = (
        np.asarray(each, np.float64)[..., None]
        for each in (
            *(distribution.draws, distribution.picks, distribution.exponent, distribution.ways),
        )
    )
    size = np.asarray(members, np.float64)[..., None]
    place = np.arange(int(np.max(size)))
    level = np.where(place == 0, 1 - 0.5 / (size * ways), 1 - (place + 0.5) / size)
    drawn = _power_quantile(level, draws, picks, exponent, size)
    weight = np.where(place < size, drawn, 0.0)
    loads = _capped(draws * picks * weight / _total(weight), draws, size)
    return np.where(place == 0, np.maximum(loads, 1.0), loads)


def fullest_share(draws: Any, picks: Any, members: Any, exponent: Any, ways: Any) -> Any:
    """Share of all loads of `power` that the fullest of `ways` devices has."""
    each = tuple(np.asarray(n, np.float64)[..., None] for n in (draws, picks, exponent, members))
    draws, picks, exponent, size = each
    among = np.asarray(ways, np.float64)[..., None]
    place = np.arange(int(np.max(size)))
    level = 1 - (place + 0.5) / size
    drawn = _power_quantile(level, draws, picks, exponent, size)
    loads = np.where(place < size, drawn, 0.0)
    loads = _capped(draws * picks * loads / _total(loads), draws, size)
    first, whole = loads[..., :1], _total(loads)
    held = size / among
    mine = first + (held - 1) * (whole - first) / np.maximum(size - 1, 1)
    spread = np.sqrt(held * np.maximum(_total(loads**2) / size - (whole / size) ** 2, 0.0))
    above = whole / among + spread * np.sqrt(2 * np.log(among)) * LESS
    return _scalar((np.minimum(np.maximum(mine, above), whole) / whole)[..., 0])


def _power_quantile(level: Any, draws: Any, picks: Any, exponent: Any, members: Any) -> Any:
    """The quantile of a density x**-exponent between its ends (1 is taken as next to 1)."""
    many = draws * picks > members
    low, high = np.where(many, 1.0, 0.01), np.where(many, np.maximum(0.8 * draws, 1.0), 2.0)
    power = np.where(np.abs(1 - exponent) < 1e-6, 1e-6, 1 - exponent)
    return ((high**power - low**power) * np.maximum(level, 0.0) + low**power) ** (1 / power)


def _capped(loads: NDArray[np.float64], most: Any, members: Any) -> NDArray[np.float64]:
    """Whole loads, at most so many each; what rounding or the cap takes goes to those of least.

    Those without a row get one each first, the others the rest evenly.
    """
    place = np.arange(int(np.max(members)))
    there: Any = np.where(place < members, 1.0, 0.0)
    held: Any = there * np.minimum(np.floor(loads + HALF), most)
    lost = np.maximum(_total(there * loads) - _total(held), 0.0)
    none: Any = there * np.where(held == 0, 1.0, 0.0)
    first: Any = none * np.where(np.add.accumulate(none, axis=-1) <= lost + HALF, 1.0, 0.0)
    rest = np.maximum(lost - _total(none), 0.0)
    below: Any = there * np.where(held < most, 1.0, 0.0)
    return np.where(first > 0, 1.0, held + below * rest / np.maximum(_total(below), 1.0))


def _spread_tiles(load: Any, tile: Any) -> Any:
    """E[ceil(n/tile)] of a load that is spread evenly between half and one and a half of itself.

    Drawn loads differ from their quantiles, so that a tile's edge is nowhere.
    """
    whole = np.maximum(load / tile + (tile - 1) / (2 * tile), 1.0)
    return np.where(load >= HALF, whole, 0.0)


def _total(values: Any) -> Any:
    """Sums along the last axis, kept, in order: zeros of absent members change no bit."""
    return np.add.accumulate(values, axis=-1)[..., -1:]


def _smaller(one: Amount, other: Amount) -> Amount:
    scalars = isinstance(one, (int, float)) and isinstance(other, (int, float))
    return min(one, other) if scalars else np.minimum(one, other)


def _scalar(value: Any) -> Amount:
    return float(value) if np.ndim(value) == 0 else value
