"""Boxes that are alike: two stand for all in an exchange that looks the same from each of them.

Where every link is a device's own, or its card's, and boxes are equal, what a schedule that is
unchanged by a step to the next box loads is what the messages of one box do: those that leave it
arrive, by symmetry, as they would from all others in one. So of 256 boxes two are routed. On a
torus one rank stands for all where everyone sends to everyone (`hwmodel.network.tori`).
"""

from collections import Counter
from dataclasses import replace
from functools import lru_cache

import numpy as np

from hwmodel.network.flows import Groups
from hwmodel.network.rounds import Round, made
from hwmodel.network.spans import apart, some_of
from hwmodel.network.topology import Topology

STAND = 2
"""Boxes that stand for all."""


def represented(topology: Topology, groups: Groups, per_box: int) -> Topology | None:
    """Two boxes of a topology whose devices are one group of alike boxes; None of any other."""
    if len(groups) != 1 or len(groups[0]) <= STAND * per_box:
        return None
    if list(groups[0]) != list(range(len(topology.devices))) or not _equal(topology):
        return None
    return some_of(topology, tuple(range(STAND * per_box)))


@lru_cache(maxsize=256)
def folded(rounds: tuple[Round, ...], per_box: int) -> tuple[Round, ...]:
    """The messages of the first box, those that leave it all to the second."""
    found: list[Round] = []
    for each in rounds:
        mine = each.source < per_box
        inside = each.destination[mine] < per_box
        place = each.destination[mine] % per_box
        end = np.where(inside, place, per_box + place)
        made = replace(each, source=each.source[mine], destination=end, share=each.share[mine])
        found.append(made)
    return tuple(found)


PAIRS = ("direct", "one-shot")
"""Algorithms in which every rank sends to every other one."""


@lru_cache(maxsize=64)
def from_first(op: str, algorithm: str, ranks: int) -> tuple[Round, ...]:
    """The rounds of a `direct` or `one-shot` algorithm as the first rank has them."""
    others = np.arange(1, ranks)
    share = 1.0 if algorithm == "one-shot" else 1 / ranks
    each = replace(made(np.zeros_like(others), others, share), everywhere=True)
    return (each, each) if (op, algorithm) == ("all_reduce", "direct") else (each,)


@lru_cache(maxsize=16)
def _equal(topology: Topology) -> bool:
    """Whether all boxes have the same links, each its own."""
    if not apart(topology):
        return False
    group = {node.name: node.group for node in topology.nodes}
    boxes: dict[str, Counter[tuple[object, ...]]] = {}
    for link in topology.links:
        start, end = (group[name] for name in link.between)
        numbers = tuple(link.model_dump(exclude={"between"}).values())
        boxes.setdefault(start or end, Counter())[numbers] += 1
    return len({frozenset(each.items()) for each in boxes.values()}) == 1
