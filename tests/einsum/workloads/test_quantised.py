"""Quantised checkpoints: weight bytes counted by hand, module by module."""

import json
from pathlib import Path
from typing import Any

import pytest

import hwmodel as hw
from hwmodel.einsum.workloads.model import model
from hwmodel.quantity.errors import CoverageError, InputError

LAYERS, HIDDEN, INNER, VOCABULARY = 4, 256, 512, 1000
KV = 2 * 64  # two KV heads of 64
QKV, OUTPUT = HIDDEN * (HIDDEN + 2 * KV), HIDDEN * HIDDEN
GATE_UP, DOWN = 2 * HIDDEN * INNER, HIDDEN * INNER
LAYER = QKV + OUTPUT + GATE_UP + DOWN
HEAD = VOCABULARY * HIDDEN
NORMS = (2 * LAYERS + 1) * HIDDEN
SMALL: dict[str, Any] = {
    **{"model_type": "llama", "hidden_size": HIDDEN, "intermediate_size": INNER},
    **{"vocab_size": VOCABULARY, "num_hidden_layers": LAYERS, "num_attention_heads": 4},
    **{"num_key_value_heads": 2, "torch_dtype": "bfloat16"},
}
FP8 = {"quant_method": "fp8", "activation_scheme": "dynamic"}
MIXTURE: dict[str, Any] = SMALL | {
    **{"model_type": "qwen3_moe", "num_experts": 8, "num_experts_per_tok": 2, "head_dim": 64},
    **{"moe_intermediate_size": 128},
}
EXPERTS = 8 * 3 * HIDDEN * 128


def read(quantised: dict[str, Any], config: dict[str, Any] = SMALL) -> Any:
    return model(config | {"quantization_config": quantised})


def in_bytes(wide: int, narrow: int) -> int:
    return 2 * wide + narrow


@pytest.mark.parametrize("key", ["modules_to_not_convert", "ignored_layers", "ignore"])
@pytest.mark.parametrize(
    ("names", "wide"),
    [
        (["lm_head"], 0),
        ([], 0),
        (["model.layers.0.self_attn.o_proj"], OUTPUT),
        (["o_proj"], LAYERS * OUTPUT),
        (["self_attn"], LAYERS * (QKV + OUTPUT)),
        (["model.layers.*.self_attn"], LAYERS * (QKV + OUTPUT)),
        (["re:.*self_attn.*"], LAYERS * (QKV + OUTPUT)),
        (["model.layers.1.mlp.down_proj", "model.layers.3.mlp.down_proj"], 2 * DOWN),
        (["model.layers.0*"], LAYER),
        (["model.layers.2", "lm_head", "model.embed_tokens"], LAYER),
        ([f"model.layers.0.self_attn.{n}_proj" for n in "qkv"], QKV),
        (["model.layers.0.self_attn.qkv_proj"], QKV),
        (["gate_proj", "up_proj"], LAYERS * GATE_UP),
        (["model.layers.0.input_layernorm", "model.norm"], 0),
    ],
)
def test_modules_that_are_left_out_keep_their_bytes(key: str, names: list[str], wide: int) -> None:
    found = read(FP8 | {key: names})
    assert found.weight_bytes == in_bytes(2 * HEAD + NORMS + wide, LAYERS * LAYER - wide)
    assert not [w for w in found.warnings if " no module here" in w]


def test_layers_that_are_left_out_run_in_their_own_format() -> None:
    step = read(FP8 | {"ignore": ["model.layers.0.self_attn.o_proj"]}).decode(4, 64)
    named = {stage.name: (stage.times, stage.cascade) for stage in step.stages}
    quantised, kept = named["attention output"], named["attention output, not quantised"]
    assert (quantised[0], kept[0]) == (3, 1)
    assert {t.dtype for t in quantised[1].tensors.values() if t.role == "weight"} == {"fp8"}
    assert {t.dtype for t in kept[1].tensors.values() if t.role == "weight"} == {"bf16"}
    whole = read(FP8).decode(4, 64)
    more = hw.predict(step, "h200").dram_bytes_read - hw.predict(whole, "h200").dram_bytes_read
    assert more == pytest.approx(OUTPUT, rel=0.05)


