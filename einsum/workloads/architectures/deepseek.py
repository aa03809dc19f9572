"""DeepSeek V2, V3, R1 and Kimi K2: latent attention, a few dense layers, then experts.

`DeepseekV2Config`, `DeepseekV3Config`; Kimi K2's config says `kimi_k2` and V3's keys. V3's router
(arXiv 2412.19437): sigmoid, a bias for the choice alone, four of eight groups,
weights that sum to one and are scaled; V2's a softmax, with groups compared by their best.
"""

from typing import Any, ClassVar

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.mla import Form, Mla
from hwmodel.einsum.workloads.decoder import Decoder, check_experts
from hwmodel.einsum.workloads.dispatch import Scoring
from hwmodel.einsum.workloads.record import Count, Flag, Names, Whole
from hwmodel.quantity.errors import CoverageError, InputError

MODEL_TYPES = ("deepseek_v3", "deepseek_v2", "kimi_k2")


class DeepseekV3(Decoder):
    """Keys of transformers' `DeepseekV3Config`, and `mla`: the form of its attention.

    `mla` is no key of checkpoints: `model.but(mla="expanded")` (or "absorbed") computes every step
    in that form, where "phase" expands prefill and absorbs decode.
    """

    REQUIRED: ClassVar[tuple[str, ...]] = ("kv_lora_rank",)
    ALIASES: ClassVar[Names] = {
        **dict.fromkeys(
            ("num_local_experts", "num_experts", "num_routed_experts"), "n_routed_experts"
        ),
        "num_shared_experts": "n_shared_experts",
    }
    SCORES: ClassVar[str] = "sigmoid"

    head_dim: Count | None = 64
    q_lora_rank: Count | None = 1536
    kv_lora_rank: Count = 512
    qk_nope_head_dim: Count = 128
    qk_rope_head_dim: Count = 64
    qk_head_dim: Count | None = None
    v_head_dim: Count = 128
    attention_bias: Flag = False
    mla: Form = "phase"
    n_routed_experts: Count | None = 256
    n_shared_experts: Whole | None = 1
    num_experts_per_tok: Count | None = 8
    moe_intermediate_size: Count = 2048
    first_k_dense_replace: Whole = 3
    moe_layer_freq: Count = 1
    norm_topk_prob: Flag = True
    n_group: Count | None = 8
    topk_group: Count | None = 4
    topk_method: str | None = None
    scoring_func: str | None = None
    routed_scaling_factor: float | None = 2.5

    def attention(self, window: int | None) -> Block:
        """Latent attention."""
        return self.latent()

    def latent(self, **more: Any) -> Mla:
        """Latent attention of these sizes; a subclass gives what differs."""
        return Mla(
            hidden=self.hidden_size,
            heads=self.num_attention_heads,
            rank=self.kv_lora_rank,
            plain=self.qk_nope_head_dim,
            turned=self.qk_rope_head_dim,
            value=self.v_head_dim,
            query_rank=self.q_lora_rank,
            form=self.mla,
            bias=self.attention_bias,
            path=f"{self.LAYER}.self_attn",
            **more,
        )

    def inner(self, layer: int) -> Block:
        """Experts and shared ones, or the MLP of one of the first layers."""
        dense = layer < self.first_k_dense_replace or layer % self.moe_layer_freq
        if dense or not self.n_routed_experts:
            return self.gated()
        routed = self.experts(
            experts=self.n_routed_experts,
            picks=self.num_experts_per_tok or 1,
            intermediate=self.moe_intermediate_size,
            scoring=self.scoring(),
        )
        width = (self.n_shared_experts or 0) * self.moe_intermediate_size
        return self.shared(routed, width, "mlp.shared_experts")

    def scoring(self) -> Scoring:
        """How the router scores."""
        said = self.scoring_func or self.SCORES
        corrected = self.topk_method in (None, "noaux_tc") and said == "sigmoid"
        limited = self.topk_method != "greedy"
        groups: dict[str, Any] = {"groups": self.n_group or 1, "taken": self.topk_group or 1}
        return Scoring(
            "sigmoid" if said == "sigmoid" else "softmax",
            normalised=self.norm_topk_prob,
            corrected=corrected,
            scaled=self.routed_scaling_factor not in (None, 1.0),
            **(groups if limited else {}),
        )

    def check(self, where: str) -> None:
        """Experts that a token takes, groups that divide them."""
        super().check(where)
        experts, groups = self.n_routed_experts, self.n_group or 1
        check_experts(where, experts, self.num_experts_per_tok)
        if experts and experts % groups:
            raise InputError(
                f"{where}: n_group: expected a divisor of the {experts} experts, found {groups}"
            )
        if self.scoring_func not in (None, "sigmoid", "softmax"):
            raise CoverageError(
                f"{where}: scoring_func: {self.scoring_func!r} is not modelled; expected 'sigmoid'"
                " or 'softmax'"
            )


class DeepseekV2(DeepseekV3):
    """Transformers' `DeepseekV2Config`: softmax scores, no groups unless they are said."""

    SCORES: ClassVar[str] = "softmax"

    n_routed_experts: Count | None = 64
    n_shared_experts: Whole | None = 2
    num_experts_per_tok: Count | None = None
    moe_intermediate_size: Count = 1407
    first_k_dense_replace: Whole = 0
    norm_topk_prob: Flag = False
    n_group: Count | None = None
    topk_group: Count | None = None
    topk_method: str | None = "greedy"
    routed_scaling_factor: float | None = 1.0


RECORDS = {"deepseek_v3": DeepseekV3, "deepseek_v2": DeepseekV2, "kimi_k2": DeepseekV3}
