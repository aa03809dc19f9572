"""AIMv2's vision: RMS norms, gated MLPs, an end of one query to all patches (`Aimv2VisionConfig`).

Fini et al., arXiv 2411.14402.
"""

from typing import ClassVar

from hwmodel.einsum.workloads.architectures.vit import Vit
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.held import Held
from hwmodel.einsum.workloads.blocks.norm import Kind
from hwmodel.einsum.workloads.blocks.patches import Patches
from hwmodel.einsum.workloads.blocks.projection import Projection
from hwmodel.einsum.workloads.decoder import Norms
from hwmodel.einsum.workloads.record import Count, Flag, Layers

MODEL_TYPES = ("aimv2_vision_model",)


class Config(Vit):
    """Biases by key; patches pass a norm before positions are added."""

    HARMLESS: ClassVar[frozenset[str]] = Vit.HARMLESS | {"is_native"}
    NORM: ClassVar[Kind] = "rms"
    NORMS: ClassVar[Norms] = ("rms_norm1", None, "rms_norm2", None)
    LAYER: ClassVar[str] = "encoder.layers.{layer}"
    FINAL: ClassVar[str] = "rms_norm"

    hidden_size: Count = 1024
    intermediate_size: Count | None = 2816
    num_hidden_layers: Layers = 24
    num_attention_heads: Count = 8
    hidden_act: str = "silu"
    patch_size: Count = 14
    qkv_bias: Flag = False
    mlp_bias: Flag = False
    use_head: Flag = True

    def embedded(self) -> tuple[Block, ...]:
        """Patches, positions, a norm."""
        sizes = (self.num_channels * self.patch_size**2, self.hidden_size, self.patches, 0)
        made = Patches(*sizes, names=("patch_embed", "position_embedding"))
        return (made, *self.norm("embedding norm", "embeddings.rms_norm"))

    def attention(self, window: int | None) -> Block:
        """Attention with biases by key."""
        names, path = ("q_proj", "k_proj", "v_proj", "out_proj"), f"{self.LAYER}.attention"
        biased = {"qkv_bias": self.qkv_bias, "output_bias": self.qkv_bias}
        return self.heads(window, names=names, path=path, **biased)

    def inner(self, layer: int) -> Block:
        """A gated MLP."""
        return self.gated(bias=self.mlp_bias, path=f"{self.LAYER}.ffn")

    def ended(self) -> tuple[Block, ...]:
        """A norm; keys and values of all patches for a learned query, and a product."""
        size = self.hidden_size
        head = (
            Held("head.cls_token", (1, size), "pooler"),
            Projection("head k", size, size, "head.k_proj", False, "pooler", self.qkv_bias),
            Projection("head v", size, size, "head.v_proj", False, "pooler", self.qkv_bias),
            Projection("head output", size, size, "head.output_proj", True, "pooler", True),
        )
        return (*self.norm("final norm", self.FINAL), *(head if self.use_head else ()))
