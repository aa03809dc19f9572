"""Bytes of quantised checkpoints against counts by hand, module by module, from published shapes.

Each line of a table is (path, how many, rows, columns). What is expected is written as numbers: the
bytes of an element, and those of the scales as the checkpoint stores them.
"""

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

import pytest

from hwmodel.einsum.workloads.quantisation.quantisation import quantisation
from hwmodel.quantity.dtypes import bytes_of

Modules = Sequence[tuple[str, int, int, int]]


def held(given: Mapping[str, Any], modules: Modules, stored: str = "bf16") -> float:
    """Bytes of modules in the formats that the package gives them."""
    said = quantisation("config", given, stored)
    return sum(n * bytes_of(said.of(path).weight) * r * c for path, n, r, c in modules)


def layers(count: int, *modules: tuple[str, int, int, int]) -> list[tuple[str, int, int, int]]:
    """The same modules in so many layers, each under its own path."""
    return [
        (f"model.layers.{layer}.{path}", n, r, c)
        for layer in range(count)
        for path, n, r, c in modules
    ]


LLAMA_8B = [
    *layers(
        32,
        ("self_attn.q_proj", 1, 4096, 4096),
        ("self_attn.k_proj", 1, 1024, 4096),
        ("self_attn.v_proj", 1, 1024, 4096),
        ("self_attn.o_proj", 1, 4096, 4096),
        ("mlp.gate_proj", 1, 14336, 4096),
        ("mlp.up_proj", 1, 14336, 4096),
        ("mlp.down_proj", 1, 4096, 14336),
        ("input_layernorm", 2, 1, 4096),
    ),
    ("model.embed_tokens", 1, 128256, 4096),
    ("lm_head", 1, 128256, 4096),
    ("model.norm", 1, 1, 4096),
]
LLAMA_ATTENTION = 32 * (4096 * 4096 * 2 + 2 * 1024 * 4096)
LLAMA_MLP = 32 * 3 * 14336 * 4096
LLAMA_LINEAR = LLAMA_ATTENTION + LLAMA_MLP  # 6,979,321,856
LLAMA_ENDS = 128256 * 4096
LLAMA_NORMS = 65 * 4096


def test_llama_8b_in_four_bits_of_awq_has_scales_and_zeros() -> None:
    # hugging-quants/Meta-Llama-3.1-8B-Instruct-AWQ-INT4: qweight 4 bits, scales fp16, qzeros 4 bits
    given = {"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": True}
    linear = LLAMA_LINEAR // 2 + LLAMA_LINEAR // 128 * 2 + LLAMA_LINEAR // 128 // 2
    assert linear == 3_625_975_808
    assert held(given, LLAMA_8B, "fp16") == linear + 2 * (2 * LLAMA_ENDS + LLAMA_NORMS)


def test_llama_8b_in_gptq_with_eight_bits_in_some_layers() -> None:
    given = {
        **{"quant_method": "gptq", "bits": 4, "group_size": 128, "desc_act": False, "sym": True},
        "dynamic": {r"-:.*\.31\..*": {}, r"+:.*\.down_proj$": {"bits": 8, "group_size": 32}},
    }
    wide = LLAMA_LINEAR // 32
    down = 31 * 4096 * 14336
    narrow = LLAMA_LINEAR - wide - down
    expected = (
        narrow // 2 + narrow // 128 * 20 // 8 + down + down // 32 * 3 + 2 * wide
    )  # 16 + 4 bits for each 128; 16 + 8 for each 32
    assert held(given, LLAMA_8B) == expected + 2 * (2 * LLAMA_ENDS + LLAMA_NORMS)


def test_llama_8b_w4a16_of_llm_compressor_has_no_zero_points() -> None:
    # RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w4a16
    weights = {"num_bits": 4, "type": "int", "group_size": 128, "strategy": "group"}
    group = {"targets": ["Linear"], "weights": {**weights, "symmetric": True}}
    given = {
        **{"quant_method": "compressed-tensors", "format": "pack-quantized"},
        **{"config_groups": {"group_0": group}, "ignore": ["lm_head"]},
    }
    linear = LLAMA_LINEAR // 2 + LLAMA_LINEAR // 128 * 2
    assert held(given, LLAMA_8B) == linear + 2 * (2 * LLAMA_ENDS + LLAMA_NORMS)


