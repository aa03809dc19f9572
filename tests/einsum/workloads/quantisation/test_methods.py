"""Methods of quantising, one by one: each class, scheme and override of their tables."""

from typing import Any

import pytest

from hwmodel.einsum.workloads.quantisation.quantisation import Quantisation, quantisation
from hwmodel.quantity.errors import CoverageError, InputError

DOWN = "model.layers.3.mlp.down_proj"
INT8 = {"num_bits": 8, "type": "int"}


def said(given: dict[str, Any]) -> Quantisation:
    return quantisation("config", given, "bf16")


def formats(given: dict[str, Any], path: str = DOWN) -> tuple[str, str]:
    found = said(given).of(path)
    return found.weight, found.input


def torchao(kind: str, **fields: Any) -> dict[str, Any]:
    made = {"_type": f"{kind}Config", "_data": fields, "_version": 1}
    return {"quant_method": "torchao", "quant_type": {"default": made}}


@pytest.mark.parametrize(
    ("kind", "fields", "weight", "linear"),
    [
        ("Int4WeightOnly", {}, "int4@128:32", "bf16"),
        ("Int8WeightOnly", {}, "int8", "bf16"),
        ("Int8DynamicActivationInt4Weight", {"group_size": 64}, "int4@64:16", "int8"),
        ("Int8DynamicActivationIntxWeight", {"weight_dtype": "torch.int4"}, "int4@32:16", "int8"),
        ("IntxWeightOnly", {"weight_dtype": "torch.int3", "group_size": 64}, "int3@64:16", "bf16"),
        (
            "IntxWeightOnly",
            {"weight_dtype": "torch.int4", "granularity": {"_type": "PerAxis", "_data": {}}},
            *("int4", "bf16"),
        ),
        ("UIntXWeightOnly", {"dtype": "torch.uint5", "group_size": 64}, "int5@64:32", "bf16"),
        ("GemliteUIntXWeightOnly", {"bit_width": 4, "group_size": 128}, "int4@128:32", "bf16"),
        ("Float8WeightOnly", {}, "fp8", "bf16"),
        ("Float8StaticActivationFloat8Weight", {}, "fp8", "fp8"),
        ("Float8DynamicActivationInt4Weight", {}, "int4@128:16", "fp8"),
        ("MXFPInference", {}, "mxfp4", "mxfp4"),
        ("NVFP4Inference", {}, "nvfp4", "nvfp4"),
        ("NVFP4WeightOnly", {}, "nvfp4", "bf16"),
        ("NVFP4DynamicActivationNVFP4Weight", {}, "nvfp4", "nvfp4"),
    ],
)
def test_classes_of_torchao(kind: str, fields: dict[str, Any], weight: str, linear: str) -> None:
    assert formats(torchao(kind, **fields)) == (weight, linear)


@pytest.mark.parametrize(
    ("name", "weight", "linear"),
    [
        ("int4wo", "int4@128:32", "bf16"),
        ("int8wo", "int8", "bf16"),
        ("int8dq", "int8", "int8"),
        ("int8_dynamic_activation_int4_weight", "int4@32:16", "int8"),
        ("float8wo", "fp8", "bf16"),
        ("float8dq", "fp8", "fp8"),
    ],
)
def test_older_names_of_torchao(name: str, weight: str, linear: str) -> None:
    assert formats({"quant_method": "torchao", "quant_type": name}) == (weight, linear)


def test_torchao_has_a_configuration_for_each_module() -> None:
    four = {"_type": "Int4WeightOnlyConfig", "_data": {"group_size": 128}}
    eight: dict[str, Any] = {"_type": "Int8WeightOnlyConfig", "_data": {}}
    lines: dict[str, Any] = {
        "_default": eight,
        "model.layers.3.mlp.down_proj": four,
        "re:.*self_attn.*": None,
    }
    given = torchao("ModuleFqnTo", module_fqn_to_config=lines)
    assert formats(given) == ("int4@128:32", "bf16")
    assert formats(given, "model.layers.2.mlp.down_proj") == ("int8", "bf16")
    assert formats(given, "model.layers.2.self_attn.q_proj") == ("bf16", "bf16")
    assert formats(given, "lm_head") == ("bf16", "bf16")
    headed = torchao("FqnTo", fqn_to_config={"lm_head": four})
    assert formats(headed, "lm_head") == ("int4@128:32", "bf16")
    assert formats(headed) == ("bf16", "bf16")
    with pytest.raises(InputError, match=r"down_proj: expected a table, found 4"):
        said(torchao("FqnTo", fqn_to_config={"down_proj": 4}))


