"""Arcee's mixtures (Trinity): a gate by element of attention, norms on both sides (`AfmoeConfig`).

Three layers of four have a window, and are rotated alone.
"""

from typing import Any, ClassVar

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.decoder import Decoder, Norms, check_experts, every
from hwmodel.einsum.workloads.dispatch import Scoring
from hwmodel.einsum.workloads.record import Count, Flag, Whole

MODEL_TYPES = ("afmoe",)


class Config(Decoder):
    """The first layers are dense; others have shared experts."""

    NORMS: ClassVar[Norms] = (
        *("input_layernorm", "post_attention_layernorm"),
        *("pre_mlp_layernorm", "post_mlp_layernorm"),
    )
    HARMLESS: ClassVar[frozenset[str]] = frozenset(
        "route_scale route_norm score_func load_balance_coeff num_expert_groups"
        " num_limited_groups".split()
    )

    head_dim: Count | None = 128
    attention_bias: Flag = False
    sliding_window: Count | None = 1024
    global_attn_every_n_layers: Count = 4
    mup_enabled: Flag = False
    num_dense_layers: Whole = 1
    num_experts: Count = 64
    num_experts_per_tok: Count = 6
    num_shared_experts: Whole = 2
    moe_intermediate_size: Count = 1408

    @property
    def scaled(self) -> frozenset[str]:
        """Embeddings, by key."""
        return frozenset({"embedding"}) if self.mup_enabled else frozenset()

    def windows(self) -> tuple[int | None, ...]:
        """Layers by their kind, said or usual."""
        said = self.layer_types is not None
        return super().windows() if said else every(self.global_attn_every_n_layers, self)

    def attention(self, window: int | None) -> Block:
        """Attention with norms of q and k and a gate, rotated where it has a window."""
        biased = self.attention_bias
        more: dict[str, Any] = {"rotated": 0} if window is None else {}
        return self.heads(
            *(window,),
            **{"qkv_bias": biased, "output_bias": biased, "qk_norm": True, "gate": "gate_proj"},
            **more,
        )

    def inner(self, layer: int) -> Block:
        """Experts and shared ones, or a dense MLP."""
        if layer < self.num_dense_layers:
            return self.gated()
        routed = self.experts(
            experts=self.num_experts,
            picks=self.num_experts_per_tok,
            intermediate=self.moe_intermediate_size,
            scoring=Scoring("sigmoid", scaled=True),
            router="router.gate",
            correction="expert_bias",
        )
        width = self.num_shared_experts * self.moe_intermediate_size
        return self.shared(routed, width, "mlp.shared_experts")

    def check(self, where: str) -> None:
        """No more experts a token than there are."""
        super().check(where)
        check_experts(where, self.num_experts, self.num_experts_per_tok)
