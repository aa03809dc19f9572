"""MiniMax Text 01 (arXiv 2501.08313): lightning attention in most layers, experts in all.

`MiniMaxConfig`. Residual additions weigh both sides by factors (`*_alpha_factor`, `*_beta_factor`).
"""

from typing import ClassVar

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.linear_attention import LinearAttention
from hwmodel.einsum.workloads.decoder import Decoder, check_experts
from hwmodel.einsum.workloads.record import Count, Layers, Names

MODEL_TYPES = ("minimax", "minimax_text_01")


class Config(Decoder):
    """`layer_types` says which layers see all tokens, or `attn_type_list` does with ones."""

    REQUIRED: ClassVar[tuple[str, ...]] = ()
    ALIASES: ClassVar[Names] = {"num_experts": "num_local_experts"}
    KINDS: ClassVar[tuple[str, ...]] = ("full_attention", "linear_attention")
    HARMLESS: ClassVar[frozenset[str]] = frozenset(
        "full_attn_alpha_factor full_attn_beta_factor linear_attn_alpha_factor postnorm rotary_dim"
        " linear_attn_beta_factor mlp_alpha_factor mlp_beta_factor shared_moe_mode"
        " layernorm_full_attention_alpha layernorm_full_attention_beta layernorm_mlp_alpha"
        " layernorm_linear_attention_alpha layernorm_linear_attention_beta layernorm_mlp_beta"
        " sliding_window shared_intermediate_size".split()
    )

    vocab_size: Count = 32000
    hidden_size: Count = 4096
    intermediate_size: Count | None = 14336
    num_hidden_layers: Layers = 32
    num_attention_heads: Count = 32
    num_key_value_heads: Count | None = 8
    num_local_experts: Count = 8
    num_experts_per_tok: Count = 2
    block_size: Count = 256
    attn_type_list: tuple[int, ...] | None = None

    @property
    def scaled(self) -> frozenset[str]:
        """Residual additions, whatever their factors."""
        return frozenset({"residual"})

    def attention_in(self, layer: int, window: int | None) -> Block:
        """Attention, or lightning attention."""
        if self._whole(layer):
            return self.heads(None)
        sizes = (self.hidden_size, self.num_attention_heads, self.head_size, self.block_size)
        return LinearAttention(*sizes, act=self.hidden_act)

    def _whole(self, layer: int) -> bool:
        if self.layer_types is not None:
            return self.layer_types[layer] == "full_attention"
        return bool(self.attn_type_list[layer]) if self.attn_type_list else layer % 2 == 0

    def inner(self, layer: int) -> Block:
        """Experts."""
        return self.experts(
            experts=self.num_local_experts,
            picks=self.num_experts_per_tok,
            intermediate=self.inner_size,
            path=f"{self.LAYER}.block_sparse_moe",
            names=("w1", "w3", "w2"),
            counted="intermediate_size",
        )

    def check(self, where: str) -> None:
        """No more experts a token than there are."""
        super().check(where)
        check_experts(where, self.num_local_experts, self.num_experts_per_tok)
