"""Persimmon: layer norms, of q and k too, a plain MLP, biases throughout (`PersimmonConfig`)."""

from typing import ClassVar

from hwmodel.einsum.workloads.blocks.attention import HeadNorm
from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.blocks.norm import Kind
from hwmodel.einsum.workloads.decoder import Decoder
from hwmodel.einsum.workloads.record import Flag

MODEL_TYPES = ("persimmon",)


class Config(Decoder):
    """One module for q, k and v; half of a head is rotated."""

    REQUIRED: ClassVar[tuple[str, ...]] = ()
    ROTATED: ClassVar[float] = 0.5
    NORM: ClassVar[Kind] = "layer"
    FINAL: ClassVar[str] = "model.final_layernorm"

    hidden_act: str = "relu2"
    qk_layernorm: Flag = True
    partial_rotary_factor: float | None = None

    def attention(self, window: int | None) -> Block:
        """Attention with biases of all products."""
        fused = "query_key_value"
        norm = HeadNorm(kind="layer", names=("q_layernorm", "k_layernorm"))
        return self.heads(
            *(window,),
            **{"qkv_bias": True, "output_bias": True, "qk_norm": self.qk_layernorm},
            **{"head_norm": norm, "names": (fused, fused, fused, "dense")},
        )

    def inner(self, layer: int) -> Block:
        """MLP of two products."""
        return self.plain(names=("dense_h_to_4h", "dense_4h_to_h"))
