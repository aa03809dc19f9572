"""StarCoder 2: layer norms, a plain MLP, biases throughout, a window (`Starcoder2Config`)."""

from typing import ClassVar

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.norm import Kind
from hwmodel.einsum.workloads.decoder import Decoder
from hwmodel.einsum.workloads.record import Count, Flag

MODEL_TYPES = ("starcoder2",)


class Config(Decoder):
    """Biases of all products by one key."""

    NORM: ClassVar[Kind] = "layer"

    hidden_act: str = "gelu_pytorch_tanh"
    tie_word_embeddings: Flag = True
    sliding_window: Count | None = None
    use_bias: Flag = True

    def attention(self, window: int | None) -> Block:
        """Attention with its biases."""
        return self.heads(window, qkv_bias=self.use_bias, output_bias=self.use_bias)

    def inner(self, layer: int) -> Block:
        """MLP with its biases."""
        return self.plain(bias=self.use_bias, names=("c_fc", "c_proj"))
