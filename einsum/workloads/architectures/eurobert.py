"""Encoders with rotation and gated MLPs: EuroBERT and Nomic's BERT.

`EuroBertConfig` is llama's layers in which every token sees every other (arXiv 2503.05500);
`NomicBertConfig` BERT's order of norms and kinds of tokens (arXiv 2402.01613).
"""

from typing import ClassVar

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.norm import Kind, Norm
from hwmodel.einsum.workloads.blocks.positions import Positions
from hwmodel.einsum.workloads.decoder import USUAL, Norms
from hwmodel.einsum.workloads.encoder import Encoder
from hwmodel.einsum.workloads.record import Count, Flag, Layers, Whole

MODEL_TYPES = ("eurobert", "nomic_bert")


class EuroBert(Encoder):
    """Biases by key."""

    HARMLESS: ClassVar[frozenset[str]] = Encoder.HARMLESS | {"pretraining_tp"}
    NORM: ClassVar[Kind] = "rms"
    NORMS: ClassVar[Norms] = USUAL
    LAYER: ClassVar[str] = "layers.{layer}"
    EMBEDDING: ClassVar[str] = "embed_tokens"
    FINAL: ClassVar[str] = "norm"

    vocab_size: Count = 128256
    hidden_size: Count = 768
    intermediate_size: Count | None = 3072
    num_hidden_layers: Layers = 12
    num_attention_heads: Count = 12
    hidden_act: str = "silu"
    attention_bias: Flag = False
    mlp_bias: Flag = False

    def attention(self, window: int | None) -> Block:
        """Rotary attention."""
        biased = {"qkv_bias": self.attention_bias, "output_bias": self.attention_bias}
        return self.heads(window, rotated=None, **biased)

    def inner(self, layer: int) -> Block:
        """A gated MLP."""
        return self.gated(bias=self.mlp_bias)


class NomicBert(EuroBert):
    """Norms behind residual additions, kinds of tokens, a norm of embeddings."""

    AFTER: ClassVar[bool] = True
    NORM: ClassVar[Kind] = "layer"
    NORMS: ClassVar[Norms] = ("post_attention_layernorm", None, "post_mlp_layernorm", None)
    EMBEDDING: ClassVar[str] = "embeddings.word_embeddings"

    vocab_size: Count = 30528
    type_vocab_size: Whole = 2

    def embedded(self) -> tuple[Block, ...]:
        """Tokens, their kinds, and a norm."""
        path = "embeddings.token_type_embeddings"
        kinds = Positions(self.type_vocab_size, self.hidden_size, path, "token_type")
        norm = Norm("embedding norm", "embeddings.LayerNorm", self.hidden_size, self.NORM)
        return (*super().embedded(), kinds, norm)


RECORDS = {"eurobert": EuroBert, "nomic_bert": NomicBert}
