"""Quantising as asked: what tools make of a checkpoint that is not quantised."""

import pytest

from hwmodel.einsum.workloads.formats import ModuleFormats
from hwmodel.einsum.workloads.quantisation.quantisation import quantisation
from hwmodel.einsum.workloads.quantisation.schemes import SCHEMES, as_asked
from hwmodel.quantity.dtypes import bytes_of
from hwmodel.quantity.errors import UnknownNameError

DOWN = "model.layers.3.mlp.down_proj"


@pytest.mark.parametrize(
    ("name", "bits", "read_in"),
    [
        ("fp8", 8, "fp8"),
        ("fp8-block", 8 + 32 / 128**2, "fp8"),
        ("w8a8", 8, "int8"),
        ("w8a16", 8, "bf16"),
        ("w4a16", 4 + 16 / 128, "bf16"),
        ("awq", 4 + (16 + 4) / 128, "bf16"),
        ("gptq", 4 + (16 + 4) / 128, "bf16"),
        ("w4a8", 4 + 16 / 128, "int8"),
        ("nvfp4", 4.5, "nvfp4"),
        ("nvfp4a16", 4.5, "bf16"),
        ("mxfp4", 4.25, "mxfp4"),
        ("mxfp8", 8.25, "fp8"),
        ("nf4", 4.5, "bf16"),
    ],
)
def test_schemes_have_the_bits_of_their_preset(name: str, bits: float, read_in: str) -> None:
    found = as_asked("config", name, "bf16").of(DOWN)
    assert (8 * bytes_of(found.weight), found.input) == (bits, read_in)
    assert SCHEMES[name].source


@pytest.mark.parametrize(
    "path", ["lm_head", "model.embed_tokens", "model.norm", "model.layers.0.mlp.gate", "visual.a"]
)
def test_what_tools_leave_stays_as_it_is_and_is_told(path: str) -> None:
    found = as_asked("config", "nvfp4", "fp16")
    assert found.of(path) == ModuleFormats("fp16", "fp16")
    (told,) = found.warnings
    assert "stored in nvfp4 and read in nvfp4; kept in fp16: the language-model head" in told


def test_a_checkpoint_that_is_quantised_is_overruled_and_keeps_its_cache() -> None:
    own = quantisation("config", {"quant_algo": "FP8", "kv_cache_quant_algo": "FP8"}, "bf16")
    found = as_asked("config", "w4a16", "bf16", own)
    assert found.of(DOWN).weight == "int4@128:16"
    assert found.kv == "fp8"
    assert "its own quantization_config is overruled by quantise=w4a16" in found.warnings[1]
    plain = quantisation("config", None, "bf16")
    assert len(as_asked("config", "fp8", "bf16", plain).warnings) == 1


def test_unknown_schemes_are_errors() -> None:
    with pytest.raises(UnknownNameError, match=r"way to quantise 'w3a3'.*w4a16"):
        as_asked("config", "w3a3", "bf16")
