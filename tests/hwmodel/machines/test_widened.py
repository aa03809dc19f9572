"""Formats that a machine does not multiply: what runs instead, what is told, what is refused."""

from typing import Any

import pytest

import hwmodel as hw

LAYERS, HIDDEN, INNER = 4, 256, 512
SMALL: dict[str, Any] = {
    **{"model_type": "llama", "hidden_size": HIDDEN, "intermediate_size": INNER},
    **{"vocab_size": 1000, "num_hidden_layers": LAYERS, "num_attention_heads": 4},
    **{"num_key_value_heads": 2, "torch_dtype": "bfloat16"},
}
LINEAR = LAYERS * (HIDDEN * (2 * HIDDEN + 2 * 128) + 3 * HIDDEN * INNER)


def test_weights_are_widened_where_a_gpu_does_not_multiply_their_format() -> None:
    step = hw.model(SMALL, quantise="fp8").prefill(1, 2048)
    old, new = hw.predict(step, "a100"), hw.predict(step, "h100")
    (told,) = (words for words in old.warnings if "no kernels that read fp8" in words)
    assert told.startswith("a100: no kernels that read fp8; weights are widened")
    assert "multiply bf16: qkv, attention output, gate-up, down" in told
    assert not [words for words in new.warnings if "no kernels that read" in words]
    assert {part.family for part in old.parts if part.name == "down"} == {"gemm:weight-only"}
    plain = hw.predict(hw.model(SMALL).prefill(1, 2048), "a100")
    saved = plain.dram_bytes_read - old.dram_bytes_read
    assert saved == pytest.approx(LINEAR, rel=0.02)  # a byte a weight


def test_a_lone_product_in_a_format_that_a_gpu_lacks_is_refused() -> None:
    with pytest.raises(hw.CoverageError, match=r"has no fp8 on ampere"):
        hw.predict(hw.workloads.gemm(16, 512, 512, dtype="fp8"), "a100")


@pytest.mark.parametrize(
    ("quantised", "device", "widened"),
    [
        *(("fp8", "a100", True), ("fp8", "l40s", False), ("fp8", "h200", False)),
        *(("nvfp4", "h200", True), ("nvfp4", "b200", False), ("mxfp4", "b200", True)),
        *(("fp8", "i9-14900", True), ("w8a8", "i9-14900", False), ("nvfp4", "rk3588", True)),
        *(("w8a8", "a100", False), ("w4a16", "a100", False), ("w4afp8", "a100", True)),
    ],
)
def test_each_machine_multiplies_its_own_formats(
    quantised: str, device: str, widened: bool
) -> None:
    answer = hw.predict(hw.model(SMALL, quantise=quantised).decode(1, 64), device)
    assert any("weights are widened" in words for words in answer.warnings) == widened


def test_a_library_that_is_asked_for_by_name_is_not_changed() -> None:
    step = hw.model(SMALL, quantise="fp8").decode(1, 64)
    with pytest.raises(hw.CoverageError, match=r"has no fp8 on ampere"):
        hw.predict(step, "a100", kernel={"gemm": "cublas"})


def test_a_format_that_another_library_multiplies_is_refused_and_not_widened() -> None:
    step = hw.model(SMALL, quantise="fp8").decode(1, 64)
    with pytest.raises(hw.CoverageError, match=r"kernels that would do: .*cublas"):
        hw.predict(step, "h200", kernel={"gemm": "weight-only"})


def test_experts_are_widened_as_layers_are() -> None:
    mixture = SMALL | {
        **{"model_type": "qwen3_moe", "num_experts": 8, "num_experts_per_tok": 2, "head_dim": 64},
        **{"moe_intermediate_size": 128},
    }
    answer = hw.predict(hw.model(mixture, quantise="nvfp4").decode(4, 64), "h100")
    (told,) = (words for words in answer.warnings if "weights are widened" in words)
    assert told.endswith("qkv, attention output, experts gate-up, experts down")


def test_latent_attention_is_widened_whole() -> None:
    latent = SMALL | {
        **{"model_type": "deepseek_v3", "q_lora_rank": 64, "kv_lora_rank": 64, "v_head_dim": 64},
        **{"qk_nope_head_dim": 64, "qk_rope_head_dim": 32, "num_key_value_heads": 4},
        **{"moe_intermediate_size": 128, "n_routed_experts": 8, "num_experts_per_tok": 2},
        **{"n_shared_experts": 1, "first_k_dense_replace": 1, "n_group": 1, "topk_group": 1},
    }
    for name, device in (("fp8", "a100"), ("nvfp4", "h200")):
        answer = hw.predict(hw.model(latent, quantise=name).decode(2, 64), device)
        assert any("weights are widened" in words for words in answer.warnings)
