"""SmolLM 3: Llama in which every fourth layer has no rotary embedding (`SmolLM3Config`)."""

from typing import Any

from hwmodel.einsum.workloads.architectures import llama
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.record import Count, Flag, Whole

MODEL_TYPES = ("smollm3",)


class Config(llama.Config):
    """Layers whose number in `no_rope_layers` is 0 are not turned."""

    tie_word_embeddings: Flag = True
    sliding_window: Count | None = None
    use_sliding_window: Flag = False
    max_window_layers: Whole | None = None
    no_rope_layers: tuple[int, ...] | None = None
    no_rope_layer_interval: Count = 4

    def windows(self) -> tuple[int | None, ...]:
        """In every layer, if it is on."""
        window = self.sliding_window if self.use_sliding_window else None
        return (window,) * self.num_hidden_layers

    def attention_in(self, layer: int, window: int | None) -> Block:
        """Attention, turned or not."""
        said, biased = self.no_rope_layers, self.attention_bias
        turned = said[layer] if said else (layer + 1) % self.no_rope_layer_interval
        more: dict[str, Any] = {} if turned else {"rotated": 0}
        return self.heads(window, qkv_bias=biased, output_bias=biased, **more)
