"""DINOv3's vision: patches turned by rows and columns, registers (`DINOv3ViTConfig`)."""

from typing import ClassVar

from hwmodel.einsum.workloads.architectures.vit import DinoV2
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.patches import Patches
from hwmodel.einsum.workloads.record import Count, Flag, Layers, Whole

MODEL_TYPES = ("dinov3_vit",)


class Config(DinoV2):
    """Biases and a gated MLP by key; no table of positions."""

    HARMLESS: ClassVar[frozenset[str]] = DinoV2.HARMLESS | {
        *("pos_embed_jitter", "pos_embed_rescale", "pos_embed_shift"),
    }
    LAYER: ClassVar[str] = "model.layer.{layer}"
    FINAL: ClassVar[str] = "norm"

    hidden_size: Count = 384
    intermediate_size: Count | None = 1536
    num_hidden_layers: Layers = 12
    num_attention_heads: Count = 6
    patch_size: Count = 16
    query_bias: Flag = True
    key_bias: Flag = False
    value_bias: Flag = True
    proj_bias: Flag = True
    mlp_bias: Flag = True
    use_gated_mlp: Flag = False
    num_register_tokens: Whole = 0

    @property
    def inner_size(self) -> int:
        """As said."""
        return self.intermediate_size or 0

    def embedded(self) -> tuple[Block, ...]:
        """Patches; a token of an image, one for masks, registers."""
        inputs, extra = self.num_channels * self.patch_size**2, 1 + self.num_register_tokens
        return (Patches(inputs, self.hidden_size, 0, extra, 1),)

    def attention(self, window: int | None) -> Block:
        """Rotary attention with biases by key."""
        path = f"{self.LAYER}.attention"
        biased = self.query_bias and self.value_bias
        more = {"qkv_bias": biased, "key_bias": self.key_bias, "output_bias": self.proj_bias}
        return self.heads(window, rotated=None, path=path, **more)

    def inner(self, layer: int) -> Block:
        """MLP of two products, or gated."""
        if self.use_gated_mlp:
            return self.gated(bias=self.mlp_bias)
        return self.plain(names=("up_proj", "down_proj"), bias=self.mlp_bias)
