"""Reading config.json: what is modelled, what is harmless, and what is refused by name."""

import json
from pathlib import Path
from typing import Any

import pytest

from hwmodel.einsum.workloads.blocks.attention import Attention
from hwmodel.einsum.workloads.blocks.mixture import Mixture
from hwmodel.einsum.workloads.config import SHIPPED, read_config, shipped_configs
from hwmodel.einsum.workloads.model import model
from hwmodel.einsum.workloads.record import Config
from hwmodel.quantity.errors import CoverageError, InputError, UnknownNameError

LLAMA: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "vocab_size": 100,
}
QWEN2 = LLAMA | {"model_type": "qwen2", "num_key_value_heads": 2}
QWEN3_MOE = LLAMA | {
    "model_type": "qwen3_moe",
    "num_key_value_heads": 2,
    "num_experts": 8,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 32,
    "num_hidden_layers": 4,
}


def windows(config: Config) -> list[int | None]:
    """Sliding windows of the layers, in order."""
    found: dict[int, int | None] = {}
    for group in config.network().layers:
        (attention,) = (block for block in group.blocks if isinstance(block, Attention))
        found |= dict.fromkeys(group.numbers, attention.window)
    return [found[layer] for layer in sorted(found)]


def sparse_layers(config: Config) -> list[int]:
    """Numbers of the layers of experts."""
    groups = config.network().layers
    sparse = (g.numbers for g in groups if any(isinstance(b, Mixture) for b in g.blocks))
    return sorted(layer for numbers in sparse for layer in numbers)


def test_a_shipped_name_a_file_and_a_directory_read_alike(tmp_path: Path) -> None:
    text = (SHIPPED / "llama-3.1-8b.json").read_text()
    (tmp_path / "config.json").write_text(text)
    by_name = read_config("llama-3.1-8b")[1]
    assert read_config(tmp_path)[1] == by_name
    assert read_config(str(tmp_path / "config.json"))[1] == by_name
    assert read_config(json.loads(text))[1] == by_name


@pytest.mark.parametrize("name", ["model.safetensors", "model.safetensors.index.json"])
def test_a_file_of_weights_stands_for_its_folder(name: str, tmp_path: Path) -> None:
    weights = tmp_path / name
    header = b'{"lm_head.weight":{"dtype":"BF16","shape":[2,2],"data_offsets":[0,8]}}'
    index = b'{"metadata":{"total_size":8},"weight_map":{"lm_head.weight":"model.safetensors"}}'
    held = len(header).to_bytes(8, "little") + header + bytes(8)
    weights.write_bytes(index if name.endswith("json") else held)
    with pytest.raises(
        InputError, match=r"config\.json: expected a config\.json beside these weights"
    ):
        read_config(weights)
    (tmp_path / "config.json").write_text((SHIPPED / "llama-3.2-1b.json").read_text())
    assert read_config(weights) == read_config(tmp_path)


def test_a_file_called_config_takes_the_name_of_its_directory(tmp_path: Path) -> None:
    (tmp_path / "my-model").mkdir()
    (tmp_path / "my-model" / "config.json").write_text(json.dumps(LLAMA))
    assert read_config(tmp_path / "my-model")[0] == "my-model"


@pytest.mark.parametrize("name", shipped_configs())
def test_every_shipped_config_names_its_source(name: str) -> None:
    data = json.loads((SHIPPED / f"{name}.json").read_text())
    assert data["_source"].startswith("Hugging Face ")


def test_an_unknown_name_lists_the_shipped_ones() -> None:
    with pytest.raises(UnknownNameError, match=r"'llama-3.1-8' \(did you mean 'llama-3.1-8b'"):
        read_config("llama-3.1-8")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.json: expected .* no such file"):
        read_config(tmp_path / "absent.json")
    with pytest.raises(InputError, match=r"expected a config\.json in this directory"):
        read_config(tmp_path)


