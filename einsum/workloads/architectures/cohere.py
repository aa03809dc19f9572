"""Command R and A: layer norms without a shift, attention beside the MLP.

`CohereConfig`, `Cohere2Config`. One norm feeds both. Command R+ normalises q and k by head, with
weights of each head; Command R7B and A have a window in three layers of four, and rotate those
alone.
"""

from typing import ClassVar

from hwmodel.einsum.workloads.blocks.attention import HeadNorm
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.norm import Kind
from hwmodel.einsum.workloads.decoder import Decoder, Norms, every
from hwmodel.einsum.workloads.record import Count, Flag

MODEL_TYPES = ("cohere", "cohere2")


class Cohere(Decoder):
    """Biases of all four projections by key."""

    NORM: ClassVar[Kind] = "layer without shift"
    NORMS: ClassVar[Norms] = ("input_layernorm", None, None, None)

    tie_word_embeddings: Flag = True
    attention_bias: Flag = False
    use_qk_norm: Flag = False
    logit_scale: float | None = None

    @property
    def parallel(self) -> bool:
        """Always."""
        return True

    @property
    def scaled(self) -> frozenset[str]:
        """Logits."""
        return frozenset({"logits"})

    def attention(self, window: int | None) -> Block:
        """Attention with what keys say."""
        norm = HeadNorm(gains="each", kind="layer without shift")
        biased = self.attention_bias
        return self.heads(
            window, qkv_bias=biased, output_bias=biased, qk_norm=self.use_qk_norm, head_norm=norm
        )


class Cohere2(Cohere):
    """Windows, but in every fourth layer."""

    sliding_window: Count | None = 4096
    sliding_window_pattern: Count | None = 4

    HARMLESS: ClassVar[frozenset[str]] = frozenset({"order_of_interleaved_layers", "rotary_pct"})

    def attention(self, window: int | None) -> Block:
        """Attention, turned where it has a window."""
        turned = {"rotated": 0} if window is None and self.sliding_window is not None else {}
        biased = self.attention_bias
        return self.heads(window, qkv_bias=biased, output_bias=biased, **turned)

    def windows(self) -> tuple[int | None, ...]:
        """Layers by their kind, said or by the pattern."""
        return (
            super().windows() if self.layer_types else every(self.sliding_window_pattern or 1, self)
        )


RECORDS = {"cohere": Cohere, "cohere2": Cohere2}
