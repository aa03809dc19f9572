"""GLM 4V's vision: patches of two frames, rotary encoders with gated MLPs, squares joined.

`Glm4vVisionConfig`, `Glm4vMoeVisionConfig`. A product over each square of patches makes a token,
which passes a product, a norm, and a gated MLP. A token of a step is a patch.
"""

from typing import ClassVar

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.coarser import coarser
from hwmodel.einsum.workloads.blocks.mlp import Mlp
from hwmodel.einsum.workloads.blocks.norm import Kind, Norm
from hwmodel.einsum.workloads.blocks.patches import Patches
from hwmodel.einsum.workloads.blocks.projection import Projection
from hwmodel.einsum.workloads.decoder import Norms
from hwmodel.einsum.workloads.encoder import Encoder
from hwmodel.einsum.workloads.record import Count, Flag, Layers, Names

MODEL_TYPES = ("glm4v_vision", "glm4v_moe_vision")


class Glm4vVision(Encoder):
    """The MLP of a layer is as wide as `out_hidden_size`, that behind the layers as said."""

    ALIASES: ClassVar[Names] = {"depth": "num_hidden_layers", "num_heads": "num_attention_heads"}
    NORM: ClassVar[Kind] = "rms"
    NORMS: ClassVar[Norms] = ("norm1", None, "norm2", None)
    LAYER: ClassVar[str] = "model.visual.blocks.{layer}"

    hidden_size: Count = 1536
    intermediate_size: Count | None = 13696
    num_hidden_layers: Layers = 24
    num_attention_heads: Count = 12
    hidden_act: str = "silu"
    attention_bias: Flag = False
    in_channels: Count = 3
    image_size: Count = 336
    patch_size: Count = 14
    temporal_patch_size: Count = 2
    spatial_merge_size: Count = 2
    out_hidden_size: Count = 4096

    def embedded(self) -> tuple[Block, ...]:
        """Patches with a norm, then positions."""
        inputs = self.in_channels * self.temporal_patch_size * self.patch_size**2
        rows = (self.image_size // self.patch_size) ** 2
        names, path = ("patch_embed.proj", "embeddings.position_embedding"), "model.visual"
        made = Patches(inputs, self.hidden_size, rows, 0, path=path, names=names)
        return (made, *self.norm("embedding norm", f"{path}.post_conv_layernorm"))

    def attention(self, window: int | None) -> Block:
        """Rotary attention, q, k and v one module."""
        path, names = f"{self.LAYER}.attn", ("qkv", "qkv", "qkv", "proj")
        biased = {"qkv_bias": self.attention_bias, "output_bias": False}
        return self.heads(window, rotated=None, names=names, path=path, **biased)

    def inner(self, layer: int) -> Block:
        """A gated MLP."""
        return self.gated(intermediate=self.out_hidden_size)

    def ended(self) -> tuple[Block, ...]:
        """A norm of patches; on each square two products, a norm with a GELU, and an MLP."""
        squares, width, path = self.spatial_merge_size**2, self.out_hidden_size, "model.visual"
        joined = (squares * self.hidden_size, width, f"{path}.downsample")
        merged = (
            Projection("merger join", *joined, part="merger", bias=True),
            Projection("merger product", width, width, f"{path}.merger.proj", part="merger"),
            Norm("merger norm", f"{path}.merger.post_projection_norm", width, "layer"),
            Mlp(width, self.inner_size, path=f"{path}.merger", act=self.hidden_act),
        )
        return (
            *self.norm("final norm", f"{path}.post_layernorm"),
            *coarser(merged, squares),
        )


RECORDS = {"glm4v_vision": Glm4vVision, "glm4v_moe_vision": Glm4vVision}
