"""MPT: ALiBi, layer norms without a shift, a plain MLP, no biases (`MptConfig`)."""

from collections.abc import Mapping
from typing import Any, ClassVar

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.norm import Kind
from hwmodel.einsum.workloads.decoder import Decoder, Norms
from hwmodel.einsum.workloads.record import Count, Flag, Names

MODEL_TYPES = ("mpt",)


class Config(Decoder):
    """`attn_config` is a table of its own; what transformers builds has no learned positions."""

    REQUIRED: ClassVar[tuple[str, ...]] = ()
    ALIASES: ClassVar[Names] = {
        **{
            "d_model": "hidden_size",
            "n_layers": "num_hidden_layers",
            "n_heads": "num_attention_heads",
        },
        **{"max_seq_len": "max_position_embeddings"},
    }
    HARMLESS: ClassVar[frozenset[str]] = frozenset(
        "learned_pos_emb logit_scale no_bias embedding_fraction norm_type verbose init_device"
        " init_config tokenizer_name layer_norm_epsilon".split()
    )
    NORM: ClassVar[Kind] = "layer without shift"
    NORMS: ClassVar[Norms] = ("norm_1", None, "norm_2", None)
    LAYER: ClassVar[str] = "transformer.blocks.{layer}"
    EMBEDDING: ClassVar[str] = "transformer.wte"
    FINAL: ClassVar[str] = "transformer.norm_f"

    intermediate_size: Count | None = None
    hidden_act: str = "gelu"
    tie_word_embeddings: Flag = True
    expansion_ratio: Count = 4
    attn_config: Mapping[str, Any] | None = None

    @property
    def inner_size(self) -> int:
        """Columns between the products of the MLP."""
        return self.expansion_ratio * self.hidden_size

    @property
    def key_heads(self) -> int:
        """Heads of keys and values, if the table says them."""
        said = (self.attn_config or {}).get("kv_n_heads")
        return said or self.num_attention_heads

    def attention(self, window: int | None) -> Block:
        """Attention that nothing turns; q, k and v may be clipped."""
        clipped = bool((self.attn_config or {}).get("clip_qkv"))
        names = ("Wqkv", "Wqkv", "Wqkv", "out_proj")
        path = f"{self.LAYER}.attn"
        return self.heads(window, rotated=0, clipped=clipped, names=names, path=path)

    def inner(self, layer: int) -> Block:
        """MLP of two products."""
        path = f"{self.LAYER}.ffn"
        return self.plain(bias=False, names=("up_proj", "down_proj"), path=path)
