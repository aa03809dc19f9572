"""BitNet b1.58 (arXiv 2504.12285): norms inside of attention and MLP (`BitNetConfig`)."""

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.decoder import Decoder
from hwmodel.einsum.workloads.record import Flag

MODEL_TYPES = ("bitnet",)


class Config(Decoder):
    """Weights of 1.58 bits are a matter of `quantization_config`."""

    hidden_act: str = "relu2"
    attention_bias: Flag = False

    def attention(self, window: int | None) -> Block:
        """Attention with a norm before its output product."""
        biased = self.attention_bias
        return self.heads(window, qkv_bias=biased, output_bias=biased, output_norm="attn_sub_norm")

    def inner(self, layer: int) -> Block:
        """MLP with a norm before its last product."""
        return self.gated(inner_norm="ffn_sub_norm")
