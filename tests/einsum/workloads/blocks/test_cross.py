"""Attention to an image that is given: what is made in prefill, what is kept; idle experts."""

import pytest

import hwmodel as hw
from hwmodel.einsum.cascade import Stage
from hwmodel.einsum.network import Stack
from hwmodel.einsum.workloads.model import model

VISION = {
    # Llama 3.2 11B Vision's text: 8 of 40 layers attend to the image.
    **{"model_type": "mllama_text_model", "torch_dtype": "bfloat16"},
    **{"hidden_size": 4096, "intermediate_size": 14336, "vocab_size": 128256},
}
LONGCAT = {"model_type": "longcat_flash", "torch_dtype": "bfloat16"}


def named(stack: Stack, name: str) -> Stage:
    return next(stage for stage in stack.stages if stage.name == name)


def test_text_of_a_model_with_images_has_the_published_total() -> None:
    assert model(VISION).parameters == 9_775_192_080
    small = {
        **{"vocab_size": 320, "hidden_size": 96, "intermediate_size": 136, "num_hidden_layers": 4},
        **{"num_attention_heads": 6, "num_key_value_heads": 2},
    }
    assert model(VISION | small).parameters == 318_082  # as transformers builds it


def test_an_image_is_kept_beside_the_text() -> None:
    read = model(VISION)
    layer = 2 * 8 * 128 * 2
    assert read.kv_bytes_per_token == 32 * layer
    assert read.kv_bytes(1, 100) == 100 * 32 * layer + 6404 * 8 * layer
    assert read.but(source_tokens=1601).kv_bytes(1, 0 + 1) == 32 * layer + 1601 * 8 * layer


def test_every_token_of_a_prompt_attends_to_the_image() -> None:
    read = model(VISION)
    prompt, token = read.prefill(2, 300), read.decode(2, 300)
    ranks = named(prompt, "cross attention").cascade.ranks
    assert (ranks["p"].size, ranks["m"].size) == (300, 6404)
    assert named(prompt, "cross kv").cascade.ranks["m"].size == 2 * 6404
    assert named(token, "cross attention").cascade.ranks["m"].size == 6404
    assert not any(stage.name == "cross kv" for stage in token.stages)
    assert named(token, "attention").times == 32


def test_experts_that_return_what_they_are_given_are_scored_and_do_not_compute() -> None:
    read = model(LONGCAT)
    assert round(read.parameters / 1e9) == 561  # the model card's 560 B
    run = read.decode(64, 1000)
    assert named(run, "router").cascade.ranks["n"].size == 512 + 256
    spread = named(run, "experts down").cascade.ranks["x"].size
    assert spread == 512
    assert any("8 of a token's 12 picks compute" in told for told in run.warnings)
    assert read.kv_bytes_per_token == 28 * 2 * (512 + 64) * 2  # two attentions a layer


@pytest.mark.parametrize("config", [VISION, {**LONGCAT, "num_layers": 4}])
def test_both_phases_are_predicted(config: dict[str, object]) -> None:
    read = model(config)
    for run in (read.prefill(1, 1024), read.decode(4, 1024)):
        estimate = hw.predict(run, on="h200")
        assert estimate.time_s > estimate.bound_s > 0
