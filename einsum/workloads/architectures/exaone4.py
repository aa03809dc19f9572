"""EXAONE 4: norms after blocks, norms of q and k, windows in most layers (`Exaone4Config`)."""

from typing import ClassVar

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.decoder import Decoder, Norms, every
from hwmodel.einsum.workloads.record import Count

MODEL_TYPES = ("exaone4",)


class Config(Decoder):
    """The pattern is a number of layers, or letters that stand for kinds of them."""

    NORMS: ClassVar[Norms] = (None, "post_attention_layernorm", None, "post_feedforward_layernorm")

    sliding_window: Count | None = 4096
    sliding_window_pattern: int | str | None = 4

    def attention(self, window: int | None) -> Block:
        """Attention with norms of q and k; beside windowed layers those without are not turned."""
        unturned = window is None and self.sliding_window is not None
        return self.heads(window, qk_norm=True, **({"rotated": 0} if unturned else {}))

    def windows(self) -> tuple[int | None, ...]:
        """Layers by their kind, said or by the pattern."""
        if self.layer_types:
            return super().windows()
        said = self.sliding_window_pattern
        return every(len(said) if isinstance(said, str) else said or 1, self)
