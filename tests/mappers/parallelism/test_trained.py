"""The best way to run a step of training, as an exhaustive walk finds it."""

from itertools import product
from typing import Any

import pytest

import hwmodel as hw
from hwmodel.mappers.parallelism.deal import dealt
from hwmodel.mappers.parallelism.steps import Steps
from hwmodel.quantity.errors import InputError
from hwmodel.spine.execution import Execution
from hwmodel.systems.training.alone import Known
from hwmodel.systems.training.fabric import Fabric
from hwmodel.systems.training.step import trained
from tests.thorough import but_first


@pytest.mark.parametrize(
    ("name", "devices", "said"),
    but_first(
        1,
        [
            ("llama-3.2-1b", 4, {"schedule": "zb-h1", "recompute": "none"}),
            ("llama-3.2-1b", 4, {"vocabulary": "stages", "recompute": "none", "zero": 0}),
            ("llama-3.2-1b", 4, {}),
            ("olmoe-1b-7b", 4, {"zero": 3, "dispatch": "once", "micro_batch": 2}),
        ],
    ),
)
def test_a_step_of_training_runs_as_well_as_any_legal_way(
    name: str, devices: int, said: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every division with every micro-batch, recomputation and number of chunks, one by one."""
    model, one = hw.model(name), hw.device("h100")
    work = model.training(1024, 8, **said)
    found = hw.parallelise(work, on=one * devices)
    times: list[float] = []
    known, fabric, count = Known(), Fabric.of(one), 0
    depth, again = model.network.depth, ("none", "selective", "full")
    for plain in Steps(model.network, 1024, dict(work.parallel), devices):
        for size, what, chunks in product((1, 2, 4, 8), again, range(1, depth + 1)):
            more = {"micro_batch": size, "recompute": what, "vp": chunks}
            asked = {**plain.given, **more, **said}
            even = any((depth + ends) % (plain.pp * chunks) == 0 for ends in (0, 1, 2))
            if chunks > 1 and ("schedule" in said or plain.pp == 1 or not even):
                continue
            if any(said.get(n, value) != value for n, value in more.items()):
                continue  # it was said otherwise
            if what == "selective" and "zero" not in said:
                continue  # of Megatron's fused attention it is none
            try:
                how = Execution.of(asked)
            except InputError:
                continue
            count += 1
            for each in dealt(work, how, one, fabric, known):
                answer = trained(work, each, one, fabric=fabric, known=known)
                if answer.fits:
                    times.append(float(answer.step_time_s))
                    break
    assert [row.time_s for row in found.best] == pytest.approx(sorted(times)[:3])
    counted = found.counted
    assert counted.all == count == counted.evaluated + counted.ruled_out + counted.too_large
    if not said:
        monkeypatch.setattr("hwmodel.mappers.parallelism.trained.MOST", 0)
        fewer = hw.parallelise(work, on=one * devices)
        assert fewer.counted.all < count
        assert fewer.best[0].time_s == pytest.approx(found.best[0].time_s)
        assert fewer.searched != found.searched
