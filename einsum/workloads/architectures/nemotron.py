"""Nemotron 4 and Minitron: layer norms, a plain MLP with squared ReLU (`NemotronConfig`)."""

from typing import ClassVar

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.norm import Kind
from hwmodel.einsum.workloads.decoder import Decoder
from hwmodel.einsum.workloads.record import Flag

MODEL_TYPES = ("nemotron",)


class Config(Decoder):
    """Half of a head is rotated; biases by key."""

    ROTATED: ClassVar[float] = 0.5
    NORM: ClassVar[Kind] = "layer"
    REQUIRED: ClassVar[tuple[str, ...]] = ()

    hidden_act: str = "relu2"
    attention_bias: Flag = False
    mlp_bias: Flag = False
    partial_rotary_factor: float | None = None

    def attention(self, window: int | None) -> Block:
        """Attention with its biases."""
        return self.heads(window, qkv_bias=self.attention_bias, output_bias=self.attention_bias)

    def inner(self, layer: int) -> Block:
        """MLP with its biases."""
        return self.plain(bias=self.mlp_bias, names=("up_proj", "down_proj"))