def test_experts_that_are_left_out_keep_their_bytes() -> None:
    found = read(FP8 | {"ignore": ["model.layers.0.mlp.experts", "mlp.gate"]}, MIXTURE)
    norms = NORMS + LAYERS * 2 * 64
    wide = 2 * HEAD + norms + LAYERS * 8 * HIDDEN + EXPERTS
    assert found.weight_bytes == in_bytes(wide, LAYERS * (QKV + OUTPUT) + 3 * EXPERTS)
    stages = [s for s in found.prefill(1, 64).stages if s.name == "experts gate-up"]
    assert [s.times for s in stages] == [3, 1]


def test_a_llama_without_its_attention_quantised_is_counted_by_hand() -> None:
    # Llama-3.1-8B: 6.98 G linear parameters, of which 1.34 G of attention; 1.05 G others
    config = json.loads(
        (Path(hw.__file__).parent / "einsum/workloads/configs/llama-3.1-8b.json").read_text()
    )
    found = model(config | {"quantization_config": FP8 | {"ignored_layers": ["self_attn"]}})
    attention = 32 * (4096 * (4096 + 2048) + 4096 * 4096)
    mlp = 32 * 3 * 4096 * 14336
    others = 2 * 128256 * 4096 + 65 * 4096
    assert found.weight_bytes == 2 * (attention + others) + mlp
    assert found.weight_bytes / 1e9 == pytest.approx(10.43, abs=0.01)


def test_modelopts_file_beside_a_config_is_read(tmp_path: Path) -> None:
    config = Path(hw.__file__).parent / "einsum/workloads/configs/llama-3.1-70b.json"
    (tmp_path / "config.json").write_text(config.read_text())
    said = {"quant_algo": "FP8", "kv_cache_quant_algo": "FP8", "exclude_modules": ["lm_head"]}
    (tmp_path / "hf_quant_config.json").write_text(json.dumps({"quantization": said}))
    found = model(tmp_path)
    assert found.precision.weight == found.precision.linear == found.precision.kv == "fp8"
    assert found.weight_bytes / 1e9 == pytest.approx(72.7, abs=0.05)
    assert found.kv_bytes_per_token == 2 * 80 * 8 * 128
    (tmp_path / "hf_quant_config.json").write_text('{"producer": {}}')
    with pytest.raises(InputError, match=r"hf_quant_config\.json: expected a table 'quantization'"):
        model(tmp_path)


def test_a_head_that_is_not_left_out_is_quantised() -> None:
    scheme = {"num_bits": 8, "type": "float", "strategy": "channel"}
    group = {"targets": ["Linear"], "weights": scheme, "input_activations": scheme}
    given = {"quant_method": "compressed-tensors", "config_groups": {"group_0": group}}
    left = read(given | {"ignore": ["lm_head"]})
    assert left.weight_bytes == in_bytes(2 * HEAD + NORMS, LAYERS * LAYER)
    found = read(given)
    assert found.weight_bytes == in_bytes(HEAD + NORMS, LAYERS * LAYER + HEAD)
    (head,) = (s.cascade for s in found.decode(1, 8).stages if s.name == "head")
    assert {t.dtype for t in head.tensors.values() if t.role == "weight"} == {"fp8"}


@pytest.mark.parametrize(
    ("weights", "inputs", "weight", "linear"),
    [
        ({"num_bits": 8, "type": "float"}, {"num_bits": 8, "type": "float"}, "fp8", "fp8"),
        ({"num_bits": 8, "type": "int"}, {"num_bits": 8, "type": "int"}, "int8", "int8"),
        ({"num_bits": 4, "type": "int", "group_size": 128}, None, "int4@128:16", "bf16"),
        (
            {"num_bits": 4, "type": "int", "group_size": 64, "symmetric": False},
            *(None, "int4@64:20", "bf16"),
        ),
        (
            {"num_bits": 4, "type": "float", "group_size": 16},
            {"num_bits": 4, "type": "float", "group_size": 16},
            *("nvfp4", "nvfp4"),
        ),
        (
            {"num_bits": 8, "type": "float", "block_structure": [128, 128]},
            {"num_bits": 8, "type": "float", "group_size": 128},
            *("fp8@16384:32", "fp8"),
        ),
    ],
)
def test_compressed_tensors_formats(
    weights: dict[str, Any], inputs: dict[str, Any] | None, weight: str, linear: str
) -> None:
    group = {"targets": ["Linear"], "weights": weights, "input_activations": inputs}
    found = read({"quant_method": "compressed-tensors", "config_groups": {"g": group}})
    assert (found.precision.weight, found.precision.linear) == (weight, linear)


