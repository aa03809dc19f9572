"""Executions of a step of training: those that a walk over all products of degrees allows."""

from itertools import product

import pytest

from hwmodel.einsum.workloads.model import model
from hwmodel.mappers.parallelism.steps import Steps
from hwmodel.quantity.errors import InputError
from hwmodel.spine.execution import Execution
from hwmodel.spine.shares import Sizes, refusals


@pytest.mark.parametrize(("name", "sequence"), [("llama-3.2-1b", 64), ("olmoe-1b-7b", 64)])
def test_every_legal_execution_is_there_once_and_no_other(name: str, sequence: int) -> None:
    network, devices = model(name).network, 8
    given = {"global_batch": 16, "micro_batch": 1, "zero": 1}
    found = list(Steps(network, sequence, given, devices))
    legal: set[Execution] = set()
    for tp, cp, dp, pp, ep in product(range(1, devices + 1), repeat=5):
        for sp in (False, True):
            table = {"tp": tp, "cp": cp, "dp": dp, "pp": pp, "sp": sp}
            table |= {} if ep == 1 else {"ep": ep, "etp": 1}
            if tp * cp * dp * pp != devices:
                continue
            try:
                how = Execution.of({**given, **table})
            except InputError:
                continue
            if not refusals(how, Sizes.of(network), engine="megatron", sequence=sequence):
                legal.add(how)
    assert len(found) == len(set(found))
    assert set(found) == legal
    assert all(how.devices == devices and how.zero == 1 for how in found)
