"""DeBERTa: tokens and distances attend apart (`DebertaConfig`, `DebertaV2Config`).

He et al., arXiv 2006.03654. With `relative_attention` scores of queries on distances (c2p) and of
keys on them (p2c) are added to those of attention; distances pass products of their own, or with
`share_att_key` those of queries and keys. Version 2 may have a convolution beside its first layer.
"""

from typing import Any, ClassVar

from hwmodel.einsum.workloads.architectures.bert import Bert
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.chain import Chain
from hwmodel.einsum.workloads.blocks.distances import Distances
from hwmodel.einsum.workloads.blocks.held import Held
from hwmodel.einsum.workloads.blocks.norm import Norm, Residual
from hwmodel.einsum.workloads.blocks.projection import Projection
from hwmodel.einsum.workloads.encoder import Encoder
from hwmodel.einsum.workloads.record import Count, Flag, Whole

MODEL_TYPES = ("deberta", "deberta-v2")


class DebertaV2(Bert):
    """Kinds of tokens and positions by key."""

    HARMLESS: ClassVar[frozenset[str]] = Encoder.HARMLESS | {
        *("legacy", "pooler_hidden_act", "pooler_hidden_size", "conv_act", "attention_head_size"),
    }
    POOLER: ClassVar[str | None] = None
    NAMES: ClassVar[tuple[str, str, str, str]] = (
        *("attention.self.query_proj", "attention.self.key_proj", "attention.self.value_proj"),
        "attention.output.dense",
    )
    OWN: ClassVar[tuple[tuple[str, str, bool], ...]] = (
        ("c2p", "attention.self.pos_key_proj", True),
        ("p2c", "attention.self.pos_query_proj", True),
    )

    vocab_size: Count = 128100
    type_vocab_size: Whole = 0
    relative_attention: Flag = False
    max_relative_positions: int = -1
    position_buckets: int = -1
    position_biased_input: Flag = True
    pos_att_type: tuple[str, ...] | str | None = None
    share_att_key: Flag = False
    norm_rel_ebd: str = "none"
    conv_kernel_size: Whole = 0
    conv_groups: Count = 1

    @property
    def distances(self) -> int:
        """Distances to one side."""
        most = self.max_relative_positions
        most = self.max_position_embeddings if most < 1 else most
        return self.position_buckets if self.position_buckets > 0 else most

    @property
    def terms(self) -> tuple[str, ...]:
        """Sums of scores beside those of attention."""
        said = self.pos_att_type or ()
        said = tuple(said.split("|")) if isinstance(said, str) else said
        return said if self.relative_attention else ()

    def tables(self) -> tuple[tuple[int, str], ...]:
        """Positions where they are added to tokens."""
        placed, kinds = super().tables()
        return (*((placed,) if self.position_biased_input else ()), kinds)

    def embedded(self) -> tuple[Block, ...]:
        """Tables, and that of distances with its norm."""
        made = super().embedded()
        if not self.relative_attention:
            return made
        shape = (2 * self.distances, self.hidden_size)
        table = Held("encoder.rel_embeddings", shape, "embedding")
        gains = (Held("encoder.LayerNorm", (self.hidden_size,), "norms"),) * 2
        return (*made, table, *(gains if "layer_norm" in self.norm_rel_ebd else ()))

    def attention(self, window: int | None) -> Block:
        """Attention, and scores of distances before it."""
        plain = self.heads(window, **self.biases(), names=self.NAMES, path=self.LAYER)
        if not self.terms:
            return plain
        own = (
            (f"{self.LAYER}.{path}", bias) for term, path, bias in self.OWN if term in self.terms
        )
        sizes = (self.hidden_size, self.num_attention_heads, self.head_size)
        modules = () if self.share_att_key else tuple(own)
        return Chain((Distances(*sizes, 2 * self.distances, len(self.terms), modules), plain))

    def biases(self) -> dict[str, Any]:
        """Which products of attention have biases."""
        return {}

    def attention_in(self, layer: int, window: int | None) -> Block:
        """Behind the first layer's attention its convolution, of what the layer has read."""
        made = self.attention(window)
        if layer or not self.conv_kernel_size:
            return made
        hidden, path = self.hidden_size, "encoder.conv"
        inputs = self.conv_kernel_size * hidden // self.conv_groups
        sizes = (inputs, hidden, f"{path}.conv", False, "attention", True, "tanh")
        taps = Projection("convolution", *sizes)
        return Chain((made, taps, Residual("convolution residual", hidden), self._conv_norm(path)))

    def _conv_norm(self, path: str) -> Block:
        return Norm("convolution norm", f"{path}.LayerNorm", self.hidden_size, self.NORM)


class Deberta(DebertaV2):
    """One module for q, k and v, whose biases are of q and v alone."""

    NAMES: ClassVar[tuple[str, str, str, str]] = (
        *("attention.self.in_proj", "attention.self.in_proj", "attention.self.in_proj"),
        "attention.output.dense",
    )
    OWN: ClassVar[tuple[tuple[str, str, bool], ...]] = (
        ("c2p", "attention.self.pos_proj", False),
        ("p2c", "attention.self.pos_q_proj", True),
    )

    vocab_size: Count = 50265

    def biases(self) -> dict[str, Any]:
        """None of keys."""
        return {"key_bias": False}


RECORDS = {"deberta": Deberta, "deberta-v2": DebertaV2}