def test_a_syntax_error_names_file_line_and_column(tmp_path: Path) -> None:
    path = tmp_path / "broken.json"
    path.write_text('{\n  "hidden_size": 64,\n  "vocab_size" 100\n}')
    with pytest.raises(InputError, match=r"broken\.json, line 3, column 16: expected valid JSON"):
        read_config(path)


def test_a_file_that_is_no_object_or_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text("[1]")
    with pytest.raises(InputError, match=r"expected a JSON object of config keys, found list"):
        read_config(tmp_path / "list.json")
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"expected UTF-8 text"):
        read_config(tmp_path / "bytes.json")


def test_an_unknown_architecture_is_told_its_nearest_and_where_all_are_listed() -> None:
    told = r"'gpt17' \(did you mean 'gpt.*; `hwmodel models` lists .*--as llama"
    with pytest.raises(UnknownNameError, match=told) as raised:
        read_config({"model_type": "gpt17"})
    assert "mixtral" in raised.value.known
    assert "mixtral" not in str(raised.value)
    with pytest.raises(InputError, match="expected the key 'model_type', found none; `hwmodel mod"):
        read_config({})


def test_a_key_in_no_list_is_an_error_that_names_it() -> None:
    with pytest.raises(InputError, match=r"unknown key 'n_widgets' \(value 3\) for .* llama"):
        read_config(LLAMA | {"n_widgets": 3})


def test_an_ignored_key_passes_and_is_echoed() -> None:
    _, _, warnings = read_config(LLAMA | {"n_widgets": 3}, ignore_keys=["n_widgets"])
    assert warnings == ("config: key 'n_widgets' (value 3) was ignored as asked",)


def test_a_key_of_another_architecture_is_unknown() -> None:
    with pytest.raises(InputError, match=r"unknown key 'num_local_experts'"):
        read_config(LLAMA | {"num_local_experts": 8})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("cross_attention_hidden_size", 64),
        ("attn_logit_softcapping", 50.0),
        ("n_shared_experts", 1),
    ],
)
def test_an_unsupported_key_is_refused_unless_neutral(key: str, value: object) -> None:
    with pytest.raises(CoverageError, match=rf"key '{key}' with value {value} is not modelled"):
        read_config(LLAMA | {key: value})
    neutral = {
        "cross_attention_hidden_size": None,
        "attn_logit_softcapping": None,
        "n_shared_experts": 0,
    }[key]
    assert read_config(LLAMA | {key: neutral})[2] == ()


def test_another_activation_is_refused() -> None:
    with pytest.raises(CoverageError, match=r"hidden_act: 'mish' is not modelled"):
        read_config(LLAMA | {"hidden_act": "mish"})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("hidden_size", "64"),
        ("hidden_size", 64.5),
        ("hidden_size", True),
        ("num_hidden_layers", 0),
        ("vocab_size", -1),
        ("tie_word_embeddings", "yes"),
    ],
)
def test_a_wrong_type_or_sign_names_the_key(key: str, value: object) -> None:
    with pytest.raises(InputError, match=rf"config: {key}: .*, found {value!r}"):
        read_config(LLAMA | {key: value})


def test_a_missing_key_is_named() -> None:
    with pytest.raises(InputError, match=r"expected the key 'vocab_size', found none"):
        read_config({k: v for k, v in LLAMA.items() if k != "vocab_size"})
    with pytest.raises(InputError, match=r"expected the key 'num_key_value_heads', found none"):
        read_config(LLAMA | {"model_type": "mistral"})
    with pytest.raises(InputError, match=r"expected the key 'num_experts_per_tok', found none"):
        read_config(
            LLAMA | {"model_type": "mixtral", "num_key_value_heads": 2, "num_local_experts": 4}
        )


def test_heads_must_divide() -> None:
    with pytest.raises(InputError, match=r"num_key_value_heads: expected a divisor of .* \(4\)"):
        read_config(LLAMA | {"num_key_value_heads": 3})
    with pytest.raises(InputError, match=r"hidden_size: expected a multiple .*found 66"):
        read_config(LLAMA | {"hidden_size": 66})


