"""Jamba (arXiv 2403.19887): Mamba in most layers, attention and experts in every so many.

`JambaConfig`; attention has no positions, and steps, keys and queries of the mixers pass norms.
"""

import re
from typing import ClassVar

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.mamba import Mamba
from hwmodel.einsum.workloads.decoder import Decoder, Norms, check_experts
from hwmodel.einsum.workloads.mixers import HARMLESS, rank
from hwmodel.einsum.workloads.record import Count, Flag, Layers, Whole

MODEL_TYPES = ("jamba",)


class Config(Decoder):
    """Periods and offsets say where attention and experts are."""

    RULES: ClassVar[re.Pattern[str] | None] = HARMLESS
    REQUIRED: ClassVar[tuple[str, ...]] = ()
    NORMS: ClassVar[Norms] = ("input_layernorm", None, "pre_ff_layernorm", None)
    FINAL: ClassVar[str] = "model.final_layernorm"

    vocab_size: Count = 65536
    hidden_size: Count = 4096
    intermediate_size: Count | None = 14336
    num_hidden_layers: Layers = 32
    num_attention_heads: Count = 32
    num_key_value_heads: Count | None = 8
    num_experts: Whole = 16
    num_experts_per_tok: Count = 2
    expert_layer_period: Count = 2
    expert_layer_offset: Whole = 1
    attn_layer_period: Count = 8
    attn_layer_offset: Whole = 4
    mamba_d_state: Count = 16
    mamba_d_conv: Count = 4
    mamba_expand: float = 2
    mamba_dt_rank: Count | str = "auto"
    mamba_conv_bias: Flag = True
    mamba_proj_bias: Flag = False

    def attention_in(self, layer: int, window: int | None) -> Block:
        """Attention, or a mixer."""
        if layer % self.attn_layer_period == self.attn_layer_offset:
            return self.heads(None, rotated=0)
        return Mamba(
            hidden=self.hidden_size,
            inner=int(self.mamba_expand * self.hidden_size),
            state=self.mamba_d_state,
            rank=rank(self.mamba_dt_rank, self.hidden_size),
            taps=self.mamba_d_conv,
            bias=self.mamba_proj_bias,
            conv_bias=self.mamba_conv_bias,
            normed=True,
            gains=True,
            act=self.hidden_act,
            path=f"{self.LAYER}.mamba",
        )

    def inner(self, layer: int) -> Block:
        """Experts, or a gated MLP."""
        path = f"{self.LAYER}.feed_forward"
        if layer % self.expert_layer_period != self.expert_layer_offset or self.num_experts < 2:
            return self.gated(path=path)
        return self.experts(
            experts=self.num_experts,
            picks=self.num_experts_per_tok,
            intermediate=self.inner_size,
            normalised=False,
            path=path,
            router="router",
            counted="intermediate_size",
        )

    def check(self, where: str) -> None:
        """No more experts a token than there are."""
        super().check(where)
        check_experts(where, self.num_experts, self.num_experts_per_tok)
