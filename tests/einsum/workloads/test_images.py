"""Images of a prompt: tokens by the model's rule, tower and projector, what is refused."""

import json
from typing import Any

import pytest

import hwmodel as hw
from hwmodel.einsum.workloads.images import pixels_of
from hwmodel.einsum.workloads.model import model
from hwmodel.quantity.errors import CoverageError, HwmodelError, InputError
from tests.validation.measure.test_parameter_counts import COUNTED

READ = (
    *("gemma3", "qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_vl_moe", "qwen3_5", "qwen3_5_moe"),
    *("llama4", "mllama", "llava", "glm4v", "glm4v_moe", "paligemma", "idefics3"),
)
"""Whole models whose text says whether its head is tied."""


def counted() -> list[dict[str, Any]]:
    lines = COUNTED.read_text(encoding="utf-8").splitlines()[1:]
    found = (json.loads(line) for line in lines)
    return [each for each in found if "config" in each and each["model_type"] in READ]


def test_every_one_of_them_was_counted() -> None:
    assert {each["model_type"] for each in counted()} == set(READ)


@pytest.mark.parametrize("each", counted(), ids=lambda each: each["model_type"])
def test_text_tower_and_projector_have_the_parameters_of_the_whole(each: dict[str, Any]) -> None:
    """As transformers counts them (validation/data/transformers)."""
    read = model(each["config"])
    assert read.parameters + read.vision.parameters == each["parameters"]


def sizes(stack: Any) -> dict[str, Any]:
    return {stage.name: stage.cascade.sizes() for stage in stack.stages}


def test_an_image_of_qwen3_vl_has_a_token_for_32_x_32_pixels() -> None:
    """1024 x 768: 32 x 24 tokens, each of four patches; two images in each of three prompts."""
    made = model("qwen3-vl-8b").prefill(3, 4096, images=2, image_size="1024x768")
    found = sizes(made)
    assert found["vision qkv"]["m"] == 3 * 2 * 32 * 24 * 4
    assert found["vision merger up"]["m"] == 3 * 2 * 32 * 24
    assert found["vision attention"]["b"] == 6
    assert found["qkv"]["m"] == 3 * 4096
    same = model("qwen3-vl-8b").prefill(3, 4096, images=2, image_tokens=768)
    assert [stage.cascade for stage in same.stages] == [stage.cascade for stage in made.stages]


def test_an_image_of_gemma_3_is_4096_patches_and_256_tokens() -> None:
    found = sizes(model("gemma-3-12b").prefill(1, 1024, images=3))
    assert found["vision patches"]["m"] == 3 * 4096
    assert (found["vision projector"]["m"], found["vision projector"]["n"]) == (3 * 256, 3840)


def test_images_come_on_top_of_the_text_and_the_tower_is_held_in_memory() -> None:
    read = model("qwen3-vl-8b")
    plain, seen = read.prefill(1, 2048), read.prefill(1, 2048, images=1, image_tokens=1024)
    assert seen.stages[-len(plain.stages) :] == plain.stages
    assert plain.served is not None
    assert seen.served is not None
    more = seen.served.weights_bytes - plain.served.weights_bytes
    assert more == 2 * read.vision.parameters == 2 * 576_388_336
    times = [hw.predict(each, on="h200").time_s for each in (plain, seen)]
    assert times[0] < times[1] < 1.5 * times[0]


def test_images_are_asked_for_in_words_and_by_an_engine() -> None:
    line: dict[str, Any] = {"config": "qwen3-vl-8b", "phase": "prefill", "batch": 1, "on": "h200"}
    line |= {"prompt": 2048, "images": 1, "image_size": "1024x768"}
    made = model("qwen3-vl-8b").prefill(1, 2048, images=1, image_size="1024x768")
    assert hw.ask("predict", workload="llm", **line).time_s == hw.predict(made, on="h200").time_s
    engine = hw.ask("predict", workload="llm", **line, engine="vllm")
    without = {name: line[name] for name in line if not name.startswith("image")}
    assert engine.time_s > hw.ask("predict", workload="llm", **without, engine="vllm").time_s


def test_a_tower_is_divided_as_the_text_is() -> None:
    made = model("qwen3-vl-8b").prefill(1, 2048, images=1, image_tokens=256, tp=2)
    found = sizes(made)
    assert found["vision attention"]["h"] == 8
    vision = [s for s in made.stages if s.role.startswith("vision.") and s.collective]
    assert {stage.name for stage in vision} == {"vision attention output", "vision down"}


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("qwen3-vl-8b", {"images": 1}, "expected image_tokens, or image_size such as"),
        ("qwen3-vl-8b", {"images": 0, "image_tokens": 9}, "images: expected"),
        ("qwen3-vl-8b", {"images": 9, "image_tokens": 300}, r"at least the tokens of its images"),
        ("qwen3-vl-8b", {"images": 1, "image_size": "big"}, "expected height and width in pixels"),
        ("qwen3-vl-8b", {"images": 1, "image_size": "8x8", "image_tokens": 9}, "found both"),
        ("gemma-3-4b", {"images": 1, "image_tokens": 64}, "made 256 tokens; found 64"),
        ("gemma-3-4b", {"images": 1, "image_size": "64x64"}, "image_size: expected none"),
        ("qwen3-8b", {"images": 1, "image_tokens": 9}, "vision_config"),
        ("qwen3-8b", {"image_tokens": 9}, "expected images with their size, found none"),
    ],
)
def test_what_is_no_image_of_a_prompt_is_refused(
    name: str, given: dict[str, Any], said: str
) -> None:
    with pytest.raises(HwmodelError, match=said):
        model(name).prefill(1, 2048, **given)


def test_a_model_whose_images_are_not_modelled_says_what_is() -> None:
    config = {
        "model_type": "aria",
        "vision_config": {"model_type": "idefics3_vision"},
        "text_config": {"model_type": "llama", "vocab_size": 320, "hidden_size": 96}
        | {"intermediate_size": 136, "num_hidden_layers": 2, "num_attention_heads": 6}
        | {"num_key_value_heads": 2},
    }
    with pytest.raises(CoverageError, match="images of 'aria' are not modelled; expected one of"):
        model(config).prefill(1, 2048, images=1)


def test_images_belong_to_a_prompt_alone() -> None:
    line = {"config": "qwen3-vl-8b", "phase": "decode", "batch": 1, "context": 9, "on": "h200"}
    with pytest.raises(InputError, match="phase decode: expected no field 'images'"):
        hw.ask("predict", workload="llm", **line, images=1)


@pytest.mark.parametrize(("text", "pixels"), [("1024x768", (1024, 768)), (" 8 x 9 ", (8, 9))])
def test_a_size_is_height_and_width(text: str, pixels: tuple[int, int]) -> None:
    assert pixels_of(text) == pixels