def quark(**lines: Any) -> dict[str, Any]:
    return {"quant_method": "quark", "global_quant_config": lines}


FP8_TENSOR = {"dtype": "fp8_e4m3", "qscheme": "per_tensor"}


@pytest.mark.parametrize(
    ("given", "weight", "linear"),
    [
        (quark(weight=FP8_TENSOR, input_tensors=FP8_TENSOR), "fp8", "fp8"),
        (quark(weight=FP8_TENSOR), "fp8", "bf16"),
        (quark(weight={"dtype": "int8", "qscheme": "per_channel"}), "int8", "bf16"),
        (
            quark(weight={"dtype": "uint4", "qscheme": "per_group", "group_size": 128}),
            *("int4@128:16", "bf16"),
        ),
        (
            quark(
                weight={
                    **{"dtype": "uint4", "qscheme": "per_group", "group_size": 128},
                    "symmetric": False,
                }
            ),
            *("int4@128:20", "bf16"),
        ),
        (
            quark(
                weight=[{"dtype": "fp4", "qscheme": "per_group", "group_size": 16}, FP8_TENSOR],
                input_tensors={"dtype": "fp4", "qscheme": "per_group", "group_size": 16},
            ),
            *("nvfp4", "nvfp4"),
        ),
        (
            quark(weight={"dtype": "fp6", "qscheme": "per_group", "group_size": 32}),
            *("fp6@32:8", "bf16"),
        ),
        (
            quark(
                weight={"dtype": "fp4_e2m1", "qscheme": "per_group"},
                input_tensors={"is_dynamic": True},
            ),
            *("mxfp4", "mxfp4"),
        ),
        (quark(weight={"dtype": "bfloat16"}), "bf16", "bf16"),
        (quark(), "bf16", "bf16"),
    ],
)
def test_schemes_of_quark(given: dict[str, Any], weight: str, linear: str) -> None:
    assert formats(given) == (weight, linear)


def test_quark_says_the_caches_format_by_module_or_by_outputs() -> None:
    table = {"*k_proj": {"output_tensors": FP8_TENSOR}, "*v_proj": {"output_tensors": FP8_TENSOR}}
    assert said(quark(weight=FP8_TENSOR) | {"kv_cache_quant_config": table}).kv == "fp8"
    by_layer = {"*v_proj": {"weight": FP8_TENSOR, "output_tensors": FP8_TENSOR}}
    assert said(quark(weight=FP8_TENSOR) | {"layer_quant_config": by_layer}).kv == "fp8"
    assert said(quark(weight=FP8_TENSOR, output_tensors=FP8_TENSOR)).kv is None


@pytest.mark.parametrize(
    ("given", "path", "weight"),
    [
        ({"modules_in_block_to_quantize": [["mlp.down_proj"]]}, DOWN, "int4@128:20"),
        ({"modules_in_block_to_quantize": ["mlp.up_proj"]}, DOWN, "bf16"),
        ({"dynamic": {r"-:.*down_proj": {}}}, DOWN, "bf16"),
        ({"dynamic": {r".*down_proj": {"bits": 2}}}, DOWN, "int2@128:18"),
        ({"extra_config": {DOWN: {"bits": 16}}}, DOWN, "bf16"),
        ({"extra_config": {DOWN: {"bits": 8, "group_size": None}}}, DOWN, "int8@128:24"),
        ({"zero_point": False}, DOWN, "int4@128:16"),
        ({}, "model.visual.blocks.0.attn.qkv", "bf16"),
    ],
)
def test_modules_with_bits_of_their_own(given: dict[str, Any], path: str, weight: str) -> None:
    for method in ("gptq", "awq", "auto-round"):
        table = {"quant_method": method, "bits": 4, "group_size": 128}
        assert formats(table | given, path) == (weight, "bf16")


