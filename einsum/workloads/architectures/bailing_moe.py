"""Ling 1 and 2, and DeepSeek's first mixture: dense layers, then experts with shared ones.

Own code of Ant (`bailing_moe`, `bailing_moe_v2`) and DeepSeek (arXiv 2401.06066, `deepseek`). Ling
has one module for q, k and v; Ling 2 normalises q and k by head.
"""

from typing import ClassVar

from hwmodel.einsum.workloads.architectures.glm4_moe import Glm4Moe
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.dispatch import Scoring
from hwmodel.einsum.workloads.record import Count, Flag, Names, Whole

MODEL_TYPES = ("bailing_moe", "bailing_moe_v2", "deepseek")


class Ling(Glm4Moe):
    """Softmax of all logits; every layer has experts unless some are said to be dense."""

    ROTATED: ClassVar[float] = 1.0
    ALIASES: ClassVar[Names] = {
        "num_experts": "n_routed_experts",
        "num_shared_experts": "n_shared_experts",
    }
    HARMLESS: ClassVar[frozenset[str]] = frozenset(
        "norm_head norm_softmax multi_gate output_router_logits moe_shared_expert_intermediate_size"
        " embedding_dropout output_dropout use_expert_bias rotary_dim score_function".split()
    )

    use_qkv_bias: Flag = False
    use_bias: Flag = False
    first_k_dense_replace: Whole = 0

    def attention(self, window: int | None) -> Block:
        """Attention with a fused module."""
        fused, biased = "query_key_value", self.use_qkv_bias or self.use_bias
        return self.heads(
            *(window,),
            **{"qkv_bias": biased, "output_bias": self.use_bias, "qk_norm": self.use_qk_norm},
            **{"names": (fused, fused, fused, "dense"), "path": f"{self.LAYER}.attention"},
        )

    def scoring(self) -> Scoring:
        """The softmax of all logits."""
        return Scoring(normalised=self.norm_topk_prob)


class Ling2(Ling):
    """Sigmoids, corrected, in groups."""

    use_qk_norm: Flag = True
    partial_rotary_factor: float | None = 0.5

    def scoring(self) -> Scoring:
        """As of DeepSeek V3."""
        return Glm4Moe.scoring(self)


class DeepseekMoe(Ling):
    """Modules of Llama, one dense layer."""

    n_shared_experts: Whole | None = 2
    n_routed_experts: Count = 64
    num_experts_per_tok: Count = 6
    first_k_dense_replace: Whole = 1
    norm_topk_prob: Flag = False

    def attention(self, window: int | None) -> Block:
        """Attention with biases by key."""
        return self.heads(window, qkv_bias=self.attention_bias, output_bias=self.attention_bias)


RECORDS = {"bailing_moe": Ling, "bailing_moe_v2": Ling2, "deepseek": DeepseekMoe}
