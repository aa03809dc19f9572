"""Text and images in one space: CLIP (`CLIPTextConfig`) and SigLIP (`SiglipTextConfig`).

CLIP's text is causal (arXiv 2103.00020), SigLIP's is not (arXiv 2303.15343) and ends in a product.
SigLIP's vision may end in attention of one learned query to all patches, with an MLP behind it.
"""

from typing import ClassVar

from hwmodel.einsum.workloads.architectures.vit import Vit
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.patches import Patches
from hwmodel.einsum.workloads.blocks.positions import Positions
from hwmodel.einsum.workloads.blocks.probe import Probe
from hwmodel.einsum.workloads.blocks.projection import Projection
from hwmodel.einsum.workloads.decoder import Norms
from hwmodel.einsum.workloads.encoder import Encoder
from hwmodel.einsum.workloads.record import Count, Flag

MODEL_TYPES = (
    "clip_text_model",
    "clip_vision_model",
    "siglip_text_model",
    "siglip_vision_model",
    "siglip2_text_model",
    "siglip2_vision_model",
    "idefics2_vision",
    "idefics3_vision",
    "smolvlm_vision",
    "phi4_multimodal_vision",
    "chinese_clip_vision_model",
    "altclip_vision_model",
    "metaclip_2_text_model",
    "metaclip_2_vision_model",
    "gemma3_vision",
    "paligemma_vision",
    "llava_vision",
)
_NAMES = ("q_proj", "k_proj", "v_proj", "out_proj")
_NORMS: Norms = ("layer_norm1", None, "layer_norm2", None)


class ClipText(Encoder):
    """A product at the end, of models that are said to have it."""

    BETWEEN: ClassVar[bool] = False
    NORMS: ClassVar[Norms] = _NORMS
    LAYER: ClassVar[str] = "encoder.layers.{layer}"
    EMBEDDING: ClassVar[str] = "embeddings.token_embedding"
    FINAL: ClassVar[str] = "final_layer_norm"

    vocab_size: Count = 49408
    hidden_act: str = "quick_gelu"
    max_position_embeddings: Count = 77
    projection_dim: Count = 512
    architectures: tuple[str, ...] | None = None

    def embedded(self) -> tuple[Block, ...]:
        """Tokens and positions."""
        rows, path = self.max_position_embeddings, "embeddings.position_embedding"
        return (*super().embedded(), Positions(rows, self.hidden_size, path))

    def attention(self, window: int | None) -> Block:
        """Attention by other names."""
        return self.heads(window, names=_NAMES)

    def ended(self) -> tuple[Block, ...]:
        """The last norm, and the product."""
        named = any("WithProjection" in name for name in self.architectures or ())
        sizes = (self.hidden_size, self.projection_dim)
        end = Projection("text projection", *sizes, "text_projection", last=True, part="head")
        return (*super().ended(), *((end,) if named else ()))


class SiglipText(ClipText):
    """Every token sees every other; a product with a bias at the end."""

    BETWEEN: ClassVar[bool] = True

    vocab_size: Count = 32000
    hidden_act: str = "gelu_pytorch_tanh"
    max_position_embeddings: Count = 64
    projection_size: Count | None = None

    def ended(self) -> tuple[Block, ...]:
        """The last norm, and the product."""
        sizes = (self.hidden_size, self.projection_size or self.hidden_size)
        end = Projection("text projection", *sizes, "head", last=True, part="head", bias=True)
        return (*Encoder.ended(self), end)


class ClipVision(Vit):
    """A norm before the layers."""

    NORMS: ClassVar[Norms] = _NORMS
    LAYER: ClassVar[str] = "encoder.layers.{layer}"
    FINAL: ClassVar[str] = "post_layernorm"
    POOLED: ClassVar[bool] = False

    hidden_act: str = "quick_gelu"
    patch_size: Count = 32
    projection_dim: Count = 512

    def embedded(self) -> tuple[Block, ...]:
        """Patches without a bias, and their norm."""
        inputs, rows = self.num_channels * self.patch_size**2, self.patches + 1
        table = Patches(inputs, self.hidden_size, rows, bias=False)
        return (table, *self.norm("embedding norm", "pre_layrnorm"))

    def attention(self, window: int | None) -> Block:
        """Attention by other names."""
        return self.heads(window, names=_NAMES)


class SiglipVision(ClipVision):
    """No token of no patch; the end by key."""

    hidden_act: str = "gelu_pytorch_tanh"
    patch_size: Count = 16
    vision_use_head: Flag = True

    def embedded(self) -> tuple[Block, ...]:
        """Patches."""
        inputs = self.num_channels * self.patch_size**2
        return (Patches(inputs, self.hidden_size, self.patches, extra=0),)

    def ended(self) -> tuple[Block, ...]:
        """The last norm, and one query to all patches."""
        sizes = (self.hidden_size, self.num_attention_heads, self.inner_size, self.hidden_act)
        return (*super().ended(), *((Probe(*sizes),) if self.vision_use_head else ()))


class Siglip2Vision(SiglipVision):
    """As many positions as said, whatever an image's sides (`Siglip2VisionConfig`)."""

    num_patches: Count = 256

    @property
    def patches(self) -> int:
        """Positions."""
        return self.num_patches


class Idefics(SiglipVision):
    """No end but a norm (`Idefics2VisionConfig`, `Idefics3VisionConfig`)."""

    vision_use_head: Flag = False
    patch_size: Count = 32


class Idefics3(Idefics):
    """Other sizes."""

    hidden_size: Count = 1152
    num_attention_heads: Count = 16


class Phi4Vision(SiglipVision):
    """Positions of a square of crops (`Phi4MultimodalVisionConfig`)."""

    HARMLESS: ClassVar[frozenset[str]] = SiglipVision.HARMLESS | {"crop_size", "feature_layer"}

    hidden_size: Count = 1152
    intermediate_size: Count | None = 4304
    num_hidden_layers: Count = 27
    num_attention_heads: Count = 16
    image_size: Count = 448
    patch_size: Count = 14


RECORDS = {
    **{"clip_text_model": ClipText, "clip_vision_model": ClipVision},
    **{"siglip_text_model": SiglipText, "siglip_vision_model": SiglipVision},
    **{"siglip2_text_model": SiglipText, "siglip2_vision_model": Siglip2Vision},
    **{"idefics2_vision": Idefics, "idefics3_vision": Idefics3, "smolvlm_vision": Idefics3},
    **{"phi4_multimodal_vision": Phi4Vision, "chinese_clip_vision_model": ClipVision},
    **{"altclip_vision_model": ClipVision, "metaclip_2_vision_model": ClipVision},
    "metaclip_2_text_model": ClipText,
    # Of whole models whose table for vision says no type.
    **{"gemma3_vision": SiglipVision, "paligemma_vision": SiglipVision, "llava_vision": ClipVision},
}
