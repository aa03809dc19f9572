"""RecurrentGemma (arXiv 2404.07839): two recurrent blocks to one of attention within a window.

`RecurrentGemmaConfig`. The MLP is half as wide as `intermediate_size` says; all its products have
biases.
"""

from typing import ClassVar

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.rg_lru import RgLru
from hwmodel.einsum.workloads.blocks.scale import LogitScale
from hwmodel.einsum.workloads.decoder import Decoder, Norms
from hwmodel.einsum.workloads.record import Count, Flag, Layers, Names

MODEL_TYPES = ("recurrent_gemma",)


class Config(Decoder):
    """`block_types` is a pattern that repeats."""

    REQUIRED: ClassVar[tuple[str, ...]] = ()
    ALIASES: ClassVar[Names] = {"hidden_activation": "hidden_act"}
    HARMLESS: ClassVar[frozenset[str]] = frozenset(
        {"w_init_variance_scale", "final_w_init_variance_scale"}
    )
    NORMS: ClassVar[Norms] = ("temporal_pre_norm", None, "channel_pre_norm", None)
    FINAL: ClassVar[str] = "model.final_norm"
    ROTATED: ClassVar[float] = 0.5

    vocab_size: Count = 256000
    hidden_size: Count = 2560
    intermediate_size: Count | None = 7680
    num_hidden_layers: Layers = 26
    num_attention_heads: Count = 10
    hidden_act: str = "gelu_pytorch_tanh"
    tie_word_embeddings: Flag = True
    partial_rotary_factor: float | None = None
    attention_bias: Flag = False
    attention_window_size: Count = 2048
    lru_width: Count | None = None
    conv1d_width: Count = 4
    logits_soft_cap: float = 30.0
    block_types: tuple[str, ...] = ("recurrent", "recurrent", "attention")

    @property
    def scaled(self) -> frozenset[str]:
        """The embedding."""
        return frozenset({"embedding"})

    def ended(self) -> tuple[Block, ...]:
        """Logits are capped."""
        return (*super().ended(), LogitScale(self.vocab_size, capped=True))

    def attention_in(self, layer: int, window: int | None) -> Block:
        """Attention within a window, or a recurrent block."""
        path = f"{self.LAYER}.temporal_block"
        if self.block_types[layer % len(self.block_types)] == "attention":
            seen, biased = self.attention_window_size, self.attention_bias
            return self.heads(seen, qkv_bias=biased, output_bias=True, path=path)
        width = self.lru_width or self.hidden_size
        sizes = (self.hidden_size, width, self.num_attention_heads, self.conv1d_width)
        return RgLru(*sizes, self.hidden_act, path)

    def inner(self, layer: int) -> Block:
        """A gated MLP."""
        path, width = f"{self.LAYER}.mlp_block", (self.intermediate_size or 0) // 2
        return self.gated(intermediate=width, bias=True, path=path)
