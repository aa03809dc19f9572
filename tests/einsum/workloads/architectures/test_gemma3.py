"""Gemma 3: published totals, windows, norms around what computes."""

from typing import Any

from hwmodel.einsum.workloads.model import model

GEMMA_3_27B: dict[str, Any] = {
    # google/gemma-3-27b-it, text_config
    **{"model_type": "gemma3_text", "hidden_size": 5376, "intermediate_size": 21504},
    **{"num_hidden_layers": 62, "num_attention_heads": 32, "num_key_value_heads": 16},
    **{"head_dim": 128, "vocab_size": 262208, "sliding_window": 1024, "query_pre_attn_scalar": 168},
    "torch_dtype": "bfloat16",
}
SEEN = {"model_type": "siglip_vision_model", "hidden_size": 1152}


def test_the_total_is_that_of_the_text_model() -> None:
    # Of 27,432,406,640 in the checkpoint's index 416,866,032 are of the vision tower and 6,194,304
    # of its projection; Gemma 3 report (arXiv 2503.19786), table 1: 1,416 M of embedding,
    # 25,600 M of the rest
    found = model(GEMMA_3_27B)
    assert found.parameters == 27_432_406_640 - 416_866_032 - 6_194_304
    assert round(found.parameters_by_part["embedding"] / 1e6) == 1410
    assert round((found.parameters - found.parameters_by_part["embedding"]) / 1e8) == 256


def test_of_a_model_with_images_the_text_is_read() -> None:
    both = {"model_type": "gemma3", "text_config": GEMMA_3_27B, "vision_config": SEEN}
    found = model(both)
    assert found.parameters == model(GEMMA_3_27B).parameters
    assert "config: text_config alone is read, without vision_config" in found.warnings


def test_one_layer_of_six_sees_the_whole_context() -> None:
    found = model(GEMMA_3_27B)
    whole = [g.numbers for g in found.network.layers if 5 in g.numbers]
    assert whole == [tuple(range(5, 62, 6))]  # ten layers: 5, 11, ..., 59
    each = 2 * 16 * 128 * 2
    assert found.kv_bytes(1, 30_000) == each * (10 * 30_000 + 52 * 1024)


def test_norms_stand_before_and_after_what_computes() -> None:
    names = [stage.name for stage in model(GEMMA_3_27B).decode(1, 100).stages]
    assert names[:2] == ["embedding", "embedding scale"]
    layer = names[names.index("attention residual") - 1 :]
    assert layer[:5] == [
        *("attention output norm", "attention residual", "mlp norm", "gate-up", "gelu_tanh")
    ]
    assert names[-3:] == ["mlp residual", "final norm", "head"]


def test_gemma_2_caps_its_logits() -> None:
    config = GEMMA_3_27B | {"model_type": "gemma2", "sliding_window": 4096}
    stages = model(config).decode(3, 100).stages
    assert [s.name for s in stages][-4:] == ["head", "logits scale", "logits cap", "logits scale"]
    assert all(s.cascade.sizes()["c"] == 262208 for s in stages[-3:])
