"""Formats: config, then arguments that overrule it with a warning; block scales count."""

from typing import Any

import pytest

from hwmodel.einsum.workloads.model import model
from hwmodel.quantity.errors import CoverageError, InputError, UnknownNameError

SMALL: dict[str, Any] = {
    **{"model_type": "llama", "hidden_size": 256, "intermediate_size": 512, "vocab_size": 10},
    **{"num_hidden_layers": 2, "num_attention_heads": 4, "torch_dtype": "bfloat16"},
}
LINEAR = 2 * (4 * 256 * 256 + 3 * 256 * 512)
REST = 2 * 10 * 256 + 5 * 256


def test_the_config_decides_without_arguments() -> None:
    read = model(SMALL | {"torch_dtype": "float16"})
    assert (read.precision.weight, read.precision.kv, read.precision.activation) == ("fp16",) * 3
    assert read.warnings == ()
    newer = {k: v for k, v in SMALL.items() if k != "torch_dtype"} | {"dtype": "float32"}
    assert model(newer).precision.weight == "fp32"


def test_one_argument_sets_all_formats_and_warns() -> None:
    read = model(SMALL, dtype="fp16")
    assert (read.precision.weight, read.precision.kv, read.precision.activation) == ("fp16",) * 3
    assert "config: kv format bf16 overruled by the argument fp16" in read.warnings


def test_an_argument_that_agrees_warns_of_nothing() -> None:
    assert model(SMALL, dtype="bf16").warnings == ()


def test_each_format_has_its_own_argument() -> None:
    read = model(SMALL, kv_dtype="fp8")
    assert (read.precision.weight, read.precision.kv, read.precision.activation) == (
        *("bf16", "fp8", "bf16"),
    )
    assert read.kv_bytes_per_token == 2 * 2 * 256
    stack = read.decode(1, 10)
    attention = next(s.cascade for s in stack.stages if s.name == "attention")
    assert {n: attention.tensors[n].dtype for n in ("Q", "K", "V", "AV")} == {
        **{"Q": "bf16", "K": "fp8", "V": "fp8", "AV": "bf16"}
    }


def test_narrow_weights_leave_embedding_and_norms_wide() -> None:
    assert model(SMALL, weight_dtype="fp8").weight_bytes == LINEAR + 2 * REST
    assert model(SMALL).weight_bytes == 2 * (LINEAR + REST)


def test_block_scales_of_fp8_checkpoints_count() -> None:
    quantised = {
        **{"quant_method": "fp8", "weight_block_size": [128, 128]},
        "activation_scheme": "dynamic",
    }
    read = model(SMALL | {"quantization_config": quantised})
    assert read.weight_bytes == LINEAR + LINEAR / 128**2 * 4 + 2 * REST
    assert read.precision.linear == "fp8"
    assert any("kernels that quantise to it are left out" in w for w in read.warnings)


def test_groups_of_four_bit_checkpoints_count_scale_and_zero() -> None:
    quantised = {"quant_method": "gptq", "bits": 4, "group_size": 128}
    read = model(SMALL | {"quantization_config": quantised})
    assert read.weight_bytes == LINEAR * (4 + (16 + 4) / 128) / 8 + 2 * REST
    assert read.precision.linear == "bf16"


def test_an_argument_overrules_the_quantised_format() -> None:
    quantised = {"quant_method": "awq", "bits": 4, "group_size": 128}
    read = model(SMALL | {"quantization_config": quantised}, weight_dtype="bf16")
    assert read.weight_bytes == 2 * (LINEAR + REST)
    assert read.warnings == ("config: weight format int4@128:20 overruled by the argument bf16",)


@pytest.mark.parametrize(
    ("quantised", "message"),
    [
        (
            {"quant_method": "exl2"},
            r"'exl2' is not modelled; .* awq, .*compressed-tensors, .*gptq, .*modelopt",
        ),
        ({"quant_method": "gptq", "bits": 40}, r"bits: 40 is not modelled"),
    ],
)
def test_other_ways_of_quantising_are_refused(quantised: dict[str, Any], message: str) -> None:
    with pytest.raises(CoverageError, match=message):
        model(SMALL | {"quantization_config": quantised})


def test_malformed_quantisation_names_its_key() -> None:
    with pytest.raises(InputError, match=r"quantization_config\.bits: .* found None"):
        model(SMALL | {"quantization_config": {"quant_method": "gptq", "group_size": 128}})
    block = {"quant_method": "fp8", "weight_block_size": 128}
    with pytest.raises(InputError, match=r"weight_block_size: expected two whole numbers"):
        model(SMALL | {"quantization_config": block})


def test_unknown_formats_are_refused_with_their_key() -> None:
    with pytest.raises(InputError, match=r"config: torch_dtype: unknown dtype 'float12'"):
        model(SMALL | {"torch_dtype": "float12"})
    with pytest.raises(InputError, match=r"kv_dtype: unknown dtype 'fp7'"):
        model(SMALL, kv_dtype="fp7")
    assert issubclass(UnknownNameError, InputError)
