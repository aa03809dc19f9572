"""GLM 4.7 Flash and Sarvam's latent attention: DeepSeek V3 in other sizes."""

from typing import ClassVar

from hwmodel.einsum.workloads.architectures.deepseek import DeepseekV3
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.record import Count, Whole

MODEL_TYPES = ("glm4_moe_lite", "sarvam_mla")


class Glm4MoeLite(DeepseekV3):
    """Layers are dense or not by kind, the first alone where that is not said."""

    HARMLESS: ClassVar[frozenset[str]] = frozenset({"partial_rotary_factor"})

    q_lora_rank: Count | None = 768
    qk_nope_head_dim: Count = 192
    v_head_dim: Count = 256
    n_routed_experts: Count | None = 64
    num_experts_per_tok: Count | None = 4
    moe_intermediate_size: Count = 1536
    first_k_dense_replace: Whole = 1
    mlp_layer_types: tuple[str, ...] | None = None
    n_group: Count | None = 1
    topk_group: Count | None = 1
    routed_scaling_factor: float | None = 1.8

    def inner(self, layer: int) -> Block:
        """Experts, or the MLP of a dense layer."""
        kinds = self.mlp_layer_types
        return self.gated() if kinds and kinds[layer] == "dense" else super().inner(layer)


class SarvamMla(DeepseekV3):
    """One dense layer, no groups."""

    q_lora_rank: Count | None = None
    n_routed_experts: Count | None = 128
    first_k_dense_replace: Whole = 1
    n_group: Count | None = 1
    topk_group: Count | None = 1


RECORDS = {"glm4_moe_lite": Glm4MoeLite, "sarvam_mla": SarvamMla}
