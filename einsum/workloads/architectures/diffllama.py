"""DiffLlama (arXiv 2410.05258): Llama with the difference of two attentions (`DiffLlamaConfig`)."""

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.differential import Differential
from hwmodel.einsum.workloads.decoder import Decoder
from hwmodel.einsum.workloads.record import Flag

MODEL_TYPES = ("diffllama",)


class Config(Decoder):
    """Biases of all four projections by key."""

    attention_bias: Flag = False
    lambda_std_dev: float = 0.1

    def attention(self, window: int | None) -> Block:
        """Attention, and the difference of its halves."""
        biased = self.attention_bias
        return Differential(self.heads(window, qkv_bias=biased, output_bias=biased))
