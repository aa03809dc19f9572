"""GLM 4.5 to 4.7, dots.llm1, Solar Open: some dense layers, then experts with shared ones.

`Glm4MoeConfig`, `Dots1Config`, `SolarOpenConfig`; the mixture is that of DeepSeek V3 (arXiv
2412.19437), with attention in groups.
"""

from typing import ClassVar

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.decoder import Decoder, check_experts
from hwmodel.einsum.workloads.dispatch import Scoring
from hwmodel.einsum.workloads.record import Count, Flag, Names, Whole

MODEL_TYPES = ("glm4_moe", "glm4v_moe_text", "dots1", "solar_open", "sarvam_moe")


class Glm4Moe(Decoder):
    """Half of a head is rotated; biases of q, k and v, and norms of q and k, by key."""

    ROTATED: ClassVar[float] = 0.5
    UNEVEN: ClassVar[bool] = True
    ALIASES: ClassVar[Names] = {"num_local_experts": "n_routed_experts"}

    partial_rotary_factor: float | None = None
    attention_bias: Flag = False
    use_qk_norm: Flag = False
    n_routed_experts: Count = 128
    n_shared_experts: Whole | None = 1
    num_experts_per_tok: Count = 8
    moe_intermediate_size: Count = 1408
    first_k_dense_replace: Whole = 1
    norm_topk_prob: Flag = True
    n_group: Count | None = 1
    topk_group: Count | None = 1
    routed_scaling_factor: float | None = 1.0

    def attention(self, window: int | None) -> Block:
        """Attention with what keys say."""
        return self.heads(window, qkv_bias=self.attention_bias, qk_norm=self.use_qk_norm)

    def inner(self, layer: int) -> Block:
        """Experts, or the MLP of one of the first layers."""
        return self.gated() if layer < self.first_k_dense_replace else self.mixed()

    def routed(self) -> Block:
        """Experts alone."""
        return self.experts(
            experts=self.n_routed_experts,
            picks=self.num_experts_per_tok,
            intermediate=self.moe_intermediate_size,
            scoring=self.scoring(),
        )

    def scoring(self) -> Scoring:
        """Sigmoids, corrected for the choice, of groups where there are several."""
        return Scoring(
            "sigmoid",
            normalised=self.norm_topk_prob,
            corrected=True,
            groups=self.n_group or 1,
            taken=self.topk_group or 1,
            scaled=self.routed_scaling_factor not in (None, 1.0),
        )

    def mixed(self) -> Block:
        """Experts and shared ones."""
        width = (self.n_shared_experts or 0) * self.moe_intermediate_size
        return self.shared(self.routed(), width, "mlp.shared_experts")

    def check(self, where: str) -> None:
        """No more experts a token than there are."""
        super().check(where)
        check_experts(where, self.n_routed_experts, self.num_experts_per_tok)


class Glm4vMoe(Glm4Moe):
    """The text of GLM 4.5V: biases of q, k and v (`Glm4vMoeTextConfig`)."""

    attention_bias: Flag = True


class Dots1(Glm4Moe):
    """Norms of q and k always, all of a head rotated; a window from a layer on, if any."""

    ROTATED: ClassVar[float] = 1.0

    n_shared_experts: Whole | None = None
    first_k_dense_replace: Whole = 0
    sliding_window: Count | None = None
    max_window_layers: Whole | None = None

    def attention(self, window: int | None) -> Block:
        """Attention with norms of q and k."""
        biased = self.attention_bias
        return self.heads(window, qkv_bias=biased, output_bias=biased, qk_norm=True)

    def windows(self) -> tuple[int | None, ...]:
        """Layers by their kind, said or by number."""
        if self.layer_types is not None:
            return super().windows()
        first = self.num_hidden_layers if self.max_window_layers is None else self.max_window_layers
        layers = range(self.num_hidden_layers)
        return tuple(self.sliding_window if layer >= first else None for layer in layers)


class SolarOpen(Glm4Moe):
    """Experts in every layer."""

    ROTATED: ClassVar[float] = 1.0

    intermediate_size: Count | None = 10240
    head_dim: Count | None = 128
    moe_intermediate_size: Count = 1280
    first_k_dense_replace: Whole = 0


class SarvamMoe(Glm4Moe):
    """Norms of q and k where nothing is said, all of a head rotated."""

    ROTATED: ClassVar[float] = 1.0
    ALIASES: ClassVar[Names] = {
        **dict.fromkeys(("num_local_experts", "num_experts"), "n_routed_experts"),
        **{"num_shared_experts": "n_shared_experts", "use_qkv_bias": "attention_bias"},
    }

    head_dim: Count | None = 64
    use_qk_norm: Flag = True
    num_experts_per_tok: Count = 6
    moe_intermediate_size: Count = 1024


RECORDS = {
    "glm4_moe": Glm4Moe,
    "glm4v_moe_text": Glm4vMoe,
    "dots1": Dots1,
    "solar_open": SolarOpen,
    "sarvam_moe": SarvamMoe,
}
