"""SmallThinker (arXiv 2507.20984): experts in every layer, a router before attention.

Keys as llama.cpp's converter reads them (`SmallThinkerModel`); sigmoid scores unless a softmax is
said, ReLU gates. Layers of `sliding_window_layout` have a window, those of `rope_layout` positions;
the place of the router, before attention, changes no count.
"""

from typing import ClassVar

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.decoder import Decoder, check_experts
from hwmodel.einsum.workloads.dispatch import Scoring
from hwmodel.einsum.workloads.record import Count, Flag, Names, Values, Whole

MODEL_TYPES = ("smallthinker",)


class Config(Decoder):
    """Experts under the names of the paper's primary ones; secondary ones are not modelled."""

    ALIASES: ClassVar[Names] = {"moe_ffn_hidden_size": "intermediate_size"}
    HARMLESS: ClassVar[frozenset[str]] = frozenset(
        ("model_name", "moe_enable_early_router", "moe_secondary_expert_size")
    )
    NEUTRAL: ClassVar[Values] = {"moe_enable_secondary_experts": (False,)}

    head_dim: Count | None = 128
    moe_num_primary_experts: Count = 32
    moe_num_active_primary_experts: Count = 4
    moe_primary_router_apply_softmax: Flag = False
    norm_topk_prob: Flag = True
    sliding_window_size: Count | None = None
    sliding_window_layout: tuple[Whole, ...] | None = None
    rope_layout: tuple[Whole, ...] | None = None
    moe_layer_layout: tuple[Whole, ...] | None = None

    def inner(self, layer: int) -> Block:
        """Experts, or an MLP where the layout says so."""
        if self.moe_layer_layout and not self.moe_layer_layout[layer]:
            return self.gated(act="relu")
        return self.experts(
            experts=self.moe_num_primary_experts,
            picks=self.moe_num_active_primary_experts,
            intermediate=self.inner_size,
            act="relu",
            scoring=Scoring(
                "softmax" if self.moe_primary_router_apply_softmax else "sigmoid",
                normalised=self.norm_topk_prob,
            ),
            path=f"{self.LAYER}.block_sparse_moe",
            names=("gate", "up", "down"),
            router="primary_router",
            counted="moe_ffn_hidden_size",
        )

    def windows(self) -> tuple[int | None, ...]:
        """Those of the layout."""
        layout = self.sliding_window_layout or (0,) * self.num_hidden_layers
        return tuple(self.sliding_window_size if windowed else None for windowed in layout)

    def check(self, where: str) -> None:
        """No more experts a token than there are."""
        super().check(where)
        check_experts(where, self.moe_num_primary_experts, self.moe_num_active_primary_experts)
