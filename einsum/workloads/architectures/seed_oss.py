"""Seed-OSS: biases of q, k and v, of the output by a key of its own (`SeedOssConfig`)."""

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.decoder import Decoder
from hwmodel.einsum.workloads.record import Count, Flag

MODEL_TYPES = ("seed_oss",)


class Config(Decoder):
    """Biases by key."""

    head_dim: Count | None = 128
    attention_bias: Flag = True
    attention_out_bias: Flag = False
    mlp_bias: Flag = False

    def attention(self, window: int | None) -> Block:
        """Attention with its biases."""
        return self.heads(window, qkv_bias=self.attention_bias, output_bias=self.attention_out_bias)

    def inner(self, layer: int) -> Block:
        """MLP with its biases."""
        return self.gated(bias=self.mlp_bias)
