"""Pixtral's vision (`PixtralVisionConfig`): patches turned by rows and columns, gated MLPs.

Agrawal et al., arXiv 2410.07073: no table of positions, no token of no patch.
"""

from typing import ClassVar

from hwmodel.einsum.workloads.architectures.vit import Vit
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.norm import Kind
from hwmodel.einsum.workloads.blocks.patches import Patches
from hwmodel.einsum.workloads.decoder import Norms
from hwmodel.einsum.workloads.record import Count

MODEL_TYPES = ("pixtral",)


class Pixtral(Vit):
    """A norm before the layers, and none behind them."""

    NORM: ClassVar[Kind] = "rms"
    NORMS: ClassVar[Norms] = ("attention_norm", None, "ffn_norm", None)
    LAYER: ClassVar[str] = "transformer.layers.{layer}"

    hidden_size: Count = 1024
    intermediate_size: Count | None = 4096
    num_hidden_layers: Count = 24
    num_attention_heads: Count = 16
    image_size: Count = 1024

    @property
    def head_size(self) -> int:
        """The hidden size shared out, whatever `head_dim` says."""
        return self.hidden_size // self.num_attention_heads

    def embedded(self) -> tuple[Block, ...]:
        """Patches without a bias, and their norm."""
        inputs, names = self.num_channels * self.patch_size**2, ("patch_conv", "")
        patches = Patches(inputs, self.hidden_size, 0, extra=0, bias=False, path="", names=names)
        return (patches, *self.norm("embedding norm", "ln_pre"))

    def attention(self, window: int | None) -> Block:
        """Attention without biases; all of a head's columns turn."""
        plain = {"qkv_bias": False, "output_bias": False, "rotated": self.head_size}
        return self.heads(window, path=f"{self.LAYER}.attention", **plain)

    def inner(self, layer: int) -> Block:
        """A gated MLP."""
        return self.gated(path=f"{self.LAYER}.feed_forward")

    def ended(self) -> tuple[Block, ...]:
        """Nothing."""
        return ()


RECORDS = {"pixtral": Pixtral}
