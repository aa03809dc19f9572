"""Hunyuan 3: norms of q and k, dense layers, then experts with shared ones (`HYV3Config`)."""

from typing import ClassVar

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.decoder import Decoder, check_experts
from hwmodel.einsum.workloads.dispatch import Scoring
from hwmodel.einsum.workloads.record import Count, Flag, Names, Whole

MODEL_TYPES = ("hy_v3",)


class Config(Decoder):
    """The first layer is dense where nothing is said."""

    ALIASES: ClassVar[Names] = {"num_local_experts": "num_experts"}
    HARMLESS: ClassVar[frozenset[str]] = frozenset({"enable_moe_fp32_combine"})

    head_dim: Count | None = 128
    attention_bias: Flag = False
    mlp_bias: Flag = False
    num_experts: Count = 192
    num_experts_per_tok: Count = 8
    num_shared_experts: Whole = 1
    moe_intermediate_size: Count = 1536
    mlp_layer_types: tuple[str, ...] | None = None

    def attention(self, window: int | None) -> Block:
        """Attention with norms of q and k."""
        biased = self.attention_bias
        return self.heads(window, qkv_bias=biased, output_bias=biased, qk_norm=True)

    def inner(self, layer: int) -> Block:
        """Experts and shared ones, or a dense MLP."""
        kinds = self.mlp_layer_types
        if layer < 1 if kinds is None else kinds[layer] == "dense":
            return self.gated(bias=self.mlp_bias)
        routed = self.experts(
            experts=self.num_experts,
            picks=self.num_experts_per_tok,
            intermediate=self.moe_intermediate_size,
            scoring=Scoring("sigmoid", corrected=True, scaled=True),
        )
        width = self.num_shared_experts * self.moe_intermediate_size
        return self.shared(routed, width, "mlp.shared_experts")

    def check(self, where: str) -> None:
        """No more experts a token than there are."""
        super().check(where)
        check_experts(where, self.num_experts, self.num_experts_per_tok)
