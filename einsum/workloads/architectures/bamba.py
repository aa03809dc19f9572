"""Bamba: Mamba-2 in most layers, attention in those listed, an MLP in all (`BambaConfig`)."""

from typing import ClassVar

from hwmodel.einsum.workloads.blocks.block import Block
from hwmodel.einsum.workloads.decoder import Decoder, Norms
from hwmodel.einsum.workloads.mixers import Mamba2Keys
from hwmodel.einsum.workloads.record import Count, Flag, Layers

MODEL_TYPES = ("bamba",)


class Config(Mamba2Keys, Decoder):
    """`attn_layer_indices` are the layers of attention, whose heads are rotated by half."""

    REQUIRED: ClassVar[tuple[str, ...]] = ()
    NORMS: ClassVar[Norms] = ("input_layernorm", None, "pre_ff_layernorm", None)
    FINAL: ClassVar[str] = "model.final_layernorm"
    KINDS: ClassVar[tuple[str, ...]] = ("full_attention", "linear_attention")
    ROTATED: ClassVar[float] = 0.5
    HARMLESS: ClassVar[frozenset[str]] = frozenset({"attn_rotary_emb"})

    vocab_size: Count = 128000
    hidden_size: Count = 4096
    intermediate_size: Count | None = 14336
    num_hidden_layers: Layers = 32
    num_attention_heads: Count = 32
    num_key_value_heads: Count | None = 8
    partial_rotary_factor: float | None = None
    attention_bias: Flag = False
    mlp_bias: Flag = False
    attn_layer_indices: tuple[int, ...] | None = None

    def attention_in(self, layer: int, window: int | None) -> Block:
        """Attention, or a mixer."""
        if layer not in (self.attn_layer_indices or ()):
            return self.mixer(f"{self.LAYER}.mamba")
        return self.heads(None, qkv_bias=self.attention_bias, output_bias=self.attention_bias)

    def inner(self, layer: int) -> Block:
        """A gated MLP."""
        return self.gated(bias=self.mlp_bias, path=f"{self.LAYER}.feed_forward")
