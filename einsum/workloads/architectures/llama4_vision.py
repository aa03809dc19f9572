"""Llama 4's vision: patches turned by rows and columns, squares of them joined by two products.

`Llama4VisionConfig`. The token of no patch stands behind the patches and is dropped before they are
joined: an image of P patches has P times the square of `pixel_shuffle_ratio` tokens.
"""

from typing import Any, ClassVar

from hwmodel.einsum.workloads.architectures.vit import Vit
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.coarser import Coarser
from hwmodel.einsum.workloads.blocks.patches import Patches
from hwmodel.einsum.workloads.blocks.projection import Projection
from hwmodel.einsum.workloads.decoder import USUAL, Norms
from hwmodel.einsum.workloads.record import Count, Layers

MODEL_TYPES = ("llama4_vision_model", "llama4_vision")


class Config(Vit):
    """Norms before and behind the layers."""

    HARMLESS: ClassVar[frozenset[str]] = Vit.HARMLESS | {
        *("multi_modal_projector_bias", "vision_feature_select_strategy", "vision_output_dim"),
        *("vision_feature_layer", "projector_dropout"),
    }
    NORMS: ClassVar[Norms] = USUAL
    LAYER: ClassVar[str] = "vision_model.model.layers.{layer}"
    FINAL: ClassVar[str] = "vision_model.layernorm_post"

    hidden_size: Count = 768
    intermediate_size: Count | None = 5632
    num_hidden_layers: Layers = 34
    num_attention_heads: Count = 16
    image_size: Count = 448
    patch_size: Count = 14
    pixel_shuffle_ratio: float = 0.5
    projector_input_dim: Count = 4096
    projector_output_dim: Count = 4096

    def embedded(self) -> tuple[Block, ...]:
        """Patches without a bias, positions, a norm."""
        sizes = (self.num_channels * self.patch_size**2, self.hidden_size, self.patches + 1, 1)
        names = ("patch_embedding.linear", "positional_embedding_vlm")
        made = Patches(*sizes, bias=False, path="vision_model", names=names)
        return (made, *self.norm("embedding norm", "vision_model.layernorm_pre"))

    def attention(self, window: int | None) -> Block:
        """Rotary attention."""
        return self.heads(window, rotated=None)

    def ended(self) -> tuple[Block, ...]:
        """A norm, squares joined, two products with an activation behind each."""
        squares = round(1 / self.pixel_shuffle_ratio**2)
        path, inner = "vision_model.vision_adapter.mlp", self.projector_input_dim
        more: dict[str, Any] = {"part": "merger", "act": "gelu"}
        joined = Projection("merger up", self.inner_size, inner, f"{path}.fc1", **more)
        sizes = (inner, self.projector_output_dim)
        down = Projection("merger down", *sizes, f"{path}.fc2", **more)
        return (
            *self.norm("final norm", self.FINAL),
            Coarser(joined, squares),
            Coarser(down, squares),
        )
