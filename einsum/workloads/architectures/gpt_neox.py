"""GPT-NeoX and Pythia: attention beside a plain MLP, each behind its norm (`GPTNeoXConfig`)."""

from typing import ClassVar

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.norm import Kind
from hwmodel.einsum.workloads.decoder import Decoder
from hwmodel.einsum.workloads.record import Count, Flag, Names

MODEL_TYPES = ("gpt_neox",)


class Config(Decoder):
    """A quarter of a head is rotated where nothing is said; one module for q, k and v."""

    REQUIRED: ClassVar[tuple[str, ...]] = ()
    ROTATED: ClassVar[float] = 0.25
    NORM: ClassVar[Kind] = "layer"
    LAYER: ClassVar[str] = "gpt_neox.layers.{layer}"
    EMBEDDING: ClassVar[str] = "gpt_neox.embed_in"
    FINAL: ClassVar[str] = "gpt_neox.final_layer_norm"
    HEAD: ClassVar[str] = "embed_out"
    ALIASES: ClassVar[Names] = {"rotary_pct": "partial_rotary_factor"}

    intermediate_size: Count | None = 24576
    hidden_act: str = "gelu"
    use_parallel_residual: Flag = True
    attention_bias: Flag = True
    partial_rotary_factor: float | None = None

    @property
    def parallel(self) -> bool:
        """By key."""
        return self.use_parallel_residual

    def attention(self, window: int | None) -> Block:
        """Attention with biases by key."""
        fused = "query_key_value"
        return self.heads(
            *(window,),
            **{"qkv_bias": self.attention_bias, "output_bias": self.attention_bias},
            **{"names": (fused, fused, fused, "dense"), "path": f"{self.LAYER}.attention"},
        )

    def inner(self, layer: int) -> Block:
        """MLP of two products."""
        return self.plain(names=("dense_h_to_4h", "dense_4h_to_h"))
