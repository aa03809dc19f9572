"""BERT's kin whose norms stand before blocks, with a last one behind the layers.

`MegatronBertConfig`, `RobertaPreLayerNormConfig`, `XLMRobertaXLConfig`.
"""

from typing import ClassVar

from hwmodel.einsum.workloads.architectures.bert import Bert
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.decoder import Norms
from hwmodel.einsum.workloads.record import Count, Whole

MODEL_TYPES = ("megatron-bert", "roberta-prelayernorm", "xlm-roberta-xl")


class Megatron(Bert):
    """No norm of embeddings."""

    AFTER: ClassVar[bool] = False
    NORMED: ClassVar[bool] = False
    NORMS: ClassVar[Norms] = ("attention.ln", None, "ln", None)
    FINAL: ClassVar[str] = "encoder.ln"

    vocab_size: Count = 29056
    hidden_size: Count = 1024
    intermediate_size: Count | None = 4096
    num_hidden_layers: Count = 24
    num_attention_heads: Count = 16

    def embedded(self) -> tuple[Block, ...]:
        """Tables, with their norm or without."""
        made = super().embedded()
        return made if self.NORMED else made[:-1]

    def ended(self) -> tuple[Block, ...]:
        """The last norm, and the pooler."""
        return (*self.norm("final norm", self.FINAL), *super().ended())


class XlmRobertaXl(Megatron):
    """Other names."""

    NORMS: ClassVar[Norms] = ("attention.self_attn_layer_norm", None, "LayerNorm", None)
    FINAL: ClassVar[str] = "encoder.LayerNorm"

    vocab_size: Count = 250880
    hidden_size: Count = 2560
    intermediate_size: Count | None = 10240
    num_hidden_layers: Count = 36
    num_attention_heads: Count = 32
    max_position_embeddings: Count = 514
    type_vocab_size: Whole = 1


class RobertaPreLayerNorm(Megatron):
    """A norm of embeddings too."""

    NORMED: ClassVar[bool] = True
    NORMS: ClassVar[Norms] = ("attention.LayerNorm", None, "intermediate.LayerNorm", None)
    FINAL: ClassVar[str] = "LayerNorm"

    vocab_size: Count = 50265
    hidden_size: Count = 768
    intermediate_size: Count | None = 3072
    num_hidden_layers: Count = 12
    num_attention_heads: Count = 12


RECORDS = {
    "megatron-bert": Megatron,
    "roberta-prelayernorm": RobertaPreLayerNorm,
    "xlm-roberta-xl": XlmRobertaXl,
}
