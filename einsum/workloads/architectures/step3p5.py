"""Step 3.5 and 3.7: attention under a gate by head, then experts (`Step3p7TextConfig`)."""

from typing import ClassVar

from hwmodel.einsum.workloads.architectures import glm4_moe
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.record import Count, Flag, Names, Whole

MODEL_TYPES = ("step3p5", "step3p7", "step3p7_text")


class Config(glm4_moe.Glm4Moe):
    """Layers with a window may have another number of heads."""

    ROTATED: ClassVar[float] = 1.0
    ALIASES: ClassVar[Names] = {
        **{"num_experts": "n_routed_experts", "num_local_experts": "n_routed_experts"},
        **{"moe_num_experts": "n_routed_experts", "moe_top_k": "num_experts_per_tok"},
    }
    HARMLESS: ClassVar[frozenset[str]] = frozenset(
        "use_moe_router_bias moe_router_scaling_factor swiglu_limits swiglu_limits_shared"
        " mtp_layer_types mtp_mlp_layer_types query_pre_attn_scalar".split()
    )

    head_dim: Count | None = 128
    sliding_window: Count | None = None
    num_sliding_attention_heads: Count | None = None
    n_routed_experts: Count = 288
    n_shared_experts: Whole | None = 1
    moe_intermediate_size: Count = 1280
    share_expert_dim: Count = 1280
    first_k_dense_replace: Whole = 3
    mlp_layer_types: tuple[str, ...] | None = None
    mlp_bias: Flag = False
    query_pre_attn_scalar: float | None = None

    def attention(self, window: int | None) -> Block:
        """Attention with norms of q and k, and its gate."""
        fewer = self.num_sliding_attention_heads if window is not None else None
        biased = self.attention_bias
        return self.heads(
            *(window,),
            **{"heads": fewer or self.num_attention_heads, "gate": "g_proj", "gate_heads": True},
            **{"qkv_bias": biased, "output_bias": biased, "qk_norm": True},
        )

    def inner(self, layer: int) -> Block:
        """Experts with a shared one, or a dense MLP."""
        kinds = self.mlp_layer_types
        dense = layer < self.first_k_dense_replace if kinds is None else kinds[layer] == "dense"
        if dense:
            return self.gated(bias=self.mlp_bias)
        return self.shared(self.routed(), self.share_expert_dim, "mlp.shared_experts")
