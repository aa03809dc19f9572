"""BLOOM (arXiv 2211.05100): ALiBi, a norm behind the embedding, a plain MLP (`BloomConfig`)."""

from typing import ClassVar

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.norm import Kind
from hwmodel.einsum.workloads.decoder import Decoder
from hwmodel.einsum.workloads.record import Count, Flag, Names

MODEL_TYPES = ("bloom",)


class Config(Decoder):
    """Biases throughout; the MLP is four times as wide as hidden states."""

    REQUIRED: ClassVar[tuple[str, ...]] = ()
    ALIASES: ClassVar[Names] = {
        **{
            "n_embed": "hidden_size",
            "n_layer": "num_hidden_layers",
            "n_head": "num_attention_heads",
        },
    }
    HARMLESS: ClassVar[frozenset[str]] = frozenset(
        "apply_residual_connection_post_layernorm slow_but_exact offset_alibi seq_length"
        " skip_bias_add skip_bias_add_qkv attention_softmax_in_fp32 bias_dropout_fusion"
        " masked_softmax_fusion unk_token_id".split()
    )
    NORM: ClassVar[Kind] = "layer"
    LAYER: ClassVar[str] = "transformer.h.{layer}"
    EMBEDDING: ClassVar[str] = "transformer.word_embeddings"
    FINAL: ClassVar[str] = "transformer.ln_f"

    intermediate_size: Count | None = None
    hidden_act: str = "gelu_new"
    tie_word_embeddings: Flag = True

    @property
    def inner_size(self) -> int:
        """Columns between the products of the MLP."""
        return 4 * self.hidden_size

    def embedded(self) -> tuple[Block, ...]:
        """Tokens, and their norm."""
        norm = self.norm("embedding norm", "transformer.word_embeddings_layernorm")
        return (*super().embedded(), *norm)

    def attention(self, window: int | None) -> Block:
        """Attention that nothing turns."""
        fused = "query_key_value"
        return self.heads(
            *(window,),
            **{"qkv_bias": True, "output_bias": True, "rotated": 0},
            **{"names": (fused, fused, fused, "dense"), "path": f"{self.LAYER}.self_attention"},
        )

    def inner(self, layer: int) -> Block:
        """MLP of two products."""
        return self.plain(names=("dense_h_to_4h", "dense_4h_to_h"))
