"""Helium: Llama with biases of q, k and v by key (`HeliumConfig`)."""

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.decoder import Decoder
from hwmodel.einsum.workloads.record import Count, Flag

MODEL_TYPES = ("helium",)


class Config(Decoder):
    """Heads of 128 where nothing is said."""

    head_dim: Count | None = 128
    attention_bias: Flag = False
    mlp_bias: Flag = False

    def attention(self, window: int | None) -> Block:
        """Attention with its biases."""
        return self.heads(window, qkv_bias=self.attention_bias)

    def inner(self, layer: int) -> Block:
        """MLP with its biases."""
        return self.gated(bias=self.mlp_bias)