@pytest.mark.parametrize(
    ("scheme", "kv"),
    [
        (None, "bf16"),
        ("FP8", "fp8"),
        ({"num_bits": 8, "type": "float"}, "fp8"),
        ({"num_bits": 8, "type": "int"}, "int8"),
    ],
)
def test_the_caches_scheme_is_read(scheme: Any, kv: str) -> None:
    assert read(FP8 | {"kv_cache_scheme": scheme}).precision.kv == kv


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (FP8 | {"kv_cache_scheme": "fp7"}, "kv_cache_scheme: 'fp7' is not modelled"),
        ({"quant_method": "modelopt", "quant_algo": "W4A8"}, "quant_algo: 'W4A8' is not modelled"),
        ({"quant_algo": "MIXED_PRECISION"}, "quant_algo: 'MIXED_PRECISION' is not modelled"),
        ({"quant_method": "compressed-tensors"}, "config_groups: None is not modelled"),
    ],
)
def test_what_cannot_be_followed_is_refused_by_name(given: dict[str, Any], said: str) -> None:
    with pytest.raises(CoverageError, match=said):
        read(given)


def test_parts_of_a_fused_product_in_two_formats_are_products_apart() -> None:
    found = read(FP8 | {"ignore": ["model.layers.0.self_attn.q_proj", "k_proj"]})
    products = [s for s in found.decode(1, 8).stages if s.role == "attention.qkv"]
    stages = {s.name: (s.times, s.cascade.sizes()["n"]) for s in products}
    wide, narrow = "qkv, q_proj and k_proj, not quantised", "qkv, v_proj"
    assert stages[wide] == (1, HIDDEN + KV)
    assert stages["qkv, k_proj, not quantised"] == (LAYERS - 1, KV)
    assert stages["qkv, q_proj"] == (LAYERS - 1, HIDDEN)
    assert stages[narrow] == (LAYERS, KV)
    left = HIDDEN * HIDDEN + LAYERS * HIDDEN * KV
    assert found.weight_bytes == in_bytes(2 * HEAD + NORMS + left, LAYERS * LAYER - left)


def test_one_expert_by_itself_is_told_to_be_counted_like_the_first() -> None:
    found = read(FP8 | {"ignore": ["model.layers.0.mlp.experts.3.up_proj"]}, MIXTURE)
    assert any("experts of a layer are counted alike" in words for words in found.warnings)
    assert found.weight_bytes == read(FP8, MIXTURE).weight_bytes


def test_bad_lists_of_names_are_errors() -> None:
    with pytest.raises(InputError, match="ignore: expected a list of names, found 'lm_head'"):
        read(FP8 | {"ignore": "lm_head"})
    with pytest.raises(InputError, match=r"'re:\(' is no regular expression"):
        read(FP8 | {"ignore": ["re:("]})


@pytest.mark.parametrize(
    "endless",
    [
        r"(\w+\.?)+X",
        "(((.*)*)*)*x",
        "(a|a)*b",
        "(.?){45}X",
        ".*" * 9 + "X",
        "(.|.)" * 40,
    ],
)
def test_an_expression_that_could_take_for_ever_is_refused(endless: str) -> None:
    with pytest.raises(InputError, match="at most 4 repetitions"):
        read(FP8 | {"ignore": [f"re:{endless}"]})


@pytest.mark.parametrize(
    "usual",
    [
        r".*self_attn\.(q|k|v)_proj$",
        r"^model\.layers\.(\d+)\..*gate$",
        r".*[()*+]",
        r"(?:.*)lm_head\)*",
    ],
)
def test_usual_expressions_are_taken(usual: str) -> None:
    assert read(FP8 | {"ignore": [f"re:{usual}"]}).name == "config"


def test_names_and_keys_that_say_nothing_are_told() -> None:
    found = read(FP8 | {"ignore": ["model.layers.99.mlp", "wobble"], "smoothing": 3})
    said = "config: quantization_config: 'model.layers.99.mlp', 'wobble' name no module here"
    assert said in found.warnings
    assert "config: quantization_config: 'smoothing' is not read" in found.warnings


def test_an_argument_that_overrules_the_weights_holds_for_all_of_them() -> None:
    config = SMALL | {"quantization_config": FP8 | {"ignore": ["self_attn"]}}
    found = model(config, weight_dtype="int8")
    assert found.weight_bytes == in_bytes(2 * HEAD + NORMS, LAYERS * LAYER)


def test_shares_of_devices_keep_the_modules_left_out() -> None:
    found = read(FP8 | {"ignore": ["self_attn"]})
    halves = 2 * found.shard(2).weight_bytes
    assert halves == found.weight_bytes + 2 * NORMS
