"""Qwen 3 with experts: in every layer, or in every so many but those listed (`Qwen3MoeConfig`)."""

from typing import ClassVar

from hwmodel.einsum.workloads.architectures import qwen3
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.mixture import Mixture
from hwmodel.einsum.workloads.decoder import check_experts
from hwmodel.einsum.workloads.record import Count, Flag, Names

MODEL_TYPES = ("qwen3_moe", "qwen3_vl_moe_text", "qwen3_omni_moe_text")


class Config(qwen3.Config):
    """Experts beside what a dense layer has."""

    REQUIRED: ClassVar[tuple[str, ...]] = (
        *("num_key_value_heads", "num_experts", "num_experts_per_tok", "moe_intermediate_size"),
    )

    ALIASES: ClassVar[Names] = {"num_local_experts": "num_experts"}

    head_dim: Count | None = None
    num_experts: Count | None = None
    num_experts_per_tok: Count | None = None
    moe_intermediate_size: Count | None = None
    norm_topk_prob: Flag = False
    decoder_sparse_step: Count = 1
    mlp_only_layers: tuple[int, ...] | None = None

    def inner(self, layer: int) -> Block:
        """Experts, or the MLP of a dense layer."""
        if layer in (self.mlp_only_layers or ()) or (layer + 1) % self.decoder_sparse_step:
            return super().inner(layer)
        return Mixture(
            hidden=self.hidden_size,
            experts=self.num_experts or 1,
            picks=self.num_experts_per_tok or 1,
            intermediate=self.moe_intermediate_size or 1,
            normalised=self.norm_topk_prob,
        )

    def windows(self) -> tuple[int | None, ...]:
        """All layers alike, if the window is on."""
        if self.layer_types is not None:
            return super().windows()
        window = self.sliding_window if self.use_sliding_window else None
        return (window,) * self.num_hidden_layers

    def check(self, where: str) -> None:
        """No more experts a token than there are."""
        super().check(where)
        check_experts(where, self.num_experts, self.num_experts_per_tok)
