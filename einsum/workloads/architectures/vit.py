"""Vision transformers: patches of an image, norms before blocks, a pooler (`ViTConfig`).

`DeiTConfig` has a token more; DINOv2 (arXiv 2304.07193) scales what blocks make by learned factors,
and may gate its MLP. Tokens of an image are as many as patches, and those of no patch: give them as
`prompt`.
"""

import re
from typing import Any, ClassVar

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.held import Held
from hwmodel.einsum.workloads.blocks.patches import Patches
from hwmodel.einsum.workloads.blocks.projection import Projection
from hwmodel.einsum.workloads.blocks.scale import LearnedScale
from hwmodel.einsum.workloads.decoder import Norms
from hwmodel.einsum.workloads.encoder import Encoder
from hwmodel.einsum.workloads.record import Count, Flag, Layers, Whole

MODEL_TYPES = ("vit", "deit", "dinov2", "dinov2_with_registers", "vit_msn", "vit_mae", "ijepa")


class Vit(Encoder):
    """One token of no patch."""

    HARMLESS: ClassVar[frozenset[str]] = Encoder.HARMLESS | {
        *("encoder_stride", "pooler_act", "reshape_hidden_states", "apply_layernorm"),
        *("stage_names", "out_features", "out_indices", "drop_path_rate"),
    }
    NORMS: ClassVar[Norms] = ("layernorm_before", None, "layernorm_after", None)
    LAYER: ClassVar[str] = "layers.{layer}"
    FINAL: ClassVar[str] = "layernorm"
    EXTRA: ClassVar[int] = 1
    SPARE: ClassVar[int] = 0
    POOLED: ClassVar[bool] = True

    hidden_size: Count = 768
    intermediate_size: Count | None = 3072
    num_hidden_layers: Layers = 12
    num_attention_heads: Count = 12
    image_size: Count = 224
    patch_size: Count = 16
    num_channels: Count = 3
    qkv_bias: Flag = True
    pooler_output_size: Count | None = None

    @property
    def patches(self) -> int:
        """Patches of an image."""
        return (self.image_size // self.patch_size) ** 2

    def embedded(self) -> tuple[Block, ...]:
        """Patches, with positions of them and of tokens of none."""
        inputs, rows = self.num_channels * self.patch_size**2, self.patches + self.EXTRA
        return (Patches(inputs, self.hidden_size, rows, self.EXTRA, self.SPARE),)

    def attention(self, window: int | None) -> Block:
        """Attention with biases of q, k and v by key."""
        return self.heads(window, qkv_bias=self.qkv_bias, path=f"{self.LAYER}.attention")

    def ended(self) -> tuple[Block, ...]:
        """The last norm, and the pooler."""
        size = self.pooler_output_size or self.hidden_size
        more: dict[str, Any] = {"last": True, "part": "pooler", "bias": True, "act": "tanh"}
        pooler = Projection("pooler", self.hidden_size, size, "pooler.dense", **more)
        return (*super().ended(), *((pooler,) if self.POOLED else ()))


class VitMsn(Vit):
    """No pooler."""

    POOLED: ClassVar[bool] = False


class VitMae(VitMsn):
    """The encoder, on all patches; a mask leaves a share of them, so many fewer tokens."""

    HARMLESS: ClassVar[frozenset[str]] = Vit.HARMLESS | {"mask_ratio", "norm_pix_loss"}
    RULES: ClassVar[re.Pattern[str] | None] = re.compile("decoder_.*")


class Ijepa(VitMsn):
    """Patches alone."""

    EXTRA: ClassVar[int] = 0


class Deit(Vit):
    """One token more, for distillation."""

    EXTRA: ClassVar[int] = 2


class DinoV2(Vit):
    """A token that training alone uses; no pooler."""

    NORMS: ClassVar[Norms] = ("norm1", None, "norm2", None)
    LAYER: ClassVar[str] = "encoder.layer.{layer}"
    POOLED: ClassVar[bool] = False

    patch_size: Count = 14
    intermediate_size: Count | None = None
    mlp_ratio: Count = 4
    use_swiglu_ffn: Flag = False
    use_mask_token: Flag = True
    layerscale_value: float = 1.0

    @property
    def inner_size(self) -> int:
        """Columns between the products of the MLP; a gated one has two thirds, rounded up to 8."""
        wide = self.mlp_ratio * self.hidden_size
        return (int(wide * 2 / 3) + 7) // 8 * 8 if self.use_swiglu_ffn else wide

    def embedded(self) -> tuple[Block, ...]:
        """Patches, and the token that is not used."""
        inputs, rows = self.num_channels * self.patch_size**2, self.patches + 1
        return (Patches(inputs, self.hidden_size, rows, 1, int(self.use_mask_token)),)

    def inner(self, layer: int) -> Block:
        """MLP of two products, or gated."""
        if not self.use_swiglu_ffn:
            return self.plain()
        names = ("weights_in", "weights_in", "weights_out")
        return self.gated(act="silu", bias=True, names=names)

    def added(self, name: str) -> tuple[Block, ...]:
        """What a block has made, times learned factors."""
        number = 1 if name.startswith("attention") else 2
        path = f"{self.LAYER}.layer_scale{number}.lambda1"
        return (LearnedScale(f"{name} scale", self.hidden_size, path), *super().added(name))


class Registers(DinoV2):
    """Tokens of no patch that no position is added to."""

    patch_size: Count = 16
    num_register_tokens: Whole = 4

    def embedded(self) -> tuple[Block, ...]:
        """Patches, the token that is not used, registers."""
        shape = (self.num_register_tokens, self.hidden_size)
        more = (Held("embeddings.register_tokens", shape, "embedding"),)
        return (*super().embedded(), *(more if self.num_register_tokens else ()))


RECORDS = {
    **{"vit": Vit, "vit_msn": VitMsn, "vit_mae": VitMae, "ijepa": Ijepa, "deit": Deit},
    **{"dinov2": DinoV2, "dinov2_with_registers": Registers},
}
