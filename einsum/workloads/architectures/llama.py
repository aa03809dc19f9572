"""Llama 1 to 3, and the many that are built like it (`LlamaConfig`)."""

from typing import ClassVar

from hwmodel.einsum.workloads.blocks.attention import Attention
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.mlp import Mlp
from hwmodel.einsum.workloads.decoder import Decoder
from hwmodel.einsum.workloads.record import Flag

MODEL_TYPES = ("llama", "iquestcoder")


class Config(Decoder):
    """Biases by key: of all four projections of attention, of all three of the MLP."""

    REQUIRED: ClassVar[tuple[str, ...]] = ()

    attention_bias: Flag = False
    mlp_bias: Flag = False

    def attention(self, window: int | None) -> Block:
        """Attention with its biases."""
        return Attention(
            *(self.hidden_size, self.num_attention_heads, self.key_heads, self.head_size, window),
            qkv_bias=self.attention_bias,
            output_bias=self.attention_bias,
        )

    def inner(self, layer: int) -> Block:
        """MLP with its biases."""
        return Mlp(self.hidden_size, self.inner_size, self.mlp_bias)
