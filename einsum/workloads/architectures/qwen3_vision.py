"""Vision of Qwen3-VL and Qwen 3.5: patches of two frames, rotary encoders, squares joined.

`Qwen3VLVisionConfig`, `Qwen3_5VisionConfig`. A token of a step is a patch. Qwen3-VL joins patches
of some layers besides (`deepstack_visual_indexes`), for the first layers of its text.
"""

from typing import ClassVar

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.merger import Merger
from hwmodel.einsum.workloads.blocks.patches import Patches
from hwmodel.einsum.workloads.decoder import Norms
from hwmodel.einsum.workloads.encoder import Encoder
from hwmodel.einsum.workloads.record import Count, Layers, Names

MODEL_TYPES = ("qwen3_vl_vision", "qwen3_vl_moe_vision", "qwen3_5_vision", "qwen3_5_moe_vision")


class Config(Encoder):
    """The keys of both."""

    ALIASES: ClassVar[Names] = {"depth": "num_hidden_layers", "num_heads": "num_attention_heads"}
    NORMS: ClassVar[Norms] = ("norm1", None, "norm2", None)
    LAYER: ClassVar[str] = "model.visual.blocks.{layer}"

    hidden_size: Count = 1152
    intermediate_size: Count | None = 4304
    num_hidden_layers: Layers = 27
    num_attention_heads: Count = 16
    hidden_act: str = "gelu_pytorch_tanh"
    in_channels: Count = 3
    patch_size: Count = 16
    temporal_patch_size: Count = 2
    spatial_merge_size: Count = 2
    out_hidden_size: Count = 3584
    num_position_embeddings: Count = 2304
    deepstack_visual_indexes: tuple[int, ...] | None = None

    def embedded(self) -> tuple[Block, ...]:
        """Patches, and positions."""
        inputs = self.in_channels * self.temporal_patch_size * self.patch_size**2
        rows, names = self.num_position_embeddings, ("patch_embed.proj", "pos_embed")
        return (Patches(inputs, self.hidden_size, rows, 0, path="model.visual", names=names),)

    def attention(self, window: int | None) -> Block:
        """Rotary attention, q, k and v one module."""
        path, names = f"{self.LAYER}.attn", ("qkv", "qkv", "qkv", "proj")
        return self.heads(window, rotated=None, names=names, path=path)

    def inner(self, layer: int) -> Block:
        """MLP by other names."""
        return self.plain(names=("linear_fc1", "linear_fc2"))

    def ended(self) -> tuple[Block, ...]:
        """Squares joined, of some layers too."""
        sizes = (self.hidden_size, self.spatial_merge_size**2, self.out_hidden_size)
        deep = self._deep()
        lists = (f"model.visual.deepstack_merger_list.{n}" for n in range(len(deep)))
        return (
            Merger(*sizes, "model.visual.merger"),
            *(Merger(*sizes, path, joined_norm=True) for path in lists),
        )

    def _deep(self) -> tuple[int, ...]:
        usual = (8, 16, 24) if self.model_type.startswith("qwen3_vl") else ()
        return usual if self.deepstack_visual_indexes is None else self.deepstack_visual_indexes
