"""What is kept for later questions, and answers that do not change by it."""

import numpy as np

import hwmodel as hw
from hwmodel.machines import driver
from hwmodel.machines.kept import Kept, alike

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


def test_kernels_of_the_same_sizes_are_asked_for_once_though_their_arrays_are_others() -> None:
    """Stages of a pipeline run the kernels that all run, each less often."""
    keeping, model, sizes = Kept(), hw.model("llama-3.2-1b"), [8, 16, 64]
    kernels: list[int] = []
    for pp in (1, 2, 4):
        work, ways = model.decode(np.array(sizes), np.array(sizes) * 9), {"pp": pp}
        kept = driver.answered(work, H200 * pp, engine="vllm", parallel=ways, keeping=keeping)
        alone = driver.predict(work, H200 * pp, engine="vllm", parallel=ways)
        assert np.array_equal(kept.time_s, alone.time_s)
        assert np.array_equal(kept.energy_j, alone.energy_j)
        kernels.append(len(keeping.runs))
    assert kernels == [kernels[0]] * 3


def test_what_differs_in_a_number_a_format_or_an_argument_is_not_alike() -> None:
    def made(rows: int = 4, dtype: str = "bf16", bias: bool = False) -> object:
        return alike(hw.workloads.gemm(np.array([1, rows]), 64, 64, dtype=dtype, bias=bias))

    assert made() == made()
    assert len({made(), made(5), made(dtype="fp16"), made(bias=True)}) == 4
    routed = [
        alike(hw.workloads.moe(np.array([64, 65]), 64, 64, 8, 2, routing=routing))
        for routing in ("balanced", "uniform")
    ]
    assert routed[0] != routed[1]
