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


def test_attention_is_one_operator_and_products_narrow_their_rows() -> None:
    made = hw.predict(MODEL.decode(batch=64, context=1024), "h100", engine="trtllm")
    own = {part.name for part in made.parts}
    assert "attention" in own
    assert not own & {"rotary", "kv write", "queries to fp8", "attention to fp8"}


def test_weights_in_mxfp4_meet_rows_in_fp8_on_blackwell_alone() -> None:
    """W4A8 there, W4A16 on Hopper (TensorRT-LLM, get_mxfp4_quant_algo)."""
    work = hw.model("gpt-oss-20b").decode(batch=32, context=1024)
    ran = {
        gpu: next(
            part.family
            for part in hw.predict(work, gpu, engine="trtllm").parts
            if part.name == "experts gate-up"
        )
        for gpu in ("h200", "b200", "rtx-pro-6000")
    }
    assert ran == {
        "h200": "grouped:trtllm:experts-mxfp4",
        "b200": "grouped:vllm:experts-fp8-mxfp4",
        "rtx-pro-6000": "grouped:trtllm:experts-fp8-mxfp4",
    }


def test_rows_are_gathered_for_experts_and_their_sums_scattered() -> None:
    """7 of 8 parts of all tokens' rows come to each device in bf16, and as many sums go back."""
    work = hw.model("qwen3-30b-a3b").decode(batch=512, context=1024, parallel={"dp": 8, "ep": 8})
    found = hw.predict(work, "h200", engine="trtllm")
    parts = {part.name: part for part in found.parts}
    assert any("dispatch=gather" in told for told in found.warnings)
    assert "all_to_all" not in parts
    for name in ("all_gather", "reduce_scatter"):
        assert parts[name].times == 48


def test_graphs_end_at_the_largest_batch() -> None:
    graphs = ENGINE.graphs.of(640)
    assert graphs.captured[-2:] == (512, 640)
    assert graphs.padded(535) == 640


def test_every_stage_of_a_pipeline_has_a_host() -> None:
    """Eight stages of 100 sequences: 8 x (8 ms + 100 x (34 + 8 x 3.8) us) by the wall at least."""
    work = hw.model("llama-3.2-1b").decode(batch=100, context=512, parallel={"pp": 8})
    made = hw.predict(work, "h200", engine="trtllm")
    assert float(made.time_s) >= 8 * (0.008 + 100 * (34e-6 + 8 * 3.8e-6))


def test_on_other_makers_gpus_torchs_kernels_stand_for_its_own() -> None:
    made = hw.predict(MODEL.decode(batch=8, context=512), "mi300x", engine="trtllm")
    assert any("known on NVIDIA's GPUs alone" in text for text in made.warnings)
    assert not any("trtllm" in part.family for part in made.parts if not part.host)
