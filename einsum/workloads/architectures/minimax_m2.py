"""MiniMax M2: experts in every layer, q and k normalised whole (`MiniMaxM2Config`)."""

from typing import ClassVar

from hwmodel.einsum.workloads.blocks.attention import HeadNorm
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.decoder import Decoder, check_experts
from hwmodel.einsum.workloads.dispatch import Scoring
from hwmodel.einsum.workloads.record import Count, Flag, Names, Values, Whole

MODEL_TYPES = ("minimax_m2",)


class Config(Decoder):
    """Experts of the size that `intermediate_size` says."""

    HARMLESS: ClassVar[frozenset[str]] = frozenset(
        "attn_type_list use_routing_bias layernorm_full_attention_beta layernorm_mlp_beta"
        " layernorm_linear_attention_beta layernorm_linear_attention_alpha postnorm"
        " layernorm_full_attention_alpha layernorm_mlp_alpha".split()
    )
    NEUTRAL: ClassVar[Values] = {
        **{"shared_intermediate_size": (0,), "qk_norm_type": ("per_layer",)},
    }
    ALIASES: ClassVar[Names] = {"num_experts": "num_local_experts"}

    head_dim: Count | None = 128
    rotary_dim: Whole | None = None
    partial_rotary_factor: float | None = None
    use_qk_norm: Flag = True
    num_local_experts: Count = 256
    num_experts_per_tok: Count = 8

    def attention(self, window: int | None) -> Block:
        """Attention with norms of q and k."""
        turned = {} if self.rotary_dim is None else {"rotated": self.rotary_dim}
        norm = HeadNorm(whole=True)
        return self.heads(window, qk_norm=self.use_qk_norm, head_norm=norm, **turned)

    def inner(self, layer: int) -> Block:
        """Experts."""
        return self.experts(
            experts=self.num_local_experts,
            picks=self.num_experts_per_tok,
            intermediate=self.inner_size,
            scoring=Scoring("sigmoid", corrected=True),
            path=f"{self.LAYER}.block_sparse_moe",
            names=("w1", "w3", "w2"),
            counted="intermediate_size",
        )

    def check(self, where: str) -> None:
        """No more experts a token than there are."""
        super().check(where)
        check_experts(where, self.num_local_experts, self.num_experts_per_tok)
