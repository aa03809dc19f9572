"""InternLM 1 and 2: Llama, in 2 with one module for q, k and v (remote code of Shanghai AI Lab)."""

from typing import ClassVar

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.decoder import Decoder, Norms
from hwmodel.einsum.workloads.record import Flag, Names

MODEL_TYPES = ("internlm2", "internlm")


class InternLm2(Decoder):
    """Biases of all four projections by key."""

    ALIASES: ClassVar[Names] = {"attn_bias": "bias"}
    HARMLESS: ClassVar[frozenset[str]] = frozenset({"rotary"})
    NORMS: ClassVar[Norms] = ("attention_norm", None, "ffn_norm", None)
    EMBEDDING: ClassVar[str] = "model.tok_embeddings"
    HEAD: ClassVar[str] = "output"

    bias: Flag = True

    def attention(self, window: int | None) -> Block:
        """Attention with a fused module."""
        names, path = ("wqkv", "wqkv", "wqkv", "wo"), f"{self.LAYER}.attention"
        return self.heads(window, qkv_bias=self.bias, output_bias=self.bias, names=names, path=path)

    def inner(self, layer: int) -> Block:
        """MLP by other names."""
        return self.gated(names=("w1", "w3", "w2"), path=f"{self.LAYER}.feed_forward")


class InternLm(Decoder):
    """Modules of Llama, with biases of attention by key."""

    REQUIRED: ClassVar[tuple[str, ...]] = ()
    HARMLESS: ClassVar[frozenset[str]] = frozenset({"rotary"})

    bias: Flag = True

    def attention(self, window: int | None) -> Block:
        """Attention with biases."""
        return self.heads(window, qkv_bias=self.bias, output_bias=self.bias)


RECORDS = {"internlm2": InternLm2, "internlm": InternLm}
