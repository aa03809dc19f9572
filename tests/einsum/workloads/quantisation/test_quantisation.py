"""What configs say of formats, module by module; what is told, what is refused."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hwmodel.einsum.workloads.formats import ModuleFormats
from hwmodel.einsum.workloads.quantisation.quantisation import Quantisation, quantisation
from hwmodel.quantity.errors import CoverageError, InputError

FP8 = {"quant_method": "fp8", "activation_scheme": "dynamic"}
DOWN = "model.layers.3.mlp.down_proj"
GROUPS = {"quant_method": "compressed-tensors"}
NVFP4 = {"num_bits": 4, "type": "float", "group_size": 16}
INT8 = {"num_bits": 8, "type": "int"}
CONFIGS = Path(__file__).parents[5] / "shared/data/configs"


def said(given: dict[str, Any] | None, stored: str = "bf16") -> Quantisation:
    return quantisation("config", given, stored)


def formats(given: dict[str, Any], path: str = DOWN) -> tuple[str, str]:
    found = said(given).of(path)
    return found.weight, found.input


def group(weights: Any, inputs: Any = None, targets: Any = ("Linear",)) -> dict[str, Any]:
    return {"weights": weights, "input_activations": inputs, "targets": list(targets)}


def torchao(kind: str, **fields: Any) -> dict[str, Any]:
    made = {"_type": f"{kind}Config", "_data": fields, "_version": 1}
    return {"quant_method": "torchao", "quant_type": {"default": made}}


@pytest.mark.parametrize(
    ("given", "weight", "linear"),
    [
        (FP8, "fp8", "fp8"),
        (FP8 | {"activation_scheme": "static"}, "fp8", "fp8"),
        (FP8 | {"weight_block_size": [128, 128]}, "fp8@16384:32", "fp8"),
        (FP8 | {"dequantize": True}, "bf16", "bf16"),
        ({"quant_method": "fbgemm_fp8", "activation_scale_ub": 1200.0}, "fp8", "fp8"),
        ({"quant_method": "gptq", "bits": 4, "group_size": 128}, "int4@128:20", "bf16"),
        ({"quant_method": "gptq", "bits": 3, "group_size": 64}, "int3@64:19", "bf16"),
        ({"quant_method": "gptq", "bits": 8, "group_size": -1}, "int8", "bf16"),
        ({"quant_method": "awq", "bits": 4, "group_size": 64}, "int4@64:20", "bf16"),
        ({"quant_method": "auto-round", "bits": 2, "group_size": 32}, "int2@32:18", "bf16"),
        (
            {"quant_method": "auto-round", "bits": 4, "data_type": "nv_fp", "act_bits": 4},
            *("nvfp4", "nvfp4"),
        ),
        (GROUPS | {"config_groups": {"g": group(INT8, INT8)}}, "int8", "int8"),
        (GROUPS | {"config_groups": {"g": group(NVFP4, NVFP4)}}, "nvfp4", "nvfp4"),
        (GROUPS | {"config_groups": {"g": group(NVFP4)}}, "nvfp4", "bf16"),
        (
            GROUPS
            | {"config_groups": {"g": group({"num_bits": 4, "type": "float"})}}
            | {"format": "nvfp4-pack-quantized"},
            *("nvfp4", "bf16"),
        ),
        (
            GROUPS | {"config_groups": {"g": group({**NVFP4, "group_size": 32})}},
            *("mxfp4", "bf16"),
        ),
        (
            GROUPS
            | {"config_groups": {"g": group({**INT8, "num_bits": 4, "group_size": 64}, INT8)}},
            *("int4@64:16", "int8"),
        ),
        ({"quant_algo": "FP8"}, "fp8", "fp8"),
        ({"quant_algo": "fp8_pb_wo"}, "fp8@16384:32", "fp8"),
        ({"quant_algo": "NVFP4", "group_size": 16}, "nvfp4", "nvfp4"),
        ({"quant_algo": "W4A16_NVFP4"}, "nvfp4", "bf16"),
        ({"quant_algo": "W4A8_MXFP4_FP8"}, "mxfp4", "fp8"),
        ({"quant_algo": "W4A8_AWQ", "group_size": 128}, "int4@128:16", "fp8"),
        ({"quant_algo": "W4A16_AWQ", "group_size": 64}, "int4@64:16", "bf16"),
        ({"quant_algo": "W8A8_SQ_PER_CHANNEL"}, "int8", "int8"),
        ({"quant_algo": None, "kv_cache_quant_algo": "FP8"}, "bf16", "bf16"),
        ({"quant_algo": "NO_QUANT"}, "bf16", "bf16"),
        ({"quantization": {"quant_algo": "FP8"}}, "fp8", "fp8"),
        ({"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}, "nf4@64:32", "bf16"),
        ({"load_in_4bit": True, "bnb_4bit_compute_dtype": "float16"}, "fp4@64:32", "fp16"),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True}, "int8", "int8"),
        (torchao("Int4WeightOnly", group_size=64), "int4@64:32", "bf16"),
        (torchao("Int8DynamicActivationInt8Weight"), "int8", "int8"),
        (torchao("Float8DynamicActivationFloat8Weight"), "fp8", "fp8"),
        (torchao("Int8DynamicActivationInt4Weight"), "int4@32:16", "int8"),
        (
            torchao(
                "IntxWeightOnly",
                weight_dtype={"_type": "torch.dtype", "_data": "int6"},
                granularity={"_type": "PerGroup", "_data": {"group_size": 32}},
            ),
            *("int6@32:16", "bf16"),
        ),
        ({"quant_method": "torchao", "quant_type": "int8_weight_only"}, "int8", "bf16"),
        (
            {
                **{"quant_method": "torchao", "quant_type": "int4_weight_only"},
                "quant_type_kwargs": {"group_size": 256},
            },
            *("int4@256:32", "bf16"),
        ),
        (
            {
                "quant_method": "hqq",
                "quant_config": {"weight_quant_params": {"nbits": 4, "group_size": 64}},
            },
            *("int4@64:32", "bf16"),
        ),
        (
            {
                "quant_method": "hqq",
                "quant_config": {
                    "self_attn.q_proj": {"nbits": 8, "group_size": 64},
                    "mlp.down_proj": {"nbits": 2, "group_size": 16},
                },
            },
            *("int2@16:32", "bf16"),
        ),
        ({"quant_method": "quanto", "weights": "int8", "activations": None}, "int8", "bf16"),
        ({"quant_method": "eetq"}, "int8", "bf16"),
        ({"quant_method": "bitnet"}, "int2", "int8"),
    ],
)
def test_formats_of_a_linear_layer(given: dict[str, Any], weight: str, linear: str) -> None:
    assert formats(given) == (weight, linear)


@pytest.mark.parametrize(
    ("given", "head"),
    [
        (FP8, "bf16"),
        ({"quant_method": "gptq", "bits": 4, "group_size": 128}, "bf16"),
        ({"quant_method": "gptq", "bits": 4, "group_size": 128, "lm_head": True}, "int4@128:20"),
        (GROUPS | {"config_groups": {"g": group(INT8)}}, "int8"),
        (GROUPS | {"config_groups": {"g": group(INT8)}, "ignore": ["lm_head"]}, "bf16"),
        ({"quant_algo": "FP8"}, "fp8"),
        ({"quant_algo": "FP8", "exclude_modules": ["lm_head"]}, "bf16"),
        (torchao("Int8WeightOnly") | {"include_input_output_embeddings": True}, "int8"),
        ({"load_in_4bit": True}, "bf16"),
        ({"quant_method": "mxfp4"}, "bf16"),
    ],
)
def test_heads_are_quantised_where_the_method_does(given: dict[str, Any], head: str) -> None:
    assert said(given).of("lm_head").weight == head


@pytest.mark.parametrize(
    "path",
    [
        "model.embed_tokens",
        "model.layers.0.input_layernorm",
        "model.layers.0.self_attn.q_norm",
        "model.layers.0.mlp.gate",
        "model.layers.0.block_sparse_moe.gate",
        "model.layers.0.mlp.router",
        "model.layers.0.mlp.shared_expert_gate",
        "model.layers.0.linear_attn.conv1d",
        "model.layers.0.linear_attn.A_log",
    ],
)
def test_what_no_method_quantises_stays_as_it_is(path: str) -> None:
    wide = GROUPS | {"config_groups": {"g": group(INT8, targets=["Linear", "re:.*layers.*"])}}
    for given in (FP8, wide, {"quant_algo": "NVFP4"}, {"load_in_8bit": True}):
        assert said(given).of(path) == ModuleFormats("bf16", "bf16")


def test_towers_beside_the_language_model_are_left_by_tools_for_language_models() -> None:
    tower = "model.visual.blocks.0.attn.qkv"
    assert formats({"quant_algo": "FP8"}, tower) == ("bf16", "bf16")
    assert formats({"quant_method": "awq", "bits": 4, "group_size": 128}, tower)[0] == "bf16"
    assert formats(GROUPS | {"config_groups": {"g": group(INT8, INT8)}}, tower)[0] == "int8"


def test_groups_of_names_go_before_the_group_of_a_class() -> None:
    groups = {
        "class": group(NVFP4, NVFP4),
        "names": group(INT8, INT8, [r"re:.*self_attn\.(q|k|v|o)_proj$", "model.layers.0.mlp"]),
    }
    given = GROUPS | {"config_groups": groups, "ignore": ["model.layers.1.self_attn.o_proj"]}
    front = "model.layers"
    assert formats(given, f"{front}.1.self_attn.q_proj") == ("int8", "int8")
    assert formats(given, f"{front}.1.self_attn.o_proj") == ("bf16", "bf16")
    assert formats(given, f"{front}.0.mlp.up_proj") == ("int8", "int8")
    assert formats(given, f"{front}.1.mlp.up_proj") == ("nvfp4", "nvfp4")


def test_a_table_of_layers_says_nothing_of_the_others() -> None:
    given = {
        "quant_algo": "MIXED_PRECISION",
        "quantized_layers": {"model.layers.3.mlp.experts": {"quant_algo": "NVFP4"}},
    }
    assert formats(given, "model.layers.3.mlp.experts.7.up_proj") == ("nvfp4", "nvfp4")
    assert formats(given, "model.layers.4.mlp.experts.7.up_proj") == ("bf16", "bf16")
    assert formats(given, "model.layers.3.mlp.shared_experts.up_proj") == ("bf16", "bf16")


@pytest.mark.parametrize(
    ("name", "path", "left"),
    [
        ("model.layers.1.mlp", "model.layers.1.mlp.down_proj", True),
        ("model.layers.1.mlp", "model.layers.11.mlp.down_proj", False),
        ("model.layers.1*", "model.layers.11.mlp.down_proj", True),
        ("model.layers.1.*", "model.layers.11.mlp.down_proj", False),
        ("layers.1.ffn.w2", "model.layers.1.mlp.down_proj", True),
        ("model.layers.1.block_sparse_moe.experts", "model.layers.1.mlp.experts.0.w1", True),
        ("language_model.model.layers.1.self_attn*", "model.layers.1.self_attn.o_proj", True),
        ("model.language_model.layers.1.mlp", "language_model.model.layers.1.mlp.up_proj", True),
        ("model.layers.1.self_attn.qkv_proj", "model.layers.1.self_attn.k_proj", True),
        ("model.layers.1.mlp.gate_up_proj", "model.layers.1.mlp.down_proj", False),
        ("down_proj", "model.layers.1.mlp.down_proj", True),
        ("proj", "model.layers.1.mlp.down_proj", False),
        ("*.shared_experts.*", "model.layers.1.mlp.shared_experts.up_proj", True),
        (r"re:model\.layers\.1\..*", "model.language_model.layers.1.mlp.up_proj", True),
        ("model.layers.1.mlp.experts.gate_up_proj", "model.layers.1.mlp.experts.0.up_proj", True),
        ("model.layers.1.mlp.experts.3", "model.layers.1.mlp.experts.0.up_proj", False),
        ("model.layers.1.mlp.down_proj.weight", "model.layers.1.mlp.down_proj", True),
    ],
)
def test_names_mean_modules_as_libraries_take_them(name: str, path: str, left: bool) -> None:
    assert (formats(FP8 | {"ignore": [name]}, path)[0] == "bf16") == left


def test_a_fused_module_has_the_format_of_its_parts() -> None:
    given = FP8 | {"ignore": [f"model.layers.0.self_attn.{n}_proj" for n in "qkv"]}
    assert formats(given, "model.layers.0.self_attn.qkv_proj") == ("bf16", "bf16")
    assert formats(given, "model.layers.1.self_attn.qkv_proj") == ("fp8", "fp8")
    with pytest.raises(CoverageError, match=r"q_proj bf16, k_proj as others, .*in one format"):
        said(FP8 | {"ignore": ["q_proj"]}).of("model.layers.0.self_attn.qkv_proj")


def test_names_that_mean_no_module_are_told_once() -> None:
    found = said(
        FP8
        | {
            "ignore": [
                "lm_head",
                "model.layers.9.mlp",
                "wobble",
                "*.norm",
                "mtp*",
                "model.vision_tower*",
                "re:.*lm_head$",
            ]
        }
    )
    paths = [DOWN, "model.layers.3.self_attn.q_proj"]
    assert found.unmatched(paths) == ("model.layers.9.mlp", "wobble")
    assert found.complaints(paths) == (
        "config: quantization_config: 'model.layers.9.mlp', 'wobble' name no module here",
    )
    assert said(FP8 | {"ignore": ["mlp"]}).complaints(paths) == ()
    patterns = ["*.mlp", "*.wobble", r"re:.*q_proj", r"re:.*k_proj"]
    assert said(FP8 | {"ignore": patterns}).unmatched(paths) == ("*.wobble", "re:.*k_proj")
    many = said(FP8 | {"ignore": [f"a{n}" for n in range(20)]}).complaints(paths)
    assert len(many) == 1
    assert "and 12 more name no module" in many[0]


def test_unknown_keys_are_told_in_one_message() -> None:
    found = said(FP8 | {"smoothing": 3, "wobble": 4, "kv_cache_scheme": None})
    assert found.warnings == ("config: quantization_config: 'smoothing', 'wobble' are not read",)


def test_sparse_weights_are_counted_as_dense_and_told() -> None:
    given = GROUPS | {"config_groups": {"g": group(INT8)}, "sparsity_config": {"format": "dense"}}
    assert said(given).warnings == ()
    (told,) = said(given | {"sparsity_config": {"format": "sparse-24-bitmask"}}).warnings
    assert "sparse-24-bitmask is counted as dense" in told


@pytest.mark.parametrize(
    ("given", "kv"),
    [
        ({"kv_cache_scheme": {"num_bits": 8, "type": "float"}}, "fp8"),
        ({"kv_cache_scheme": {"num_bits": 8, "type": "int"}}, "int8"),
        ({"kv_cache_scheme": "FP8"}, "fp8"),
        ({"kv_cache_scheme": {"num_bits": 4, "type": "float"}}, "nvfp4"),
        ({"kv_cache_quant_algo": "NVFP4"}, "nvfp4"),
        ({"kv_cache_quant_algo": None}, None),
        ({"kv_cache_dtype": "auto"}, None),
        ({}, None),
    ],
)
def test_the_caches_format_is_read(given: dict[str, Any], kv: str | None) -> None:
    assert said(FP8 | given).kv == kv


def test_no_table_is_no_quantisation() -> None:
    assert said(None, "fp16").of(DOWN) == ModuleFormats("fp16", "fp16")
    assert said(None).kv is None
    assert said(None).unmatched([DOWN]) == ()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"quant_method": "exl2"}, r"quant_method: 'exl2' is not modelled; expected one of .*awq"),
        ({"quant_algo": "W9A9"}, r"quant_algo: 'W9A9' is not modelled; .*NVFP4"),
        ({"quant_algo": "MIXED_PRECISION"}, r"expected a table quantized_layers beside it"),
        (GROUPS, r"config_groups: None is not modelled; expected a group"),
        (FP8 | {"kv_cache_scheme": {"num_bits": 5}}, r"'None of 5 bits' is not modelled"),
        (FP8 | {"kv_cache_scheme": "fp7"}, r"kv_cache_scheme: 'fp7' is not modelled"),
        (FP8 | {"expert_dtype": "fp5"}, r"expert_dtype: 'fp5' is not modelled"),
        ({"quant_method": "gptq", "bits": 9, "group_size": 128}, r"bits: 9 is not modelled"),
        (torchao("Wobble"), r"quant_type: 'WobbleConfig' is not modelled"),
        (
            {
                "quant_method": "quark",
                "global_quant_config": {"weight": {"dtype": "mx6", "group_size": 16}},
            },
            r"global_quant_config\.weight\.dtype: 'mx6 in groups of None' is not modelled",
        ),
        (
            GROUPS | {"config_groups": {"g": group({"num_bits": 5, "type": "float"})}},
            r"config_groups\.g\.weights\.type: 'float of 5 bits, groups of None' is not modelled",
        ),
    ],
)
def test_what_no_rule_knows_is_refused_by_name(given: dict[str, Any], message: str) -> None:
    with pytest.raises(CoverageError, match=message):
        said(given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (FP8 | {"ignore": "lm_head"}, r"ignore: expected a list of names, found 'lm_head'"),
        (FP8 | {"ignore": ["re:("]}, r"'re:\(' is no regular expression"),
        (FP8 | {"ignore": [r"re:(\w+\.?)+X"]}, r"at most 4 repetitions"),
        (FP8 | {"weight_block_size": 128}, r"weight_block_size: expected two whole numbers"),
        ({"quant_method": "gptq", "group_size": 8}, r"bits: expected a whole number, found None"),
        ({"quant_method": "gptq", "bits": 4, "group_size": "x"}, r"group_size: expected a whole"),
        (GROUPS | {"config_groups": {"g": 4}}, r"config_groups\.g: expected a table, found 4"),
    ],
)
def test_values_of_another_kind_are_errors(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        said(given)


def stated() -> Iterator[tuple[str, dict[str, Any]]]:
    """The tables of the configs that lie beside the checkout."""
    for path in sorted(CONFIGS.glob("*.json")):
        config = json.loads(path.read_text())
        if isinstance(config, dict) and "quantization_config" in config:
            yield path.stem, config["quantization_config"]  # pyright: ignore[reportUnknownMemberType]


def test_every_published_table_is_read_whole() -> None:
    tables = dict(stated())
    if not tables:
        pytest.skip(f"no configs in {CONFIGS}")
    assert len(tables) >= 26
    for name, table in tables.items():
        found = said(table)
        assert found.warnings == (), name
        up, attention = found.of("model.layers.40.mlp.experts.0.up_proj"), "self_attn.o_proj"
        assert up.weight in ("fp8", "fp8@16384:32", "nvfp4", "mxfp4") or "Qwen3.6" in name, name
        if "NVFP4" in name and "Qwen3.6" not in name:
            wide = "fp8@16384:32" if "V4" in name else "bf16"
            assert found.of(f"model.layers.11.{attention}").weight == wide, name
            assert found.kv == (None if "V4" in name else "fp8"), name
