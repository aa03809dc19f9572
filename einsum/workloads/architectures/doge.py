"""Doge: attention under a mask that values make, residual additions with learned factors.

`DogeConfig`. A product of values scores each key; beyond `keep_window_size` keys those that score
highest are attended to. What `is_moe` (experts of two tables each) makes is not modelled.
"""

from typing import ClassVar

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.chain import Chain
from hwmodel.einsum.workloads.blocks.held import Held
from hwmodel.einsum.workloads.blocks.norm import Residual
from hwmodel.einsum.workloads.blocks.projection import Projection
from hwmodel.einsum.workloads.blocks.scale import LearnedScale
from hwmodel.einsum.workloads.decoder import Decoder
from hwmodel.einsum.workloads.record import Count, Flag, Layers, Values

MODEL_TYPES = ("doge",)


class Config(Decoder):
    """Norms of q and k, biases by key."""

    NEUTRAL: ClassVar[Values] = {"is_moe": (False,)}
    HARMLESS: ClassVar[frozenset[str]] = frozenset(
        {"num_experts", "num_experts_per_tok", "norm_topk_prob"}
    )
    REQUIRED: ClassVar[tuple[str, ...]] = ()

    vocab_size: Count = 32768
    hidden_size: Count = 1024
    intermediate_size: Count | None = 2048
    num_hidden_layers: Layers = 32
    num_attention_heads: Count = 8
    attention_bias: Flag = False
    mlp_bias: Flag = False
    sliding_window: Count | None = None
    keep_window_size: Count = 2048

    def attention(self, window: int | None) -> Block:
        """Scores of keys, then attention to as many as are kept."""
        path, biased = f"{self.LAYER}.self_attn", self.attention_bias
        kept = self.keep_window_size if window is None else min(window, self.keep_window_size)
        heads = self.heads(kept, qk_norm=True, qkv_bias=biased, output_bias=biased)
        sizes = (self.key_heads * self.head_size, self.key_heads, f"{path}.dt_proj")
        scores = Projection("key scores", *sizes, part="attention", bias=biased, act="softplus")
        return Chain((scores, heads, Held(f"{path}.A", (self.key_heads,))))

    def inner(self, layer: int) -> Block:
        """A gated MLP."""
        return self.gated(bias=self.mlp_bias)

    def added(self, name: str) -> tuple[Block, ...]:
        """What a layer has read, times learned factors, and what a block has made."""
        side = "input" if name.startswith("attention") else "post_attention"
        path = f"{self.LAYER}.{side}_residual"
        factor = LearnedScale(f"{name} scale", self.hidden_size, path)
        return (factor, Residual(name, self.hidden_size))

    def notes(self) -> tuple[str, ...]:
        """The choice of keys."""
        return (
            f"keep_window_size: beyond {self.keep_window_size:,} tokens the choice of keys is not"
            " modelled, and the cache is counted as a window",
        )
