"""BEiT, data2vec's vision and InternViT: patches, keys without biases, learned factors.

`BeitConfig` (arXiv 2106.08254), `Data2VecVisionConfig`, `InternVLVisionConfig`: a vector of each
block multiplies what it makes where `layer_scale_init_value` is above 0.
"""

from typing import Any, ClassVar, cast

from hwmodel.einsum.workloads.architectures.vit import Vit
from hwmodel.einsum.workloads.blocks.attention import HeadNorm
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.held import Held
from hwmodel.einsum.workloads.blocks.norm import Norm
from hwmodel.einsum.workloads.blocks.patches import Patches
from hwmodel.einsum.workloads.blocks.scale import LearnedScale
from hwmodel.einsum.workloads.record import Count, Flag, Layers
from hwmodel.quantity.errors import InputError

MODEL_TYPES = ("beit", "data2vec-vision", "internvl_vision")


class Beit(Vit):
    """Positions, biases by distance and a token for masks by key; a norm as the end."""

    HARMLESS: ClassVar[frozenset[str]] = Vit.HARMLESS | frozenset(
        "add_fpn pool_scales semantic_loss_ignore_index vocab_size auxiliary_channels"
        " auxiliary_concat_input auxiliary_loss_weight auxiliary_num_convs use_auxiliary_head"
        " segmentation_indices out_indices".split()
    )
    FINAL: ClassVar[str] = "pooler.layernorm"

    image_size: Any = 224
    patch_size: Any = 16
    use_absolute_position_embeddings: Flag = False
    use_relative_position_bias: Flag = False
    use_shared_relative_position_bias: Flag = False
    use_mask_token: Flag = False
    use_mean_pooling: Flag = True
    layer_scale_init_value: float = 0.1

    @property
    def sides(self) -> tuple[int, int]:
        """Patches down and across."""
        pairs = zip(_pair(self.image_size), _pair(self.patch_size), strict=True)
        down, across = (image // patch for image, patch in pairs)
        return down, across

    @property
    def patches(self) -> int:
        """Patches of an image."""
        return self.sides[0] * self.sides[1]

    def _biases(self, path: str) -> Block:
        down, across = self.sides
        rows = (2 * down - 1) * (2 * across - 1) + 3
        return Held(f"{path}.relative_position_bias_table", (rows, self.num_attention_heads))

    def embedded(self) -> tuple[Block, ...]:
        """Patches, positions, tokens of no patch."""
        down, across = _pair(self.patch_size)
        rows = (self.patches + 1) * self.use_absolute_position_embeddings
        sizes = (self.num_channels * down * across, self.hidden_size, rows, 1)
        made = Patches(*sizes, int(self.use_mask_token))
        shared = (self._biases("encoder.relative_position_bias"),)
        return (made, *(shared if self.use_shared_relative_position_bias else ()))

    def attention(self, window: int | None) -> Block:
        """Attention whose keys have no biases."""
        return self.heads(window, key_bias=False, path=f"{self.LAYER}.attention")

    def layer(self, attention: Block, inner: Block, norms: Any = None) -> tuple[Block, ...]:
        """A table of biases of each layer by key."""
        own = (self._biases(f"{self.LAYER}.attention"),) if self.use_relative_position_bias else ()
        return (*super().layer(attention, inner, norms), *own)

    def added(self, name: str) -> tuple[Block, ...]:
        """What a block has made, times learned factors, if any."""
        number = 1 if name.startswith("attention") else 2
        path = f"{self.LAYER}.lambda_{number}"
        factor = (LearnedScale(f"{name} scale", self.hidden_size, path),)
        plain = super().added(name)
        return (*factor, *plain) if self.layer_scale_init_value > 0 else plain

    def ended(self) -> tuple[Block, ...]:
        """A norm: of the mean of patches, or of all tokens."""
        return self.norm("final norm", self.FINAL, last=self.use_mean_pooling)

    def check(self, where: str) -> None:
        """Sizes of one number or two."""
        for name in ("image_size", "patch_size"):
            value = getattr(self, name)
            if not all(type(each) is int and each > 0 for each in _pair(value)):
                raise InputError(f"{where}: {name}: expected a size or two, found {value!r}")
        super().check(where)


class Data2VecVision(Beit):
    """A norm where patches are not averaged."""

    def ended(self) -> tuple[Block, ...]:
        """Of all tokens, if any."""
        return () if self.use_mean_pooling else self.norm("final norm", "layernorm")


class InternVit(Data2VecVision):
    """Positions; biases of q, k and v, and norms of q and k, by key; no norm as the end."""

    HARMLESS: ClassVar[frozenset[str]] = Beit.HARMLESS | {"attention_dropout", "projection_dropout"}

    hidden_size: Count = 1024
    intermediate_size: Count | None = 4096
    num_hidden_layers: Layers = 24
    num_attention_heads: Count = 16
    image_size: Any = (448, 448)
    patch_size: Any = (14, 14)
    attention_bias: Flag = False
    use_qk_norm: Flag = False
    norm_type: str = "layer_norm"
    use_absolute_position_embeddings: Flag = True

    def norm(self, name: str, module: str | None, *, last: bool = False) -> tuple[Block, ...]:
        """A norm of the kind that the config says."""
        if self.norm_type != "rms_norm" or module is None:
            return super().norm(name, module, last=last)
        return (Norm(name, module, self.hidden_size, "rms", last=last),)

    def attention(self, window: int | None) -> Block:
        """Attention with a bias of its last product."""
        names = ("q_proj", "k_proj", "v_proj", "projection_layer")
        return self.heads(
            *(window,),
            **{"qkv_bias": self.attention_bias, "names": names, "path": f"{self.LAYER}.attention"},
            **{"qk_norm": self.use_qk_norm, "head_norm": HeadNorm(whole=True, gains="each")},
        )


def _pair(value: Any) -> tuple[Any, Any]:
    """One size for both sides, or two."""
    if isinstance(value, (list, tuple)):
        first, *others = list(cast(Any, value)) or [None]
        return first, others[0] if len(others) == 1 else None
    return value, value


RECORDS = {"beit": Beit, "data2vec-vision": Data2VecVision, "internvl_vision": InternVit}
