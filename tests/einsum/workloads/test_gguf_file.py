"""GGUF files: a model's config and the format of each weight, of files written by the library."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hwmodel as hw
from hwmodel.einsum.workloads.gguf_file import config
from hwmodel.einsum.workloads.model import model
from hwmodel.einsum.workloads.quantisation.quantisation import quantisation
from hwmodel.quantity.dtypes import bytes_of
from hwmodel.quantity.errors import InputError, UnknownNameError

gguf: Any = pytest.importorskip("gguf")

LAYERS, HIDDEN, INNER, VOCABULARY = 2, 256, 512, 1000
BYTES = {"Q4_K": (256, 144), "Q6_K": (256, 210), "Q8_0": (32, 34), "MXFP4": (32, 17)}
"""Weights in a block of a type and its bytes, as llama.cpp's ggml-common.h has them."""


def written(
    path: Path,
    architecture: str = "llama",
    split: int = 1,
    experts: int = 0,
    layers: int = LAYERS,
    hidden: int = HIDDEN,
    without: str = "",
    **kinds: str,
) -> int:
    """A small model whose weights have these types; the bytes of its tensors but for norms.

    The first of several files (`split`) is without the head. `layers` and `hidden` are what the
    file says, whatever its tensors are.
    """
    file = gguf.GGUFWriter(path, architecture)
    if split > 1:
        file.add_uint16("split.count", split)
    if experts:
        file.add_expert_count(experts)
        file.add_expert_used_count(2)
        file.add_expert_feed_forward_length(128)
    file.add_block_count(layers)
    file.add_context_length(4096)
    file.add_embedding_length(hidden)
    file.add_feed_forward_length(INNER)
    file.add_head_count(4)
    file.add_head_count_kv(2)
    file.add_token_list([b"a"] * VOCABULARY)
    total = 0
    shapes = {"token_embd": (VOCABULARY, HIDDEN), "output": (VOCABULARY, HIDDEN)}
    for layer in range(LAYERS):
        shapes |= {
            f"blk.{layer}.attn_q": (HIDDEN, HIDDEN),
            f"blk.{layer}.attn_k": (128, HIDDEN),
            f"blk.{layer}.attn_v": (128, HIDDEN),
            f"blk.{layer}.attn_output": (HIDDEN, HIDDEN),
            f"blk.{layer}.ffn_gate": (INNER, HIDDEN),
            f"blk.{layer}.ffn_up": (INNER, HIDDEN),
            f"blk.{layer}.ffn_down": (HIDDEN, INNER),
        }
    if split > 1:
        shapes.pop("output")
    shapes.pop(without, None)
    for name, (rows, columns) in shapes.items():
        kind = kinds.get(name.rpartition(".")[2], "Q4_K")
        block, size = BYTES[kind]
        packed = np.zeros((rows, columns // block * size), np.uint8)
        file.add_tensor(f"{name}.weight", packed, raw_dtype=gguf.GGMLQuantizationType[kind])
        total += packed.size
    norms = ["output_norm"]
    norms += [f"blk.{layer}.{part}_norm" for layer in range(LAYERS) for part in ("attn", "ffn")]
    for name in norms:
        file.add_tensor(f"{name}.weight", np.zeros(HIDDEN, np.float32))
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_tensors_to_file()
    file.close()
    return total


def test_keys_are_those_of_hugging_face(tmp_path: Path) -> None:
    written(tmp_path / "small.gguf")
    found = config(tmp_path / "small.gguf")
    assert found.pop("quantization_config")["quant_method"] == "gguf"
    assert found == {
        **{"model_type": "llama", "name": "small", "torch_dtype": "float16"},
        **{"hidden_size": 256, "num_hidden_layers": 2, "intermediate_size": 512},
        **{"num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 1000},
        **{"max_position_embeddings": 4096, "tie_word_embeddings": False},
    }


def test_weights_have_the_bytes_of_their_types(tmp_path: Path) -> None:
    kinds: dict[str, Any] = {
        "attn_v": "Q6_K",
        "ffn_down": "Q8_0",
        "output": "Q6_K",
        "ffn_up": "MXFP4",
    }
    total = written(tmp_path / "mixed.gguf", split=1, experts=0, **kinds)
    found = config(tmp_path / "mixed.gguf")
    said = quantisation("mixed", found["quantization_config"], "fp16")
    shapes = {
        **{"self_attn.q_proj": 256 * 256, "self_attn.k_proj": 128 * 256},
        **{"self_attn.v_proj": 128 * 256, "self_attn.o_proj": 256 * 256},
        **{"mlp.gate_proj": 512 * 256, "mlp.up_proj": 512 * 256, "mlp.down_proj": 256 * 512},
    }
    held = sum(
        size * bytes_of(said.of(f"model.layers.{layer}.{path}").weight)
        for layer in range(LAYERS)
        for path, size in shapes.items()
    )
    ends = sum(bytes_of(said.of(path).weight) for path in ("lm_head", "model.embed_tokens"))
    assert held + 1000 * 256 * ends == total
    assert said.of("model.layers.0.self_attn.q_proj").weight == "int4@256:128"
    assert said.of("model.layers.0.mlp.up_proj").weight == "mxfp4"
    assert said.of("model.layers.1.mlp.down_proj").input == "fp16"
    assert said.complaints(["model.layers.0.mlp.down_proj"]) == ()


@pytest.mark.parametrize(
    ("architecture", "model_type", "experts", "inner"),
    [
        ("llama", "mixtral", "num_local_experts", "intermediate_size"),
        ("qwen3moe", "qwen3_moe", "num_experts", "moe_intermediate_size"),
        ("gpt-oss", "gpt_oss", "num_local_experts", "intermediate_size"),
        ("olmoe", "olmoe", "num_experts", "intermediate_size"),
    ],
)
def test_experts_have_the_keys_of_their_architecture(
    tmp_path: Path, architecture: str, model_type: str, experts: str, inner: str
) -> None:
    written(tmp_path / "moe.gguf", architecture=architecture, experts=8)
    found = config(tmp_path / "moe.gguf")
    assert (found["model_type"], found[experts], found[inner]) == (model_type, 8, 128)
    assert found["num_experts_per_tok"] == 2
    assert model(tmp_path / "moe.gguf").whole.parameters > 0


def test_a_file_is_a_model(tmp_path: Path) -> None:
    total = written(tmp_path / "small.gguf", ffn_down="Q6_K")
    found = model(tmp_path / "small.gguf")
    norms = 2 * (2 * LAYERS + 1) * HIDDEN  # fp16 here; small
    assert found.weight_bytes == total + norms
    assert (found.name, found.precision.activation) == ("small", "fp16")
    down = next(s.cascade for s in found.decode(1, 8).stages if s.name.startswith("down"))
    assert {t.dtype for t in down.tensors.values() if t.role == "weight"} == {"int6@256:144"}
    assert hw.predict(found.decode(1, 64), "h100").time_s > 0


def test_a_model_in_several_files_is_read_from_all_of_them(tmp_path: Path) -> None:
    first = tmp_path / "large-00001-of-00002.gguf"
    total = written(first, split=2)
    with pytest.raises(InputError, match=r"missing: large-00002-of-00002\.gguf"):
        config(first)
    more = gguf.GGUFWriter(tmp_path / "large-00002-of-00002.gguf", "llama")
    packed = np.zeros((VOCABULARY, HIDDEN // 32 * 34), np.uint8)
    more.add_tensor("output.weight", packed, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    more.write_header_to_file()
    more.write_kv_data_to_file()
    more.write_tensors_to_file()
    more.close()
    norms = 2 * (2 * LAYERS + 1) * HIDDEN
    found = model(first)
    assert not config(first)["tie_word_embeddings"]
    assert found.weight_bytes == total + packed.size + norms


def test_files_that_are_none_are_errors(tmp_path: Path) -> None:
    (tmp_path / "none.gguf").write_bytes(b"GGML" + bytes(100))
    with pytest.raises(InputError, match=r"none\.gguf: expected a GGUF file"):
        config(tmp_path / "none.gguf")
    written(tmp_path / "other.gguf", architecture="wavtokenizer-dec")
    with pytest.raises(UnknownNameError, match=r"model_type of .*other\.gguf\) 'wavtokenizer_dec'"):
        model(tmp_path / "other.gguf")


def test_sizes_that_the_tensors_do_not_have_are_errors(tmp_path: Path) -> None:
    written(tmp_path / "cut.gguf", layers=LAYERS + 2)
    with pytest.raises(InputError, match=r"cut\.gguf: expected tensors blk\.2\.\*.* 2 of 4 layers"):
        config(tmp_path / "cut.gguf")
    written(tmp_path / "wide.gguf", hidden=2 * HIDDEN)
    with pytest.raises(InputError, match=r"embedding_length: expected 256, .* found 512"):
        config(tmp_path / "wide.gguf")


def test_a_tensor_that_a_layer_lacks_is_named(tmp_path: Path) -> None:
    written(tmp_path / "cut.gguf", without="blk.1.attn_k")
    with pytest.raises(InputError, match=r"expected a tensor blk\.1\.attn_k\.weight, found none"):
        model(tmp_path / "cut.gguf")
