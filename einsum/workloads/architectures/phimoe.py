"""Phi 3.5 MoE: Mixtral with layer norms and biases (`PhimoeConfig`)."""

from typing import ClassVar

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.norm import Kind
from hwmodel.einsum.workloads.decoder import Decoder, check_experts
from hwmodel.einsum.workloads.record import Count, Flag

MODEL_TYPES = ("phimoe",)


class Config(Decoder):
    """Biases of all four projections, and of the head, by key."""

    NORM: ClassVar[Kind] = "layer"

    attention_bias: Flag = False
    lm_head_bias: Flag = False
    sliding_window: Count | None = None
    num_local_experts: Count = 16
    num_experts_per_tok: Count = 2

    def attention(self, window: int | None) -> Block:
        """Attention with its biases."""
        return self.heads(window, qkv_bias=self.attention_bias, output_bias=self.attention_bias)

    def inner(self, layer: int) -> Block:
        """Experts, whose weights are those of a sparse mixer."""
        return self.experts(
            experts=self.num_local_experts,
            picks=self.num_experts_per_tok,
            intermediate=self.inner_size,
            normalised=False,
            path=f"{self.LAYER}.block_sparse_moe",
            names=("w1", "w3", "w2"),
            counted="intermediate_size",
        )

    def ended(self) -> tuple[Block, ...]:
        """A head that may have a bias."""
        head = self.head(bias=self.lm_head_bias)
        return (*self.norm("final norm", self.FINAL, last=True), head)

    def check(self, where: str) -> None:
        """No more experts a token than there are."""
        super().check(where)
        check_experts(where, self.num_local_experts, self.num_experts_per_tok)