@pytest.mark.parametrize(
    ("kind", "bits", "activation", "weight", "linear"),
    [
        ("int", 4, 16, "int4@32:20", "bf16"),
        ("mx_fp", 4, 4, "mxfp4", "mxfp4"),
        ("mx_fp", 8, 8, "fp8@32:8", "fp8"),
        ("nv_fp", 4, 16, "nvfp4", "bf16"),
        ("nv_fp", 4, 8, "nvfp4", "fp8"),
        ("fp", 8, 8, "fp8", "fp8"),
        ("int", 8, 8, "int8", "int8"),
    ],
)
def test_data_types_of_autoround(
    kind: str, bits: int, activation: int, weight: str, linear: str
) -> None:
    given = {"quant_method": "auto-round", "bits": bits, "group_size": 32, "data_type": kind}
    assert formats(given | {"act_bits": activation}) == (weight, linear)


@pytest.mark.parametrize(
    ("given", "weight", "linear"),
    [
        ({"quant_config": {"weight_quant_params": {}}}, "int4@64:32", "bf16"),
        ({"nbits": 3, "group_size": 128}, "int3@128:32", "bf16"),
    ],
)
def test_hqq_has_defaults_and_older_keys(given: dict[str, Any], weight: str, linear: str) -> None:
    assert formats({"quant_method": "hqq"} | given) == (weight, linear)


@pytest.mark.parametrize(
    ("given", "weight", "linear"),
    [
        ({"weights": "int4", "activations": "int8"}, "int4@128:32", "int8"),
        ({"weights": "float8", "activations": "float8"}, "fp8", "fp8"),
        ({"weights": "int2"}, "int2@128:32", "bf16"),
    ],
)
def test_quanto_names_formats(given: dict[str, Any], weight: str, linear: str) -> None:
    assert formats({"quant_method": "quanto"} | given) == (weight, linear)


def test_formats_by_module_of_a_file_are_exact() -> None:
    given = {"quant_method": "gguf", "formats": {DOWN: "int6@256:144", "lm_head": "q8"}}
    with pytest.raises(InputError, match="unknown dtype 'q8'"):
        said(given)
    given["formats"] = {DOWN: "int6@256:144", "model.embed_tokens": "int4@256:128"}
    assert formats(given) == ("int6@256:144", "bf16")
    assert formats(given, "model.embed_tokens") == ("int4@256:128", "bf16")
    assert formats(given, "model.layers.2.mlp.down_proj") == ("bf16", "bf16")
    with pytest.raises(InputError, match=r"expected the name of a format, found 4"):
        said({"quant_method": "gguf", "formats": {DOWN: 4}})


@pytest.mark.parametrize(
    ("given", "method"),
    [
        ({"quant_method": "intel/auto-round", "bits": 4, "group_size": 128}, "int4@128:20"),
        ({"quant_method": "gptq_marlin", "bits": 4, "group_size": 128}, "int4@128:20"),
        ({"quant_method": "modelopt_fp4", "quant_algo": "NVFP4"}, "nvfp4"),
        ({"quant_method": "ModelOpt", "quantization_algo": "FP8"}, "fp8"),
        ({"quant_method": "mxfp8", "ignored_layers": ["lm_head"]}, "fp8@32:8"),
        ({"quant_method": "bitsandbytes_8bit", "load_in_8bit": True}, "int8"),
        ({"config_groups": {"g": {"weights": INT8}}}, "int8"),
        ({"kv_cache_quant_algo": "FP8"}, "bf16"),
    ],
)
def test_methods_are_known_by_other_names_and_by_their_keys(
    given: dict[str, Any], method: str
) -> None:
    assert formats(given)[0] == method


@pytest.mark.parametrize("method", ["modelopt", "modelopt_fp4", "nvfp4"])
def test_modelopt_that_names_no_algorithm_is_not_taken_for_wide(method: str) -> None:
    with pytest.raises(
        CoverageError, match=r"quant_algo: None is not modelled; expected one of FP8"
    ):
        said({"quant_method": method, "group_size": 16})
    assert formats({"quant_method": method, "quant_algo": None})[0] == "bf16"
