"""RWKV-4 (arXiv 2305.13048): mixers of time and of channels, layer norms, no attention."""

from typing import ClassVar

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.network import Network
from hwmodel.einsum.workloads.blocks.norm import Kind, Norm, Residual
from hwmodel.einsum.workloads.blocks.rwkv import ChannelMix, TimeMix
from hwmodel.einsum.workloads.mixers import Mixers
from hwmodel.einsum.workloads.record import Count, Layers

MODEL_TYPES = ("rwkv",)


class Config(Mixers):
    """The first layer has one norm more, before the others."""

    HARMLESS: ClassVar[frozenset[str]] = frozenset({"context_length", "rescale_every"})
    NORM: ClassVar[Kind] = "layer"
    LAYER: ClassVar[str] = "rwkv.blocks.{layer}"
    EMBEDDING: ClassVar[str] = "rwkv.embeddings"
    FINAL: ClassVar[str] = "rwkv.ln_out"
    HEAD: ClassVar[str] = "head"

    vocab_size: Count = 50277
    hidden_size: Count = 4096
    num_hidden_layers: Layers = 32
    attention_hidden_size: Count | None = None
    intermediate_size: Count | None = None

    def network(self) -> Network:
        """Equal layers but the first."""
        hidden = self.hidden_size
        width, inner = self.attention_hidden_size or hidden, self.intermediate_size or 4 * hidden
        layer: tuple[Block, ...] = (
            *(self._norm("ln1"), TimeMix(hidden, width, f"{self.LAYER}.attention")),
            Residual("mixer residual", hidden),
            *(self._norm("ln2"), ChannelMix(hidden, inner, f"{self.LAYER}.feed_forward")),
            Residual("mlp residual", hidden),
        )
        first = (self._norm("pre_ln"), *layer)
        return self.between([first, *[layer] * (self.num_hidden_layers - 1)])

    def _norm(self, name: str) -> Norm:
        return Norm(f"{name} norm", f"{self.LAYER}.{name}", self.hidden_size, self.NORM)
