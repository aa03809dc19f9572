"""What memory has to hold: tensors of one kernel, live activations, a model that is served."""

import hwmodel as hw
from hwmodel.machines.held import beyond_positions, live_bytes, serving_of, short, short_of_memory

H200 = hw.device("h200")


def test_a_kernel_s_live_bytes_are_its_activations() -> None:
    """A product of 64 x 32 by 16 x 32 in bf16 reads 64 x 32 and writes 64 x 16 beside weights."""
    step = hw.model("llama-3.2-1b").decode(64, 128)
    (product,) = (s.cascade for s in step.stages if s.name == "attention output")
    assert live_bytes(product) == 64 * (2048 + 2048) * 2


def test_a_kernel_that_memory_cannot_hold_is_told_by_how_much() -> None:
    small = hw.workloads.gemm(64, 64, 64)
    assert short(small, H200) == ()
    large = hw.workloads.gemm(2**20, 2**20, 64)
    (store,) = short(large, H200)
    bytes_ = 2 * (2**40 + 2 * 64 * 2**20)
    assert store.needed_bytes == bytes_
    assert store.short_by_bytes == bytes_ - H200.memory("dram").capacity_bytes


def test_a_served_model_is_held_by_all_its_devices() -> None:
    work = hw.model("llama-3.1-70b").decode(8, 200_000, tp=2)
    found = serving_of(work, H200, None)
    assert found is not None
    assert found.memory.capacity_bytes == int(2 * 139.8 * 2**30)
    assert short_of_memory(found)[0].holds
    assert not short_of_memory(None)
    (note,) = beyond_positions(work)
    assert note.first()[0].startswith("llama-3.1-70b: a context of 200,000 tokens is beyond")
