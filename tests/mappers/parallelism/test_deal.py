"""Layers dealt by seconds, against every other way to deal them."""

import pytest

from hwmodel.einsum.workloads.training import training
from hwmodel.hardware.catalogue import device
from hwmodel.mappers.parallelism.deal import dealt
from hwmodel.spine.execution import Execution
from hwmodel.systems.training.alone import Known
from hwmodel.systems.training.fabric import Fabric
from hwmodel.systems.training.least import least_bytes, least_s
from hwmodel.systems.training.step import trained

MACHINE = device("h100")
FABRIC = Fabric.of(MACHINE)
WORK = training("llama-3.2-1b", 2048, 32, micro_batch=1)
"""Of 16 layers, and a head that takes as long as several of them."""


def test_no_other_cut_of_two_stages_has_a_faster_slowest_stage() -> None:
    known, how = Known(), Execution.of({"pp": 2, "global_batch": 32})
    first, even = dealt(WORK, how, MACHINE, FABRIC, known)
    assert even == how
    assert first.layers is not None
    assert first.layers[0] > 8
    ways = [how.but(layers=[cut, 16 - cut]) for cut in range(17)]
    steps = {each.layers: trained(WORK, each, MACHINE, known=known) for each in ways}
    best = min(steps.values(), key=lambda step: float(step.step_time_s))
    assert steps[first.layers].step_time_s == pytest.approx(best.step_time_s, rel=0.01)
    assert steps[first.layers].step_time_s < 0.9 * trained(WORK, how, MACHINE).step_time_s


@pytest.mark.parametrize("way", [{"pp": 1}, {"pp": 2, "vp": 2}, {"pp": 2, "layers": (8, 8)}])
def test_nothing_is_dealt_where_stages_are_said_or_have_several_runs(way: dict[str, int]) -> None:
    how = Execution.of({**way, "global_batch": 32})
    assert dealt(WORK, how, MACHINE, FABRIC, Known()) == (how,)


def test_bounds_hold_of_pipelines_whose_stages_differ() -> None:
    known = Known()
    for pp, zero in ((2, 1), (4, 3), (8, 1), (3, 1)):
        for each in dealt(
            WORK,
            Execution.of({"pp": pp, "global_batch": 32, "zero": zero}),
            MACHINE,
            FABRIC,
            known,
        ):
            step = trained(WORK, each, MACHINE, fabric=FABRIC, known=known)
            floor = least_s(WORK, each, MACHINE, FABRIC, known)
            assert 0.8 < floor / step.step_time_s <= 1 + 1e-9
            held = least_bytes(WORK, each, MACHINE, FABRIC, known)
            assert 0.4 < held / step.memory_bytes <= 1 + 1e-9
