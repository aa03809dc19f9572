"""Vision of Qwen2-VL and Qwen2.5-VL: patches of two frames, rotary encoders, squares joined.

`Qwen2VLVisionConfig` (Wang et al., arXiv 2409.12191): layer norms and a plain MLP; its
`hidden_size` is the text's. `Qwen2_5_VLVisionConfig` (Bai et al., arXiv 2502.13923):
RMS norms, a gated MLP, attention within windows of the image but for a few layers. A token of a
step is a patch.
"""

from typing import ClassVar

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.merger import Merger
from hwmodel.einsum.workloads.blocks.network import Network
from hwmodel.einsum.workloads.blocks.norm import Kind
from hwmodel.einsum.workloads.blocks.patches import Patches
from hwmodel.einsum.workloads.decoder import Norms
from hwmodel.einsum.workloads.encoder import Encoder
from hwmodel.einsum.workloads.record import Count, Layers, Names
from hwmodel.quantity.errors import InputError

MODEL_TYPES = ("qwen2_vl_vision", "qwen2_5_vl_vision")


class Tower(Encoder):
    """The keys and blocks of both."""

    HARMLESS: ClassVar[frozenset[str]] = Encoder.HARMLESS | {
        *("spatial_patch_size", "tokens_per_second"),
    }
    ALIASES: ClassVar[Names] = {
        **{"depth": "num_hidden_layers", "num_heads": "num_attention_heads"},
        **{"in_chans": "in_channels"},
    }
    NORMS: ClassVar[Norms] = ("norm1", None, "norm2", None)
    LAYER: ClassVar[str] = "model.visual.blocks.{layer}"

    hidden_size: Count = 3584
    intermediate_size: Count | None = None
    num_hidden_layers: Layers = 32
    num_attention_heads: Count = 16
    in_channels: Count = 3
    patch_size: Count = 14
    temporal_patch_size: Count = 2
    spatial_merge_size: Count = 2
    out_hidden_size: Count = 3584

    def embedded(self) -> tuple[Block, ...]:
        """Patches, without a bias or positions."""
        inputs = self.in_channels * self.temporal_patch_size * self.patch_size**2
        names, path = ("patch_embed.proj", ""), "model.visual"
        return (Patches(inputs, self.hidden_size, 0, 0, bias=False, path=path, names=names),)

    def attention(self, window: int | None) -> Block:
        """Rotary attention, q, k and v one module; of patches of a window with each other."""
        path, names = f"{self.LAYER}.attn", ("qkv", "qkv", "qkv", "proj")
        return self.heads(None, apart=window, rotated=None, names=names, path=path)

    def ended(self) -> tuple[Block, ...]:
        """Squares joined."""
        sizes = (self.hidden_size, self.spatial_merge_size**2, self.out_hidden_size)
        names = ("ln_q", "mlp.0", "mlp.2")
        return (Merger(*sizes, "model.visual.merger", kind=self.NORM, names=names),)


class Qwen2(Tower):
    """As wide as `embed_dim`; every patch sees every other."""

    hidden_act: str = "quick_gelu"
    embed_dim: Count = 1280
    mlp_ratio: Count = 4

    def network(self) -> Network:
        """That of a tower of its own width."""
        return super(Qwen2, self._named()).network()

    def check(self, where: str) -> None:
        """As of a tower of its own width."""
        super(Qwen2, self._named()).check(where)

    def _named(self) -> "Qwen2":
        """The same with sizes by the names that other towers have for them."""
        inner = self.mlp_ratio * self.embed_dim
        sizes = {"hidden_size": self.embed_dim, "out_hidden_size": self.hidden_size}
        return self.model_copy(update={**sizes, "intermediate_size": inner})


class Qwen25(Tower):
    """Layers of `fullatt_block_indexes` see all patches, others those of their window."""

    NORM: ClassVar[Kind] = "rms"

    hidden_act: str = "silu"
    intermediate_size: Count | None = 3420
    window_size: Count = 112
    fullatt_block_indexes: tuple[int, ...] = (7, 15, 23, 31)

    def inner(self, layer: int) -> Block:
        """A gated MLP with biases."""
        return self.gated(bias=True)

    def windows(self) -> tuple[int | None, ...]:
        """Patches of each layer's windows: whole squares that are joined, by side."""
        whole, square = frozenset(self.fullatt_block_indexes), self.spatial_merge_size
        patches = (self.window_size // square // self.patch_size * square) ** 2
        layers = range(self.num_hidden_layers)
        return tuple(None if layer in whole else patches for layer in layers)

    def check(self, where: str) -> None:
        """Windows that hold a square."""
        super().check(where)
        least = self.patch_size * self.spatial_merge_size
        if self.window_size < least:
            raise InputError(
                f"{where}: window_size: expected at least a square of patches ({least}),"
                f" found {self.window_size}"
            )


RECORDS = {"qwen2_vl_vision": Qwen2, "qwen2_5_vl_vision": Qwen25}
