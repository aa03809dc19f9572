"""Qwen 3: q and k pass a norm by head (`Qwen3Config`)."""

from typing import ClassVar

from hwmodel.einsum.workloads.architectures import qwen2
from hwmodel.einsum.workloads.blocks.attention import Attention
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.record import Count, Flag, Values

MODEL_TYPES = ("qwen3", "qwen3_vl_text")


class Config(qwen2.Config):
    """Heads of 128 where nothing is said; biases by key."""

    NEUTRAL: ClassVar[Values] = {"use_qk_norm": (True,), "qkv_bias": (False,)}

    head_dim: Count | None = 128
    attention_bias: Flag = False

    def attention(self, window: int | None) -> Block:
        """Attention with norms of q and k."""
        return Attention(
            *(self.hidden_size, self.num_attention_heads, self.key_heads, self.head_size, window),
            qkv_bias=self.attention_bias,
            output_bias=self.attention_bias,
            qk_norm=True,
        )
