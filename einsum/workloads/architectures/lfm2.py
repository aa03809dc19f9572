"""LFM2, with and without experts: short convolutions in most layers, attention in some.

`Lfm2Config`, `Lfm2MoeConfig`. The MLP is two thirds as wide as `intermediate_size`, rounded up,
where `block_auto_adjust_ff_dim` is on.
"""

from typing import ClassVar

from hwmodel.einsum.workloads.blocks.attention import HeadNorm
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.short_conv import ShortConv
from hwmodel.einsum.workloads.decoder import Decoder, Norms, check_experts
from hwmodel.einsum.workloads.dispatch import Scoring
from hwmodel.einsum.workloads.record import Config as AnyConfig
from hwmodel.einsum.workloads.record import Count, Flag, Layers, Names, Whole
from hwmodel.quantity.arithmetic import ceil_div

MODEL_TYPES = ("lfm2", "lfm2_moe")


class Dense(Decoder):
    """`layer_types` says which layers have a convolution, or `full_attn_idxs` which have none."""

    REQUIRED: ClassVar[tuple[str, ...]] = ()
    ALIASES: ClassVar[Names] = {
        **{"tie_embedding": "tie_word_embeddings", "block_ff_dim": "intermediate_size"},
    }
    HARMLESS: ClassVar[frozenset[str]] = frozenset(
        "theta block_dim block_mlp_init_scale block_norm_eps block_out_init_scale block_use_swiglu"
        " block_use_xavier_init conv_dim conv_dim_out conv_use_xavier_init num_heads".split()
    )
    NORMS: ClassVar[Norms] = ("operator_norm", None, "ffn_norm", None)
    FINAL: ClassVar[str] = "model.embedding_norm"
    KINDS: ClassVar[tuple[str, ...]] = ("full_attention", "conv")

    vocab_size: Count = 65536
    hidden_size: Count = 2560
    intermediate_size: Count | None = 12288
    num_hidden_layers: Layers = 32
    num_attention_heads: Count = 32
    num_key_value_heads: Count | None = 8
    tie_word_embeddings: Flag = True
    conv_bias: Flag = False
    conv_L_cache: Count = 3
    block_auto_adjust_ff_dim: Flag = True
    block_ffn_dim_multiplier: float | None = 1.0
    block_multiple_of: Count = 256
    full_attn_idxs: tuple[int, ...] | None = None

    @property
    def inner_size(self) -> int:
        """Columns of the MLP, adjusted."""
        said = self.intermediate_size or 0
        if not self.block_auto_adjust_ff_dim:
            return said
        width = int((self.block_ffn_dim_multiplier or 1) * int(2 * said / 3))
        return int(ceil_div(width, self.block_multiple_of)) * self.block_multiple_of

    def attention_in(self, layer: int, window: int | None) -> Block:
        """Attention, or a convolution."""
        if self._convolved(layer):
            path = f"{self.LAYER}.conv"
            return ShortConv(self.hidden_size, self.conv_L_cache, self.conv_bias, path)
        return self.heads(
            None,
            qk_norm=True,
            head_norm=HeadNorm(names=("q_layernorm", "k_layernorm")),
            names=("q_proj", "k_proj", "v_proj", "out_proj"),
        )

    def _convolved(self, layer: int) -> bool:
        if self.layer_types is not None:
            return self.layer_types[layer] == "conv"
        return self.full_attn_idxs is not None and layer not in self.full_attn_idxs

    def inner(self, layer: int) -> Block:
        """A gated MLP."""
        return self.gated(path=f"{self.LAYER}.feed_forward", names=("w1", "w3", "w2"))


class Sparse(Dense):
    """Experts behind the first layers."""

    hidden_size: Count = 2048
    intermediate_size: Count | None = 7168
    block_auto_adjust_ff_dim: Flag = False
    moe_intermediate_size: Count = 1792
    num_dense_layers: Whole = 2
    num_experts: Count = 32
    num_experts_per_tok: Count = 4
    norm_topk_prob: Flag = True
    use_expert_bias: Flag = True

    def inner(self, layer: int) -> Block:
        """Experts, or the MLP of a dense layer."""
        if layer < self.num_dense_layers:
            return super().inner(layer)
        return self.experts(
            experts=self.num_experts,
            picks=self.num_experts_per_tok,
            intermediate=self.moe_intermediate_size,
            scoring=Scoring("sigmoid", self.norm_topk_prob, self.use_expert_bias),
            path=f"{self.LAYER}.feed_forward",
            names=("w1", "w3", "w2"),
        )

    def check(self, where: str) -> None:
        """No more experts a token than there are."""
        super().check(where)
        check_experts(where, self.num_experts, self.num_experts_per_tok)


RECORDS: dict[str, type[AnyConfig]] = {"lfm2": Dense, "lfm2_moe": Sparse}
