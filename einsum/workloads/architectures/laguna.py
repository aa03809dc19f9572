"""Laguna: attention under a gate by head, a window in most layers, experts (`LagunaConfig`).

Numbers of heads may differ by layer. The first layer is dense; others have a shared expert.
"""

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.decoder import Decoder, check_experts
from hwmodel.einsum.workloads.dispatch import Scoring
from hwmodel.einsum.workloads.record import Count, Flag, Whole

MODEL_TYPES = ("laguna",)


class Config(Decoder):
    """`gating` is by head, by element or off."""

    head_dim: Count | None = 128
    attention_bias: Flag = False
    sliding_window: Count | None = 512
    gating: bool | str = True
    num_attention_heads_per_layer: tuple[int, ...] | None = None
    num_experts: Count = 256
    num_experts_per_tok: Count = 8
    moe_intermediate_size: Count = 512
    shared_expert_intermediate_size: Whole = 512
    mlp_layer_types: tuple[str, ...] | None = None
    moe_routed_scaling_factor: float = 1.0
    moe_apply_router_weight_on_input: Flag = False
    moe_router_logit_softcapping: float = 0.0
    partial_rotary_factor: float | None = None

    def windows(self) -> tuple[int | None, ...]:
        """None where kinds of layers are not said."""
        return super().windows() if self.layer_types else (None,) * self.num_hidden_layers

    def attention_in(self, layer: int, window: int | None) -> Block:
        """Attention with norms of q and k, and its gate."""
        said, biased = self.num_attention_heads_per_layer, self.attention_bias
        return self.heads(
            *(window,),
            **{"heads": said[layer] if said else self.num_attention_heads},
            **{"qkv_bias": biased, "output_bias": biased, "qk_norm": True},
            **{"gate": "g_proj" if self.gating else None},
            gate_heads=self.gating in (True, "per-head"),
        )

    def inner(self, layer: int) -> Block:
        """Experts with a shared one, or a dense MLP."""
        kinds = self.mlp_layer_types
        if layer == 0 if kinds is None else kinds[layer] == "dense":
            return self.gated()
        routed = self.experts(
            experts=self.num_experts,
            picks=self.num_experts_per_tok,
            intermediate=self.moe_intermediate_size,
            scoring=Scoring("sigmoid"),
            correction="gate.e_score_correction_bias",
        )
        return self.shared(routed, self.shared_expert_intermediate_size, "mlp.shared_experts")

    def check(self, where: str) -> None:
        """No more experts a token than there are."""
        super().check(where)
        check_experts(where, self.num_experts, self.num_experts_per_tok)
