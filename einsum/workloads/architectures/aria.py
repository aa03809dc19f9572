"""Aria's text: Llama with experts, and shared ones beside them (`AriaTextConfig`)."""

from typing import ClassVar

from hwmodel.einsum.workloads.architectures import llama
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.decoder import check_experts
from hwmodel.einsum.workloads.record import Count, Names, Whole

MODEL_TYPES = ("aria_text",)


class Config(llama.Config):
    """Experts of the size that `intermediate_size` says."""

    ALIASES: ClassVar[Names] = {"num_experts_per_tok": "moe_topk"}

    moe_num_experts: Count = 8
    moe_topk: Count = 2
    moe_num_shared_experts: Whole = 2

    def inner(self, layer: int) -> Block:
        """Experts and shared ones."""
        routed = self.experts(
            experts=self.moe_num_experts,
            picks=self.moe_topk,
            intermediate=self.inner_size,
            names=("fc1", "fc1", "fc2"),
            router="router",
            counted="intermediate_size",
        )
        width = self.moe_num_shared_experts * self.inner_size
        return self.shared(routed, width, "mlp.shared_experts")

    def check(self, where: str) -> None:
        """No more experts a token than there are."""
        super().check(where)
        check_experts(where, self.moe_num_experts, self.moe_topk)
