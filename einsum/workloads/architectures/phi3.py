"""Phi 3 and 4: Llama with one module for q, k and v, and one for gate and up (`Phi3Config`)."""

from typing import ClassVar

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.decoder import Decoder
from hwmodel.einsum.workloads.record import Count, Values

MODEL_TYPES = ("phi3",)


class Config(Decoder):
    """Fused modules; a window in every layer, if any."""

    HARMLESS: ClassVar[frozenset[str]] = frozenset({"full_attn_mod", "interpolate_factor"})
    NEUTRAL: ClassVar[Values] = {
        **{"attention_bias": (False,), "mlp_bias": (False,), "lm_head_bias": (False,)},
    }

    sliding_window: Count | None = None
    partial_rotary_factor: float | None = None

    def attention(self, window: int | None) -> Block:
        """Attention with a fused module."""
        return self.heads(window, names=("qkv_proj", "qkv_proj", "qkv_proj", "o_proj"))

    def inner(self, layer: int) -> Block:
        """MLP with a fused module."""
        return self.gated(names=("gate_up_proj", "gate_up_proj", "down_proj"))
