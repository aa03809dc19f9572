"""Qwen 2 and 2.5: biases of q, k and v; from a layer on a window, if it is on (`Qwen2Config`)."""

from hwmodel.einsum.workloads.blocks.attention import Attention
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.decoder import Decoder
from hwmodel.einsum.workloads.record import Count, Flag, Whole

MODEL_TYPES = ("qwen2", "qwen2_vl_text", "qwen2_5_vl_text", "qwen2_5_omni_text")


class Config(Decoder):
    """`max_window_layers` layers have no window, even where it is on."""

    sliding_window: Count | None = None
    use_sliding_window: Flag = False
    max_window_layers: Whole = 28

    def attention(self, window: int | None) -> Block:
        """Attention with biases of q, k and v."""
        return Attention(
            *(self.hidden_size, self.num_attention_heads, self.key_heads, self.head_size, window),
            qkv_bias=True,
        )

    def windows(self) -> tuple[int | None, ...]:
        """Layers by their kind if that is said, else from one on."""
        if self.layer_types is not None:
            return super().windows()
        window = self.sliding_window if self.use_sliding_window else None
        layers = range(self.num_hidden_layers)
        return tuple(window if layer >= self.max_window_layers else None for layer in layers)
