"""GPT-Neo: GPT-2 with modules for q, k and v, and a window in some layers (`GPTNeoConfig`)."""

from typing import ClassVar

from hwmodel.einsum.workloads.architectures import gpt2
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.record import Count, Names

MODEL_TYPES = ("gpt_neo",)


class Config(gpt2.Gpt2):
    """`attention_types` says how often which kinds of layers follow each other."""

    ALIASES: ClassVar[Names] = {
        **{"num_layers": "num_hidden_layers", "num_heads": "num_attention_heads"},
        **{"activation_function": "hidden_act", "window_size": "sliding_window"},
    }

    max_position_embeddings: Count = 2048
    sliding_window: Count | None = 256
    attention_types: tuple[tuple[tuple[str, ...], int], ...] | None = None
    attention_layers: tuple[str, ...] | None = None

    def attention(self, window: int | None) -> Block:
        """Attention without biases but of its output."""
        names = ("q_proj", "k_proj", "v_proj", "out_proj")
        path = f"{self.LAYER}.attn.attention"
        return self.heads(window, output_bias=True, rotated=0, names=names, path=path)

    def windows(self) -> tuple[int | None, ...]:
        """A window in local layers."""
        spelt = (kind for kinds, times in self.attention_types or () for kind in kinds * times)
        kinds = self.attention_layers or tuple(spelt)
        if not kinds:
            kinds = tuple("global local".split()) * self.num_hidden_layers
        local = (kind == "local" for kind in kinds[: self.num_hidden_layers])
        return tuple(self.sliding_window if each else None for each in local)
