"""Quantised models whole: bytes of weights and cache by hand, what is asked, files beside."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from hwmodel.einsum.workloads.model import model
from hwmodel.einsum.workloads.quantisation.stored import stored
from hwmodel.quantity.errors import UnknownNameError

CONFIGS = Path(__file__).parents[5] / "shared/data/configs"
LAYERS, HIDDEN, INNER, VOCABULARY = 4, 256, 512, 1000
SMALL: dict[str, Any] = {
    **{"model_type": "llama", "hidden_size": HIDDEN, "intermediate_size": INNER},
    **{"vocab_size": VOCABULARY, "num_hidden_layers": LAYERS, "num_attention_heads": 4},
    **{"num_key_value_heads": 2, "torch_dtype": "bfloat16"},
}
ATTENTION, MLP = HIDDEN * (2 * HIDDEN + 2 * 128), 3 * HIDDEN * INNER
LINEAR = LAYERS * (ATTENTION + MLP)
ENDS, NORMS = 2 * VOCABULARY * HIDDEN, (2 * LAYERS + 1) * HIDDEN


def published(name: str) -> Any:
    path = CONFIGS / f"{name}.json"
    if not path.is_file():
        pytest.skip(f"no {path}")
    return model(path)


def test_qwen3_32b_in_blocks_of_fp8() -> None:
    # 64 layers: q 8192, k and v 1024, o, of 5120; MLP 25600; vocabulary 151936, twice
    linear = 64 * (5120 * 8192 * 2 + 2 * 5120 * 1024 + 3 * 5120 * 25600)
    assert linear == 31_205_621_760
    wide = 2 * 151936 * 5120 + 64 * (2 * 5120 + 2 * 128) + 5120
    found = published("Qwen--Qwen3-32B-FP8")
    assert found.weight_bytes == linear + linear // 128**2 * 4 + 2 * wide
    assert found.kv_bytes_per_token == 2 * 2 * 64 * 8 * 128


def test_qwen3_32b_with_one_scale_a_tensor_and_an_fp8_cache() -> None:
    linear = 64 * (5120 * 8192 * 2 + 2 * 5120 * 1024 + 3 * 5120 * 25600)
    wide = 2 * 151936 * 5120 + 64 * (2 * 5120 + 2 * 128) + 5120
    found = published("Qwen--Qwen3-32B-FP8-Static-PerTensor")
    assert found.weight_bytes == linear + 2 * wide
    assert found.kv_bytes_per_token == 2 * 64 * 8 * 128


def test_qwen3_30b_a3b_in_fp8_keeps_its_routers() -> None:
    attention = 48 * (2048 * 4096 * 2 + 2 * 2048 * 512)
    experts = 48 * 128 * 3 * 2048 * 768
    wide = 2 * 151936 * 2048 + 48 * (128 * 2048 + 2 * 2048 + 2 * 128) + 2048
    fp8 = attention + experts
    found = published("Qwen--Qwen3-30B-A3B-FP8")
    assert found.weight_bytes == fp8 + fp8 // 128**2 * 4 + 2 * wide


def test_gpt_oss_20b_is_the_bytes_that_its_index_says() -> None:
    assert published("openai--gpt-oss-20b").weight_bytes == 13_761_264_768


def test_deepseek_v3_has_the_bytes_that_its_modules_have() -> None:
    # 61 layers of latent attention, 3 dense, 58 of 256 experts and a shared one; scales of blocks
    attention = 61 * (1536 * 7168 + 24576 * 1536 + 576 * 7168 + 32768 * 512 + 7168 * 16384)
    fp8 = attention + 3 * 3 * 18432 * 7168 + 58 * 257 * 3 * 2048 * 7168
    wide = 58 * 256 * 7168 + 2 * 129280 * 7168 + 61 * (2 * 7168 + 1536 + 512) + 7168
    found = published("deepseek-ai--DeepSeek-V3")
    assert found.weight_bytes == pytest.approx(fp8 + fp8 / 128**2 * 4 + 2 * wide, rel=1e-9)
    assert found.kv_bytes_per_token == 2 * 61 * (512 + 64)


def test_qwen_3_6_mixes_three_formats_module_by_module() -> None:
    # 30 layers of gated delta networks, 10 of gated attention; 256 experts of 512, a shared one
    delta = 30 * (8192 * 2048 + 4096 * 2048 + 2048 * 4096)
    fp8 = delta + 10 * (8192 * 2048 + 2 * 512 * 2048 + 2048 * 4096)
    nvfp4 = 40 * 257 * 3 * 512 * 2048 + 248320 * 2048  # with the head
    mixtures = 40 * (256 * 2048 + 2048 + 2 * 2048)
    states = 30 * (2 * 32 * 2048 + 8192 * 4 + 32 + 32 + 128)
    wide = 248320 * 2048 + mixtures + states + 10 * 2 * 256 + 2048
    found = published("nvidia--Qwen3.6-35B-A3B-NVFP4")
    assert found.weight_bytes == fp8 + nvfp4 // 2 + nvfp4 // 16 + 2 * wide == 20_824_909_056


def test_kimi_k2_7_has_routed_experts_alone_in_nvfp4_and_an_fp8_cache() -> None:
    experts = 60 * 384 * 3 * 2048 * 7168
    attention = 61 * (1536 * 7168 + 12288 * 1536 + 576 * 7168 + 16384 * 512 + 7168 * 8192)
    dense, shared = 3 * 18432 * 7168, 60 * (3 * 2048 * 7168 + 384 * 7168)
    wide = attention + dense + shared + 2 * 163840 * 7168 + 61 * (2 * 7168 + 1536 + 512) + 7168
    found = published("nvidia--Kimi-K2.7-Code-NVFP4")
    assert found.weight_bytes == experts // 2 + experts // 16 + 2 * wide
    assert found.kv_bytes_per_token == 61 * (512 + 64)


def test_minimax_m2_has_experts_alone_in_nvfp4() -> None:
    # 62 layers of 256 experts; 48 heads of 128, 8 for keys; norms of all heads together
    experts = 62 * 256 * 3 * 1536 * 3072
    attention = 62 * (2 * 3072 * 6144 + 2 * 3072 * 1024)
    norms, router = 62 * (2 * 3072 + 6144 + 1024) + 3072, 62 * 256 * 3072
    wide = attention + norms + router + 2 * 200064 * 3072
    found = published("nvidia--MiniMax-M2.7-NVFP4")
    assert found.weight_bytes == experts // 2 + experts // 16 + 2 * wide
    assert found.kv_bytes_per_token == 2 * 62 * 8 * 128


@pytest.mark.parametrize(
    ("name", "held"),
    [
        ("fp8", LINEAR),
        ("fp8-block", LINEAR + LINEAR // 128**2 * 4),
        ("w4a16", LINEAR // 2 + LINEAR // 128 * 2),
        ("nvfp4", LINEAR // 2 + LINEAR // 16),
        ("w8a8", LINEAR),
    ],
)
def test_a_model_is_quantised_as_asked(name: str, held: int) -> None:
    found = model(SMALL, quantise=name)
    assert found.weight_bytes == held + 2 * (ENDS + NORMS)
    assert any(f"quantised as asked ({name})" in words for words in found.warnings)
    assert model(SMALL).but(quantise=name).weight_bytes == found.weight_bytes


def test_what_was_asked_before_holds_beside_what_is_asked_now() -> None:
    found = model(SMALL, quantise="fp8").but(kv_dtype="fp8")
    assert found.weight_bytes == LINEAR + 2 * (ENDS + NORMS)
    assert found.kv_bytes_per_token == 2 * LAYERS * 128


def test_products_read_what_the_scheme_says() -> None:
    def read(name: str) -> tuple[str, str]:
        stages = model(SMALL, quantise=name).decode(2, 16).stages
        down = next(stage.cascade for stage in stages if stage.name == "down")
        inputs = {down.tensors[each].role: down.tensors[each].dtype for each in down.inputs}
        return inputs["weight"], inputs["activation"]

    assert read("fp8") == ("fp8", "fp8")
    assert read("w4a16") == ("int4@128:16", "bf16")
    assert read("w4a8") == ("int4@128:16", "int8")


def test_an_unknown_way_to_quantise_is_an_error() -> None:
    with pytest.raises(UnknownNameError, match=r"way to quantise 'int3'"):
        model(SMALL, quantise="int3")


def written(folder: Path, config: dict[str, Any], fp8: bool) -> int:
    """A checkpoint's config and headers; its bytes."""
    (folder / "config.json").write_text(json.dumps(config))
    shapes: dict[str, tuple[int, ...]] = {
        "model.embed_tokens": (VOCABULARY, HIDDEN),
        "lm_head": (VOCABULARY, HIDDEN),
        "model.norm": (HIDDEN,),
    }
    for layer in range(LAYERS):
        front = f"model.layers.{layer}"
        shapes |= {
            f"{front}.self_attn.q_proj": (256, HIDDEN),
            **{f"{front}.self_attn.{n}_proj": (128, HIDDEN) for n in "kv"},
            f"{front}.self_attn.o_proj": (HIDDEN, HIDDEN),
            **{f"{front}.mlp.{n}_proj": (INNER, HIDDEN) for n in ("gate", "up")},
            f"{front}.mlp.down_proj": (HIDDEN, INNER),
            f"{front}.input_layernorm": (HIDDEN,),
            f"{front}.post_attention_layernorm": (HIDDEN,),
        }
    table: dict[str, Any] = {}
    at = 0
    for name, shape in shapes.items():
        narrow = fp8 and "proj" in name and "o_proj" not in name
        size = 1 if narrow else 2
        for side in shape:
            size *= side
        kind = "F8_E4M3" if narrow else "BF16"
        table[f"{name}.weight"] = {"dtype": kind, "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(table).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text)
    return at


def test_files_beside_a_config_are_believed(tmp_path: Path) -> None:
    given = {"quant_method": "fp8", "activation_scheme": "dynamic"}
    held = written(tmp_path, SMALL | {"quantization_config": given}, fp8=True)
    found = model(tmp_path)
    output = LAYERS * HIDDEN * HIDDEN
    assert held == LINEAR + output + 2 * (ENDS + NORMS)
    assert found.weight_bytes == found.whole.weight_bytes == held
    (told,) = (words for words in found.warnings if "tensors differ" in words)
    assert "model.layers.0.self_attn.o_proj bf16 (fp8)" in told
    stages = {stage.name: stage for stage in found.decode(1, 8).stages}
    assert stages["attention output, not quantised"].times == LAYERS


def test_files_say_what_memory_holds_beyond_the_network(tmp_path: Path) -> None:
    held = written(tmp_path, SMALL, fp8=False)
    assert model(tmp_path).warnings == ()
    files = stored(tmp_path)
    assert files is not None
    (tmp_path / "model.safetensors").unlink()
    named = {tensor.name: "1.safetensors" for tensor in files.tensors}
    index = {"metadata": {"total_size": held + 1_000_000}, "weight_map": named}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    found = model(tmp_path / "config.json")
    assert found.weight_bytes == held + 1_000_000
    served = found.decode(1, 8).served
    assert served is not None
    assert served.weights_bytes == pytest.approx(held + 1_000_000)
    (told,) = found.warnings
    assert "its files hold" in told
    asked = model(tmp_path, weight_dtype="fp8")
    assert asked.weight_bytes == LINEAR + 2 * (ENDS + NORMS)


MIXTURE: dict[str, Any] = SMALL | {
    **{"model_type": "qwen3_moe", "num_experts": 8, "num_experts_per_tok": 2, "head_dim": 64},
    **{"moe_intermediate_size": 128},
}


def test_experts_may_store_one_product_in_another_format() -> None:
    given = {"quant_method": "fp8", "activation_scheme": "dynamic"}
    left = given | {"ignore": [r"re:.*experts\.\d+\.down_proj"]}
    whole, found = (model(MIXTURE | {"quantization_config": each}) for each in (given, left))
    assert found.weight_bytes - whole.weight_bytes == LAYERS * 8 * 128 * HIDDEN
    stages = {stage.name: stage.cascade for stage in found.prefill(1, 64).stages}
    kinds = {
        name: {t.role: t.dtype for t in stages[name].tensors.values() if t.name != "C"}
        for name in ("experts gate-up", "experts down")
    }
    assert kinds["experts gate-up"]["weight"] == "fp8"
    assert kinds["experts down"]["weight"] == "bf16"
    formats = {t.dtype for t in stages["experts down"].tensors.values()}
    assert formats == {"bf16"}


def test_older_keys_and_keys_beside_the_table_are_read() -> None:
    weights = {"num_bits": 8, "type": "int", "strategy": "channel"}
    table = {"config_groups": {"g": {"targets": ["Linear"], "weights": weights}}}
    found = model(SMALL | {"compression_config": table | {"ignore": ["lm_head"]}})
    assert found.weight_bytes == LINEAR + 2 * (ENDS + NORMS)
    beside = {"expert_dtype": "fp4", "quantization_config": {"quant_method": "fp8"}}
    mixture = model(MIXTURE | beside)
    experts = LAYERS * 8 * 3 * HIDDEN * 128
    assert mixture.but(weight_dtype="bf16").weight_bytes - mixture.weight_bytes == (
        LAYERS * ATTENTION + 2 * experts - experts // 32 * 17
    )