def test_more_experts_per_token_than_experts_is_refused() -> None:
    with pytest.raises(InputError, match=r"expected at most the 8 experts, found 9"):
        read_config(QWEN3_MOE | {"num_experts_per_tok": 9})


def test_mistral_windows_every_layer_unless_null() -> None:
    mistral = LLAMA | {"model_type": "mistral", "num_key_value_heads": 2}
    assert windows(read_config(mistral)[1]) == [4096, 4096]
    assert windows(read_config(mistral | {"sliding_window": 128})[1]) == [128, 128]
    assert windows(read_config(mistral | {"sliding_window": None})[1]) == [None, None]


def test_qwen2_windows_layers_from_max_window_layers_on_when_switched_on() -> None:
    window = {"sliding_window": 128, "max_window_layers": 1}
    off, on = ({"use_sliding_window": switch} for switch in (False, True))
    assert windows(read_config(QWEN2 | window | off)[1]) == [None, None]
    assert windows(read_config(QWEN2 | window | on)[1]) == [None, 128]


def test_layer_types_say_which_layers_have_a_window() -> None:
    kinds = ["sliding_attention", "full_attention"]
    given = QWEN2 | {"layer_types": kinds, "sliding_window": 64, "use_sliding_window": True}
    assert windows(read_config(given)[1]) == [64, None]
    with pytest.raises(InputError, match=r"layer_types: expected one entry .* 2 layers, found 1"):
        read_config(given | {"layer_types": ["full_attention"]})
    with pytest.raises(CoverageError, match=r"layer_types: 'linear_attention' is not modelled"):
        read_config(given | {"layer_types": ["linear_attention", "full_attention"]})
    with pytest.raises(InputError, match=r"sliding_attention needs the key 'sliding_window'"):
        read_config(given | {"sliding_window": None})


def test_sparse_layers_follow_step_and_exceptions() -> None:
    assert sparse_layers(read_config(QWEN3_MOE)[1]) == [0, 1, 2, 3]
    assert sparse_layers(read_config(QWEN3_MOE | {"decoder_sparse_step": 2})[1]) == [1, 3]
    assert sparse_layers(read_config(QWEN3_MOE | {"mlp_only_layers": [0, 3]})[1]) == [1, 2]


def test_all_keys_without_a_place_are_told_at_once() -> None:
    odd = LLAMA | {"n_widgets": 3, "gears": [1], "n_shared_experts": 1}
    with pytest.raises(CoverageError) as told:
        read_config(odd)
    for words in ("'n_shared_experts' with value 1", "'n_widgets' (value 3), 'gears' (value [1])"):
        assert words in str(told.value)
    with pytest.raises(InputError, match=r"unknown keys 'a' \(value 1\), 'b' \(value 2\) for"):
        read_config(LLAMA | {"a": 1, "b": 2})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("rope_interleave", True),
        ("rope_local_base_freq", 1e4),
        ("hidden_dropout_prob", 0.1),
        ("resid_pdrop", 0.1),
        ("image_token_id", 7),
        ("use_bfloat16", False),
        ("mystery", None),
        ("initializer_factor", 1.0),
        ("layer_norm_epsilon", 1e-5),
        ("do_sample", True),
        ("_flash_attn_2_enabled", True),
    ],
)
def test_keys_that_change_values_alone_are_known_by_rule(key: str, value: object) -> None:
    assert read_config(LLAMA | {key: value})[2] == ()


@pytest.mark.parametrize("key", ["use_moe", "experts", "top_k", "window", "kv_lora_rank"])
def test_keys_that_may_change_a_count_are_not(key: str) -> None:
    with pytest.raises(InputError, match=f"unknown key '{key}'"):
        read_config(LLAMA | {key: 4})


