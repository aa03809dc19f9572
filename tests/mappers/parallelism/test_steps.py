"""Executions of a step of training: those that a walk over all products of degrees allows."""

from itertools import product

import pytest

from hwmodel.einsum.workloads.kept import Kept
from hwmodel.einsum.workloads.model import model
from hwmodel.einsum.workloads.training import training
from hwmodel.hardware.catalogue import device
from hwmodel.mappers.parallelism.steps import Steps
from hwmodel.quantity.errors import InputError
from hwmodel.spine.execution import Execution
from hwmodel.spine.shares import Sizes, refusals
from hwmodel.systems.training.alone import Known
from hwmodel.systems.training.fabric import Fabric
from hwmodel.systems.training.step import trained


@pytest.mark.parametrize(("name", "sequence"), [("llama-3.2-1b", 64), ("olmoe-1b-7b", 64)])
def test_every_legal_execution_is_there_once_and_no_other(name: str, sequence: int) -> None:
    network, devices = model(name).network, 8
    given = {"global_batch": 16, "micro_batch": 1, "zero": 1}
    found = list(Steps(network, sequence, given, devices))
    legal: set[Execution] = set()
    for tp, cp, dp, pp, ep in product(range(1, devices + 1), repeat=5):
        for sp in (False, True) if tp > 1 else (False,):
            table = {"tp": tp, "cp": cp, "dp": dp, "pp": pp, "sp": sp}
            table |= {} if ep == 1 else {"ep": ep, "etp": 1}
            if tp * cp * dp * pp != devices:
                continue
            for sent in product(("once", "all-to-all"), ("none", "two-batch")):
                more = dict(zip(("dispatch", "overlap"), sent, strict=True)) if ep > 1 else {}
                try:
                    how = Execution.of({**given, **table, **more})
                except InputError:
                    continue
                if not refusals(how, Sizes.of(network), engine="megatron", sequence=sequence):
                    legal.add(how)
    assert len(found) == len(set(found))
    assert set(found) == legal
    assert all(how.devices == devices and how.zero == 1 for how in found)


def test_no_step_is_below_its_floor() -> None:
    """Of every legal execution on eight devices; memory is no less than its mean share."""
    work = training("olmoe-1b-7b", 2048, 64, dtype="fp8", zero=1, graphs=True)
    machine = device("h100")
    known = Known()
    steps, fabric = Steps(work.model.network, 2048, dict(work.parallel), 8), Fabric.of(machine)
    found = {how: trained(work, how, machine, fabric=fabric, known=known) for how in steps}
    floors = {how: steps.least_s(how, work, machine, fabric) for how in found}
    assert all(floors[how] <= step.step_time_s for how, step in found.items() if step.fits)
    assert any(floors[how] > 0.3 * step.step_time_s for how, step in found.items())
    assert not any(steps.overfull(how, work, machine) for how, step in found.items() if step.fits)
    assert all(steps.held_bytes(how, Kept()) <= step.memory_bytes for how, step in found.items())
