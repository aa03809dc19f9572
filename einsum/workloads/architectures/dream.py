"""Dream (HKUNLP): a diffusion language model, Qwen 2's layers with attention in both directions.

A step is one pass of denoising: `prefill` of all tokens, which makes logits of each; nothing is
cached from pass to pass. How many passes a text takes is its sampler's choice.
"""

from dataclasses import replace

from hwmodel.einsum.workloads.architectures import qwen2
from hwmodel.einsum.workloads.blocks.attention import Attention
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.network import Network

MODEL_TYPES = ("Dream",)


class Config(qwen2.Config):
    """Keys are those of Qwen 2."""

    def attention(self, window: int | None) -> Block:
        """Attention of every token to all, that keeps nothing."""
        return Attention(
            *(self.hidden_size, self.num_attention_heads, self.key_heads, self.head_size),
            qkv_bias=True,
            causal=False,
            cached=False,
        )

    def ended(self) -> tuple[Block, ...]:
        """The norm and the head of every token."""
        return (*self.norm("final norm", self.FINAL), self.head(every=True))

    def network(self) -> Network:
        """One that makes no tokens one by one."""
        return replace(super().network(), generates=False)