def test_an_unknown_architecture_is_read_as_another_when_asked() -> None:
    odd = LLAMA | {"model_type": "sparkle", "gears": 7, "hidden_dropout": 0.1}
    with pytest.raises(UnknownNameError, match="'sparkle'"):
        read_config(odd)
    _, config, warnings = read_config(odd, as_="llama")
    assert config == read_config(LLAMA)[1]
    said = "config: model_type 'sparkle' read as llama, as asked; keys that it does not read: gears"
    assert warnings == (said,)
    with pytest.raises(UnknownNameError, match="architecture to read a config as 'lama'"):
        read_config(odd, as_="lama")
    with pytest.raises(InputError, match="expected the key 'num_key_value_heads'"):
        read_config(odd, as_="qwen3")


def test_of_a_config_with_several_parts_the_text_is_read() -> None:
    both = {"model_type": "seer", "torch_dtype": "float16", "projector_depth": 2}
    both |= {"text_config": QWEN2, "vision_config": {"model_type": "eye", "depth": 2}}
    _, config, warnings = read_config(both)
    assert config == read_config(QWEN2 | {"torch_dtype": "float16"})[1]
    assert warnings == ("config: text_config alone is read, without vision_config",)
    assert read_config(both, part="text")[1] == config
    with pytest.raises(UnknownNameError, match=r"'eye'"):
        read_config(both, part="vision")
    with pytest.raises(UnknownNameError, match=r"part of a config 'sound'; known: text, vision"):
        read_config(both, part="sound")
    with pytest.raises(InputError, match="expected the key 'vision_config' with a table"):
        read_config(QWEN2, part="vision")


@pytest.mark.parametrize(
    ("keys", "positions"),
    [
        ({}, None),
        ({"max_position_embeddings": 4096}, 4096),
        ({"max_position_embeddings": 4096, "rope_scaling": {"type": "linear", "factor": 4}}, 16384),
        (
            {
                "max_position_embeddings": 32768,
                "rope_scaling": {
                    **{"rope_type": "yarn", "factor": 4.0},
                    "original_max_position_embeddings": 32768,
                },
            },
            131072,
        ),
        ({"max_position_embeddings": 131072, "rope_scaling": {"rope_type": "llama3"}}, 131072),
        ({"max_position_embeddings": "many"}, None),
    ],
)
def test_positions_are_stretched_as_the_rotary_embedding_is(
    keys: dict[str, Any], positions: int | None
) -> None:
    small = {
        **{"model_type": "llama", "hidden_size": 64, "intermediate_size": 64, "vocab_size": 10},
        **{"num_hidden_layers": 1, "num_attention_heads": 1, "torch_dtype": "bfloat16"},
    }
    assert model(small | keys).config.positions == positions


def test_a_part_is_read_where_the_whole_is_known_by_its_text_alone() -> None:
    text = {"model_type": "gemma3_text", "hidden_size": 64, "intermediate_size": 96}
    text |= {"vocab_size": 100, "num_hidden_layers": 6}
    both = {"model_type": "gemma3", "text_config": text, "vision_config": {"model_type": "eye"}}
    assert read_config(both)[1] == read_config(text)[1]


@pytest.mark.parametrize(
    ("config", "key", "value"),
    [
        ("gemma-3-1b", "hidden_activation", "x" * 300),
        ("bert-base", "max_position_embeddings", "512"),
        ("opt-6.7b", "max_position_embeddings", True),
        ("gpt-oss-20b", "hidden_act", "gelu2"),
    ],
)
def test_values_that_change_counts_are_checked_whatever_the_architecture(
    config: str, key: str, value: object
) -> None:
    data = json.loads((SHIPPED / f"{config}.json").read_text())
    table = data.get("text_config", data)
    table[key] = value
    with pytest.raises(InputError, match=r"activation: |hidden_act: |max_position_embeddings: "):
        model(data).prefill(1, 8)


@pytest.mark.parametrize("key", ["text_config", "llm_config", "language_config"])
def test_the_text_of_several_parts_is_read_by_any_of_its_names(key: str) -> None:
    whole = {"model_type": "sees", "vision_config": {"depth": 3}, key: LLAMA}
    _, config, warnings = read_config(whole)
    assert config.model_type == "llama"
    assert warnings == (f"config: {key} alone is read, without vision_config",)