def test_llama_8b_in_fp8_of_llm_compressor() -> None:
    # RedHatAI/Meta-Llama-3.1-8B-Instruct-FP8-dynamic: a bf16 scale a row, which is not counted
    fp8 = {"num_bits": 8, "type": "float", "symmetric": True}
    group = {
        **{"targets": ["Linear"], "weights": {**fp8, "strategy": "channel"}},
        "input_activations": {**fp8, "strategy": "token", "dynamic": True},
    }
    given = {"quant_method": "compressed-tensors", "config_groups": {"g": group}}
    rows = 32 * (4096 + 1024 + 1024 + 4096 + 14336 + 14336 + 4096) + 128256
    whole = LLAMA_LINEAR + LLAMA_ENDS + 2 * rows + 2 * (LLAMA_ENDS + LLAMA_NORMS)
    assert held(given, LLAMA_8B) == pytest.approx(whole, rel=4e-4)


def test_llama_8b_in_nf4_with_two_levels_of_scales() -> None:
    # unsloth/Meta-Llama-3.1-8B-bnb-4bit: 5.7 GB; a byte for 64 weights, four more for 16,384
    given = {
        **{"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"},
        **{"bnb_4bit_use_double_quant": True, "bnb_4bit_compute_dtype": "bfloat16"},
    }
    linear = LLAMA_LINEAR // 2 + LLAMA_LINEAR // 64 + LLAMA_LINEAR // 16384 * 4
    found = held(given, LLAMA_8B)
    assert found == linear + 2 * (2 * LLAMA_ENDS + LLAMA_NORMS)
    assert found / 1e9 == pytest.approx(5.70, abs=0.01)


def test_llama_70b_of_modelopts_own_file() -> None:
    # nvidia/Llama-3.1-70B-Instruct-FP8: 72.7 GB
    given = {
        **{"quant_algo": "FP8", "kv_cache_quant_algo": "FP8", "group_size": None},
        "exclude_modules": ["lm_head"],
    }
    modules = [
        *layers(
            80,
            ("self_attn.q_proj", 1, 8192, 8192),
            ("self_attn.k_proj", 2, 1024, 8192),
            ("self_attn.o_proj", 1, 8192, 8192),
            ("mlp.gate_proj", 2, 28672, 8192),
            ("mlp.down_proj", 1, 8192, 28672),
        ),
        ("model.embed_tokens", 1, 128256, 8192),
        ("lm_head", 1, 128256, 8192),
    ]
    linear = 80 * (2 * 8192 * 8192 + 2 * 1024 * 8192 + 3 * 28672 * 8192)
    assert held(given, modules) == linear + 2 * 2 * 128256 * 8192
    assert held(given, modules) / 1e9 == pytest.approx(72.66, abs=0.01)
    assert quantisation("config", given, "bf16").kv == "fp8"


DEEPSEEK_V3 = [
    *layers(
        61,
        ("self_attn.q_a_proj", 1, 1536, 7168),
        ("self_attn.q_b_proj", 1, 24576, 1536),
        ("self_attn.kv_a_proj_with_mqa", 1, 576, 7168),
        ("self_attn.kv_b_proj", 1, 32768, 512),
        ("self_attn.o_proj", 1, 7168, 16384),
        ("input_layernorm", 2, 1, 7168),
        ("self_attn.q_a_layernorm", 1, 1, 1536),
        ("self_attn.kv_a_layernorm", 1, 1, 512),
    ),
    *layers(3, ("mlp.gate_proj", 2, 18432, 7168), ("mlp.down_proj", 1, 7168, 18432)),
    *[
        (f"model.layers.{layer}.mlp.{path}", n, r, c)
        for layer in range(3, 61)
        for path, n, r, c in (
            ("experts.0.gate_proj", 256 * 2, 2048, 7168),
            ("experts.0.down_proj", 256, 7168, 2048),
            ("shared_experts.gate_proj", 2, 2048, 7168),
            ("shared_experts.down_proj", 1, 7168, 2048),
            ("gate", 1, 256, 7168),
        )
    ],
    ("model.embed_tokens", 1, 129280, 7168),
    ("lm_head", 1, 129280, 7168),
    ("model.norm", 1, 1, 7168),
]


