"""The models whose whole steps are measured: the config keys that fix their shapes, and the points.

Source of every figure: the model's published config.json (named by its key on Hugging Face).
"""

from typing import Any

Config = dict[str, Any]


def config(
    kind: str, layers: int, hidden: int, inner: int, heads: tuple[int, int, int], vocab: int,
    **more: Any,
) -> Config:  # fmt: skip
    """A config from one line of the table; heads is (query heads, kv heads, head size)."""
    return {
        "model_type": kind,
        "num_hidden_layers": layers,
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_attention_heads": heads[0],
        "num_key_value_heads": heads[1],
        "head_dim": heads[2],
        "vocab_size": vocab,
    } | more


CONFIGS: dict[str, Config] = {
    "llama-3.1-8b": config("llama", 32, 4096, 14336, (32, 8, 128), 128256, rope_theta=5e5),
    "llama-3.2-1b": config("llama", 16, 2048, 8192, (32, 8, 64), 128256, rope_theta=5e5),
    "llama-3.2-3b": config("llama", 28, 3072, 8192, (24, 8, 128), 128256, rope_theta=5e5),
    "mistral-7b-v0.3": config("mistral", 32, 4096, 14336, (32, 8, 128), 32768, rope_theta=1e6),
    "qwen2.5-0.5b": config("qwen2", 24, 896, 4864, (14, 2, 64), 151936, rope_theta=1e6),
    "qwen2.5-1.5b": config("qwen2", 28, 1536, 8960, (12, 2, 128), 151936, rope_theta=1e6),
    "qwen2.5-7b": config("qwen2", 28, 3584, 18944, (28, 4, 128), 152064, rope_theta=1e6),
    "qwen3-0.6b": config("qwen3", 28, 1024, 3072, (16, 8, 128), 151936, rope_theta=1e6),
    "qwen3-4b": config("qwen3", 36, 2560, 9728, (32, 8, 128), 151936, rope_theta=1e6),
    "qwen3-8b": config("qwen3", 36, 4096, 12288, (32, 8, 128), 151936, rope_theta=1e6),
    "qwen3-30b-a3b": config(
        "qwen3_moe", 48, 2048, 6144, (32, 4, 128), 151936, rope_theta=1e6,
        num_experts=128, num_experts_per_tok=8, moe_intermediate_size=768, norm_topk_prob=True,
    ),
    "mixtral-8x7b": config(
        "mixtral", 32, 4096, 14336, (32, 8, 128), 32000, rope_theta=1e6,
        num_local_experts=8, num_experts_per_tok=2,
    ),
}  # fmt: skip

DECODE_POINTS = (
    (1, 128), (1, 2048), (8, 1024), (32, 2048), (128, 2048), (4, 32768), (64, 8192), (16, 512),
    (2, 8192), (100, 777), (1, 16384), (48, 4096),
)  # fmt: skip
"""(batch, context)."""
PREFILL_POINTS = (
    (1, 128), (1, 2048), (4, 1024), (1, 8192), (16, 512), (8, 2048), (1, 512), (3, 1500),
    (32, 128), (2, 4096), (1, 4096), (1, 16384), (5, 333),
)  # fmt: skip
"""(batch, prompt)."""
