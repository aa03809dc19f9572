"""Qwen 1: Llama with one module for q, k and v, which has biases (remote code of Alibaba)."""

from typing import ClassVar

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.decoder import Decoder, Norms
from hwmodel.einsum.workloads.record import Count, Flag, Names

MODEL_TYPES = ("qwen",)


class Config(Decoder):
    """`intermediate_size` counts gate and up together."""

    REQUIRED: ClassVar[tuple[str, ...]] = ()
    ALIASES: ClassVar[Names] = {"kv_channels": "head_dim", "seq_length": "max_position_embeddings"}
    HARMLESS: ClassVar[frozenset[str]] = frozenset(
        "bf16 fp16 fp32 onnx_safe scale_attn_weights softmax_in_fp32 use_dynamic_ntk use_flash_attn"
        " use_logn_attn use_cache_quantization use_cache_kernel".split()
    )
    NORMS: ClassVar[Norms] = ("ln_1", None, "ln_2", None)
    LAYER: ClassVar[str] = "transformer.h.{layer}"
    EMBEDDING: ClassVar[str] = "transformer.wte"
    FINAL: ClassVar[str] = "transformer.ln_f"

    no_bias: Flag = True
    head_dim: Count | None = 128

    @property
    def inner_size(self) -> int:
        """Half of what is said."""
        return (self.intermediate_size or 0) // 2

    def attention(self, window: int | None) -> Block:
        """Attention with a fused module."""
        names, path = ("c_attn", "c_attn", "c_attn", "c_proj"), f"{self.LAYER}.attn"
        return self.heads(
            window, qkv_bias=True, output_bias=not self.no_bias, names=names, path=path
        )

    def inner(self, layer: int) -> Block:
        """MLP by other names."""
        return self.gated(bias=not self.no_bias, names=("w2", "w1", "c_proj"))
