"""Tensors of a checkpoint against the network that its config makes: what is absent, by name."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from hwmodel.einsum.workloads.model import model
from hwmodel.quantity.errors import InputError

CONFIG: dict[str, Any] = {
    **{"model_type": "qwen3_moe", "torch_dtype": "bfloat16", "tie_word_embeddings": False},
    **{"hidden_size": 64, "num_hidden_layers": 3, "vocab_size": 100, "head_dim": 16},
    **{"num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 128},
    **{"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32},
}
LAYER = {
    **{"input_layernorm": (64,), "post_attention_layernorm": (64,), "mlp.gate": (4, 64)},
    **{"self_attn.q_proj": (64, 64), "self_attn.k_proj": (32, 64), "self_attn.v_proj": (32, 64)},
    **{"self_attn.o_proj": (64, 64), "self_attn.q_norm": (16,), "self_attn.k_norm": (16,)},
    **{f"mlp.experts.{e}.{p}_proj": (32, 64) for e in range(4) for p in ("gate", "up")},
    **{f"mlp.experts.{e}.down_proj": (64, 32) for e in range(4)},
}
WHOLE = {"model.embed_tokens": (100, 64), "model.norm": (64,), "lm_head": (100, 64)} | {
    f"model.layers.{n}.{name}": shape for n in range(3) for name, shape in LAYER.items()
}
"""What transformers' class has, by its names."""


def read(folder: Path, shapes: dict[str, tuple[int, ...]]) -> tuple[str, ...]:
    """Warnings of a checkpoint of such tensors, or its refusal."""
    (folder / "config.json").write_text(json.dumps(CONFIG))
    table: dict[str, Any] = {}
    at = 0
    for name, shape in shapes.items():
        size = 2 * (shape[0] * shape[1] if len(shape) == 2 else shape[0])
        table[f"{name}.weight"] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(table).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text)
    return model(folder).warnings


def test_a_whole_checkpoint_is_read_without_a_word(tmp_path: Path) -> None:
    assert read(tmp_path, WHOLE) == ()


@pytest.mark.parametrize(
    "name", ["model.layers.1.self_attn.k_proj", "model.layers.2.mlp.experts.3.up_proj"]
)
def test_a_tensor_that_one_layer_lacks_is_named(tmp_path: Path, name: str) -> None:
    rest = {each: shape for each, shape in WHOLE.items() if each != name}
    with pytest.raises(InputError, match=rf"expected a tensor {name}(\.weight)?, found none"):
        read(tmp_path, rest)


def test_a_tensor_of_another_size_is_named(tmp_path: Path) -> None:
    name = "model.layers.1.self_attn.k_proj"
    with pytest.raises(InputError, match=rf"{name}\.weight: expected 2,048 elements, .* 4,096"):
        read(tmp_path, WHOLE | {name: (64, 64)})


def test_what_no_layer_has_is_absent_or_has_another_name(tmp_path: Path) -> None:
    rest = {each: shape for each, shape in WHOLE.items() if "q_norm" not in each}
    with pytest.raises(InputError, match=r"expected tensors of .*q_norm.* nor any of another name"):
        read(tmp_path, rest)
    called = {f"model.layers.{n}.self_attn.norm_of_q": (16,) for n in range(3)}
    (told,) = read(tmp_path, rest | called)
    assert "no tensor has the name of model.layers.{layer}.self_attn.q_norm" in told
    assert "may be model.layers.0.self_attn.norm_of_q.weight" in told


def test_experts_and_projections_in_one_tensor_are_theirs(tmp_path: Path) -> None:
    rest = {n: shape for n, shape in WHOLE.items() if ".experts." not in n and "_proj" not in n}
    joined = {f"model.layers.{n}.self_attn.qkv_proj": (128, 64) for n in range(3)}
    joined |= {f"model.layers.{n}.self_attn.o_proj": (64, 64) for n in range(3)}
    joined |= {f"model.layers.{n}.mlp.experts.gate_up_proj": (4 * 64, 64) for n in range(3)}
    joined |= {f"model.layers.{n}.mlp.experts.down_proj": (4 * 64, 32) for n in range(3)}
    assert read(tmp_path, rest | joined) == ()
    joined["model.layers.1.mlp.experts.down_proj"] = (3 * 64, 32)
    with pytest.raises(InputError, match=r"layers\.1\.mlp\.experts\.down_proj\.weight: expected"):
        read(tmp_path, rest | joined)


def test_tensors_that_no_part_reads_are_told(tmp_path: Path) -> None:
    (told,) = read(tmp_path, WHOLE | {"model.tower.scanner": (2, 2)})
    assert told.endswith("of no part of the network that is read: model.tower.scanner.weight")


def test_an_index_alone_says_which_are_absent(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    named = {f"{n}.weight": "1.safetensors" for n in WHOLE if n != "model.layers.0.mlp.gate"}
    index = {"metadata": {"total_size": 1}, "weight_map": named}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(InputError, match=r"expected a tensor model\.layers\.0\.mlp\.gate\.weight"):
        model(tmp_path)
