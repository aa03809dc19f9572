"""Kernels of vLLM's steps against what a profiler counted on an H200 (0.22.1, 2026-11-28)."""

import numpy as np
import pytest

import hwmodel as hw
from hwmodel.machines.gpu.engines.vllm import ENGINE, SAMPLED

LLAMA = hw.model("llama-3.1-8b")


def stages(model: str, *, quantise: str | None = None, batch: int = 64) -> dict[str, int]:
    step = hw.model(model, quantise=quantise).decode(batch, 1024)
    return {stage.name: int(stage.times) for stage in ENGINE.stages(step.stages)}


def test_a_dense_layer_is_nine_kernels_as_profiled() -> None:
    """32 of each; 31 norms of a residual before attention, one last: 65 with the first."""
    found = stages("llama-3.1-8b")
    layer = ("qkv", "rotary", "kv write", "attention", "attention output", "mlp norm")
    assert {name: found[name] for name in (*layer, "gate-up", "gate", "down")} == dict.fromkeys(
        (*layer, "gate-up", "gate", "down"), 32
    )
    norms = found["first norm"] + found["attention norm"] + found["mlp norm"] + found["final norm"]
    assert norms == 65
    assert not [name for name in found if "residual" in name or "silu" in name]


def test_heads_are_normed_where_the_model_does() -> None:
    assert stages("qwen3-30b-a3b")["qk norm"] == 48
    assert "qk norm" not in stages("llama-3.1-8b")


def test_fp8_adds_one_kernel_a_layer_the_others_narrow_what_they_make() -> None:
    plain, narrow = stages("llama-3.1-8b"), stages("llama-3.1-8b", quantise="fp8")
    assert set(narrow) - set(plain) == {"attention to fp8"}
    assert narrow["attention to fp8"] == 32


def test_rows_before_products_by_blocks_are_scaled_by_groups() -> None:
    """A scale in fp32 for each 128 elements: 33 of 32 bytes."""
    step = hw.model("qwen3-8b", quantise="fp8-block").decode(64, 1024)
    made = {stage.name: stage.cascade for stage in ENGINE.stages(step.stages)}
    for name in ("attention norm", "mlp norm", "gate", "attention to fp8"):
        assert made[name].tensors["Y"].dtype == "fp8@128:32"
    assert made["final norm"].tensors["Y"].dtype == "bf16"
    found = hw.predict(step, on="h200", engine="vllm")
    assert {p.family for p in found.parts if p.name in ("qkv", "down")} == {"gemm:vllm:deep-gemm"}


def test_norms_before_latents_are_in_the_format_that_products_of_latents_read() -> None:
    """By groups of 128 where weights are in blocks; as they stand where nothing is narrowed."""

    def outs(model: hw.Model, *names: str) -> list[str]:
        runs = ENGINE.stages(model.decode(8, 1024).stages)
        made = {stage.name: stage.cascade for stage in runs}
        return [made[name].tensors["Y"].dtype for name in names]

    blocks, half = hw.model("deepseek-v3"), hw.model("deepseek-v2-lite", dtype="fp16")
    assert outs(blocks, "attention norm", "q latent norm") == ["fp8@128:32"] * 2
    assert outs(blocks, "latent norm", "final norm") == ["bf16"] * 2
    assert outs(half, "first norm", "attention norm", "mlp norm") == ["fp16"] * 3


def test_fp8_weights_are_multiplied_in_fp8() -> None:
    step = hw.model("llama-3.1-8b", quantise="fp8").decode(64, 1024)
    made = hw.predict(step, on="h200", engine="vllm")
    families = {part.name: part.family for part in made.parts}
    assert families["gate-up"] == "gemm:vllm:cutlass"
    assert families["head"] == "gemm:cublas"


@pytest.mark.parametrize(("quantise", "on"), [("fp8", "a100"), ("nvfp4", "h200")])
def test_formats_that_the_gpu_does_not_multiply_are_widened(quantise: str, on: str) -> None:
    step = hw.model("llama-3.1-8b", quantise=quantise).decode(64, 1024)
    made = hw.predict(step, on=on, engine="vllm")
    families = {part.name: part.family for part in made.parts}
    assert families["gate-up"] == "gemm:weight-only"
    assert "attention to fp8" not in families
    assert any("weights are widened" in words for words in made.warnings)


def test_experts_are_two_products_with_a_gate_between_and_a_sum() -> None:
    found = stages("qwen3-30b-a3b")
    experts = [name for name in found if name.startswith("experts")]
    assert experts == [
        *("experts choice", "experts gate-up", "experts gate", "experts down", "experts sum"),
    ]
    assert all(found[name] == 48 for name in experts)


def test_the_next_token_is_sampled_once_a_step() -> None:
    found = stages("llama-3.1-8b")
    assert all(found[name] == 1 for name in SAMPLED)


@pytest.mark.parametrize("tp", [2, 4])
def test_collectives_stay_where_they_were(tp: int) -> None:
    step = LLAMA.decode(64, 1024, tp=tp)
    before = [stage.collective for stage in step.stages if stage.collective]
    after = [stage.collective for stage in ENGINE.stages(step.stages) if stage.collective]
    assert before == after


