"""Models in pipelines: seconds of stages, throughput, and what goes on at the same time."""

import pytest

import hwmodel as hw

H200 = hw.device("h200")
LLAMA = hw.model("llama-3.1-70b")


def test_one_batch_passes_all_stages_and_leaves_the_others_idle() -> None:
    """Two stages do one after the other what one device does, but for what they hand on."""
    alone = hw.predict(LLAMA.decode(16, 2048), on=H200)
    both = hw.predict(LLAMA.decode(16, 2048), on=H200 * 2, parallel={"pp": 2})
    sent = sum(p.times * p.time_s for p in both.parts if p.family == "collective")
    assert 0 < sent < 0.01 * alone.time_s
    assert both.time_s - sent == pytest.approx(alone.time_s, rel=1e-3)
    assert both.bubble == pytest.approx(0.5)
    assert both.energy_j == pytest.approx(alone.energy_j, rel=0.01)
    assert both.flop == alone.flop


def test_a_full_pipeline_makes_a_batch_in_its_slowest_stage_s_time() -> None:
    """Of 80 layers in 4 stages all have 20; the last has the head too, which is little."""
    found = hw.predict(LLAMA.decode(16, 2048), on=H200 * 4, parallel={"pp": 4})
    assert 3.6 < found.full_tokens_per_s / found.tokens_per_s < 4
    filled = hw.predict(LLAMA.decode(64, 2048), on=H200 * 4, parallel={"pp": 4, "micro_batch": 16})
    assert filled.tokens_per_s == pytest.approx(found.full_tokens_per_s, rel=1e-3)
    assert filled.bubble < 0.1


def test_a_prompt_s_batches_fill_the_pipeline_one_after_the_other() -> None:
    one = hw.predict(LLAMA.prefill(1, 4096), on=H200 * 4, parallel={"pp": 4})
    eight = hw.predict(LLAMA.prefill(8, 4096), on=H200 * 4, parallel={"pp": 4, "micro_batch": 1})
    assert one.time_s * 8 / 4 < eight.time_s < one.time_s * (8 + 3) / 4 * 1.06
    assert eight.flop == pytest.approx(8 * one.flop)
    assert eight.energy_j == pytest.approx(8 * one.energy_j)
    assert eight.bound_s < eight.time_s


def test_a_stage_s_device_holds_its_layers_alone() -> None:
    """141 GB of weights do not fit one device of 150 GB less a tenth; a half each does."""
    whole = hw.predict(LLAMA.decode(1, 2048), on=H200)
    half = hw.predict(LLAMA.decode(1, 2048), on=H200 * 2, parallel={"pp": 2})
    assert not whole.fits
    assert half.fits
    held = half.serving.memory.weights_bytes / LLAMA.weight_bytes  # type: ignore[union-attr]
    assert 1 < held < 1.02  # ends differ: each device counts as the fullest
