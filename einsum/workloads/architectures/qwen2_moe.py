"""Qwen 1.5 and 2 with experts: one more beside them, which a gate weighs (`Qwen2MoeConfig`)."""

from typing import ClassVar

from hwmodel.einsum.workloads.architectures import qwen2
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.decoder import check_experts
from hwmodel.einsum.workloads.record import Count, Flag, Whole

MODEL_TYPES = ("qwen2_moe",)


class Config(qwen2.Config):
    """Experts in every layer, or in every so many but those listed."""

    REQUIRED: ClassVar[tuple[str, ...]] = (
        *("num_key_value_heads", "num_experts", "num_experts_per_tok", "moe_intermediate_size"),
    )

    sliding_window: Whole | None = None
    qkv_bias: Flag = True
    num_experts: Count | None = 60
    num_experts_per_tok: Count | None = 4
    moe_intermediate_size: Count | None = 1408
    shared_expert_intermediate_size: Whole = 5632
    norm_topk_prob: Flag = False
    decoder_sparse_step: Count = 1
    mlp_only_layers: tuple[int, ...] | None = None

    def attention(self, window: int | None) -> Block:
        """Attention with biases of q, k and v by key."""
        return self.heads(window, qkv_bias=self.qkv_bias)

    def inner(self, layer: int) -> Block:
        """Experts and the one beside them, or the MLP of a dense layer."""
        if layer in (self.mlp_only_layers or ()) or (layer + 1) % self.decoder_sparse_step:
            return super().inner(layer)
        routed = self.experts(
            experts=self.num_experts,
            picks=self.num_experts_per_tok,
            intermediate=self.moe_intermediate_size,
            normalised=self.norm_topk_prob,
        )
        width = self.shared_expert_intermediate_size
        return self.shared(routed, width, "mlp.shared_expert", "mlp.shared_expert_gate")

    def check(self, where: str) -> None:
        """No more experts a token than there are."""
        super().check(where)
        check_experts(where, self.num_experts, self.num_experts_per_tok)
