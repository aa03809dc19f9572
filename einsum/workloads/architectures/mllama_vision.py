"""Llama 3.2's vision: tiles of an image, each on its own table of positions, and gated layers.

`MllamaVisionConfig`. All tiles of an image attend to each other; the last layers are weighed by
gates. Hidden states of some layers stand beside the last ones, for attention of the text.
"""

from typing import Any, ClassVar

from hwmodel.einsum.workloads.architectures.vit import Vit
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.held import Held
from hwmodel.einsum.workloads.blocks.patches import Patches
from hwmodel.einsum.workloads.decoder import USUAL, Norms
from hwmodel.einsum.workloads.record import Count, Layers, Names, Whole

MODEL_TYPES = ("mllama_vision_model", "mllama_vision")


class Config(Vit):
    """`num_global_layers` more layers, with gates."""

    ALIASES: ClassVar[Names] = {"attention_heads": "num_attention_heads"}
    HARMLESS: ClassVar[frozenset[str]] = Vit.HARMLESS | {
        *("intermediate_layers_indices", "vision_output_dim"),
    }
    NORMS: ClassVar[Norms] = USUAL
    LAYER: ClassVar[str] = "vision_model.transformer.layers.{layer}"

    hidden_size: Count = 1280
    intermediate_size: Count | None = 5120
    num_hidden_layers: Layers = 32
    num_attention_heads: Count = 16
    num_global_layers: Whole = 8
    image_size: Count = 448
    patch_size: Count = 14
    max_num_tiles: Count = 4
    supported_aspect_ratios: Any = None

    @property
    def ratios(self) -> int:
        """Shapes that tiles may stand in, and that of no image."""
        tiles = range(1, self.max_num_tiles + 1)
        usual = sum(1 for down in tiles for across in tiles if down * across <= self.max_num_tiles)
        return 1 + len(self.supported_aspect_ratios or range(usual))

    def embedded(self) -> tuple[Block, ...]:
        """Patches, positions within a tile, of tiles, and of patches of each tile; a norm."""
        hidden, rows, path = self.hidden_size, self.patches + 1, "vision_model"
        names = ("patch_embedding", "gated_positional_embedding.embedding")
        inputs = self.num_channels * self.patch_size**2
        tile = self.max_num_tiles * hidden
        held = [
            Held(f"{path}.gated_positional_embedding.tile_embedding", (self.ratios, rows * tile))
        ]
        for name in ("gated", "pre_tile", "post_tile"):
            held.append(Held(f"{path}.{name}_positional_embedding.gate", (1,)))
            if name != "gated":
                held.append(
                    Held(f"{path}.{name}_positional_embedding.embedding", (self.ratios, tile))
                )
        made = Patches(inputs, hidden, rows, 1, bias=False, path=path, names=names)
        return (made, *held, *self.norm("embedding norm", f"{path}.layernorm_pre"))

    def attention(self, window: int | None) -> Block:
        """Attention without biases."""
        return self.heads(window, qkv_bias=False, output_bias=False)

    def ended(self) -> tuple[Block, ...]:
        """A norm, and the gated layers."""
        after = self.norm("final norm", "vision_model.layernorm_post")
        path = "vision_model.global_transformer.layers"
        made: list[Block] = []
        for number in range(self.num_global_layers):
            own = self.model_copy(update={})
            layer = own.layer(own.attention(None), own.inner(number))
            gates = (Held(f"{path}.{number}.{name}", (1,)) for name in ("gate_attn", "gate_ffn"))
            made += [*layer, *gates]
        return (*after, *made)
