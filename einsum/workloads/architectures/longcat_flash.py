"""LongCat-Flash (arXiv 2509.01322): two attentions and two MLPs a layer, experts beside them.

`LongcatFlashConfig`. Experts read what the first MLP reads, and are added after the second. A third
of what the router scores are experts that return what they are given: a token's mean share of its
picks that compute is counted, `moe_topk` times real experts by all.
"""

from dataclasses import replace
from typing import Any, ClassVar

from hwmodel.einsum.workloads.architectures.deepseek import DeepseekV3
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.mixture import Mixture
from hwmodel.einsum.workloads.blocks.network import Network
from hwmodel.einsum.workloads.blocks.norm import Norm, Residual
from hwmodel.einsum.workloads.dispatch import Scoring
from hwmodel.einsum.workloads.record import Count, Flag, Names, Whole

MODEL_TYPES = ("longcat_flash",)


class Config(DeepseekV3):
    """Latent attention with V3's keys, other names of the rest."""

    REQUIRED: ClassVar[tuple[str, ...]] = ("kv_lora_rank", "n_routed_experts")
    ALIASES: ClassVar[Names] = {
        **{"num_layers": "num_hidden_layers", "ffn_hidden_size": "intermediate_size"},
        "num_experts_per_tok": "moe_topk",
    }
    HARMLESS: ClassVar[frozenset[str]] = frozenset(
        {
            "mla_scale_q_lora",
            "mla_scale_kv_lora",
            "router_bias",
            "attention_method",
            "zero_expert_type",
        }
    )

    vocab_size: Count = 131072
    hidden_size: Count = 6144
    intermediate_size: Count | None = 12288
    num_hidden_layers: Count = 28
    num_attention_heads: Count = 64
    moe_topk: Count = 12
    num_experts_per_tok: Count | None = None
    n_routed_experts: Count | None = 512
    zero_expert_num: Whole = 256
    expert_ffn_hidden_size: Count = 2048
    norm_topk_prob: Flag = False

    @property
    def picks(self) -> int:
        """Experts of a token that compute, on average."""
        real = self.n_routed_experts or 1
        return max(1, round(self.moe_topk * real / (real + self.zero_expert_num)))

    def network(self) -> Network:
        """Equal layers."""
        return self.between([self._layer()] * self.num_hidden_layers)

    def _layer(self) -> tuple[Block, ...]:
        made: list[Block] = []
        for n in range(2):
            path = f"{self.LAYER}.self_attn.{n}"
            made += [
                self._norm("attention norm", f"input_layernorm.{n}"),
                self.latent(path=path),
                Residual("attention residual", self.hidden_size),
                self._norm("mlp norm", f"post_attention_layernorm.{n}"),
                *((self._experts(),) if n == 0 else ()),
                self.gated(path=f"{self.LAYER}.mlps.{n}"),
                Residual("mlp residual", self.hidden_size),
            ]
        return (*made, Residual("experts residual", self.hidden_size))

    def latent(self, **more: Any) -> Any:
        """Latent attention of these sizes."""
        usual = super().latent()
        return replace(usual, **more)

    def _norm(self, name: str, module: str) -> Norm:
        return Norm(name, f"{self.LAYER}.{module}", self.hidden_size)

    def _experts(self) -> Mixture:
        return self.experts(
            experts=self.n_routed_experts,
            picks=self.picks,
            intermediate=self.expert_ffn_hidden_size,
            scoring=Scoring("softmax", normalised=False, corrected=True, scaled=True),
            counted="expert_ffn_hidden_size",
            router="router.classifier",
            idle=self.zero_expert_num,
        )

    def notes(self) -> tuple[str, ...]:
        """Picks."""
        return (
            *super().notes(),
            f"moe_topk: {self.picks} of a token's {self.moe_topk} picks compute, on average; the"
            " others return what they are given",
        )
