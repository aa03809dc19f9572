"""OLMo 1 to 3 (`OlmoConfig`, `Olmo2Config`, `Olmo3Config`).

OLMo 1 (arXiv 2402.00838) has layer norms without weights and may clip q, k and v; OLMo 2 (arXiv
2501.00656) norms what blocks have made, and q and k of all heads together; OLMo 3 has a window in
three layers of four.
"""

from typing import ClassVar

from hwmodel.einsum.workloads.blocks.attention import HeadNorm
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.norm import Kind
from hwmodel.einsum.workloads.decoder import Decoder, Norms, every
from hwmodel.einsum.workloads.record import Count, Flag

MODEL_TYPES = ("olmo", "olmo2", "olmo3")


class Olmo(Decoder):
    """Biases of all four projections by key."""

    NORM: ClassVar[Kind] = "layer without weights"

    attention_bias: Flag = False
    clip_qkv: float | None = None

    def attention(self, window: int | None) -> Block:
        """Attention whose q, k and v may be clipped."""
        biased, clipped = self.attention_bias, self.clip_qkv is not None
        return self.heads(window, qkv_bias=biased, output_bias=biased, clipped=clipped)


class Olmo2(Decoder):
    """Norms after blocks alone."""

    NORMS: ClassVar[Norms] = (None, "post_attention_layernorm", None, "post_feedforward_layernorm")

    attention_bias: Flag = False

    def attention(self, window: int | None) -> Block:
        """Attention with norms of q and k."""
        biased, norm = self.attention_bias, HeadNorm(whole=True)
        return self.heads(window, qkv_bias=biased, output_bias=biased, qk_norm=True, head_norm=norm)


class Olmo3(Olmo2):
    """A window in all layers but every fourth, where nothing else is said."""

    sliding_window: Count | None = 4096

    def windows(self) -> tuple[int | None, ...]:
        """Layers by their kind, said or usual."""
        return super().windows() if self.layer_types else every(4, self)


RECORDS = {"olmo": Olmo, "olmo2": Olmo2, "olmo3": Olmo3}
