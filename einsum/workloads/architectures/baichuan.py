"""Baichuan: Llama with one module for q, k and v; 13B has ALiBi (remote code of Baichuan)."""

from typing import Any, ClassVar

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.decoder import Decoder
from hwmodel.einsum.workloads.record import Names

MODEL_TYPES = ("baichuan", "xverse")
_ALIBI = 5120
"""Hidden size of the models whose heads nothing turns."""


class Baichuan(Decoder):
    """As many heads of keys as of queries."""

    REQUIRED: ClassVar[tuple[str, ...]] = ()
    ALIASES: ClassVar[Names] = {"model_max_length": "max_position_embeddings"}
    HARMLESS: ClassVar[frozenset[str]] = frozenset({"z_loss_weight"})

    def attention(self, window: int | None) -> Block:
        """Attention with a fused module."""
        more: dict[str, Any] = {"rotated": 0} if self.hidden_size == _ALIBI else {}
        return self.heads(window, names=("W_pack", "W_pack", "W_pack", "o_proj"), **more)


class Xverse(Decoder):
    """Llama by another name."""

    REQUIRED: ClassVar[tuple[str, ...]] = ()
    HARMLESS: ClassVar[frozenset[str]] = frozenset({"max_tokenizer_truncation"})


RECORDS = {"baichuan": Baichuan, "xverse": Xverse}
