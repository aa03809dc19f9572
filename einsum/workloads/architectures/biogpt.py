"""BioGPT: learned positions, scaled embeddings, layer norms, a plain MLP (`BioGptConfig`)."""

from typing import ClassVar

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.norm import Kind
from hwmodel.einsum.workloads.blocks.positions import Positions
from hwmodel.einsum.workloads.decoder import Decoder, Norms
from hwmodel.einsum.workloads.record import Count, Flag

MODEL_TYPES = ("biogpt",)


class Config(Decoder):
    """Biases throughout."""

    REQUIRED: ClassVar[tuple[str, ...]] = ()
    HARMLESS: ClassVar[frozenset[str]] = frozenset({"layerdrop"})
    NORM: ClassVar[Kind] = "layer"
    NORMS: ClassVar[Norms] = ("self_attn_layer_norm", None, "final_layer_norm", None)
    LAYER: ClassVar[str] = "biogpt.layers.{layer}"
    EMBEDDING: ClassVar[str] = "biogpt.embed_tokens"
    FINAL: ClassVar[str] = "biogpt.layer_norm"
    HEAD: ClassVar[str] = "output_projection"

    hidden_act: str = "gelu"
    tie_word_embeddings: Flag = True
    scale_embedding: Flag = True
    max_position_embeddings: Count = 1024

    @property
    def scaled(self) -> frozenset[str]:
        """Embeddings, by key."""
        return frozenset({"embedding"}) if self.scale_embedding else frozenset()

    def embedded(self) -> tuple[Block, ...]:
        """Tokens and positions, whose table has two rows before the first."""
        rows = self.max_position_embeddings + 2
        table = Positions(rows, self.hidden_size, "biogpt.embed_positions")
        return (*super().embedded(), table)

    def attention(self, window: int | None) -> Block:
        """Attention that nothing turns."""
        names = ("q_proj", "k_proj", "v_proj", "out_proj")
        return self.heads(window, qkv_bias=True, output_bias=True, rotated=0, names=names)

    def inner(self, layer: int) -> Block:
        """MLP of two products."""
        return self.plain(path=self.LAYER)
