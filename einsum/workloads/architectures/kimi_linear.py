"""Kimi Linear (arXiv 2510.26692): delta attention in most layers, latent attention in the others.

`KimiLinearConfig`; experts as DeepSeek V3's. `linear_attn_config` lists both kinds of layers,
counted from one, and has the sizes of the first.
"""

from typing import Any, ClassVar

from hwmodel.einsum.workloads.architectures.deepseek import DeepseekV3
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.kda import Kda
from hwmodel.einsum.workloads.record import Count, Layers, Names, Whole

MODEL_TYPES = ("kimi_linear",)


class Config(DeepseekV3):
    """Latent attention in every fourth layer where nothing is said, but not in the first."""

    ALIASES: ClassVar[Names] = {
        **DeepseekV3.ALIASES,
        **{"num_experts_per_token": "num_experts_per_tok", "num_expert_group": "n_group"},
        "moe_renormalize": "norm_topk_prob",
    }
    KINDS: ClassVar[tuple[str, ...]] = ("full_attention", "linear_attention")
    HARMLESS: ClassVar[frozenset[str]] = frozenset(
        {"mla_use_nope", "use_grouped_topk", "mlp_layer_types", "model_max_length", "head_dim"}
    )

    vocab_size: Count = 163840
    hidden_size: Count = 2304
    intermediate_size: Count | None = 9216
    num_hidden_layers: Layers = 27
    num_attention_heads: Count = 32
    q_lora_rank: Count | None = None
    moe_intermediate_size: Count = 1024
    first_k_dense_replace: Whole = 1
    n_group: Count | None = 1
    topk_group: Count | None = 1
    routed_scaling_factor: float | None = 2.446
    linear_attn_config: dict[str, Any] | None = None
    linear_head_dim: Count = 128
    linear_num_heads: Count = 32
    linear_conv_kernel_dim: Count = 4

    def _whole(self, layer: int) -> bool:
        if self.layer_types is not None:
            return self.layer_types[layer] == "full_attention"
        said = (self.linear_attn_config or {}).get("full_attn_layers")
        return layer + 1 in said if said else layer > 0 and layer % 4 == 0

    def attention_in(self, layer: int, window: int | None) -> Block:
        """Latent attention, or delta attention."""
        if self._whole(layer):
            return self.latent()
        said = self.linear_attn_config or {}
        return Kda(
            hidden=self.hidden_size,
            heads=said.get("num_heads", self.linear_num_heads),
            dim=said.get("head_dim", self.linear_head_dim),
            taps=said.get("short_conv_kernel_size", self.linear_conv_kernel_dim),
            path=f"{self.LAYER}.self_attn",
        )

    def notes(self) -> tuple[str, ...]:
        """Decays."""
        return (*super().notes(), "decays of single channels are counted as those of heads")