MTP = [
    *(
        (path.removeprefix("model.layers.3."), n, r, c)
        for path, n, r, c in DEEPSEEK_V3
        if path.startswith("model.layers.3.")
    ),
    ("eh_proj", 1, 7168, 14336),
    ("enorm", 3, 1, 7168),
]


def test_deepseek_v3_has_an_fp32_scale_for_each_block_of_128_by_128() -> None:
    given = {
        **{"quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic"},
        "weight_block_size": [128, 128],
    }
    attention = [(1536, 7168), (24576, 1536), (576, 7168), (32768, 512), (7168, 16384)]
    dense = [(18432, 7168)] * 3
    sparse = [(2048, 7168)] * 3 * 257
    fp8 = 61 * attention + 3 * dense + 58 * sparse
    narrow = sum(r * c + 4 * ceil(r / 128) * ceil(c / 128) for r, c in fp8)
    wide = 58 * 256 * 7168 + 2 * 129280 * 7168 + 61 * (2 * 7168 + 1536 + 512) + 7168
    assert held(given, DEEPSEEK_V3) == pytest.approx(narrow + 2 * wide, rel=1e-6)
    assert (narrow + 2 * wide) / 1e9 == pytest.approx(673.15, abs=0.01)
    # its index says 688,586,727,753, with the layer that predicts one token more, which has an
    # embedding and a head of its own
    more = [
        *((f"model.layers.61.{path}", n, r, c) for path, n, r, c in MTP),
        ("model.layers.61.embed_tokens", 1, 129280, 7168),
        ("model.layers.61.shared_head.head", 1, 129280, 7168),
    ]
    assert held(given, [*DEEPSEEK_V3, *more]) == pytest.approx(688_586_727_753, rel=3e-5)


def test_nvfp4_of_the_experts_of_kimi_k2_leaves_attention_and_shared_experts() -> None:
    # nvidia/Kimi-K2-Instruct-NVFP4: layer 0 and all attention bf16; 384 experts in nvfp4
    given = {
        **{"quant_method": "modelopt", "quant_algo": "NVFP4", "kv_cache_quant_algo": "FP8"},
        "ignore": [
            *("language_model.lm_head", "language_model.model.embed_tokens", "vision_tower*"),
            *("language_model.model.layers.0*", "mm_projector*"),
            *(f"language_model.model.layers.{i}.self_attn*" for i in range(1, 61)),
            *(f"language_model.model.layers.{i}.mlp.shared_experts*" for i in range(1, 61)),
        ],
    }
    modules = [
        *layers(
            61,
            ("self_attn.q_a_proj", 1, 1536, 7168),
            ("self_attn.q_b_proj", 1, 12288, 1536),
            ("self_attn.kv_a_proj_with_mqa", 1, 576, 7168),
            ("self_attn.kv_b_proj", 1, 16384, 512),
            ("self_attn.o_proj", 1, 7168, 8192),
        ),
        *layers(1, ("mlp.gate_proj", 2, 18432, 7168), ("mlp.down_proj", 1, 7168, 18432)),
        *[
            (f"model.layers.{layer}.mlp.{path}", n, r, c)
            for layer in range(1, 61)
            for path, n, r, c in (
                ("experts.0.gate_proj", 384 * 3, 2048, 7168),
                ("shared_experts.up_proj", 3, 2048, 7168),
                ("gate", 1, 384, 7168),
            )
        ],
        ("model.embed_tokens", 1, 163840, 7168),
        ("lm_head", 1, 163840, 7168),
    ]
    experts = 60 * 384 * 3 * 2048 * 7168
    attention = 61 * (1536 * 7168 + 12288 * 1536 + 576 * 7168 + 16384 * 512 + 7168 * 8192)
    rest = 3 * 18432 * 7168 + 60 * (3 * 2048 * 7168 + 384 * 7168) + 2 * 163840 * 7168
    assert held(given, modules) == experts // 2 + experts // 16 + 2 * (attention + rest)


