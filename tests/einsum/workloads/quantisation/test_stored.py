"""Files of a checkpoint beside its config: bytes by module as their headers say."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from hwmodel.einsum.workloads.formats import ModuleFormats
from hwmodel.einsum.workloads.quantisation.quantisation import quantisation
from hwmodel.einsum.workloads.quantisation.stored import INDEX, as_stored, stored
from hwmodel.quantity.dtypes import bytes_of
from hwmodel.quantity.errors import InputError

BYTES = {"BF16": 2, "F32": 4, "F8_E4M3": 1, "U8": 1, "I32": 4, "I64": 8}
FP8 = {"quant_method": "fp8", "weight_block_size": [128, 128]}
NVFP4 = {"quant_algo": "NVFP4"}
Shapes = dict[str, tuple[str, list[int]]]
DOWN = "model.layers.0.mlp.down_proj"
UP = "model.layers.0.mlp.up_proj"
BLOCKS: Shapes = {
    f"{DOWN}.weight": ("F8_E4M3", [256, 512]),
    f"{DOWN}.weight_scale_inv": ("F32", [2, 4]),
    f"{UP}.weight": ("F8_E4M3", [512, 256]),
    f"{UP}.weight_scale_inv": ("F32", [4, 2]),
    "model.embed_tokens.weight": ("BF16", [1000, 256]),
}


def written(path: Path, shapes: Shapes) -> None:
    """A file with such a header, and nothing behind it."""
    table: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, (dtype, shape) in shapes.items():
        size = BYTES[dtype]
        for side in shape:
            size *= side
        table[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(table).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text)


def corrected(folder: Path, given: dict[str, Any] | None, shapes: Shapes) -> Any:
    written(folder / "model.safetensors", shapes)
    files = stored(folder)
    assert files is not None
    return as_stored(quantisation("config", given, "bf16"), files)


def test_a_folder_without_files_says_nothing(tmp_path: Path) -> None:
    assert stored(tmp_path) is None


def test_headers_that_agree_change_nothing(tmp_path: Path) -> None:
    said = quantisation("config", FP8, "bf16")
    found = corrected(tmp_path, FP8, BLOCKS)
    assert found.of(DOWN) == said.of(DOWN) == ModuleFormats("fp8@16384:32", "fp8")
    assert found.warnings == ()
    files = stored(tmp_path)
    assert files is not None
    assert files.bytes == 256 * 512 + 32 + 512 * 256 + 32 + 2 * 1000 * 256


def test_a_module_that_the_config_forgot_is_as_its_tensor(tmp_path: Path) -> None:
    shapes: Shapes = BLOCKS | {f"{UP}.weight": ("BF16", [512, 256])}
    shapes.pop(f"{UP}.weight_scale_inv")
    found = corrected(tmp_path, FP8, shapes)
    assert found.of(UP) == ModuleFormats("bf16", "bf16")
    assert found.of(DOWN) == ModuleFormats("fp8@16384:32", "fp8")
    (told,) = found.warnings
    assert f"{UP} bf16 (fp8@16384:32); the files are believed" in told


def test_scales_that_the_config_does_not_know_are_counted(tmp_path: Path) -> None:
    shapes: Shapes = BLOCKS | {f"{DOWN}.weight_scale_inv": ("F32", [256, 16])}
    found = corrected(tmp_path, FP8, shapes)
    # an fp32 scale for each 32 weights
    assert found.of(DOWN) == ModuleFormats("fp8@32:32", "fp8")
    assert 256 * 512 * bytes_of(found.of(DOWN).weight) == 256 * 512 + 4 * 256 * 16


def test_packed_weights_have_as_many_bits_as_the_config_says(tmp_path: Path) -> None:
    shapes: Shapes = {
        f"{DOWN}.weight": ("U8", [256, 256]),
        f"{DOWN}.weight_scale": ("F8_E4M3", [256, 32]),
        f"{DOWN}.weight_scale_2": ("F32", [1]),
        f"{DOWN}.input_scale": ("F32", [1]),
    }
    found = corrected(tmp_path, NVFP4, shapes)
    assert found.of(DOWN) == ModuleFormats("nvfp4", "nvfp4")
    wider = shapes | {f"{DOWN}.weight_scale": ("F8_E4M3", [256, 64])}
    found = corrected(tmp_path, NVFP4, wider)
    assert 256 * 512 * bytes_of(found.of(DOWN).weight) == 256 * 256 + 256 * 64 + 4


def test_integers_packed_in_words_have_scales_and_zeros(tmp_path: Path) -> None:
    shapes: Shapes = {
        f"{DOWN}.qweight": ("I32", [64, 256]),
        f"{DOWN}.qzeros": ("I32", [4, 32]),
        f"{DOWN}.scales": ("BF16", [4, 256]),
        f"{DOWN}.g_idx": ("I32", [512]),
    }
    given = {"quant_method": "gptq", "bits": 4, "group_size": 128}
    found = corrected(tmp_path, given, shapes)
    exact = 64 * 256 * 4 + 4 * 32 * 4 + 4 * 256 * 2 + 512 * 4
    assert 256 * 512 * bytes_of(found.of(DOWN).weight) == exact


def test_experts_in_one_tensor_are_blocks_and_scales(tmp_path: Path) -> None:
    shapes: Shapes = {
        "model.layers.0.mlp.experts.down_proj_blocks": ("U8", [4, 64, 2, 16]),
        "model.layers.0.mlp.experts.down_proj_scales": ("U8", [4, 64, 2]),
        "model.layers.0.mlp.experts.down_proj_bias": ("BF16", [4, 64]),
    }
    found = corrected(tmp_path, {"quant_method": "mxfp4"}, shapes)
    assert found.of("model.layers.0.mlp.experts.0.down_proj") == ModuleFormats("mxfp4", "bf16")
    assert found.warnings == ()
    more = shapes | {"model.layers.0.mlp.experts.down_proj_scales": ("U8", [4, 64, 4])}
    found = corrected(tmp_path, {"quant_method": "mxfp4"}, more)
    # two scales for 32 weights; the bias is none of theirs
    weight = found.of("model.layers.0.mlp.experts.0.down_proj").weight
    assert 4 * 64 * 64 * bytes_of(weight) == 4 * 64 * 2 * 16 + 4 * 64 * 4


def test_narrow_tensors_that_no_config_speaks_of_are_widened_before_products(
    tmp_path: Path,
) -> None:
    found = corrected(tmp_path, None, BLOCKS)
    assert found.of(DOWN) == ModuleFormats("fp8@16384:32", "bf16")


def test_tensors_that_are_no_weights_say_nothing(tmp_path: Path) -> None:
    shapes: Shapes = BLOCKS | {"model.rotary_emb.inv_freq": ("F32", [64])}
    assert corrected(tmp_path, FP8, shapes).warnings == ()


def test_an_index_alone_tells_the_bytes_of_all(tmp_path: Path) -> None:
    index = {"metadata": {"total_size": 688586727753}, "weight_map": {"a": "1.safetensors"}}
    (tmp_path / INDEX).write_text(json.dumps(index))
    files = stored(tmp_path)
    assert files is not None
    assert (files.bytes, files.tensors) == (688586727753, ())
    written(tmp_path / "1.safetensors", BLOCKS)
    written(tmp_path / "another.safetensors", BLOCKS)
    files = stored(tmp_path)
    assert files is not None
    assert len(files.tensors) == len(BLOCKS)


def test_files_that_are_none_are_errors(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"version https://git-lfs.github.com/spec/v1")
    with pytest.raises(InputError, match=r"model\.safetensors: its header is no table of tensors"):
        stored(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / INDEX).write_text("{}")
    with pytest.raises(InputError, match=r"expected weight_map and metadata\.total_size"):
        stored(tmp_path)
