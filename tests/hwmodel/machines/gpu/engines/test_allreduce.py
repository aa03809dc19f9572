"""vLLM's own all-reduce against public rows of vLLM 0.24 on H200s, inside graphs."""

import pytest

import hwmodel as hw
from hwmodel.einsum.cascade import Collective
from hwmodel.machines.gpu.engines.vllm import REDUCE

H200 = hw.device("h200")


@pytest.mark.parametrize(
    ("ranks", "size", "measured_s"),
    [
        (2, 4096, 4.453e-6),
        (2, 2 << 20, 12.444e-6),
        (2, 8 << 20, 42.992e-6),
        (4, 4096, 4.559e-6),
        (4, 1 << 20, 12.104e-6),
        (4, 4 << 20, 29.833e-6),
        (8, 4096, 4.803e-6),
        (8, 128 << 10, 7.943e-6),
    ],
)
def test_an_all_reduce_takes_what_was_measured(ranks: int, size: int, measured_s: float) -> None:
    found = REDUCE.time_s(Collective("all_reduce", size, ranks), H200)
    assert found == pytest.approx(measured_s, rel=0.36)


def test_other_collectives_and_large_sums_are_nccls() -> None:
    assert REDUCE.time_s(Collective("all_gather", 4096, 2), H200) is None
    assert REDUCE.time_s(Collective("all_reduce", 1 << 20, 8), H200) == float("inf")


def test_a_divided_step_sums_faster_than_nccl_does() -> None:
    step = hw.model("qwen3-32b").decode(32, 2048)
    engine = hw.predict(step, on=H200 * 2, parallel={"tp": 2}, engine="vllm")
    plain = hw.predict(step, on=H200 * 2, parallel={"tp": 2})
    each = [
        sum(float(part.time_s) for part in made.parts if part.name.startswith("all_reduce"))
        for made in (engine, plain)
    ]
    assert 0 < each[0] < 0.9 * each[1]
    assert engine.time_s < plain.time_s
