"""TensorRT-LLM's engine runs whole models: its products, a greedy choice, a fast host."""

from dataclasses import replace

import pytest

import hwmodel as hw
from hwmodel.machines.gpu.engines.step import memory as memory_of
from hwmodel.machines.gpu.engines.step import step_of
from hwmodel.machines.gpu.engines.trtllm import ENGINE

MODEL = hw.model("llama-3.1-8b", quantise="fp8", kv_dtype="fp8")


def test_products_are_its_own_and_a_token_is_chosen_without_a_temperature() -> None:
    made = hw.predict(MODEL.decode(batch=64, context=1024), "h100", engine="trtllm")
    parts = {part.name: part for part in made.parts}
    assert "trtllm" in parts["gate-up"].family
    assert "token" in parts
    assert not parts.keys() & {"temperature", "probabilities", "race"}


def test_steps_without_a_graph_wait_less_for_the_host_than_vllms() -> None:
    """Some 350 kernels of 6 us against 53 us: 2 ms against 19."""
    work = hw.model("llama-3.1-8b").mixed(batch=8, context=1024, prompt=2500)
    host = {
        engine: next(p for p in hw.predict(work, "h200", engine=engine).parts if p.host)
        for engine in ("vllm", "trtllm")
    }
    assert float(host["trtllm"].time_s) < 0.001
    few = hw.model("llama-3.1-8b").mixed(batch=8, context=1024, prompt=300)
    slow, fast = (
        float(hw.predict(few, "h200", engine=engine).time_s) for engine in ("vllm", "trtllm")
    )
    assert fast < slow


def test_experts_of_four_bits_run_by_a_library_that_takes_them() -> None:
    made = hw.predict(
        hw.model("gpt-oss-20b").decode(batch=32, context=1024), "h200", engine="trtllm"
    )
    assert made.fits
    assert any("experts" in part.name for part in made.parts)


def test_its_cache_takes_a_share_of_what_weights_and_a_step_leave() -> None:
    memory = [
        memory_of(step_of(MODEL.decode(1, 1024), hw.device("h100"), engine), hw.device("h100"))
        for engine in (ENGINE, ENGINE.but(memory=replace(ENGINE.memory, share=0.45)))
    ]
    for fit, share in zip(memory, (0.1, 0.55), strict=True):
        rest_bytes = float(fit.capacity_bytes - fit.weights_bytes - fit.activations_bytes)
        assert float(fit.reserve_bytes) == pytest.approx(share * rest_bytes)
    tokens = [float(fit.kv_capacity_tokens) for fit in memory if fit.kv_capacity_tokens is not None]
    assert tokens[0] == pytest.approx(2 * tokens[1], rel=1e-3)
