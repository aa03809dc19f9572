"""GPT-NeoX and Pythia: attention beside a plain MLP, each behind its norm (`GPTNeoXConfig`)."""

from typing import ClassVar

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.held import Held
from hwmodel.einsum.workloads.blocks.norm import Kind
from hwmodel.einsum.workloads.decoder import Decoder
from hwmodel.einsum.workloads.record import Count, Flag, Layers, Names

MODEL_TYPES = ("gpt_neox", "gpt_neox_japanese")


class GptNeoX(Decoder):
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


class Japanese(GptNeoX):
    """Biases of norms alone, but for the last layer's output of attention; blocks in a row."""

    ROTATED: ClassVar[float] = 1.0

    vocab_size: Count = 32000
    hidden_size: Count = 2560
    intermediate_size: Count | None = None
    num_hidden_layers: Layers = 32
    num_attention_heads: Count = 32
    tie_word_embeddings: Flag = True
    attention_bias: Flag = False
    use_parallel_residual: Flag = False
    intermediate_multiple_size: Count = 4

    @property
    def inner_size(self) -> int:
        """Columns between the products of the MLP."""
        return self.intermediate_size or self.intermediate_multiple_size * self.hidden_size

    def inner(self, layer: int) -> Block:
        """MLP without biases."""
        return self.plain(names=("dense_h_to_4h", "dense_4h_to_h"), bias=False)

    def ended(self) -> tuple[Block, ...]:
        """The bias of the last layer, the norm, the head."""
        shift = Held("gpt_neox.layers.attention.dense_bias", (self.hidden_size,), "biases")
        return (shift, *super().ended())


RECORDS = {"gpt_neox": GptNeoX, "gpt_neox_japanese": Japanese}
