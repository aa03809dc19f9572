"""ERNIE 4.5, dense: Llama with biases of all products by one key (`Ernie4_5Config`)."""

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.decoder import Decoder
from hwmodel.einsum.workloads.record import Count, Flag

MODEL_TYPES = ("ernie4_5",)


class Config(Decoder):
    """Heads of 128 where nothing is said."""

    head_dim: Count | None = 128
    tie_word_embeddings: Flag = True
    use_bias: Flag = False

    def attention(self, window: int | None) -> Block:
        """Attention with its biases."""
        return self.heads(window, qkv_bias=self.use_bias, output_bias=self.use_bias)

    def inner(self, layer: int) -> Block:
        """MLP with its biases."""
        return self.gated(bias=self.use_bias)
