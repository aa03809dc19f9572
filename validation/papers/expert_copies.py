"""Copies of hot experts as DeepSeek's balancer places them (deepseek-ai/EPLB): its worked example.

Of its README: loads of 12 experts in two layers, 16 slots in 4 groups on 2 nodes of 8 devices, and
the expert in each slot. How much more than the mean the busiest device has follows from these slots
by hand: copies share their expert's load, 156 of 129.1 in the first layer.
"""

import numpy as np

from hwmodel.mappers.placement.replicas import eplb, largest_load
from hwmodel.validation.papers.claim import EXACT, Claim
from hwmodel.validation.papers.given import Given

SYSTEM, SOURCE = "EPLB", "README, worked example"
DEVICES, SLOTS = 8, 16
LOADS = (
    (90, 132, 40, 61, 104, 165, 39, 4, 73, 56, 183, 86),
    (20, 107, 104, 64, 19, 197, 187, 157, 172, 86, 16, 27),
)
PLACED = (
    (5, 6, 5, 7, 8, 4, 3, 4, 10, 9, 10, 2, 0, 1, 11, 1),
    (7, 10, 6, 8, 6, 11, 8, 9, 2, 4, 5, 1, 5, 0, 3, 1),
)


def worked_example(given: Given) -> tuple[Claim, ...]:
    """Experts in their slots, and the load of the busiest device."""
    first, *others = LOADS[0]
    loads = np.array([(given("load of the first expert", first, 300), *others), LOADS[1]], float)
    found = eplb(loads, SLOTS, DEVICES, groups=given("groups", 4, 1), nodes=2)
    right = int(np.sum(found == np.array(PLACED)))
    busiest = largest_load(loads[0], found[0], DEVICES)
    return (
        Claim(SYSTEM, "slots with their expert, two layers", 32, right, 0.0, SOURCE),
        Claim(
            *(SYSTEM, "load of the busiest device over the mean, first layer", 156 / 129.125),
            *(busiest / float(loads[0].sum() / DEVICES), EXACT, SOURCE),
            identity=True,
        ),
    )


PROGRAMS = (worked_example,)
