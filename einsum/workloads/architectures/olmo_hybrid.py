"""OLMo Hybrid: gated delta networks behind norms, attention before them (`OlmoHybridConfig`).

Layers of attention are as OLMo 3's: norms of whole q and k, and behind each block.
"""

from typing import ClassVar

from hwmodel.einsum.workloads.blocks.attention import HeadNorm
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.gated_delta import GatedDelta
from hwmodel.einsum.workloads.decoder import Decoder, Norms
from hwmodel.einsum.workloads.record import Count, Flag, Layers

MODEL_TYPES = ("olmo_hybrid",)
NAMES = ("q_proj", "k_proj", "v_proj", "g_proj", "b_proj", "a_proj", "o_proj", "o_norm")
BEHIND: Norms = (None, "post_attention_layernorm", None, "post_feedforward_layernorm")


class Config(Decoder):
    """Every fourth layer has attention where `layer_types` does not say."""

    REQUIRED: ClassVar[tuple[str, ...]] = ()
    KINDS: ClassVar[tuple[str, ...]] = ("full_attention", "linear_attention")
    HARMLESS: ClassVar[frozenset[str]] = frozenset(
        "linear_allow_neg_eigval linear_use_gate linear_a_log_min linear_a_log_max linear_dt_min"
        " linear_dt_max linear_dt_init_floor".split()
    )

    vocab_size: Count = 100352
    hidden_size: Count = 3840
    intermediate_size: Count | None = 11008
    num_hidden_layers: Layers = 32
    num_attention_heads: Count = 30
    attention_bias: Flag = False
    linear_num_key_heads: Count | None = None
    linear_num_value_heads: Count | None = None
    linear_key_head_dim: Count | None = None
    linear_value_head_dim: Count | None = None
    linear_conv_kernel_dim: Count = 4

    def _whole(self, layer: int) -> bool:
        said = self.layer_types
        return said[layer] == "full_attention" if said else (layer + 1) % 4 == 0

    def attention_in(self, layer: int, window: int | None) -> Block:
        """The mixer of a layer."""
        if self._whole(layer):
            biased = self.attention_bias
            norm = HeadNorm(whole=True)
            return self.heads(
                None, qkv_bias=biased, output_bias=biased, qk_norm=True, head_norm=norm
            )
        heads = self.linear_num_value_heads or self.num_attention_heads
        keys = self.linear_num_key_heads or self.num_attention_heads
        size = self.linear_key_head_dim or int(0.75 * self.hidden_size / keys)
        return GatedDelta(
            hidden=self.hidden_size,
            key_heads=keys,
            heads=heads,
            key_dim=size,
            value_dim=self.linear_value_head_dim or 2 * size,
            taps=self.linear_conv_kernel_dim,
            names=NAMES,
            path=f"{self.LAYER}.linear_attn",
        )

    def layer(
        self, attention: Block, inner: Block, norms: Norms | None = None
    ) -> tuple[Block, ...]:
        """Norms before a gated delta network and its MLP, behind attention and its own."""
        before = isinstance(attention, GatedDelta)
        return super().layer(attention, inner, self.NORMS if before else BEHIND)
