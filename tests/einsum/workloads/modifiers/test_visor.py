"""VISOR: layers that look at the image in full, by their text alone, or not at all."""

import pytest

import hwmodel as hw
from hwmodel.einsum.workloads.model import Model, model

QWEN = "qwen2.5-7b"  # 28 layers, 28 heads of 128
IMAGE, TEXT = 2048, 256


def changed(full: int, cross: int) -> Model:
    return model(QWEN, modifier=f"visor:image={IMAGE},full={full},cross={cross}")


def flop(read: Model, prompt: int = IMAGE + TEXT) -> float:
    made = hw.predict(read.prefill(1, prompt), "h200")
    return sum(
        float(part.times * count)
        for part in made.parts
        for (unit, _, _), count in part.counts.operations.items()
        if unit == "matrix"
    )


def test_with_all_layers_full_it_is_the_plain_model() -> None:
    assert changed(28, 0).prefill(1, 4096).stages == model(QWEN).prefill(1, 4096).stages
    assert changed(28, 0).decode(1, 4096).stages == model(QWEN).decode(1, 4096).stages


def test_full_layers_cost_alike() -> None:
    costs = [flop(changed(full, 4)) for full in (0, 5, 10, 20)]
    assert costs[1] - costs[0] == pytest.approx((costs[3] - costs[2]) / 2)
    assert costs[2] - costs[1] == pytest.approx(costs[1] - costs[0])


def test_layers_that_see_no_image_cost_as_text_does() -> None:
    # The head and its norm read one token either way, the embedding multiplies nothing.
    assert flop(changed(0, 0)) == pytest.approx(flop(model(QWEN), TEXT))


def test_a_cross_layer_adds_text_times_image_and_the_images_keys() -> None:
    # 4 n_t n_v d for scores and values, 2 n_v d for each of 2 x 512 columns of keys and values.
    more = flop(changed(0, 1)) - flop(changed(0, 0))
    assert more == pytest.approx(4 * TEXT * IMAGE * 3584 + 2 * IMAGE * 3584 * 1024, rel=1e-6)


def test_the_image_is_kept_where_it_is_looked_at() -> None:
    # 2 x 512 elements of two bytes a token and layer.
    for full, cross in ((0, 0), (3, 0), (3, 5), (0, 28)):
        held = changed(full, cross).kv_bytes(2, IMAGE + TEXT)
        assert held == 2 * 2048 * (28 * TEXT + (full + cross) * IMAGE)


def test_decode_reads_the_image_where_it_is_kept() -> None:
    read = [
        hw.predict(changed(*layers).decode(1, 8192), "h200").dram_bytes_read
        for layers in ((0, 0), (4, 8))
    ]
    assert read[1] - read[0] == pytest.approx(12 * IMAGE * 2048, rel=1e-3)


def test_a_chunk_after_the_image_makes_no_keys_of_it() -> None:
    names = [
        {stage.name for stage in changed(0, 28).prefill(1, 4096, cached=cached).stages}
        for cached in (2048, 1024)
    ]
    assert "image kv" not in names[0]
    assert "image kv" in names[1]


def test_prompts_without_text_are_refused() -> None:
    with pytest.raises(hw.InputError, match="expected tokens that each layer keeps"):
        changed(0, 0).prefill(1, IMAGE)


def test_more_layers_than_the_model_has_are_refused() -> None:
    with pytest.raises(hw.InputError, match="among the 28 of the model, found 20 and 9"):
        changed(20, 9)


def test_an_engine_runs_it_and_keeps_the_image_in_the_layers_that_look() -> None:
    # Sixteen layers keep nothing of the image's 2,048 tokens, 2,048 bytes each.
    plain, ours = (
        hw.predict(each.decode(1, 8192), "h200", engine="vllm")
        for each in (model(QWEN), changed(4, 8))
    )
    assert plain.serving is not None
    assert ours.serving is not None
    saved = plain.serving.memory.kv_cache_bytes - ours.serving.memory.kv_cache_bytes
    assert saved == 16 * 2048 * 2048
    assert hw.predict(changed(4, 8).prefill(1, 8192), "h200", engine="vllm").time_s > 0
