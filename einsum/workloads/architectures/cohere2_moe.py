"""Command with experts: Cohere 2, after some dense layers with mixtures (`Cohere2MoeConfig`)."""

from hwmodel.einsum.workloads.architectures.cohere import Cohere2
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.decoder import check_experts
from hwmodel.einsum.workloads.record import Count, Flag, Whole

MODEL_TYPES = ("cohere2_moe",)


class Config(Cohere2):
    """Experts of the size that `intermediate_size` says."""

    HARMLESS = frozenset({"shared_expert_combination_strategy", "expert_selection_fn"})

    head_dim: Count | None = 128
    num_experts: Count = 8
    num_experts_per_tok: Count = 2
    num_shared_experts: Whole = 0
    norm_topk_prob: Flag = True
    mlp_layer_types: tuple[str, ...] | None = None
    prefix_dense_sliding_window_pattern: Whole = 1
    prefix_dense_intermediate_size: Count | None = None

    def inner(self, layer: int) -> Block:
        """Experts, or a dense MLP."""
        kinds = self.mlp_layer_types
        if kinds is not None and kinds[layer] == "dense":
            return self.gated(intermediate=self.prefix_dense_intermediate_size or self.inner_size)
        routed = self.experts(
            experts=self.num_experts,
            picks=self.num_experts_per_tok,
            intermediate=self.inner_size,
            normalised=self.norm_topk_prob,
            counted="intermediate_size",
        )
        width = self.num_shared_experts * self.inner_size
        return self.shared(routed, width, "mlp.shared_experts")

    def check(self, where: str) -> None:
        """No more experts a token than there are."""
        super().check(where)
        check_experts(where, self.num_experts, self.num_experts_per_tok)
