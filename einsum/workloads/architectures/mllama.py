"""Llama 3.2 Vision's text: in some layers attention to an image in place of that to the text.

`MllamaTextConfig`. Keys and values of an image are made in prefill and kept; a token attends to
`source_tokens` of it (no key of checkpoints: `model.but(source_tokens=1601)`), four tiles of 1,601
where nothing is said. Text without an image skips these layers.
"""

from typing import ClassVar

from hwmodel.einsum.workloads.blocks.attention import Attention
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.cross import CrossAttention, Gated
from hwmodel.einsum.workloads.blocks.ends import Embedding
from hwmodel.einsum.workloads.decoder import Decoder
from hwmodel.einsum.workloads.record import Count, Layers

MODEL_TYPES = ("mllama_text_model",)
TILES = 4 * 1601
"""Tokens of an image of four tiles: 40 x 40 patches each, and one of no patch."""
SPARE = 8
"""Rows of the table of tokens for images, which the head lacks."""


class Config(Decoder):
    """`cross_attention_layers` attend to the image; their two gates are a number each."""

    REQUIRED: ClassVar[tuple[str, ...]] = ()

    vocab_size: Count = 128256
    hidden_size: Count = 4096
    intermediate_size: Count | None = 14336
    num_hidden_layers: Layers = 40
    num_attention_heads: Count = 32
    num_key_value_heads: Count | None = 8
    cross_attention_layers: tuple[int, ...] | None = (3, 8, 13, 18, 23, 28, 33, 38)
    source_tokens: Count = TILES

    def embedded(self) -> tuple[Block, ...]:
        """A table with rows for images."""
        return (Embedding(self.vocab_size + SPARE, self.hidden_size, self.EMBEDDING),)

    def attention_in(self, layer: int, window: int | None) -> Block:
        """Attention to the text, or to the image."""
        if layer not in (self.cross_attention_layers or ()):
            return self.heads(None)
        path = f"{self.LAYER}.cross_attn"
        sizes = (self.hidden_size, self.num_attention_heads, self.key_heads, self.head_size)
        heads = Attention(*sizes, qk_norm=True, rotated=0, path=path)
        return Gated(CrossAttention(heads, self.source_tokens, given=True), 2, self.LAYER)

    def notes(self) -> tuple[str, ...]:
        """The image."""
        return (
            f"source_tokens: an image of {self.source_tokens} tokens is attended to in"
            f" {len(self.cross_attention_layers or ())} layers",
        )
