"""Gemma 3: five layers under a window to one without, norms of q and k (`Gemma3TextConfig`).

Of the models with images the text is read here, its image tokens among the prompt's.
"""

from typing import ClassVar

from hwmodel.einsum.workloads.architectures.gemma import Gemma2
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.decoder import every
from hwmodel.einsum.workloads.record import Count, Layers, Names

MODEL_TYPES = ("gemma3_text", "gemma3")


class Config(Gemma2):
    """Every sixth layer has no window, or every `sliding_window_pattern`th."""

    ALIASES: ClassVar[Names] = {"_sliding_window_pattern": "sliding_window_pattern"}

    vocab_size: Count = 262208
    hidden_size: Count = 2304
    intermediate_size: Count | None = 9216
    num_hidden_layers: Layers = 26
    num_attention_heads: Count = 8
    num_key_value_heads: Count | None = 4
    attn_logit_softcapping: float | None = None
    final_logit_softcapping: float | None = None
    sliding_window_pattern: Count = 6

    def attention(self, window: int | None) -> Block:
        """Attention with norms of q and k."""
        biased = self.attention_bias
        return self.heads(window, qkv_bias=biased, output_bias=biased, qk_norm=True)

    def windows(self) -> tuple[int | None, ...]:
        """Those of all layers but every so many."""
        return super().windows() if self.layer_types else every(self.sliding_window_pattern, self)
