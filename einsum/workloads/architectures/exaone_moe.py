"""EXAONE with experts: a dense layer or more, then experts with shared ones (`ExaoneMoeConfig`)."""

from typing import ClassVar

from hwmodel.einsum.workloads.architectures import exaone4
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.decoder import USUAL, Norms, check_experts
from hwmodel.einsum.workloads.dispatch import Scoring
from hwmodel.einsum.workloads.record import Count, Flag, Whole

MODEL_TYPES = ("exaone_moe",)


class Config(exaone4.Config):
    """Norms before blocks; which layers are dense, by kind or by number."""

    NORMS: ClassVar[Norms] = USUAL

    num_experts: Count = 64
    num_experts_per_tok: Count = 8
    num_shared_experts: Whole = 1
    moe_intermediate_size: Count = 1024
    first_k_dense_replace: Whole = 1
    mlp_layer_types: tuple[str, ...] | None = None
    is_moe_layer: tuple[bool, ...] | None = None
    norm_topk_prob: Flag = True

    def inner(self, layer: int) -> Block:
        """Experts and shared ones, or a dense MLP."""
        kinds = self.mlp_layer_types
        dense = layer < self.first_k_dense_replace if kinds is None else kinds[layer] == "dense"
        if dense:
            return self.gated()
        routed = self.experts(
            experts=self.num_experts,
            picks=self.num_experts_per_tok,
            intermediate=self.moe_intermediate_size,
            scoring=Scoring("sigmoid", normalised=self.norm_topk_prob, corrected=True, scaled=True),
        )
        width = self.num_shared_experts * self.moe_intermediate_size
        return self.shared(routed, width, "mlp.shared_experts")

    def check(self, where: str) -> None:
        """No more experts a token than there are."""
        super().check(where)
        check_experts(where, self.num_experts, self.num_experts_per_tok)
