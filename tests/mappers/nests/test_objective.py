"""The charge of a search is what the answer's own counts come to, for every objective and rule."""

import numpy as np
import pytest

from hwmodel.einsum.notation import parse
from hwmodel.hardware.catalogue import device
from hwmodel.machines.spatial.rules import RULES
from hwmodel.mappers.mapper import capacities_of
from hwmodel.mappers.nests.certify import certified
from hwmodel.mappers.nests.objective import charge
from hwmodel.mappers.nests.tiles import map_tiles, problem_of

MACHINE = device("peer-a2").but(buffer={"capacity_bytes": 512}, power={"idle_w": 0.5})
PRODUCT = parse(
    "Z[m, n] = A[m, k] * B[k, n]", sizes={"m": 24, "n": 20, "k": 16}, dtypes={"*": "int8"}
)


@pytest.mark.parametrize("rules", ["overlap", "ports"])
@pytest.mark.parametrize("objective", ["traffic", "latency", "energy", "edp"])
def test_the_charge_is_the_value_of_the_counted_mapping(objective: str, rules: str) -> None:
    found = certified(map_tiles, PRODUCT, MACHINE, objective=objective, rules=RULES[rules])
    problem = problem_of(
        PRODUCT, MACHINE, "uniform", capacities=capacities_of(MACHINE), double=False, shares={}
    )
    value = charge(
        PRODUCT,
        MACHINE,
        ["buffer"],
        problem.touched_bytes(),
        objective=objective,
        rules=RULES[rules],
        double=False,
    )
    moved = [np.array(float(sum(t.moved_bytes for t in found.costs.counts.transfers)))]
    assert float(value(moved, moved)) == pytest.approx(found.costs.value(objective), rel=1e-12)
