"""How long a program takes: its ways through, by chance, and the longest path of each.

A `Way` is one outcome of all that is left to chance: its probability, its seconds, and which steps
these seconds are (its critical path). Expectations are over ways, so that the mean of a maximum is
what it is, and not the maximum of means. A step that is repeated takes its mean time each time.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from hwmodel.quantity.errors import InputError

WAYS = 4096
"""Ways through a program at most."""


@dataclass(frozen=True)
class Way:
    """One outcome: its probability, seconds, and the seconds of each step on its longest path."""

    chance: float
    time_s: float
    path: Mapping[str, float]


NOTHING = Way(1.0, 0.0, {})


def mean_s(ways: Sequence[Way]) -> float:
    """Expected seconds."""
    return sum(way.chance * way.time_s for way in ways)


def path_of(ways: Sequence[Way]) -> dict[str, float]:
    """Expected seconds of each step on the critical path; they sum to `mean_s`."""
    found: defaultdict[str, float] = defaultdict(float)
    for way in ways:
        for name, seconds in way.path.items():
            found[name] += way.chance * seconds
    return dict(found)


def merged(ways: Sequence[Way]) -> list[Way]:
    """Ways that take as long are one, with the mean of their paths."""
    groups: defaultdict[float, list[Way]] = defaultdict(list)
    for way in ways:
        if way.chance > 0:
            groups[way.time_s].append(way)
    found: list[Way] = []
    for time_s, group in groups.items():
        chance = sum(way.chance for way in group)
        path = {name: s / chance for name, s in path_of(group).items()}
        found.append(Way(chance, time_s, path))
    return found


def repeated(ways: Sequence[Way], times: float) -> list[Way]:
    """So many times in a row, each of them as long as it is on average."""
    if times == 1:
        return list(ways)
    path = {name: times * seconds for name, seconds in path_of(ways).items()}
    return [Way(1.0, times * mean_s(ways), path)]


def chosen(branches: Sequence[tuple[float, Sequence[Way]]]) -> list[Way]:
    """One of several, each by its chance; nothing for the rest."""
    rest = 1.0 - sum(chance for chance, _ in branches)
    found = [Way(chance * w.chance, w.time_s, w.path) for chance, ways in branches for w in ways]
    return merged([*found, Way(max(0.0, rest), 0.0, {})])


def along(
    order: Sequence[str], after: Mapping[str, Sequence[str]], ways: Mapping[str, Sequence[Way]]
) -> list[Way]:
    """Steps that wait for each other: the longest path of every combination of their ways.

    Raises `InputError` for more than `WAYS` combinations.
    """
    count = 1
    for name in order:
        count *= len(ways[name])
        if count > WAYS:
            raise InputError(
                f"program: expected at most {WAYS:,} ways through it, found {count:,} at step"
                f" {name}; let steps that run one after another be repeated, or a program within"
            )
    return merged([_longest(order, after, each) for each in product(*(ways[n] for n in order))])


def _longest(order: Sequence[str], after: Mapping[str, Sequence[str]], each: Sequence[Way]) -> Way:
    chance, ended = 1.0, dict[str, tuple[float, tuple[Way, ...]]]()
    for name, way in zip(order, each, strict=True):
        chance *= way.chance
        start, path = max((ended[n] for n in after[name]), key=lambda e: e[0], default=(0.0, ()))
        ended[name] = (start + way.time_s, (*path, way))
    time_s, steps = max(ended.values(), key=lambda e: e[0])
    found: defaultdict[str, float] = defaultdict(float)
    for way in steps:
        for name, seconds in way.path.items():
            found[name] += seconds
    return Way(chance, time_s, dict(found))
