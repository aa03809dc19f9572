"""MiMo V2 Flash: narrower values, sinks under windows, experts (`MiMoV2FlashConfig`).

Layers with a window have more key heads. Configs say kinds of layers by lists of 0 and 1, or by
name; experts have no shared ones beside them.
"""

from typing import Any, ClassVar

from hwmodel.einsum.workloads.architectures import glm4_moe
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.record import Count, Flag, Values, Whole

MODEL_TYPES = ("mimo_v2_flash",)


class Config(glm4_moe.Glm4Moe):
    """Twice the key heads where there is a window, if nothing else is said."""

    ROTATED: ClassVar[float] = 1.0
    HARMLESS: ClassVar[frozenset[str]] = frozenset(
        "attention_value_scale swa_rope_theta attention_chunk_size sliding_window_size".split()
    )

    NEUTRAL: ClassVar[Values] = {"mlp_bias": (False,)}

    head_dim: Count | None = 192
    v_head_dim: Count = 128
    sliding_window: Count | None = 129
    swa_num_attention_heads: Count | None = None
    swa_num_key_value_heads: Count | None = None
    swa_head_dim: Count | None = None
    swa_v_head_dim: Count | None = None
    hybrid_layer_pattern: tuple[int, ...] | None = None
    moe_layer_freq: tuple[int, ...] | int | None = None
    mlp_layer_types: tuple[str, ...] | None = None
    add_swa_attention_sink_bias: Flag = True
    add_full_attention_sink_bias: Flag = False
    moe_intermediate_size: Count = 2048
    n_routed_experts: Count = 256
    n_shared_experts: Whole | None = None

    def windows(self) -> tuple[int | None, ...]:
        """Layers by their kind, said or usual: the first and every sixth have none."""
        if self.layer_types is not None:
            return super().windows()
        layers = range(self.num_hidden_layers)
        usual = tuple(int(layer > 0 and (layer + 1) % 6 != 0) for layer in layers)
        pattern = self.hybrid_layer_pattern or usual
        return tuple(self.sliding_window if pattern[layer] else None for layer in layers)

    def attention(self, window: int | None) -> Block:
        """Attention of a layer with a window or without."""
        more: dict[str, Any] = {"value_dim": self.v_head_dim}
        more["sinks"] = self.add_full_attention_sink_bias
        if window is not None:
            more |= {
                "heads": self.swa_num_attention_heads or self.num_attention_heads,
                "kv_heads": self.swa_num_key_value_heads or 2 * self.key_heads,
                "head_dim": self.swa_head_dim or self.head_size,
                "value_dim": self.swa_v_head_dim or self.v_head_dim,
                "sinks": self.add_swa_attention_sink_bias,
            }
        return self.heads(window, qkv_bias=self.attention_bias, **more)

    def inner(self, layer: int) -> Block:
        """Experts, or the MLP of a dense layer."""
        said, kinds = self.moe_layer_freq, self.mlp_layer_types
        dense = layer == 0
        if kinds is not None:
            dense = kinds[layer] == "dense"
        if isinstance(said, tuple):
            dense = not said[layer]
        return self.gated() if dense else self.mixed()
