"""DBRX: experts in every layer, layer norms without a shift, clipped q, k and v (`DbrxConfig`)."""

from collections.abc import Mapping
from typing import Any, ClassVar

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.norm import Kind
from hwmodel.einsum.workloads.decoder import Decoder, Norms
from hwmodel.einsum.workloads.record import Count, Names

MODEL_TYPES = ("dbrx",)


class Config(Decoder):
    """Attention and experts have tables of their own, `attn_config` and `ffn_config`."""

    REQUIRED: ClassVar[tuple[str, ...]] = ()
    ALIASES: ClassVar[Names] = {
        **{
            "d_model": "hidden_size",
            "n_layers": "num_hidden_layers",
            "n_heads": "num_attention_heads",
        },
        **{"max_seq_len": "max_position_embeddings"},
    }
    NORM: ClassVar[Kind] = "layer without shift"
    NORMS: ClassVar[Norms] = ("norm_attn_norm.norm_1", None, "norm_attn_norm.norm_2", None)
    LAYER: ClassVar[str] = "transformer.blocks.{layer}"
    EMBEDDING: ClassVar[str] = "transformer.wte"
    FINAL: ClassVar[str] = "transformer.norm_f"

    intermediate_size: Count | None = None
    attn_config: Mapping[str, Any] | None = None
    ffn_config: Mapping[str, Any] | None = None

    @property
    def inner_size(self) -> int:
        """Columns of an expert."""
        return (self.ffn_config or {}).get("ffn_hidden_size", 3584)

    @property
    def key_heads(self) -> int:
        """Heads of keys and values, as the table of attention says them."""
        return (self.attn_config or {}).get("kv_n_heads") or self.num_key_value_heads or 1

    def attention(self, window: int | None) -> Block:
        """Attention, whose q, k and v may be clipped."""
        clipped = bool((self.attn_config or {}).get("clip_qkv"))
        names = ("Wqkv", "Wqkv", "Wqkv", "out_proj")
        path = f"{self.LAYER}.norm_attn_norm.attn"
        return self.heads(window, clipped=clipped, names=names, path=path)

    def inner(self, layer: int) -> Block:
        """Experts."""
        table = self.ffn_config or {}
        return self.experts(
            experts=table.get("moe_num_experts", 4),
            picks=table.get("moe_top_k", 1),
            intermediate=self.inner_size,
            path=f"{self.LAYER}.ffn",
            names=("w1", "v1", "w2"),
            counted="ffn_hidden_size",
            router="router.layer",
        )