GPT_OSS_20B = [
    *layers(
        24,
        ("self_attn.q_proj", 1, 4096, 2880),
        ("self_attn.k_proj", 2, 512, 2880),
        ("self_attn.o_proj", 1, 2880, 4096),
        ("self_attn.sinks", 1, 1, 64),
        ("mlp.router", 1, 32, 2880),
        ("mlp.experts.gate_up_proj", 32, 5760, 2880),
        ("mlp.experts.down_proj", 32, 2880, 2880),
    ),
    ("model.embed_tokens", 1, 201088, 2880),
    ("lm_head", 1, 201088, 2880),
]


def test_gpt_oss_20b_keeps_all_but_its_experts() -> None:
    # openai/gpt-oss-20b: blocks of 16 bytes and a scale of one for 32 weights; 13.8 GB
    given = {
        "quant_method": "mxfp4",
        "modules_to_not_convert": [
            *("model.layers.*.self_attn", "model.layers.*.mlp.router"),
            *("model.embed_tokens", "lm_head"),
        ],
    }
    experts = 24 * 32 * (5760 * 2880 + 2880 * 2880)
    attention = 24 * (2 * 4096 * 2880 + 2 * 512 * 2880 + 64 + 32 * 2880)
    ends = 2 * 201088 * 2880
    assert held(given, GPT_OSS_20B) == experts // 32 * 17 + 2 * (attention + ends)
    assert held(given, GPT_OSS_20B) / 1e9 == pytest.approx(13.76, abs=0.02)


def test_kimi_k2_thinking_names_what_it_leaves_by_expressions() -> None:
    # moonshotai/Kimi-K2-Thinking: experts in int4, 32 inputs to a bf16 scale
    weights = {"num_bits": 4, "type": "int", "group_size": 32, "symmetric": True}
    given = {
        **{"quant_method": "compressed-tensors", "format": "pack-quantized"},
        "config_groups": {"group_0": {"targets": ["Linear"], "weights": weights}},
        "ignore": [
            *("lm_head", "re:.*self_attn.*", "re:.*shared_experts.*"),
            r"re:.*mlp\.(gate|up|gate_up|down)_proj.*",
        ],
    }
    modules = [
        *layers(1, ("mlp.gate_proj", 2, 18432, 7168), ("mlp.down_proj", 1, 7168, 18432)),
        ("model.layers.1.self_attn.o_proj", 1, 7168, 8192),
        ("model.layers.1.mlp.shared_experts.up_proj", 3, 2048, 7168),
        ("model.layers.1.mlp.experts.0.up_proj", 384 * 3, 2048, 7168),
    ]
    experts = 384 * 3 * 2048 * 7168
    wide = 3 * 18432 * 7168 + 7168 * 8192 + 3 * 2048 * 7168
    assert held(given, modules) == experts // 2 + experts // 32 * 2 + 2 * wide


