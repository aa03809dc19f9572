"""ERNIE 4.5 with experts: shared ones beside others, dense layers (`Ernie4_5_MoeConfig`)."""

from typing import ClassVar

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.decoder import Decoder, check_experts
from hwmodel.einsum.workloads.record import Count, Flag, Names, Whole

MODEL_TYPES = ("ernie4_5_moe",)


class Config(Decoder):
    """Experts from a layer to another, in every so many."""

    ALIASES: ClassVar[Names] = {
        "num_experts": "moe_num_experts",
        "num_experts_per_tok": "moe_k",
    }
    HARMLESS: ClassVar[frozenset[str]] = frozenset(
        "moe_norm_min moe_capacity moe_gate moe_use_aux_free".split()
    )

    tie_word_embeddings: Flag = True
    use_bias: Flag = False
    moe_num_experts: Count = 64
    moe_k: Count = 6
    moe_intermediate_size: Count = 1536
    moe_num_shared_experts: Whole | None = 2
    moe_layer_start_index: Whole = 1
    moe_layer_end_index: int | None = None
    moe_layer_interval: Count = 1

    def attention(self, window: int | None) -> Block:
        """Attention with its biases."""
        return self.heads(window, qkv_bias=self.use_bias, output_bias=self.use_bias)

    def inner(self, layer: int) -> Block:
        """Experts and shared ones, or the MLP of a dense layer."""
        said = self.moe_layer_end_index
        last = self.num_hidden_layers - 1 if said is None or said < 0 else said
        inside = self.moe_layer_start_index <= layer <= last
        if not inside or (layer + 1) % self.moe_layer_interval:
            return self.gated(bias=self.use_bias)
        routed = self.experts(
            experts=self.moe_num_experts,
            picks=self.moe_k,
            intermediate=self.moe_intermediate_size,
            correction="moe_statics.e_score_correction_bias",
        )
        width = (self.moe_num_shared_experts or 0) * self.moe_intermediate_size
        return self.shared(routed, width, "mlp.shared_experts")

    def check(self, where: str) -> None:
        """No more experts a token than there are."""
        super().check(where)
        check_experts(where, self.moe_num_experts, self.moe_k)
