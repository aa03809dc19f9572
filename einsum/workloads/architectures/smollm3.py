"""SmolLM 3: Llama in which every fourth layer has no rotary embedding (`SmolLM3Config`)."""

from dataclasses import replace

from hwmodel.einsum.workloads.architectures import llama
from hwmodel.einsum.workloads.blocks.attention import Attention
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.network import Network
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

    def network(self) -> Network:
        """Layers in their order, turned or not."""
        window = self.sliding_window if self.use_sliding_window else None
        count, every = self.num_hidden_layers, self.no_rope_layer_interval
        turned = self.no_rope_layers or tuple((i + 1) % every for i in range(count))
        return self.between(
            [self.layer(self._heads(window, turned[i]), self.inner(i)) for i in range(count)]
        )

    def _heads(self, window: int | None, turned: int) -> Block:
        heads = self.attention(window)
        assert isinstance(heads, Attention)
        return heads if turned else replace(heads, rotated=0)