def test_queries_without_a_latent_are_a_product_of_their_own_as_profiled() -> None:
    """DeepSeek-V2-Lite: 16 heads of 192 beside 512 and 64; DeepSeek-V3's queries have latents."""
    lite = {s.name: s for s in ENGINE.stages(hw.model("deepseek-v2-lite").decode(8, 1024).stages)}
    widths = {name: lite[name].cascade.sizes()["n"] for name in ("queries", "latents")}
    assert widths == {"queries": 3072, "latents": 576}
    assert "queries" not in stages("deepseek-v3")


def test_beside_latents_one_kernel_rotates_and_copies_queries() -> None:
    found = stages("deepseek-v2-lite")
    assert "rotary" not in found
    assert found["query join"] == 27


def test_torch_chooses_the_experts_of_deepseek_v2_as_profiled() -> None:
    """Eight tokens on an H200: 0.518 ms in six kernels a layer of torch's, 0.226 to sort rows."""
    made = hw.predict(hw.model("deepseek-v2-lite").decode(8, 1100), on="h200", engine="vllm")
    spent = {part.name: float(part.times * part.time_s) for part in made.parts}
    assert spent["experts choice"] + spent["experts mask"] == pytest.approx(0.518e-3, rel=0.15)
    assert spent["rows align"] == pytest.approx(0.226e-3, rel=0.15)


@pytest.mark.parametrize(("model", "batch"), [("mixtral-8x7b", 1), ("qwen3-30b-a3b", 4)])
def test_rows_of_few_tokens_are_not_sorted_as_profiled(model: str, batch: int) -> None:
    """No kernel aligns rows in one token of two of eight experts, or four of eight of 128."""
    assert "rows align" not in stages(model, batch=batch)
    assert stages(model, batch=2 * batch)["rows align"] >= stages(model)["experts sum"]


def test_sweeps_of_batches_sort_rows_where_single_steps_do() -> None:
    batches = np.array([1, 4, 8, 64])
    config = hw.model("qwen3-30b-a3b")
    swept = hw.predict(config.decode(batches, 1024), on="h200", engine="vllm")
    alone = [hw.predict(config.decode(int(b), 1024), on="h200", engine="vllm") for b in batches]
    assert swept.time_s == pytest.approx([one.time_s for one in alone])


def test_shared_experts_hide_beneath_the_choice_of_the_routed_ones() -> None:
    """On an H200 DeepSeek-V2-Lite's kernels of one token took longer than its step."""
    made = hw.predict(hw.model("deepseek-v2-lite").decode(1, 1356), on="h200", engine="vllm")
    spent = {part.name: float(part.times * part.time_s) for part in made.parts}
    assert spent["shared gate-up"] == spent["shared down"] == 0
    assert spent["shared add"] > 0


def test_shared_experts_of_long_prompts_take_what_their_products_take() -> None:
    made = hw.predict(hw.model("deepseek-v2-lite").prefill(1, 8192), on="h200", engine="vllm")
    spent = {part.name: float(part.times * part.time_s) for part in made.parts}
    assert spent["shared gate-up"] > 4e-3  # 26 of 174 us, profiled


def test_experts_in_mxfp4_run_their_gate_in_the_first_product_as_profiled() -> None:
    """No kernel of gpt-oss-20b's steps is a gate; both products are Triton's own."""
    made = hw.predict(hw.model("gpt-oss-20b").decode(8, 1024), on="h200", engine="vllm")
    families = {part.name: part.family for part in made.parts}
    assert families["experts gate-up"] == families["experts down"] == "grouped:matmul-ogs"
    assert not [name for name in families if "silu" in name or "multiply" in name]


def test_one_token_of_gpt_oss_takes_what_was_measured() -> None:
    """3.05 to 3.14 ms on an H200 at 1,356 to 8,635 tokens; no fit read them."""
    work = hw.model("gpt-oss-20b").decode(1, 1843)
    assert float(hw.predict(work, on="h200", engine="vllm").time_s) == pytest.approx(
        3.05e-3, rel=0.08
    )


def test_groups_of_experts_are_chosen_within_one_kernel() -> None:
    assert not [name for name in stages("deepseek-v3") if name.startswith("groups")]


def test_residual_sums_of_hybrids_are_within_norms_as_profiled() -> None:
    """52 blocks of Nemotron 3 Nano: a norm each, none of them with a sum of its own."""
    found = stages("nemotron-3-nano-30b-a3b")
    assert found["mamba norm"] + found["moe norm"] == 46
    assert "mamba residual" not in found
    assert "moe residual" not in found


def test_weights_in_fp8_alone_are_what_the_engine_quantises_to() -> None:
    """No kernel of vLLM widens fp8 weights on Hopper: --quantization fp8 narrows both operands.

    Measured with it: 250 ms for 2,048 tokens of Llama-3.1-70B; products in bf16 would take 400.
    """
    asked = hw.model("llama-3.1-70b", weight_dtype="fp8").prefill(1, 2048)
    made = hw.predict(asked, on="h200", engine="vllm")
    scheme = hw.model("llama-3.1-70b", quantise="fp8").prefill(1, 2048)
    assert made.time_s == hw.predict(scheme, on="h200", engine="vllm").time_s
    assert float(made.time_s) == pytest.approx(0.2502, rel=0.05)


def test_weights_in_fp8_are_widened_where_no_unit_multiplies_them() -> None:
    asked = hw.model("llama-3.1-8b", weight_dtype="fp8").decode(8, 1024)
    made = hw.predict(asked, on="a100", engine="vllm")
    assert {p.family for p in made.parts if p.name == "gate-up"} == {"gemm:weight-only"}
