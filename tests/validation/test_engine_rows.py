"""Rows of an engine's steps: classes of kernels by name, models by name, what a fit may read."""

import pytest

import hwmodel as hw
from hwmodel.validation import engine_rows


@pytest.mark.parametrize(
    ("kernel", "name"),
    [
        ("void cutlass::device_kernel<flash::enable_sm90_or_later<flash::FlashAttn", "attention"),
        ("void cutlass::device_kernel<flash::FlashAttnFwdCombine<cute::tuple<", "combine"),
        ("nvjet_sm90_tst_256x64_64x5_4x1_v_bz_TNT", "product"),
        ("void cutlass::device_kernel<vllm::cutlass_3x_gemm_sm90_fp8<cutlass::flo", "product"),
        ("triton_red_fused_fused_add_rms_norm_2", "norm"),
        ("triton_red_fused__to_copy_abs_clamp_cutlass_scaled_mm_div_add_rms_norm_3", "norm"),
        ("triton_poi_fused_mul_silu_slice_1", "gate"),
        ("void vllm::reshape_and_cache_flash_kernel<__nv_bfloat16", "cache"),
        ("fused_moe_kernel", "experts"),
        ("void vllm::moe::moe_align_block_size_kernel<int>", "choice"),
        ("triton_poi_fused_3", "other"),
    ],
)  # fmt: skip
def test_kernels_are_known_by_their_names(kernel: str, name: str) -> None:
    assert engine_rows.class_of(kernel, 2e-6) == name


def test_every_profiled_step_is_sorted_whole() -> None:
    """No busy second is lost, and little of it is of no class."""
    for busy in engine_rows.read_busy("h200"):
        assert busy.total_s == pytest.approx(sum(busy.busy_s.values()))
        assert busy.busy_s["other"] < 0.09 * busy.total_s


def test_steps_name_their_model_format_and_devices() -> None:
    steps = {step.columns["model"]: step for step in engine_rows.read_steps("h200")}
    narrow = steps["qwen3-32b.fp8"]
    assert (narrow.model, narrow.quantised, narrow.tp) == ("qwen3-32b", "fp8", 1)
    blocks = steps["qwen3-8b.fp8-block"]
    assert (blocks.model, blocks.quantised) == ("qwen3-8b", "fp8-block")
    two = steps["llama-3.1-70b.fp8.tp2"]
    assert (two.model, two.quantised, two.tp) == ("llama-3.1-70b", "fp8", 2)
    part = engine_rows.Measured("", "", {"model": "qwen3-next-80b-a3b.24layers"})
    assert (part.model, part.config.config.model_dump()["num_hidden_layers"]) == (
        "qwen3-next-80b-a3b",
        24,
    )
    narrow = engine_rows.Measured("", "", {"model": "llama-3.1-8b.fp8.kv-fp8.tp2"})
    assert (narrow.model, narrow.quantised) == ("llama-3.1-8b", "fp8")
    wide = steps["llama-3.1-8b"].config
    assert narrow.config.kv_bytes_per_token == wide.kv_bytes_per_token / 2
    assert steps["llama-3.1-8b"].tp == 1
    assert steps["mixtral-8x7b"].kind.startswith("vllm mixture")


def test_no_fit_reads_a_board_that_is_held_out() -> None:
    boards = {step.board for step in engine_rows.read_steps("h200") if engine_rows.fits(step)}
    assert not boards & {"f2c878ac", "bfcebfbc"}
    assert boards


def test_steps_predicted_together_are_those_predicted_alone() -> None:
    rows = [r for r in engine_rows.step_rows("h200") if r.columns["model"] == "llama-3.1-8b"][:6]
    h200 = hw.device("h200")
    for together, estimate in engine_rows.predicted(rows, h200):
        for index, row in enumerate(together):
            step = row.columns["step"]
            alone = hw.predict(step.workload(), on=h200, engine="vllm")
            assert estimate.time_s[index] == pytest.approx(alone.time_s, rel=1e-9)