def test_a_mixed_checkpoint_of_modelopt_has_formats_by_module() -> None:
    # nvidia/Qwen3.6-35B-A3B-NVFP4: attention in fp8, experts in nvfp4, the rest bf16
    front = "model.language_model.layers.3"
    given = {
        **{"quant_method": "modelopt", "quant_algo": "MIXED_PRECISION", "ignore": ["mtp*"]},
        "quantized_layers": {
            **{f"{front}.self_attn.{n}_proj": {"quant_algo": "FP8"} for n in "qkvo"},
            f"{front}.mlp.experts": {"quant_algo": "W4A16_NVFP4", "group_size": 16},
            "lm_head": {"quant_algo": "W4A16_NVFP4", "group_size": 16},
        },
    }
    modules = [
        (f"{front}.self_attn.q_proj", 1, 8192, 2048),
        (f"{front}.self_attn.k_proj", 2, 512, 2048),
        (f"{front}.self_attn.o_proj", 1, 2048, 4096),
        (f"{front}.mlp.experts.gate_up_proj", 256, 1024, 2048),
        (f"{front}.mlp.experts.down_proj", 256, 2048, 512),
        (f"{front}.mlp.shared_expert.up_proj", 3, 512, 2048),
        (f"{front}.mlp.gate", 1, 256, 2048),
        ("lm_head", 1, 248320, 2048),
    ]
    fp8 = 8192 * 2048 + 2 * 512 * 2048 + 2048 * 4096
    nvfp4 = 256 * 3 * 512 * 2048 + 248320 * 2048
    bf16 = 3 * 512 * 2048 + 256 * 2048
    assert held(given, modules) == fp8 + nvfp4 // 2 + nvfp4 // 16 + 2 * bf16


def test_deepseek_v4_keeps_experts_in_fp4_unless_a_table_says_otherwise() -> None:
    # deepseek-ai/DeepSeek-V4-Pro, and NVIDIA's NVFP4 of it: 384 experts a layer
    given = {
        **{"quant_method": "fp8", "weight_block_size": [128, 128], "activation_scheme": "dynamic"},
        **{"expert_dtype": "fp4", "scale_fmt": "ue8m0"},
    }
    modules = [
        ("layers.0.ffn.experts.0.w1", 384 * 3, 3072, 7168),
        ("layers.0.ffn.shared_experts.w2", 3, 7168, 3072),
        ("layers.0.attn.wo_b", 1, 7168, 16384),
    ]
    experts, fp8 = 384 * 3 * 3072 * 7168, 3 * 7168 * 3072 + 7168 * 16384
    assert held(given, modules) == experts // 32 * 17 + fp8 + fp8 // 16384 * 4
    table = {
        **{"quant_algo": "MIXED_PRECISION", "ignore": ["*.attn.*", "*.ffn.shared_experts.*"]},
        "quantized_layers": {"layers.0.ffn.experts": {"group_size": 16, "quant_algo": "NVFP4"}},
    }
    assert held(given | table, modules) == experts // 16 * 9 + fp8 + fp8 // 16384 * 4


def test_quark_has_layers_of_their_own_scheme() -> None:
    # amd/Llama-3.1-405B-Instruct-FP8-KV, one layer: attention in fp8, an MLP in MXFP4
    fp8 = {"dtype": "fp8_e4m3", "qscheme": "per_tensor", "is_dynamic": False}
    fp4 = {"dtype": "fp4", "qscheme": "per_group", "group_size": 32, "scale_format": "e8m0"}
    given = {
        **{"quant_method": "quark", "exclude": ["lm_head"]},
        "global_quant_config": {"weight": fp8, "input_tensors": fp8, "output_tensors": None},
        "layer_quant_config": {
            "*.mlp.*": {"weight": fp4, "input_tensors": {**fp4, "is_dynamic": True}},
            "*v_proj": {"weight": fp8, "input_tensors": fp8, "output_tensors": fp8},
        },
    }
    modules = [
        ("model.layers.0.self_attn.q_proj", 2, 16384, 16384),
        ("model.layers.0.self_attn.v_proj", 2, 1024, 16384),
        ("model.layers.0.mlp.down_proj", 3, 16384, 53248),
        ("lm_head", 1, 128256, 16384),
    ]
    mlp = 3 * 16384 * 53248
    attention = 2 * 16384 * 16384 + 2 * 1024 * 16384
    assert held(given, modules) == mlp // 32 * 17 + attention + 2 * 128256 * 16384
    assert quantisation("config", given, "bf16").kv == "fp8"
