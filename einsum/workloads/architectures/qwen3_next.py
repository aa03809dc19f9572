"""Qwen3-Next and the text of Qwen 3.5: gated delta networks, every fourth layer gated attention.

`Qwen3NextConfig`, `Qwen3_5TextConfig`, `Qwen3_5MoeTextConfig`. The products for q, k, v and z, and
those for steps and decays, are a module each in Qwen3-Next, and apart in 3.5. Experts stand beside
one of all tokens, which a gate weighs; Qwen 3.5 without experts has an MLP.
"""

from typing import ClassVar

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.gated_delta import FUSED, SEPARATE, GatedDelta
from hwmodel.einsum.workloads.decoder import Decoder, check_experts
from hwmodel.einsum.workloads.record import Config as AnyConfig
from hwmodel.einsum.workloads.record import Count, Flag, Layers, Whole, state_format

MODEL_TYPES = ("qwen3_next", "qwen3_5", "qwen3_5_text", "qwen3_5_moe", "qwen3_5_moe_text")


class Dense(Decoder):
    """`linear_*` are sizes of the gated delta networks."""

    REQUIRED: ClassVar[tuple[str, ...]] = ()
    ROTATED: ClassVar[float] = 0.25
    KINDS: ClassVar[tuple[str, ...]] = ("full_attention", "linear_attention")
    HARMLESS: ClassVar[frozenset[str]] = frozenset({"mtp_use_dedicated_embeddings"})
    MODULES: ClassVar[tuple[str, ...]] = SEPARATE

    vocab_size: Count = 248320
    hidden_size: Count = 4096
    intermediate_size: Count | None = 12288
    num_hidden_layers: Layers = 32
    num_attention_heads: Count = 16
    num_key_value_heads: Count | None = 4
    head_dim: Count | None = 256
    partial_rotary_factor: float | None = None
    attention_bias: Flag = False
    attn_output_gate: Flag = True
    full_attention_interval: Count = 4
    linear_conv_kernel_dim: Count = 4
    linear_key_head_dim: Count = 128
    linear_value_head_dim: Count = 128
    linear_num_key_heads: Count = 16
    linear_num_value_heads: Count = 32
    mamba_ssm_dtype: str | None = None

    def attention_in(self, layer: int, window: int | None) -> Block:
        """The mixer of a layer: gated attention, or a gated delta network."""
        if self._whole(layer):
            biased = self.attention_bias
            gate = "q_proj" if self.attn_output_gate else None
            return self.heads(None, qkv_bias=biased, output_bias=biased, qk_norm=True, gate=gate)
        return GatedDelta(
            hidden=self.hidden_size,
            key_heads=self.linear_num_key_heads,
            heads=self.linear_num_value_heads,
            key_dim=self.linear_key_head_dim,
            value_dim=self.linear_value_head_dim,
            taps=self.linear_conv_kernel_dim,
            names=self.MODULES,
            path=f"{self.LAYER}.linear_attn",
            state_format=state_format(self.mamba_ssm_dtype),
        )

    def _whole(self, layer: int) -> bool:
        if self.layer_types is not None:
            return self.layer_types[layer] == "full_attention"
        return (layer + 1) % self.full_attention_interval == 0


class Sparse(Dense):
    """Experts in every layer, or in every so many but those listed."""

    hidden_size: Count = 2048
    intermediate_size: Count | None = 5632
    num_hidden_layers: Layers = 40
    num_key_value_heads: Count | None = 2
    num_experts: Whole = 256
    num_experts_per_tok: Count = 8
    moe_intermediate_size: Count = 512
    shared_expert_intermediate_size: Whole = 512
    norm_topk_prob: Flag = True
    decoder_sparse_step: Count = 1
    mlp_only_layers: tuple[int, ...] | None = None

    def inner(self, layer: int) -> Block:
        """Experts and the one beside them, or the MLP of a dense layer."""
        dense = layer in (self.mlp_only_layers or ()) or (layer + 1) % self.decoder_sparse_step
        if dense or not self.num_experts:
            return super().inner(layer)
        routed = self.experts(
            experts=self.num_experts,
            picks=self.num_experts_per_tok,
            intermediate=self.moe_intermediate_size,
            normalised=self.norm_topk_prob,
        )
        width = self.shared_expert_intermediate_size
        return self.shared(routed, width, "mlp.shared_expert", "mlp.shared_expert_gate")

    def check(self, where: str) -> None:
        """No more experts a token than there are."""
        super().check(where)
        check_experts(where, self.num_experts, self.num_experts_per_tok)


class Next(Sparse):
    """Qwen3-Next."""

    MODULES: ClassVar[tuple[str, ...]] = FUSED

    vocab_size: Count = 151936
    num_hidden_layers: Layers = 48
    num_experts: Whole = 512
    num_experts_per_tok: Count = 10


RECORDS: dict[str, type[AnyConfig]] = {
    "qwen3_next": Next,
    **dict.fromkeys(("qwen3_5", "qwen3_5_text"), Dense),
    **dict.fromkeys(("qwen3_5_moe", "qwen3_5_moe_text"), Sparse),
}
