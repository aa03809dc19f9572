"""Mellum 2: Qwen 3 with experts and a window in some layers (`MellumConfig`)."""

from typing import ClassVar

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.decoder import Decoder, check_experts
from hwmodel.einsum.workloads.record import Count, Flag, Names

MODEL_TYPES = ("mellum",)


class Config(Decoder):
    """Layers without experts are those that are said to be dense."""

    ALIASES: ClassVar[Names] = {"num_experts": "num_local_experts"}

    head_dim: Count | None = 128
    attention_bias: Flag = False
    sliding_window: Count | None = 1024
    num_local_experts: Count = 64
    num_experts_per_tok: Count = 8
    moe_intermediate_size: Count = 896
    norm_topk_prob: Flag = True
    mlp_layer_types: tuple[str, ...] | None = None

    def windows(self) -> tuple[int | None, ...]:
        """None where kinds of layers are not said."""
        return super().windows() if self.layer_types else (None,) * self.num_hidden_layers

    def attention(self, window: int | None) -> Block:
        """Attention with norms of q and k."""
        biased = self.attention_bias
        return self.heads(window, qkv_bias=biased, output_bias=biased, qk_norm=True)

    def inner(self, layer: int) -> Block:
        """Experts, or a dense MLP."""
        kinds = self.mlp_layer_types
        if kinds is not None and kinds[layer] == "dense":
            return self.gated()
        return self.experts(
            experts=self.num_local_experts,
            picks=self.num_experts_per_tok,
            intermediate=self.moe_intermediate_size,
            normalised=self.norm_topk_prob,
        )

    def check(self, where: str) -> None:
        """No more experts a token than there are."""
        super().check(where)
        check_experts(where, self.num_local_experts, self.num_experts_per_tok)
