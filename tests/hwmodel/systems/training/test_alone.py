"""What a device runs by itself depends on few fields of an execution: steps that share it agree."""

from typing import Any

import pytest

from hwmodel.einsum.workloads.training import training
from hwmodel.hardware.catalogue import device
from hwmodel.spine.execution import Execution
from hwmodel.systems.training.alone import Known
from hwmodel.systems.training.fabric import Fabric
from hwmodel.systems.training.least import least_bytes, least_s
from hwmodel.systems.training.step import trained

H100 = device("h100")
WORK = training("qwen3-30b-a3b", 4096, 256, zero=1, mtp=1, graphs=True)


@pytest.mark.parametrize("how", [{"dp": 8, "ep": 8, "pp": 1}, {"dp": 4, "ep": 4, "pp": 2}])
def test_steps_are_the_same_whoever_asked_before(how: dict[str, Any]) -> None:
    known = Known()
    given = [Execution.of({**how, "etp": 1, "global_batch": 256, "zero": 1, **more})
             for more in ({}, {"dispatch": "all-to-all"}, {"overlap": "two-batch"})]  # fmt: skip
    shared = [trained(WORK, each, H100, known=known) for each in given]
    apart = [trained(WORK, each, H100) for each in given]
    assert len(known.alone) == 1
    assert len(known.made) == 3
    assert [each.step_time_s for each in shared] == [each.step_time_s for each in apart]
    assert len({each.step_time_s for each in shared}) == 3
    for each, step in zip(given, shared, strict=True):
        floor = least_s(WORK, each, H100, Fabric.of(H100), known)
        assert 0.5 < floor / step.step_time_s <= 1 + 1e-9
        assert least_bytes(WORK, each, H100, Fabric.of(H100), known) <= step.memory_bytes
