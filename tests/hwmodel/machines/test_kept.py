"""What is kept for later questions, and answers that do not change by it."""

import hwmodel as hw
from hwmodel.machines import driver
from hwmodel.machines.kept import Kept

H200 = hw.device("h200")


def test_answers_are_the_same_with_what_was_kept_and_kernels_are_asked_for_once() -> None:
    keeping, model = Kept(), hw.model("llama-3.2-1b")
    work = model.decode(8, 512)
    for parallel in ({"tp": 2}, {"tp": 2, "dp": 2}, {"tp": 2}):
        machine = H200 * 4
        kept = driver.answered(work, machine, parallel=parallel, keeping=keeping)
        alone = driver.predict(work, machine, parallel=parallel)
        assert kept.time_s == alone.time_s
        assert kept.energy_j == alone.energy_j
        assert [part.name for part in kept.parts] == [part.name for part in alone.parts]
    kernels = {id(stage.cascade) for stage in model.decode(8, 512, tp=2).stages}
    assert len(keeping.runs) < 3 * len(kernels)


def test_a_key_s_value_is_made_once() -> None:
    keeping, made = Kept(), list[int]()
    for _ in range(3):
        assert keeping.once("key", lambda: made.append(1) or "value") == "value"
    assert made == [1]
