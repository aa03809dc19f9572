"""The vision of SAM: windows of patches but for a few layers, biases by distance.

Kirillov et al., arXiv 2304.02643 (`SamVisionConfig`, `SamHQVisionConfig`). Behind
SAM's layers stand two convolutions with norms. Windows are counted without the patches that pad
them; scores of distances are left out, their tables are parameters.
"""

from typing import Any, ClassVar

from hwmodel.einsum.workloads.architectures.vit import Vit
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.convolution import Convolution
from hwmodel.einsum.workloads.blocks.held import Held
from hwmodel.einsum.workloads.blocks.norm import Norm
from hwmodel.einsum.workloads.blocks.patches import Patches
from hwmodel.einsum.workloads.decoder import Norms
from hwmodel.einsum.workloads.record import Count, Flag, Names

MODEL_TYPES = ("sam_vision_model", "sam_hq_vision_model", "sam_vision")


class Sam(Vit):
    """Layers of `global_attn_indexes` see all patches."""

    ALIASES: ClassVar[Names] = {"mlp_dim": "intermediate_size"}
    HARMLESS: ClassVar[frozenset[str]] = Vit.HARMLESS | {"num_pos_feats", "scale"}
    NORMS: ClassVar[Norms] = ("layer_norm1", None, "layer_norm2", None)
    LAYER: ClassVar[str] = "vision_encoder.layers.{layer}"

    intermediate_size: Count | None = None
    mlp_ratio: float = 4.0
    image_size: Count = 1024
    window_size: Count = 14
    global_attn_indexes: tuple[int, ...] = (2, 5, 8, 11)
    use_abs_pos: Flag = True
    use_rel_pos: Flag = True
    output_channels: Count = 256

    @property
    def inner_size(self) -> int:
        """Columns between the products of the MLP, said or by ratio."""
        return self.intermediate_size or int(self.mlp_ratio * self.hidden_size)

    def embedded(self) -> tuple[Block, ...]:
        """Patches and positions."""
        inputs, rows = self.num_channels * self.patch_size**2, self.patches * self.use_abs_pos
        names = ("patch_embed.projection", "pos_embed")
        return (Patches(inputs, self.hidden_size, rows, 0, path="vision_encoder", names=names),)

    def windows(self) -> tuple[int | None, ...]:
        """Patches of each layer's windows."""
        whole, size = frozenset(self.global_attn_indexes), self.window_size**2
        return tuple(None if n in whole else size for n in range(self.num_hidden_layers))

    def attention(self, window: int | None) -> Block:
        """Attention of patches of a window with each other, q, k and v one module."""
        path, names = f"{self.LAYER}.attn", ("qkv", "qkv", "qkv", "proj")
        return self.heads(None, apart=window, qkv_bias=self.qkv_bias, names=names, path=path)

    def attention_in(self, layer: int, window: int | None) -> Block:
        """As its window says."""
        return self.attention(window)

    def layer(self, attention: Block, inner: Block, norms: Any = None) -> tuple[Block, ...]:
        """With tables of distances down and across."""
        apart = getattr(attention, "apart", None)
        side = self.window_size if apart is not None else self.image_size // self.patch_size
        shape, path = (2 * side - 1, self.head_size), f"{self.LAYER}.attn"
        tables = (Held(f"{path}.rel_pos_{way}", shape) for way in "hw")
        made = super().layer(attention, inner, norms)
        return (*made, *(tables if self.use_rel_pos else ()))

    def inner(self, layer: int) -> Block:
        """MLP by other names."""
        return self.plain(names=("lin1", "lin2"))

    def ended(self) -> tuple[Block, ...]:
        """A convolution of 1 x 1, one of 3 x 3, a norm behind each."""
        path, made = "vision_encoder.neck", self.output_channels
        return (
            Convolution("neck 1", self.hidden_size, made, f"{path}.conv1"),
            Norm("neck norm 1", f"{path}.layer_norm1", made, "layer"),
            Convolution("neck 2", 9 * made, made, f"{path}.conv2"),
            Norm("neck norm 2", f"{path}.layer_norm2", made, "layer"),
        )


RECORDS = {"sam_vision_model": Sam, "sam_hq_vision_model": Sam, "sam_vision": Sam}