def test_a_config_whose_type_does_not_fit_is_read_by_its_class() -> None:
    keys = {"hidden_size": 96, "intermediate_size": 136, "num_hidden_layers": 4, "vocab_size": 320}
    keys |= {"num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 16}
    mixture = {"n_routed_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 40}
    named: dict[str, Any] = {"architectures": ["Glm4MoeForCausalLM"], "n_shared_experts": 1}
    found = model({"model_type": "glm", **keys, **mixture, **named})
    right = model({"model_type": "glm4_moe", **keys, **mixture, **named})
    assert found.parameters == right.parameters
    assert "read as glm4_moe, by the class that it names" in found.warnings[0]
    with pytest.raises(CoverageError, match="n_shared_experts"):
        model({"model_type": "glm", **keys, **mixture, "n_shared_experts": 1})
    with pytest.raises(CoverageError, match="n_shared_experts"):
        model({"model_type": "glm", **keys, **named, "architectures": ["MineForCausalLM"]})


def test_a_class_that_is_named_does_not_outdo_a_type_that_fits() -> None:
    keys = {"hidden_size": 96, "intermediate_size": 136, "num_hidden_layers": 4, "vocab_size": 320}
    config = {"model_type": "qwen2", **keys, "num_attention_heads": 6, "num_key_value_heads": 2}
    read = model({**config, "architectures": ["Qwen3ForCausalLM"]})
    assert read.parameters == model(config).parameters


def test_null_says_nothing_and_switches_off() -> None:
    """As transformers' classes read it: a switch that is null is off, key heads are all heads."""
    base = {**LLAMA, "rope_scaling": None, "use_qk_norm": None, "cross_attention_hidden_size": None}
    assert read_config({**base, "attention_bias": None})[1].network() == (
        read_config({**LLAMA, "attention_bias": False})[1].network()
    )
    mistral = {**LLAMA, "model_type": "mistral"}
    told = model({**mistral, "num_key_value_heads": None})
    assert told.parameters == model({**mistral, "num_key_value_heads": 4}).parameters


def test_a_config_without_a_type_is_read_by_its_class_and_an_unknown_type_told_it() -> None:
    named = {**LLAMA, "architectures": ["LlamaForCausalLM"]}
    without = {key: value for key, value in named.items() if key != "model_type"}
    assert read_config(without)[1] == read_config(LLAMA)[1]
    with pytest.raises(UnknownNameError, match="the class that it names is of llama: --as llama"):
        read_config({**named, "model_type": "sparkle"})
    with pytest.raises(InputError, match="expected the key 'model_type', found none"):
        read_config({**without, "architectures": ["SparkleForCausalLM"]})


def test_of_a_model_that_speaks_the_part_that_thinks_is_read() -> None:
    text = {**LLAMA, "model_type": "qwen2_5_omni_text", "num_key_value_heads": 2}
    whole = {"thinker_config": {"model_type": "qwen2_5_omni_thinker", "text_config": text}}
    found = model({"model_type": "qwen2_5_omni", "talker_config": {"hidden_size": 9}, **whole})
    assert found.parameters == model({**text, "model_type": "qwen2"}).parameters
    assert "thinker_config alone is read: what makes speech is left out" in found.warnings[0]


def test_a_slip_is_told_with_the_key_that_was_meant() -> None:
    llama = json.loads((SHIPPED / "llama-3.2-1b.json").read_text(encoding="utf-8"))
    slip = {"hiden_size" if key == "hidden_size" else key: value for key, value in llama.items()}
    told = r"'hiden_size' \(value 2048; did you mean 'hidden_size'\?\).*--ignore-key hiden_size"
    with pytest.raises(InputError, match=told):
        read_config(slip)
    with pytest.raises(InputError, match=r"'hidden_sise' \(value 2\)"):  # the key itself is given
        read_config(llama | {"hidden_sise": 2})


@pytest.mark.parametrize("nothing", ["", "  "])
def test_an_empty_name_is_no_model(nothing: str) -> None:
    with pytest.raises(InputError, match=r"model: expected a config.*found an empty one"):
        read_config(nothing)
