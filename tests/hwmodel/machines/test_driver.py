"""One driver for every class of machine: what it adds to what each of them says of stages."""

from dataclasses import replace

import pytest

import hwmodel
from hwmodel.bounds.roofline import Floor
from hwmodel.einsum.network import Stack
from hwmodel.einsum.workloads.attention import attention
from hwmodel.einsum.workloads.gemm import gemm
from hwmodel.hardware.catalogue import device
from hwmodel.machines.driver import estimated, predict
from hwmodel.machines.run import Run
from hwmodel.quantity.errors import CoverageError
from hwmodel.spine.activity import Work
from hwmodel.spine.estimate import Part

MACHINES = ("h200", "xeon-8380", "u280", "fusemax")
WORK = attention(batch=1, heads=8, kv_heads=8, queries=256, keys=256, head_dim=64, causal=False)


@pytest.mark.parametrize("name", MACHINES)
def test_a_cascade_is_one_stage_of_itself(name: str) -> None:
    """As a stack of one stage it takes as long, moves as much, and has the same bounds."""
    alone = predict(WORK, name)
    stacked = predict(Stack("attention", WORK.stages), name)
    assert WORK.stages[0].cascade is WORK
    for field in ("time_s", "energy_j", "dram_bytes_read", "bound_bytes", "bound_s"):
        assert getattr(alone, field) == getattr(stacked, field)


@pytest.mark.parametrize("name", MACHINES)
def test_a_stage_that_runs_three_times_takes_three_times_as_long(name: str) -> None:
    (stage,) = WORK.stages
    once, thrice = predict(WORK, name), predict(Stack("a", (replace(stage, times=3),)), name)
    assert thrice.sustained_time_s == pytest.approx(3 * once.sustained_time_s, rel=1e-12)


@pytest.mark.parametrize("name", ["h200", "xeon-8380", "u280"])
def test_every_machine_says_what_its_memory_cannot_hold(name: str) -> None:
    """B of 10^6 x 10^6 in bf16 is 2 TB."""
    found = predict(gemm(M=1000, N=1_000_000, K=1_000_000), name)
    assert not found.fits
    assert any("does not fit" in warning for warning in found.warnings)
    assert predict(gemm(M=512, N=512, K=512), name).fits


def test_tokens_and_memory_of_a_phase_are_carried_by_its_stages() -> None:
    """Whatever made them: the same stages without an origin serve as well."""
    step = hwmodel.model("llama-3.1-8b").decode(4, 2048)
    found = predict(replace(step, origin=None), "h200")
    assert found.serving is not None
    assert found.serving.tokens == 4
    # 32 layers of keys and values of 8 heads of 128 in bf16.
    assert found.serving.memory.kv_cache_bytes == 4 * 2048 * 32 * 2 * 8 * 128 * 2


def test_a_machine_without_a_link_runs_no_share_of_a_model() -> None:
    share = hwmodel.model("llama-3.1-8b").decode(1, 128, tp=2)
    with pytest.raises(CoverageError, match=r"xeon-8380: has no link .* use tp 1"):
        predict(share, "xeon-8380")


def test_no_estimate_reads_less_than_the_bound() -> None:
    """A part that reads 60 bytes of a bound of 100 reads 40 more, at the memory's peak rate."""
    machine = device("u280")
    part = Part("a", "a", 2, Work(read={"dram": 30}), 1.0, 1.0, {}, 1.0, (1.0, 1.0))
    found = estimated(gemm(M=8, N=8, K=8), machine, Run(((part,),), floor=Floor(100, 0.0)))
    assert found.dram_bytes_read == pytest.approx(100, rel=1e-12)
    speed = machine.memory("dram").bandwidth_bytes_per_s
    assert found.sustained_time_s - 2.0 == pytest.approx(40 / speed, abs=1e-15)
