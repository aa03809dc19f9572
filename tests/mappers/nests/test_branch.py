"""Lower bounds of the search: least costs of one level, against every order and box of keeps."""

import math

import numpy as np
import pytest

from hwmodel.einsum.notation import parse
from hwmodel.hardware.catalogue import device
from hwmodel.mappers.mapper import capacities_of
from hwmodel.mappers.nests.answers import OBJECTIVES, Answers
from hwmodel.mappers.nests.branch import BranchSearch
from hwmodel.mappers.nests.levels import problem_of


@pytest.mark.parametrize("buffer", [4, 9, 23, 64])
@pytest.mark.parametrize("weights", [(1.0, 2.0, 3.0), (5.0, 0.0, 0.5)])
def test_the_least_cost_to_go_is_that_of_all_orders_and_boxes(
    buffer: int, weights: tuple[float, ...]
) -> None:
    product = parse(
        "Z[m, n] = A[m, k] * B[k, n]", sizes={"m": 4, "n": 2, "k": 3}, dtypes={"*": "int8"}
    )
    machine = device("peer-a3").but(buffer={"capacity_bytes": buffer})
    space = problem_of(product, machine, capacities_of(machine)).space
    found = BranchSearch(space, Answers(OBJECTIVES["traffic"]))
    powers, rooms = found.grid.exponents, found.rooms[0]
    boxes = range(len(powers))
    smaller = [[b for b in boxes if np.all(powers[b] <= powers[a])] for a in boxes]

    def least(coming: frozenset[int], box: int, room: int) -> float:
        if not coming:
            return 0.0
        costs = [math.inf]
        for inner in smaller[box]:
            for tensor in coming:
                left = rooms[room] - found.held[0][tensor][inner]
                if left < 0:
                    continue
                nearest = min(at for at, size in enumerate(rooms) if size >= left)
                own = weights[tensor] * float(found.crossing(1, tensor)[inner])
                costs.append(own + least(coming - {tensor}, inner, nearest))
        return min(costs)

    charged = [weight * found.crossing(1, t) for t, weight in enumerate(weights)]
    table = found.to_go(1, charged, np.arange(len(powers)))
    random = np.random.default_rng(buffer)
    for coming in ({0}, {1, 2}, {0, 1, 2}):
        bits = sum(1 << tensor for tensor in coming)
        for box in {0, len(powers) - 1, *random.integers(0, len(powers), 4).tolist()}:
            for room in {len(rooms) - 1, len(rooms) // 2}:
                expected = least(frozenset(coming), int(box), room)
                assert table[bits, box, room] == pytest.approx(expected), (coming, box, room)
    assert np.all(np.isinf(table[1:, :, -1]))
